"""The table of typing rules: one function per instruction whose type depends on context.

Those with a fixed type have it in the table of forms.
"""

from __future__ import annotations

from collections.abc import Callable

from refwasm.syntax.instructions import FORMS, Form, Instr
from refwasm.validation.stacks import Stacks

Rule = Callable[[Stacks, Instr], None]
RULES: dict[Form, Rule] = {}


def rule(*mnemonics: str) -> Callable[[Rule], Rule]:
    """Register a rule for instructions."""

    def register(function: Rule) -> Rule:
        for mnemonic in mnemonics:
            RULES[FORMS[mnemonic]] = function
        return function

    return register
