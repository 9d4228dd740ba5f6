"""Outcomes as assertions of scripts."""

from __future__ import annotations

from refwasm.oracle.outcomes import Exhausted, Limited, Outcome, Returned, Threw, Trapped, Value
from refwasm.oracle.traps import KINDS
from refwasm.text.numbers import FLOAT_LAYOUT, print_float


def is_told(outcome: Outcome) -> bool:
    """Whether scripts can say what an action came to, in full: an end is not open, nor a value but for what
    :func:`constant` has a pattern for."""
    if isinstance(outcome, (Exhausted, Limited)):
        return False
    values = outcome.values if isinstance(outcome, Returned) else outcome.payload if isinstance(outcome, Threw) else ()
    return all(_pattern(value) is not None for value in values)


def assertion(action: str, outcome: Outcome) -> str:
    """That an action comes to this: it returned, trapped, or threw. Results that scripts have no pattern for are not
    asserted."""
    if isinstance(outcome, Returned):
        patterns = list(map(_pattern, outcome.values))
        return action if None in patterns else f"(assert_return {' '.join([action, *filter(None, patterns)])})"
    if isinstance(outcome, Trapped):
        return f'(assert_trap {action} "{KINDS.get(outcome.kind, (outcome.kind,))[0].strip()}")'
    return f"(assert_exception {action})"


def constant(value: Value) -> str:
    """A value as a constant or result pattern of a script; if there is no pattern for what is open in it, one that it
    may be."""
    return _pattern(value) or repr(value._replace(open=0))


def _pattern(value: Value) -> str | None:
    """What exactly the values that this one may be match; None if there is no such pattern."""
    if value.type == "ref":
        return "(ref.null)" if not value.bits else repr(value).replace("(ref ", "(ref.")
    if not value.open:
        return repr(value)
    if value.type == "v128":
        return next(filter(None, (_vector(value, width) for width in FLOAT_LAYOUT)), None)
    token = _float(value.bits, value.open, int(value.type[1:])) if value.type[0] == "f" else None
    return token and f"({value.type}.const {token})"


def _vector(value: Value, width: int) -> str | None:
    """A vector as lanes that are floats of a width."""
    mask, lanes = (1 << width) - 1, range(0, 128, width)
    tokens = [_float(value.bits >> at & mask, value.open >> at & mask, width) for at in lanes]
    return f"(v128.const f{width}x{len(tokens)} {' '.join(map(str, tokens))})" if all(tokens) else None


def _float(bits: int, open: int, width: int) -> str | None:
    """A float in which bits are open. Two NaN classes are what scripts can say: the sign is open, or the sign and the
    payload without its highest bit; everything else must be that of a canonical NaN (specification 4.3.3)."""
    if not open:
        return print_float(bits, width)
    fraction, exponent = FLOAT_LAYOUT[width]
    sign, quiet = 1 << (width - 1), 1 << (fraction - 1)
    if bits & ~open & ~sign != ((1 << exponent) - 1) << fraction | quiet:
        return None
    return {sign: "nan:canonical", sign | quiet - 1: "nan:arithmetic"}.get(open)
