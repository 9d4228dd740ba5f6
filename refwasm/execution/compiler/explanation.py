"""What the compiler made of a function, for people."""

from __future__ import annotations

from typing import NamedTuple

from refwasm.execution.compiler.control import Untranslatable
from refwasm.execution.compiler.states import StateMachine
from refwasm.execution.compiler.translation import Translation
from refwasm.execution.store import FuncInst


class Explanation(NamedTuple):
    """``lines`` of Python, each with the indices of the instructions that can fail in it; ``notes`` are the facts that
    were used."""

    lines: list[tuple[str, list[int]]]
    notes: list[str]


def explanation(func: FuncInst, polls: bool, fuel: bool) -> Explanation:
    """Translate a function. Raises Untranslatable."""
    try:
        translation = Translation(func, polls, fuel)
        source = translation.run()
    except Untranslatable as error:
        translation = StateMachine(func, polls, fuel)
        translation.notes.append(f"{error}: a state machine")
        source = translation.run()
    lines = [(line, sorted({pc for _, _, pc in spans})) for line, spans in source.lines]
    return Explanation(lines, list(dict.fromkeys(translation.notes)))
