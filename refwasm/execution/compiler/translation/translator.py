"""The translation of one validated function: its state, and the walk over the body.

The walk goes over the instructions once (over innermost loops more often, see :mod:`.loop_versioning`). Operands become
expressions, blocks Python's own control flow; what has an effect becomes a statement, after everything that must come
before it. What to do with each instruction is a function of its own (:mod:`.instructions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from refwasm.execution.compiler.boundaries import types_of_locals
from refwasm.execution.compiler.conventions import POLL, Untranslatable
from refwasm.execution.compiler.translation.blocks import TARGET, Block, Blocks, Switch
from refwasm.execution.compiler.translation.emitter import Emitter
from refwasm.execution.compiler.translation.expressions import (
    TRUE,
    ZERO,
    Comparison,
    Expression,
    Literal,
    Located,
    Name,
    Operation,
    call,
    literal,
    local,
)
from refwasm.execution.compiler.translation.facts import Facts
from refwasm.execution.compiler.translation.operands import CALCULATING, Operands
from refwasm.execution.compiler.translation.printer import Line, printed_function
from refwasm.execution.compiler.translation.speculation import Speculation
from refwasm.execution.compiler.translation.statements import (
    Assign,
    AssignAll,
    Body,
    Declare,
    Evaluate,
    Handler,
    If,
    Poll,
    Raise,
    SideExit,
    Step,
    Try,
    While,
)
from refwasm.execution.compiler.translation.survey import survey
from refwasm.execution.compiler.translation.values import BITS, Value, plain, unknown
from refwasm.execution.numerics.table import is_numeric, is_wide
from refwasm.execution.store import FuncInst
from refwasm.execution.values import default
from refwasm.syntax.instructions import FORMS, Instr
from refwasm.syntax.types import BlockType, FuncType, NumType, ValType
from refwasm.validation.stacks import END_OF_TRY

#: CPython allows 100 levels of indentation.
MAX_DEPTH = 90
#: Functions with more variables than this count those of all their frames together.
HEAVY = 64
#: So many locals are declared in one statement.
DECLARED = 50
FUEL = Literal("S.fuel")
BLOCK, LOOP, RETURN, END = FORMS["block"], FORMS["loop"], FORMS["return"], FORMS["end"]
#: Instructions that take no fuel, with ``end`` (but that of a try_table, and a function's).
FREE = frozenset(FORMS[name] for name in ("block", "loop", "else", "nop"))
#: Instructions of which nothing can be seen from outside: fuel for them is taken later.
UNOBSERVABLE = frozenset(
    form
    for name, form in FORMS.items()
    if name in ("local.get", "local.set", "local.tee", "drop", "select", "select t", "nop", "global.get")
    or form.is_const
    or (is_numeric(name) and not form.may_trap)
    or is_wide(name)
)
Translated = Callable[["Translator", int, Instr], None]


class Loops(Protocol):
    """What translates loops: see :class:`.loop_versioning.LoopVersioning`."""

    def applies(self, pc: int) -> bool:
        """Whether the loop at an instruction is translated by :meth:`translate`."""

    def translate(self, pc: int) -> int:
        """Translate a whole loop; the index of what follows."""

    def finish(self, block: Block) -> None:
        """The statement of a loop is complete, and the last in its body."""


class Translator:
    """The state of a translation. ``polls`` asks for a look at the limits in every loop, ``fuel`` for counting what is
    executed. ``handlers`` say what to do with each instruction, ``loops`` with loops.

    ``operands`` is the operand stack, ``blocks`` the open blocks, ``facts`` what is known about integer locals here,
    ``sums`` what locals are the sum of (as :attr:`.values.Value.linear` says it), ``dead`` that what follows can't be
    reached. ``notes`` say what was found, for people.

    Instructions that are ``absent`` (a byte for each says so; none if nothing is), since nobody has executed them so
    far, are not translated: a side exit leaves the function there, with all locals and operands, and the interpreter
    goes on. They begin where control arrives by a jump only, or in an arm of an ``if``, so nothing that is on the stack
    is still to be evaluated. ``leave`` makes the call of a side exit."""

    loops: Loops

    def __init__(
        self, func: FuncInst, handlers: Mapping[str, Translated], polls: bool = False, fuel: bool = False,
        absent: bytes = b"",
    ) -> None:  # fmt: skip
        self.func = func
        self.instance = func.module
        self.body, self.side = func.body, func.side
        self.handlers = handlers
        self.polls, self.fuel, self.absent = polls, fuel, absent
        self.survey = survey(self.body, self.side, len(func.signature.params))
        self.types = list(map(type_name, types_of_locals(func)))
        self.emitter = Emitter()
        self.operands = Operands(self.emitter)
        self.speculation = Speculation(self.survey, self.operands, self.types)
        self.operands.interest = self.speculation
        self.blocks = Blocks(self.emitter)
        self.facts: Facts = {}
        self.sums: dict[int, dict[int, int]] = {}
        self.dead = False
        self.notes: list[str] = []
        self.leave: Callable[[int, list[Expression]], Expression] = self._left
        self._spent = 0  # instructions since fuel was last taken
        self._skipped = 0  # openers in code that can't be reached

    # ---- the function ------------------------------------------------------------------------------------------------

    def function(self) -> list[Line]:
        """The lines of the function ``f``."""
        self.begin()
        declarations = self.declarations()
        self.translate(0, len(self.body))
        return self.finished(self.parameters(), declarations)

    def parameters(self) -> list[str]:
        """The variables of the parameters."""
        return [f"l{i}" for i in range(len(self.func.signature.params))]

    def begin(self) -> None:
        """The block of the function itself."""
        self.blocks.push(Block("func", -1, len(self.body) - 1, 0, [], [], [], []))

    def finished(self, parameters: list[str], declarations: Body) -> list[Line]:
        """The lines of a function: ``declarations``, and what was emitted."""
        if self.emitter.deepest > MAX_DEPTH:
            raise Untranslatable("nested too deeply")
        variables = self.operands.temporaries + len(self.types)
        is_heavy = variables > HEAVY
        error = Name("error")
        statements: Body = list(declarations)
        if self.blocks.passes:
            statements.append(Assign(TARGET, literal(-1)))
        if is_heavy:
            statements.append(Evaluate(call("heavy", [literal(variables)])))
        trap = Handler("IndexError", error, [Raise(call("out_of_bounds", [error]))])
        final: Body = [Evaluate(call("light", [literal(variables)]))] if is_heavy else []
        statements.append(Try(self.emitter.body, [trap], final))
        return printed_function(parameters, statements)

    def declarations(self) -> Body:
        """Locals that are no parameters."""
        found: Body = []
        index = len(self.func.signature.params)
        for count, t in self.func.func.locals:
            name = type_name(t)
            zero = "0.0" if name[:1] == "f" else repr(default(t))
            for first in range(index, index + count, DECLARED):
                some = range(first, min(first + DECLARED, index + count))
                found.append(Declare(tuple(local(i) for i in some), Literal(zero)))
            if name in ("i32", "i64"):
                self.facts.update((i, (0, 0, 64)) for i in range(index, index + count))
            index += count
        return [*found, *self.first_poll()]

    def first_poll(self) -> Body:
        """What counts the turns of loops, if that is asked for."""
        return [Assign(Name("k"), literal(POLL))] if self.polls else []

    # ---- the walk ----------------------------------------------------------------------------------------------------

    def translate(self, first: int, last: int) -> None:
        """Instructions from ``first`` to before ``last``."""
        pc, body, operands, handlers = first, self.body, self.operands, self.handlers
        absent, fuel = self.absent, self.fuel
        while pc < last:
            instr = body[pc]
            form = instr[0]
            operands.form = form
            if operands.unchecked and form not in CALCULATING:
                operands.keep_payloads()
            if self.dead:
                self._skip(pc, instr)
            elif absent and absent[pc] and self._can_be_left():
                self._exit(pc)
                continue
            elif form is LOOP and self.loops.applies(pc):
                pc = self.loops.translate(pc)
                continue
            elif form is BLOCK and pc in self.survey.switches:
                self.spend()
                pc += self._open_switch(pc)
                continue
            elif fuel:
                self._fueled(pc, instr)
            else:
                handlers[form.mnemonic](self, pc, instr)
            pc += 1

    def _skip(self, pc: int, instr: Instr) -> None:
        """Code that can't be reached; it ends with the block it is in."""
        mnemonic = instr.form.mnemonic
        if instr.form.opens:
            self._skipped += 1
        elif self._skipped:
            self._skipped -= mnemonic == "end"
        elif mnemonic in ("else", "end"):
            self.handlers[mnemonic](self, pc, instr)

    def _open_switch(self, pc: int) -> int:
        """Blocks that open together: see :mod:`.blocks`. The innermost one's code comes first, in a loop of its own.
        Their number."""
        count = self.survey.switches[pc]
        self.operands.settle_all()
        switch = Switch(self.operands.fresh(), 1, count)
        blocks = self.blocks
        for number in range(count):
            block = Block("block", pc + number, self.survey.ends[pc + number], len(self.operands.stack), [], [], [], [])
            block.switch, block.arm = switch, count - number
            block.setting = switch.goes_to(block.arm)
            blocks.push(block)
        switch.blocks = blocks.open[-1 : -count - 1 : -1]
        blocks.begin_arms(switch, 0, While(TRUE))
        self.forget_names()
        return count

    # ---- side exits --------------------------------------------------------------------------------------------------

    def _can_be_left(self) -> bool:
        """Loops with versions are translated as a whole, and a try_table's handlers are not the interpreter's."""
        return self.speculation.wanted.loop < 0 and all(block.kind != "try" for block in self.blocks.open)

    def _exit(self, pc: int) -> None:
        """Leave the function before an instruction, with all that is needed to go on."""
        operands = self.operands
        operands.form = None
        values = as_bits(operands.settled(operands.stack))
        self.emitter.add(SideExit(self.leave(pc, [value.expression for value in values])))
        self.dead = True

    def _left(self, pc: int, values: list[Expression]) -> Expression:
        """The call that goes on in the interpreter, which knows the place better: it is none of the function's."""
        return Located(len(self.body), side_exit(f"r{self.func.index}", pc, values))

    # ---- fuel --------------------------------------------------------------------------------------------------------

    def _fueled(self, pc: int, instr: Instr) -> None:
        """An instruction, after taking fuel for it and for those before it that nobody could observe."""
        form = instr.form
        if form is END:
            self._spent += self.blocks.open[-1].kind == "func"
        elif form not in FREE:
            self._spent += 1
        if form not in UNOBSERVABLE:
            self.spend(form is RETURN)
        self.handlers[form.mnemonic](self, pc, instr)
        stack = self.operands.stack
        if stack and stack[-1].ordered and not stack[-1].atom and not self.dead:
            stack.append(self.operands.stored(stack.pop()))

    def arrives_at_end(self, pc: int) -> None:
        """An ``end`` is reached: that of a try_table takes fuel, whether control comes by a branch or not."""
        if self.fuel and self.side.get(pc) is END_OF_TRY:
            self._spent += 1

    def spend(self, more: int = 0) -> None:
        """Take the fuel for what was executed since that was last done, and for ``more`` instructions."""
        spent, self._spent = self._spent + more, 0
        if spent and self.fuel:
            self.emitter.add(Step(FUEL, "-", literal(spent)))
            self.emitter.add(If(Comparison(FUEL, "<", ZERO), [Evaluate(call("all_consumed", []))]))

    # ---- helpers of the instructions ---------------------------------------------------------------------------------

    def forget_names(self) -> None:
        """Ways come together: the names and the sums of one of them are no longer known."""
        self.operands.doubles, self.sums = {}, {}

    def poll(self, pc: int | None) -> None:
        """Count a turn of a loop, and look at the limits now and then."""
        look: Expression = call("poll", [])
        self.emitter.add(Poll(look if pc is None else Located(pc, look)))

    def types_of_block(self, t: BlockType) -> tuple[list[str], list[str]]:
        """Parameters and results of a block."""
        if t.index is None:
            return [], [] if t.result is None else [type_name(t.result)]
        signature = self.signature(t.index)
        return list(map(type_name, signature.params)), list(map(type_name, signature.results))

    def signature(self, index: int) -> FuncType:
        """A function type of the module."""
        composite = self.instance.types[index].composite
        assert isinstance(composite, FuncType)
        return composite

    def effect(self, found: Expression, results: list[str]) -> None:
        """An expression with an effect: its results go to variables at once."""
        operands = self.operands
        names = [operands.fresh() for _ in results]
        if not names:
            operands.emit_effect(found)
        elif len(names) == 1:
            operands.emit(Assign(names[0], found), True)
        else:
            operands.emit(AssignAll(tuple(names), (found,)), True)
        operands.stack += [unknown(name.text, t) for name, t in zip(names, results)]

    def arguments(self, count: int, first: list[Value] | None = None) -> list[Value]:
        """Operands as a call takes them; ``first`` come before them in the call, after them on the stack."""
        operands = self.operands
        values = operands.settled(operands.pop(count))
        if first and any(value.ordered for value in [*values, *first]):
            both = operands.in_order([*values, *first])
            values, first[:] = both[:count], both[count:]
        return values


def side_exit(function: str, pc: int, values: list[Expression]) -> Operation:
    """The call of a side exit before an instruction, with the operands."""
    return Operation(f"{function}({pc}, locals(), [{', '.join(['{}'] * len(values))}])", *values)


def type_name(t: ValType) -> str:
    """What :attr:`Value.type` calls a type."""
    return t.name if isinstance(t, NumType) and t.name in BITS else ""


def as_bits(values: list[Value]) -> list[Value]:
    """Floats as bit patterns: what everything outside compiled code wants."""
    return [Value(call(f"bits{v.type[1:]}", [v.expression]), "", 0, 0, v.locals, v.ordered) if v.type[:1] == "f" else v
            for v in values]  # fmt: skip


def from_bits(bits: Expression, type: str) -> Value:
    """A float of a bit pattern; what is none as it is."""
    return plain(call(f"{type}_of", [bits]) if type[:1] == "f" else bits, type, atom=True)
