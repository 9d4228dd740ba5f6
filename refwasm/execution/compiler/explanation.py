"""What the compiler made of a function, for people."""

from __future__ import annotations

from typing import NamedTuple

from refwasm.execution.store import FuncInst


class Explanation(NamedTuple):
    """``lines`` of Python, each with the indices of the instructions that can fail in it; ``notes`` are the facts that
    were used."""

    lines: list[tuple[str, list[int]]]
    notes: list[str]


def explanation(func: FuncInst, polls: bool, fuel: bool) -> Explanation:
    """Translate a function. Raises Untranslatable."""
    from refwasm.execution.compiler.translation.python import python_of  # not at start-up

    python = python_of(func, polls, fuel)
    lines = [(line, sorted({pc for _, _, pc in spans})) for line, spans in python.lines]
    return Explanation(lines, list(dict.fromkeys(python.notes)))
