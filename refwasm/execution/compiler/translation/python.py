"""The Python of a function: which way of translating it CPython accepts."""

from __future__ import annotations

from types import CodeType
from typing import NamedTuple, Protocol

from refwasm.execution.compiler.conventions import Spans, Untranslatable
from refwasm.execution.compiler.translation.instructions.table import HANDLERS
from refwasm.execution.compiler.translation.loop_versioning import LoopVersioning
from refwasm.execution.compiler.translation.on_stack_replacement import OnStackReplacement
from refwasm.execution.compiler.translation.printer import Line, spans_of, text_of
from refwasm.execution.compiler.translation.state_machine import StateMachine
from refwasm.execution.compiler.translation.survey import deepest
from refwasm.execution.compiler.translation.translator import Translator
from refwasm.execution.store import FuncInst
from refwasm.garbage import makes_what_stays

#: Blocks and loops inside each other. Real programs were seen to have 281 and 21.
MAX_NESTED_BLOCKS, MAX_NESTED_LOOPS = 4_000, 100


class Python(NamedTuple):
    """A function as Python: its lines, the code that they were compiled to, what was left out, and notes for people."""

    lines: list[Line]
    code: CodeType
    absent: bytes
    notes: list[str]

    @property
    def spans(self) -> Spans:
        """The way back from positions in the lines to instructions."""
        return spans_of(self.lines)


class Way(Protocol):
    """A way of translating a function."""

    t: Translator

    def function(self) -> list[Line]:
        """The lines of the function ``f``."""


class Structured:
    """The usual way: with Python's own control flow."""

    def __init__(self, func: FuncInst, polls: bool, fuel: bool, absent: bytes) -> None:
        self.t = Translator(func, HANDLERS, polls, fuel, absent)
        self.t.loops = LoopVersioning(self.t)

    def function(self) -> list[Line]:
        """The lines of the function ``f``."""
        return self.t.function()


@makes_what_stays
def python_of(func: FuncInst, polls: bool, fuel: bool, absent: bytes = b"") -> Python:
    """A whole function, without what is ``absent``. Raises Untranslatable."""
    _check_nesting(func)
    try:
        return _accepted(Structured(func, polls, fuel, absent))
    except Untranslatable as error:
        machine = StateMachine(func, polls, fuel)
        machine.t.notes.append(f"{error}: a state machine")
        return _accepted(machine)


@makes_what_stays
def loop_from(func: FuncInst, loop: int, polls: bool, absent: bytes) -> Python:
    """A function from a loop on: see :mod:`.on_stack_replacement`. Raises Untranslatable."""
    _check_nesting(func)
    return _accepted(OnStackReplacement(func, loop, polls, absent))


def _check_nesting(func: FuncInst) -> None:
    """What nests more deeply than any program that people write takes memory and time out of proportion."""
    if func.module.validated.switches and any(i.form.feature == "stack-switching" for i in func.body):
        raise Untranslatable("it switches stacks")
    if len(func.body) <= MAX_NESTED_LOOPS:
        return
    blocks, loops = deepest(func.body)
    if blocks > MAX_NESTED_BLOCKS or loops > MAX_NESTED_LOOPS:
        raise Untranslatable(f"{blocks} blocks and {loops} loops inside each other")


def _accepted(way: Way) -> Python:
    lines, t = way.function(), way.t
    try:
        code = compile(text_of(lines), f"<function {t.func.index}>", "exec")
    except (SyntaxError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError) and not error.msg.startswith("too many"):
            raise
        raise Untranslatable("beyond CPython's limits") from None
    return Python(lines, code, t.absent, t.notes)
