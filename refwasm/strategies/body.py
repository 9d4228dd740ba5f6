"""Bodies of functions: statements, each with typed expressions, drawn towards a goal.

An expression of a type is a leaf, or an instruction that leaves the type with an expression for each operand. Each is a
strategy of its own with a label for its type, so that the shrinker can put an inner one in the place of an outer one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from refwasm.strategies import control, effects, references
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.leaves import leaf
from refwasm.strategies.operands import (
    FLOOR,
    dangerous,
    first_suitable,
    is_inhabited,
    is_safe,
    operand,
    risks,
    special,
)
from refwasm.strategies.parts import part
from refwasm.strategies.provision import provide, provide_global
from refwasm.strategies.scope import Candidate, Scope
from refwasm.strategies.tables import LEAVING, ROLES, rows, typed_forms
from refwasm.syntax.instructions import END, PLAIN, Form, Instr, instr
from refwasm.syntax.types import I32, NUM_TYPES, V128, NumType, RefType, ValType
from refwasm.validation.matching import match_val_type

if TYPE_CHECKING:
    from refwasm.strategies.kit import Kit

#: How many kinds of expressions there are.
KINDS = 21
#: What an expression of a number type is, by a number below that. Kinds that have nothing fall back to a leaf.
_NUMBERS = ("leaf", *["local"] * 3, *["numeric"] * 9, "vector", "load", "load", "typed", "atomic", "control", "call",
            "condition")  # fmt: skip
_REFERENCES = ("leaf", *["local"] * 4, *["typed"] * 4, *["made"] * 3, "leaf", "typed", "control", "control", "control",
               "local", "made", "call", "local")  # fmt: skip


NUMBERS = tuple(NUM_TYPES.values())
#: How many types an expression that nobody asked for may have: these, and a reference.
_TYPES = len(NUMBERS) + 1
#: The greatest number that the first statement of a body may have. Five numbers stand for each expression there, since
#: most functions should have a result.
FIRST = effects.KINDS + 5 * KINDS * _TYPES - 1
#: Choices of what becomes of a value that nobody asked for.
_KEPT = 8


def numbers_of(name: str) -> tuple[int, int]:
    """The least and the greatest number that stands for an expression of a number type, or of a reference ("ref")."""
    least = effects.KINDS + KINDS * [*NUM_TYPES, "ref"].index(name)
    return least, least + KINDS - 1


def number_of(name: str, kind: str) -> int:
    """The least number that stands for an expression of a number type, or of a reference ("ref"), of a kind."""
    return numbers_of(name)[0] + (_REFERENCES if name == "ref" else _NUMBERS).index(kind)


#: The number of an i32 that decides something.
CONDITION = number_of("i32", "condition")


def _kind(t: ValType, number: int) -> str:
    """The kind of an expression of a type with that number."""
    return (_NUMBERS if isinstance(t, NumType) else _REFERENCES)[number]


class Label:
    """A block that is open: what a branch to it carries, and whether it is a loop."""

    __slots__ = ("types", "is_loop")

    def __init__(self, types: Sequence[ValType], is_loop: bool = False) -> None:
        self.types, self.is_loop = tuple(types), is_loop


class Body:
    """A function body while it is drawn: ``out`` is what there is of it. ``locals`` begin with the parameters.

    ``results`` are the types of the function's results, if they are known. Else the first statement that leaves values
    says what they are: it becomes the end of the body, and ``define`` is told the types as soon as they are known.
    So the shrinker deletes statements, and what it looks for becomes the result, without a change of any type."""

    def __init__(
        self, scope: Scope, drawing: Drawing, kit: Kit, locals: Sequence[ValType],
        results: Sequence[ValType] | None, define: Callable[[tuple[ValType, ...]], tuple[ValType, ...]] | None = None,
    ) -> None:  # fmt: skip
        self.scope, self.drawing, self.kit, self.config = scope, drawing, kit, scope.config
        self.locals = list(locals)
        self.out: list[Instr] = []
        self.tail: list[Instr] = []  # what stands behind all statements
        self.define = define
        self.drawn_results = 0
        self.is_declared = False  # whether the function is the last one of those that may be called
        self.results = tuple(results or ())
        self.labels = [Label(self.results)]  # innermost last
        self.depth = 0
        self.is_apart = False  # whether what is drawn is left out
        self.hidden: set[int] = set()  # locals that have no value here
        self.fixed: set[int] = set()  # locals that only their loop changes
        self.counters: list[tuple[int, NumType]] = []  # of the loops that are open, innermost last
        self.catching: int | None = None  # the tag that a ``try_table`` around catches
        self.goal: ValType | None = None
        kit.body = self

    @property
    def is_full(self) -> bool:
        """Whether the body is long enough."""
        return len(self.out) + len(self.tail) >= self.config.limits.instructions

    def emit(self, *instructions: Instr) -> None:
        """Add instructions."""
        self.out += instructions

    def new_local(self, t: ValType, hidden: bool = False, fixed: bool = False) -> int:
        """Declare another local."""
        self.locals.append(t)
        index = len(self.locals) - 1
        if hidden:
            self.hidden.add(index)
        if fixed:
            self.fixed.add(index)
        return index

    @property
    def is_settled(self) -> bool:
        """Whether the results are known."""
        return self.define is None

    def settle(self, types: Sequence[ValType] = ()) -> bool:
        """Let the function have results of these types, in front of any others; False: it has none of these, since its
        results were known, or it may not have so many."""
        if self.define is None:
            return False
        self.results, self.define = self.define(tuple(types)), None
        self.is_declared = True
        self.labels = [Label(self.results)]
        if self.results[: len(types)] == tuple(types):
            self.drawn_results = len(types)
        return self.drawn_results > 0

    def put_away(self, types: Sequence[ValType], are_results: bool) -> None:
        """Drop the values that a statement has left, unless they are the function's results. There is room for a choice
        about each in any case, as there is behind every expression."""
        for t in reversed(types):
            if are_results:
                self.drawing.none(_KEPT)
            else:
                self.keep(t)
        if are_results:
            self.out, self.tail = [], self.out

    def keep(self, t: ValType) -> None:
        """Put a value where it can be seen from outside: into a global, if the module has or may have one for it. Else,
        and where that is simpler, drop it. It is one choice in any case."""
        chosen = self.drawing.below(_KEPT)
        found = self.scope.globals_for(t) if chosen > 1 else []
        if chosen > 1 and not found:
            provide_global(self.scope, t)
            found = self.scope.globals_for(t)
        self.emit(instr("global.set", found[chosen % len(found)]) if found else PLAIN["drop"])

    def can_set(self, index: int) -> bool:
        """Whether any statement may set a local."""
        return index not in self.hidden and index not in self.fixed

    def locals_of(self, goal: ValType) -> list[int]:
        """The locals that hold values of a type."""
        return [i for i, t in enumerate(self.locals) if i not in self.hidden and match_val_type(t, goal)]

    # ---- expressions -------------------------------------------------------------------------------------------------

    def expression(self, goal: ValType) -> None:
        """Emit instructions that leave one value of a type."""
        self.goal = goal
        self.drawing.draw(self.kit.expressions[goal.name if isinstance(goal, NumType) else "ref"])

    def node(self, number: int) -> None:
        """What the strategy of statements and expressions does. The number is that of a kind: of statements, below
        their count, or else of expressions, of each type in turn."""
        goal, self.goal = self.goal, None
        of_type, of_kind = divmod(number - effects.KINDS, KINDS)
        if goal is not None:
            self._expression(goal, _kind(goal, of_kind))
            self.drawing.none(_KEPT)
        elif of_type < 0:
            effects.statement(self, number)
        elif not self.is_full:
            self._of_any_type(of_type % _TYPES, of_kind)

    def _of_any_type(self, number: int, of_kind: int) -> None:
        """An expression that nobody asked for, of the type with that number."""
        is_reference = number == len(NUMBERS)
        if is_reference and _REFERENCES[of_kind] == "typed" and self._typed_reference():
            return
        t: ValType | None = self.scope.reference() if is_reference else NUMBERS[number]
        if is_reference and _REFERENCES[of_kind] == "control" and "gc" in self.scope.features:
            t = RefType(True, "any")  # casts that leave a block are drawn for a type that others belong to
        self._valued(I32 if t is None or (t is V128 and "simd" not in self.scope.features) else t, of_kind)

    def _typed_reference(self) -> bool:
        """A reference of whatever type an instruction leaves: the one that was chosen, or one in front of it.
        The module gets what the chosen one is about. False: there is none."""
        forms, safe = self.drawing.downwards(LEAVING["ref"]), not risks(self)
        provide(self.scope, forms[0])
        known = ([c for c in self.scope.candidates(form) if isinstance(c[2][0], RefType)] for form in forms)
        candidate = first_suitable(self, known, safe)
        if candidate is None:
            return False
        are_results = self.settle(candidate[2])
        self.apply(candidate, safe)
        self.put_away(candidate[2], are_results)
        return True

    def _valued(self, t: ValType, of_kind: int) -> None:
        """An expression as a statement: its value becomes the function's result, or is put away. A call, and some
        structured instructions, are what they are as statements, whatever they leave."""
        kind, of_control = _kind(t, of_kind), None
        if kind == "call" and effects.call(self):
            return
        if kind == "control":
            of_control = self.drawing.below(control.KINDS)
            if of_control in effects.STRUCTURED:
                self.settle()
                effects.STRUCTURED[of_control](self)
                return
        are_results = self.settle([t])
        self._expression(t, kind, of_control)
        self.put_away([t], are_results)

    def _expression(self, goal: ValType, kind: str, of_control: int | None = None) -> None:
        """An expression of a kind; if that is "control", perhaps it is known of which."""
        if kind != "leaf" and (self.depth >= self.config.limits.depth or self.is_full):
            kind = "local"
        deeper = kind != "condition"
        self.depth += deeper
        if kind == "control":
            is_made = control.expression(self, goal, of_control)
        else:
            is_made = kind != "leaf" and _KINDS[kind](self, goal)
        if not is_made:
            self.leaf(goal)
        self.depth -= deeper

    def leaf(self, goal: ValType) -> None:
        """Emit a constant, or a local where there is no such constant."""
        if not is_inhabited(self.scope, goal) and self.local(goal):
            return
        leaf(self.scope, self.drawing, self.out, goal, 0 if self.config.traps == "allowed" else FLOOR)

    def local(self, goal: ValType) -> bool:
        """A local, or a global; False: there is none, and nothing was emitted."""
        found = self.locals_of(goal)
        if not found:
            return False
        self.emit(instr("local.get", self.drawing.pick(found)))
        return True

    def numeric(self, goal: ValType) -> bool:
        """A numeric or vector instruction."""
        assert isinstance(goal, NumType)
        return self._row(rows(goal.name, self.config.features).numeric, goal)

    def vector(self, goal: ValType) -> bool:
        """A number out of a vector; for vectors, any vector instruction."""
        assert isinstance(goal, NumType)
        table = rows(goal.name, self.config.features)
        return self._row(table.vector or table.numeric, goal)

    def load(self, goal: ValType) -> bool:
        """A load."""
        assert isinstance(goal, NumType)
        return self._row(rows(goal.name, self.config.features).load, goal)

    def atomic(self, goal: ValType) -> bool:
        """An atomic access that leaves a value."""
        assert isinstance(goal, NumType)
        table = rows(goal.name, self.config.features)
        return self._row(table.atomic or table.load, goal)

    def _row(self, table: Sequence[Form], goal: ValType) -> bool:
        if not table:
            return False
        form = self.drawing.pick(table)
        if form.feature not in self.scope.features:
            return False
        return effects.access_of(self, form) if form.takes_address else self._fixed(form, goal)

    def _fixed(self, form: Form, goal: ValType) -> bool:
        """An instruction whose type stands in the table of forms."""
        lane: tuple[object, ...] = ()
        if form.immediates == ("lane",):
            lane = (self.drawing.below(int(form.mnemonic.partition(".")[0].partition("x")[2])),)
        elif form.immediates == ("lanes",):
            first, step = self.drawing.below(32), self.drawing.below(32)
            lane = (tuple((first + step * i) % 32 for i in range(16)),)
        instruction = Instr(form, lane) if lane else instr(form.mnemonic)
        if self.drawing.rarely(4) and form.mnemonic not in ROLES:
            special(self, form)
            self.emit(instruction)
        else:
            self.apply((instruction, list(form.params or ()), [goal]))
        return True

    def typed(self, goal: ValType) -> bool:
        """An instruction whose type depends on its immediates: the one that was chosen, or one in front of it.
        Where an i32 is wanted, the module gets what the chosen one is about."""
        forms, safe = self.drawing.downwards(typed_forms(goal)), not risks(self)
        if goal is I32:
            provide(self.scope, forms[0])
        candidate = first_suitable(self, (self.scope.leaving(form, goal) for form in forms), safe)
        if candidate is None:
            return False
        self.apply(candidate, safe)
        return True

    def apply(self, candidate: Candidate, safe: bool | None = None, kept: int | None = None) -> None:
        """Emit an instruction with its operands. If it is not to be ``safe``, some of those may make it trap. The first
        operand is ``kept`` in the local of that index."""
        instruction, params, results = candidate
        roles = ROLES.get(instruction.form.mnemonic, ())
        if roles and safe is None:
            safe = not risks(self)
        risky = 0
        if roles and not safe:
            risky = every = (1 << len(params)) - 1
            spared = self.drawing.below(every + 1)  # none is simplest: then what was chosen to trap does
            if is_safe(self, candidate):
                risky ^= spared
        for number, t in enumerate(params):
            role = roles[number] if roles else ""
            if risky >> number & 1:
                dangerous(self, instruction, role, t)
            elif role:
                operand(self, instruction, role, t, results[0] if results else None)
            else:
                self.expression(t)
            if kept is not None and not number:
                self.emit(instr("local.tee", kept))
                part(self, "local.tee")
        self.emit(instruction)

    # ---- statements --------------------------------------------------------------------------------------------------

    def statements(self, most: int = 2) -> None:
        """Emit some statements, which leave nothing."""
        if not self.is_full:
            self._some(most + 1)

    def outermost(self) -> None:
        """Emit the whole body."""
        most = self.config.limits.statements
        if most:
            self.drawing.draw(self.kit.statement if self.is_settled else self.kit.first)
            self._some(most - 1)
        self.settle()
        self.out += self.tail
        self.tail = []
        for result in self.results[self.drawn_results :]:
            self.expression(result)
        self.emit(END)

    def _some(self, most: int) -> None:
        drawing, statement = self.drawing, self.kit.statement
        for _ in drawing.several(most, most / 2):
            drawing.draw(statement)

    def value_type(self) -> ValType:
        """A type for a value that nobody asked for."""
        k = self.drawing.below(16)
        numbers = self.scope.numbers()
        order = (0, 1, 2, 3, 0, 1, 0, 2, 3, 0, 1)
        if k < len(order):
            return numbers[order[k]]
        found = self.scope.nullable() if k >= 13 else []
        return found[self.drawing.below(len(found))] if found else numbers[-1]


_KINDS: dict[str, Callable[[Body, ValType], bool]] = {
    "local": Body.local, "numeric": Body.numeric, "vector": Body.vector, "load": Body.load, "atomic": Body.atomic,
    "typed": Body.typed, "call": control.call, "made": references.made, "condition": control.comparison,
}  # fmt: skip
