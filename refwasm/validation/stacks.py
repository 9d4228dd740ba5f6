"""The validation algorithm's state (specification, appendix "Validation Algorithm"), and the side table it leaves.

The side table is what execution needs beyond the instructions: where branches go, how many values they carry, how
many they drop. It maps instruction indices to:

* ``br``, ``br_if``, ``br_on_…``, ``return``: a :class:`Branch`; ``br_table``: a tuple of them, the default last;
* ``if``: the Label of its ``else`` (or ``end``); ``else``: the Label of its ``end``;
* ``return_call…``: the Branch whose arity is the number of arguments;
* ``try_table``: a tuple of Branches, one per clause, that start from the stack height at its entry;
* ``end`` of a ``try_table``: :data:`END_OF_TRY`;
* ``loop``: how many operands are on the stack at its head, its parameters among them.

Instructions that can't be reached may have entries that mean nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import BOT, RefType, ValType
from refwasm.validation.context import Context, InstrType
from refwasm.validation.matching import match_val_type

END_OF_TRY = "end of try"

Types = tuple[ValType, ...]


class Label:
    """Where a branch continues: the index of the ``end`` of a block, or of the ``loop`` instruction itself."""

    __slots__ = ("pc",)

    def __init__(self, pc: int = -1) -> None:
        self.pc = pc


class Branch(NamedTuple):
    """Keep ``arity`` values, drop ``drop`` below them, leave ``tries`` try_tables, go on at ``label``."""

    label: Label
    arity: int
    drop: int
    tries: int


class Control:
    """A control frame: an open block, its types, the operand height at its entry, whether the rest is unreachable."""

    __slots__ = (
        "opener", "params", "results", "label_types", "height", "unreachable", "label", "tries", "inits", "else_label",
    )  # fmt: skip

    def __init__(self, opener: str, params: Types, results: Types, height: int, tries: int, inits: int) -> None:
        self.opener = opener
        self.params = params
        self.results = results
        self.label_types = params if opener == "loop" else results  # what a branch to this block carries
        self.height = height
        self.unreachable = False
        self.label = Label()
        self.tries = tries
        self.inits = inits
        self.else_label: Label | None = None


class Stacks:
    """Operand and control stacks of one function body or constant expression."""

    def __init__(
        self, context: Context, local_types: list[ValType], results: Types, types: dict[Instr, InstrType]
    ) -> None:
        self.context = context
        self.types = types  # of instructions seen before
        self.locals = local_types
        self.operands: list[ValType] = []
        self.controls: list[Control] = []
        self.first_local = len(local_types)  # those before it are parameters, or need no value before they are read
        self.set_locals: set[int] = set()  # non-defaultable locals that have been set …
        self.inits: list[int] = []  # … innermost last
        self.side: dict[int, Any] = {}
        self.pc = 0
        self.tries = 0
        self.control: Control
        self.results = results

    # -- operands ----------------------------------------------------------------------------------------------------

    def mismatch(self, wanted: Types | list[ValType]) -> NoReturn:
        """Raise "type mismatch" with what was expected and what stands on the stack."""
        have = self.operands[self.control.height :][-max(len(wanted), 1) :] if wanted else self.operands[-1:]
        raise Invalid(
            f"type mismatch: instruction requires [{' '.join(map(repr, wanted))}] "
            f"but stack has [{' '.join(map(repr, have))}]"
        )

    def pop_any(self, what: str = "a value") -> ValType:
        """Pop one operand of any type; BOT where the code is unreachable."""
        control = self.control
        if len(self.operands) == control.height:
            if control.unreachable:
                return BOT
            raise Invalid(f"type mismatch: instruction requires [{what}] but stack has []")
        return self.operands.pop()

    def pop(self, wanted: ValType) -> ValType:
        """Pop one operand that must match."""
        operands, control = self.operands, self.control
        if len(operands) > control.height:
            have = operands[-1]
            if have is wanted or match_val_type(have, wanted):
                operands.pop()
                return have
        elif control.unreachable:
            return BOT
        self.mismatch([wanted])

    def check_all(self, wanted: Types | list[ValType]) -> int:
        """Check that the topmost operands match; how many of them are there (fewer only in unreachable code)."""
        operands, control = self.operands, self.control
        available = min(len(operands) - control.height, len(wanted))
        if available < len(wanted) and not control.unreachable:
            self.mismatch(wanted)
        for index in range(1, available + 1):
            if not match_val_type(operands[-index], wanted[-index]):
                self.mismatch(wanted)
        return available

    def pop_all(self, wanted: Types | list[ValType]) -> None:
        """Pop operands that must match, the last one first."""
        operands, count = self.operands, len(wanted)
        if count:
            if len(operands) - count < self.control.height or operands[-count:] != wanted:
                count = self.check_all(wanted)
            del operands[len(operands) - count :]

    def push(self, t: ValType) -> None:
        """Push one operand."""
        self.operands.append(t)

    def pop_ref(self) -> RefType:
        """Pop a reference of any type; in unreachable code the bottom reference."""
        t = self.pop_any("a reference")
        if t is BOT:
            return RefType(False, "bot")
        if not isinstance(t, RefType):
            raise Invalid(f"type mismatch: instruction requires [a reference] but stack has [{t!r}]")
        return t

    # -- control -----------------------------------------------------------------------------------------------------

    def open(self, opener: str, params: Types, results: Types) -> Control:
        """Enter a block whose parameters have been popped."""
        control = Control(opener, params, results, len(self.operands), self.tries, len(self.inits))
        self.controls.append(control)
        self.control = control
        self.operands += params
        return control

    def close(self) -> Control:
        """Leave the innermost block: its results, and nothing else, must be on the stack."""
        control = self.control
        if len(self.operands) > control.height + len(control.results):
            have = " ".join(map(repr, self.operands[control.height :]))
            wanted = " ".join(map(repr, control.results))
            raise Invalid(f"type mismatch: block requires [{wanted}] at its end but stack has [{have}]")
        self.pop_all(control.results)
        self.controls.pop()
        self.forget_inits(control)
        del self.operands[control.height :]
        return control

    def forget_inits(self, control: Control) -> None:
        """Locals set in a block count as unset after it."""
        while len(self.inits) > control.inits:
            self.set_locals.discard(self.inits.pop())

    def unreachable(self) -> None:
        """The rest of the block can't be reached: its operand stack becomes polymorphic."""
        control = self.control
        del self.operands[control.height :]
        control.unreachable = True

    def target(self, depth: int) -> Control:
        """The control frame that a label means."""
        if depth >= len(self.controls):
            raise Invalid(f"unknown label {depth}")
        return self.controls[-1 - depth]

    def branch(self, target: Control, arity: int | None = None) -> Branch:
        """A side table entry for a branch from here, before the carried values are popped."""
        carried = len(target.label_types) if arity is None else arity
        drop = len(self.operands) - target.height - carried
        return Branch(target.label, carried, max(drop, 0), self.tries - target.tries)
