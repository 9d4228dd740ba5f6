"""Which NaNs float arithmetic may give (3.0, 4.3.3 "NaN Propagation"), in classes."""

from __future__ import annotations

from collections.abc import Sequence

from refwasm.execution.numerics.floats import CANONICAL_NAN, INFINITY, SIGN, is_nan

#: Bits of the fraction, by width.
FRACTION = {32: 23, 64: 52}


def is_canonical(n: int, z: int) -> bool:
    """Whether a bit pattern is one of the two canonical NaNs."""
    return z & ~SIGN[n] == CANONICAL_NAN[n]


def nans(n: int, operands: Sequence[int], source: int = 0) -> tuple[int, ...]:
    """The NaNs that an operation on these operands may give: the positive canonical one first, then the negative one;
    where an operand is a NaN with another payload, each such payload with the quiet bit set, and one that is none of
    these, with both signs. (Any payload with the quiet bit is allowed then; these are what engines give, and one that
    stands for the others.) ``source`` is the width of the operands if it is not n."""
    source = source or n
    found = {CANONICAL_NAN[n]: None, CANONICAL_NAN[n] | SIGN[n]: None}
    others = [z for z in operands if is_nan(source, z) and not is_canonical(source, z)]
    ones = (1 << FRACTION[n]) - 1
    for z in others:
        payload = z & (1 << FRACTION[source]) - 1
        moved = payload << 29 if n > source else payload >> 29 if n < source else payload
        quiet = CANONICAL_NAN[n] | moved & ones
        own = quiet | (SIGN[n] if z & SIGN[source] else 0)
        found |= {own: None, own ^ SIGN[n]: None}
    if others:
        rest = INFINITY[n] | ones
        found |= {rest: None, rest | SIGN[n]: None}
    return tuple(found)
