"""Conversions (specification 4.3.4). The first width is the source's, the second the target's."""

from __future__ import annotations

import math

from refwasm.errors import Trap
from refwasm.execution.numerics.floats import to_bits, to_float
from refwasm.execution.numerics.integers import iextend_s, isat_s, isat_u, signed, unsigned


def wrap(m: int, n: int, i: int) -> int:
    return i & ((1 << n) - 1)


def extend_u(m: int, n: int, i: int) -> int:
    return i


def extend_s(m: int, n: int, i: int) -> int:
    return iextend_s(n, m, i)


def _truncated(m: int, z: int) -> int:
    """The integer part; traps on NaN and infinities."""
    x = to_float(m, z)
    if x != x:
        raise Trap("invalid conversion to integer")
    if math.isinf(x):
        raise Trap("integer overflow")
    return math.trunc(x)


def trunc_u(m: int, n: int, z: int) -> int:
    i = _truncated(m, z)
    if not 0 <= i < 1 << n:
        raise Trap("integer overflow")
    return i


def trunc_s(m: int, n: int, z: int) -> int:
    i = _truncated(m, z)
    half = 1 << (n - 1)
    if not -half <= i < half:
        raise Trap("integer overflow")
    return unsigned(n, i)


def _saturable(m: int, z: int) -> int:
    """The integer part; 0 for NaN, something beyond every range for infinities."""
    x = to_float(m, z)
    if x != x:
        return 0
    if math.isinf(x):
        return 1 << 128 if x > 0 else -(1 << 128)
    return math.trunc(x)


def trunc_sat_u(m: int, n: int, z: int) -> int:
    return isat_u(n, _saturable(m, z))


def trunc_sat_s(m: int, n: int, z: int) -> int:
    return isat_s(n, _saturable(m, z))


def _nearest(n: int, i: int) -> int:
    """The float nearest to an integer. To f32 through a double the low bits become one sticky bit, so that rounding
    twice is rounding once."""
    if n == 32 and abs(i) >> 53:
        magnitude = abs(i)
        shift = magnitude.bit_length() - 50
        kept = magnitude >> shift
        if magnitude & ((1 << shift) - 1):
            kept |= 1
        i = (kept << shift) * (1 if i > 0 else -1)
    return to_bits(n, float(i))


def convert_u(m: int, n: int, i: int) -> int:
    return _nearest(n, i)


def convert_s(m: int, n: int, i: int) -> int:
    return _nearest(n, signed(m, i))


def promote(m: int, n: int, z: int) -> int:
    return to_bits(n, to_float(m, z))


def demote(m: int, n: int, z: int) -> int:
    return to_bits(n, to_float(m, z))


def reinterpret(m: int, n: int, bits: int) -> int:
    return bits


def narrow_s(m: int, n: int, i: int) -> int:
    """Signed m-bit integer to n bits, saturating signed."""
    return isat_s(n, signed(m, i))


def narrow_u(m: int, n: int, i: int) -> int:
    """Signed m-bit integer to n bits, saturating unsigned."""
    return isat_u(n, signed(m, i))
