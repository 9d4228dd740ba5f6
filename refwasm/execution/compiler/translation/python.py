"""The Python of a function: which way of translating it CPython accepts."""

from __future__ import annotations

from types import CodeType

from refwasm.execution.compiler.agreed import Untranslatable
from refwasm.execution.compiler.entry import LoopEntry
from refwasm.execution.compiler.states import StateMachine
from refwasm.execution.compiler.survey import deepest
from refwasm.execution.compiler.translation import Translation
from refwasm.execution.store import FuncInst
from refwasm.garbage import makes_what_stays

#: Blocks and loops inside each other. Real programs were seen to have 281 and 21.
MAX_NESTED_BLOCKS, MAX_NESTED_LOOPS = 4_000, 100


@makes_what_stays
def python_of(func: FuncInst, polls: bool, fuel: bool, absent: bytes = b"") -> tuple[Translation, CodeType]:
    """A finished translation, without what is ``absent``, and its code. Raises Untranslatable."""
    _check_nesting(func)
    try:
        return _accepted(Translation(func, polls, fuel, absent))
    except Untranslatable as error:
        machine = StateMachine(func, polls, fuel)
        machine.notes.append(f"{error}: a state machine")
        return _accepted(machine)


@makes_what_stays
def loop_from(func: FuncInst, loop: int, polls: bool, absent: bytes) -> tuple[Translation, CodeType]:
    """The same from a loop on: see :mod:`.entry`."""
    _check_nesting(func)
    return _accepted(LoopEntry(func, loop, polls, absent))


def _check_nesting(func: FuncInst) -> None:
    """What nests more deeply than any program that people write takes memory and time out of proportion."""
    if func.module.validated.switches and any(i.form.feature == "stack-switching" for i in func.body):
        raise Untranslatable("it switches stacks")
    if len(func.body) <= MAX_NESTED_LOOPS:
        return
    blocks, loops = deepest(func.body)
    if blocks > MAX_NESTED_BLOCKS or loops > MAX_NESTED_LOOPS:
        raise Untranslatable(f"{blocks} blocks and {loops} loops inside each other")


def _accepted(translation: Translation) -> tuple[Translation, CodeType]:
    text = translation.run().text()
    try:
        return translation, compile(text, f"<function {translation.func.index}>", "exec")
    except (SyntaxError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError) and not error.msg.startswith("too many"):
            raise
        raise Untranslatable("beyond CPython's limits") from None
