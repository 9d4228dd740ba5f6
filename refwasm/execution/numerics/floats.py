"""Floating-point operations (specification 4.3.3), pure functions of a width ``n`` (32 or 64).

Floats are bit patterns. Python computes in double precision; for f32 one rounding of the double result is exact for
``+ - * /`` and square roots, since 53 >= 2 * 24 + 2. Every NaN result is the positive canonical NaN (the
deterministic profile); operations that only move bits (``fneg``, ``fabs``, ``fcopysign``) keep payloads.
"""

from __future__ import annotations

import math
from struct import Struct

_F32, _U32, _F64, _U64 = Struct("<f"), Struct("<I"), Struct("<d"), Struct("<Q")

CANONICAL_NAN = {32: 0x7FC00000, 64: 0x7FF8000000000000}
INFINITY = {32: 0x7F800000, 64: 0x7FF0000000000000}
SIGN = {32: 1 << 31, 64: 1 << 63}


def to_float(n: int, z: int) -> float:
    """The number that a bit pattern denotes; NaN payloads are not kept."""
    if n == 32:
        return float(_F32.unpack(_U32.pack(z))[0])
    return float(_F64.unpack(_U64.pack(z))[0])


def to_bits(n: int, x: float) -> int:
    """The bit pattern of the float nearest to x, ties to even; any NaN becomes the canonical one."""
    if x != x:
        return CANONICAL_NAN[n]
    if n == 64:
        return int(_U64.unpack(_F64.pack(x))[0])
    try:
        return int(_U32.unpack(_F32.pack(x))[0])
    except OverflowError:  # struct refuses what rounds to infinity
        return INFINITY[32] | (SIGN[32] if x < 0 else 0)


def is_nan(n: int, z: int) -> bool:
    """Whether a bit pattern is a NaN."""
    return z & ~SIGN[n] > INFINITY[n]


def fadd(n: int, a: int, b: int) -> int:
    return to_bits(n, to_float(n, a) + to_float(n, b))


def fsub(n: int, a: int, b: int) -> int:
    return to_bits(n, to_float(n, a) - to_float(n, b))


def fmul(n: int, a: int, b: int) -> int:
    return to_bits(n, to_float(n, a) * to_float(n, b))


def fdiv(n: int, a: int, b: int) -> int:
    x, y = to_float(n, a), to_float(n, b)
    if y:
        return to_bits(n, x / y)
    if x == 0 or x != x or y != y:
        return CANONICAL_NAN[n]
    return INFINITY[n] | (a ^ b) & SIGN[n]


def fmin(n: int, a: int, b: int) -> int:
    """The smaller; NaN if either is; -0 is smaller than +0."""
    x, y = to_float(n, a), to_float(n, b)
    if x != x or y != y:
        return CANONICAL_NAN[n]
    if x == y:
        return a | b
    return a if x < y else b


def fmax(n: int, a: int, b: int) -> int:
    """The larger; NaN if either is; +0 is larger than -0."""
    x, y = to_float(n, a), to_float(n, b)
    if x != x or y != y:
        return CANONICAL_NAN[n]
    if x == y:
        return a & b
    return a if x > y else b


def fcopysign(n: int, a: int, b: int) -> int:
    return a & ~SIGN[n] | b & SIGN[n]


def fabs(n: int, a: int) -> int:
    return a & ~SIGN[n]


def fneg(n: int, a: int) -> int:
    return a ^ SIGN[n]


def fsqrt(n: int, a: int) -> int:
    x = to_float(n, a)
    if x < 0:
        return CANONICAL_NAN[n]
    return a if x == 0 else to_bits(n, math.sqrt(x))


def _rounded(n: int, a: int, x: float, towards: int) -> int:
    """The integer ``towards`` as a float with the sign of x, so that -0.5 rounds to -0."""
    return to_bits(n, math.copysign(float(towards), x))


def _is_integral(n: int, x: float) -> bool:
    """Infinities, and numbers too large to have a fraction."""
    return abs(x) >= 4503599627370496.0


def _rounding(n: int, a: int, function: object) -> int:
    x = to_float(n, a)
    if x != x:
        return CANONICAL_NAN[n]
    if _is_integral(n, x):
        return a
    return _rounded(n, a, x, function(x))  # type: ignore[operator]


def fceil(n: int, a: int) -> int:
    return _rounding(n, a, math.ceil)


def ffloor(n: int, a: int) -> int:
    return _rounding(n, a, math.floor)


def ftrunc(n: int, a: int) -> int:
    return _rounding(n, a, math.trunc)


def fnearest(n: int, a: int) -> int:
    """To the nearest integer, ties to even."""
    return _rounding(n, a, round)


def feq(n: int, a: int, b: int) -> int:
    return int(to_float(n, a) == to_float(n, b))


def fne(n: int, a: int, b: int) -> int:
    return int(to_float(n, a) != to_float(n, b))


def flt(n: int, a: int, b: int) -> int:
    return int(to_float(n, a) < to_float(n, b))


def fgt(n: int, a: int, b: int) -> int:
    return int(to_float(n, a) > to_float(n, b))


def fle(n: int, a: int, b: int) -> int:
    return int(to_float(n, a) <= to_float(n, b))


def fge(n: int, a: int, b: int) -> int:
    return int(to_float(n, a) >= to_float(n, b))


# ---- used by vector lanes only --------------------------------------------------------------------------------------


def fpmin(n: int, a: int, b: int) -> int:
    """b if b < a, else a."""
    return b if to_float(n, b) < to_float(n, a) else a


def fpmax(n: int, a: int, b: int) -> int:
    """b if a < b, else a."""
    return b if to_float(n, a) < to_float(n, b) else a


def fmadd(n: int, a: int, b: int, c: int) -> int:
    """a * b + c with two roundings: the deterministic profile's choice for relaxed_madd."""
    return fadd(n, fmul(n, a, b), c)


def fnmadd(n: int, a: int, b: int, c: int) -> int:
    """-(a * b) + c with two roundings."""
    return fadd(n, fneg(n, fmul(n, a, b)), c)
