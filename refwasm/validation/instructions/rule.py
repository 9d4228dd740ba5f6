"""The table of typing rules: one function per instruction whose type is not fixed by the table of forms.

Most of these types depend on the context only, and so are the same wherever an instruction stands in a module: they are
:func:`typed`. The others are rules that work on the stacks themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from refwasm.syntax.instructions import FORMS, Form, Instr
from refwasm.validation.context import Context, InstrType
from refwasm.validation.stacks import Stacks

Rule = Callable[[Stacks, Instr], None]
Typing = Callable[[Context, Instr], InstrType]
RULES: dict[Form, Rule] = {}
#: What gives the type of the instructions whose type depends on the context only.
TYPINGS: dict[Form, Typing] = {}


def rule(*mnemonics: str) -> Callable[[Rule], Rule]:
    """Register a rule for instructions."""

    def register(function: Rule) -> Rule:
        for mnemonic in mnemonics:
            RULES[FORMS[mnemonic]] = function
        return function

    return register


def typed(*mnemonics: str) -> Callable[[Typing], Typing]:
    """Register what gives the type of instructions; it is asked once for all that are equal."""

    def register(typing: Typing) -> Typing:
        TYPINGS.update((FORMS[mnemonic], typing) for mnemonic in mnemonics)

        @rule(*mnemonics)
        def apply(v: Stacks, i: Instr) -> None:
            found = v.types.get(i)
            if found is None:
                found = v.types[i] = typing(v.context, i)
            params, results = found
            if params:
                v.pop_all(params)
            v.operands += results

        return typing

    return register


def instr_type(context: Context, instr: Instr) -> InstrType:
    """The type of an instruction whose type depends on the context only. Raises Invalid, KeyError for any other."""
    found = context.types.get(instr)
    if found is None:
        form = instr.form
        if form in TYPINGS:
            found = TYPINGS[form](context, instr)
        elif form.params is not None and form.results is not None:
            found = form.params, form.results
        else:
            raise KeyError(form.mnemonic)
        context.types[instr] = found
    return found


__all__ = ["RULES", "TYPINGS", "InstrType", "Rule", "instr_type", "rule", "typed"]
