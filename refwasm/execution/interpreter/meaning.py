"""The table of meanings: how each instruction becomes a closure.

An instruction executes by calling a closure ``op(agent, stack)`` that returns the closure to execute next. A
*meaning* makes that closure: ``meaning(code, instr, pc, next)``, where ``code`` is the function being built,
``pc`` the instruction's index and ``next`` the closure that follows it, None behind a jump. Targets of branches are
looked up in ``code.ops`` when taken; whoever comes first has what stands there built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.syntax.instructions import FORMS, Form, Instr

Op = Callable[[Any, list[Any]], Any]
Meaning = Callable[[Any, Instr, int, Op], Op]

MEANINGS: dict[Form, Meaning] = {}


def meaning(*mnemonics: str) -> Callable[[Meaning], Meaning]:
    """Register a meaning for instructions."""

    def register(function: Meaning) -> Meaning:
        for mnemonic in mnemonics:
            MEANINGS[FORMS[mnemonic]] = function
        return function

    return register
