"""Outcomes as assertions of scripts."""

from __future__ import annotations

from refwasm.oracle.outcomes import Outcome, Returned, Trapped, Value
from refwasm.oracle.traps import KINDS


def assertion(invoke: str, outcome: Outcome) -> str:
    """That an action comes to this: it returned, trapped, or threw."""
    if isinstance(outcome, Returned):
        return f"(assert_return {' '.join([invoke, *map(constant, outcome.values)])})"
    if isinstance(outcome, Trapped):
        return f'(assert_trap {invoke} "{KINDS.get(outcome.kind, (outcome.kind,))[0].strip()}")'
    return f"(assert_exception {invoke})"


def constant(value: Value) -> str:
    """A value as a constant or result pattern of a script."""
    if value.type == "ref":
        return "(ref.null)" if not value.bits else repr(value).replace("(ref ", "(ref.")
    if value.open and value.type[0] == "f":
        sign_only = value.open == 1 << (int(value.type[1:]) - 1)
        return f"({value.type}.const nan:{'canonical' if sign_only else 'arithmetic'})"
    return repr(value._replace(open=0))
