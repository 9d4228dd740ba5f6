"""Relaxed vector instructions (3.0, 4.3.6 "Relaxed Operations"): all that each may be.

A parameter of the implementation picks one of a row of functions, the same one all through an execution; the first is
the deterministic profile's. Where the specification allows any value (truncation out of range), the row has what
processors give.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from refwasm.execution.numerics import floats, vectors
from refwasm.execution.numerics.table import OPERATIONS
from refwasm.execution.numerics.vectors import lanes, lift2, lift3, signed_lanes, vector

Operation = Callable[..., int]
_U64, _F64 = struct.Struct("<Q"), struct.Struct("<d")


class Relaxed(NamedTuple):
    """A relaxed instruction: the parameter that decides, what it may be, and the width of lanes that may be anything
    wherever the options differ (0: there are no such lanes)."""

    parameter: str
    options: tuple[Operation, ...]
    anything: int = 0


def fma(n: int, a: int, b: int, c: int) -> int:
    """a * b + c, rounded once."""
    x, y, z = (floats.to_float(n, v) for v in (a, b, c))
    if not all(v - v == 0.0 for v in (x, y)):
        return floats.fadd(n, floats.fmul(n, a, b), c)
    if z - z != 0.0:  # infinite or NaN, whatever the product is
        return floats.to_bits(n, z)
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if not exact:  # the sign of zero is that of the sum, unless the product is no zero
        return floats.fadd(n, floats.fmul(n, a, b), c) if not x or not y else 0
    return floats.to_bits(n, _to_odd(exact) if n == 32 else _to_nearest(exact))


def _to_nearest(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


def _to_odd(exact: Fraction) -> float:
    """Rounded so that rounding again, to fewer digits, is as rounding once: what is not exact gets an odd last bit."""
    near = _to_nearest(exact)
    bits = _U64.unpack(_F64.pack(near))[0]
    if bits & 1 or near - near != 0.0 or Fraction(near) == exact:
        return near
    away = abs(exact) > abs(Fraction(near))
    return float(_F64.unpack(_U64.pack(bits + (1 if away else -1)))[0])


def _extremes(n: int, lesser: bool) -> tuple[Operation, ...]:
    """relaxed_min and relaxed_max (``frelaxed_min``): by operand for NaNs and for zeros of opposite sign."""
    ordinary = floats.fmin if lesser else floats.fmax
    zero = floats.SIGN[n] if lesser else 0

    def option(row: int) -> Callable[[int, int, int], int]:
        def of_lanes(n: int, a: int, b: int) -> int:
            if floats.is_nan(n, a):
                return (0, floats.CANONICAL_NAN[n], b, b)[row]
            if floats.is_nan(n, b):
                return (0, a, floats.CANONICAL_NAN[n], a)[row]
            if a != b and not (a | b) & ~floats.SIGN[n]:
                return (0, a, b, zero)[row]
            return ordinary(n, a, b)

        return of_lanes

    return tuple(lift2(n, option(row) if row else ordinary) for row in range(4))


def _fused(n: int, negated: bool) -> Operation:
    flip = floats.SIGN[n] if negated else 0
    return lift3(n, lambda n, a, b, c: fma(n, a ^ flip, b, c))


def _swizzle(a: int, b: int) -> int:
    """Indices from 16 to 127 count modulo 16."""
    source = lanes(8, a)
    return vector(8, [source[i % 16] if i < 128 else 0 for i in lanes(8, b)])


def _laneselect(n: int, top: int) -> Operation:
    """The top bit of each piece of the mask, of width ``top``, stands for the piece."""
    select = OPERATIONS["v128.bitselect"]
    ones = (1 << top) - 1
    return lambda a, b, c: select(a, b, vector(top, [ones if i >> (top - 1) else 0 for i in lanes(top, c)]))


def _q15mulr(a: int, b: int) -> int:
    """The product of two least values overflows."""
    pairs = zip(signed_lanes(16, a), signed_lanes(16, b))
    return vector(16, [(i * j + 0x4000 >> 15) & 0xFFFF for i, j in pairs])


def _products(a: int, b: int) -> list[int]:
    """Neighbouring products of signed and unsigned bytes, added."""
    x, y = signed_lanes(8, a), lanes(8, b)
    return [i * j + k * m for i, j, k, m in zip(x[::2], y[::2], x[1::2], y[1::2])]


def _saturated(n: int) -> int:
    return max(-0x8000, min(n, 0x7FFF))


def _wrapped(n: int) -> int:
    return (n + 0x8000 & 0xFFFF) - 0x8000


def _dot(limit: Callable[[int], int], products: Callable[[int, int], list[int]]) -> Operation:
    return lambda a, b: vector(16, [limit(i) & 0xFFFF for i in products(a, b)])


def _dot_add(limit: Callable[[int], int], products: Callable[[int, int], list[int]]) -> Operation:
    def operation(a: int, b: int, c: int) -> int:
        sums = list(map(limit, products(a, b)))
        return vector(32, [i + j + k & 0xFFFFFFFF for i, j, k in zip(sums[::2], sums[1::2], lanes(32, c))])

    return operation


def _signed_products(a: int, b: int) -> list[int]:
    x, y = signed_lanes(8, a), signed_lanes(8, b)
    return [i * j + k * m for i, j, k, m in zip(x[::2], y[::2], x[1::2], y[1::2])]


def _keep(n: int) -> int:
    return n


def _truncated(mnemonic: str, source: int, default: int) -> Operation:
    """What is out of range or NaN becomes ``default``; all else is as usual."""
    usual = OPERATIONS[mnemonic]
    most = 1 << (32 if "_u" in mnemonic else 31)
    least = -1 if "_u" in mnemonic else -most - 1

    def operation(a: int) -> int:
        result = list(lanes(32, usual(a)))
        for i, bits in enumerate(lanes(source, a)):
            x = floats.to_float(source, bits)
            if not least < x < most:
                result[i] = default
        return vector(32, result)

    return operation


def _dots() -> dict[str, Relaxed]:
    """The official tests allow sums of signed products that wrap, and unsigned second operands, saturated or not."""
    i16, i32 = "i16x8.relaxed_dot_i8x16_i7x16_s", "i32x4.relaxed_dot_i8x16_i7x16_add_s"
    rows = ((_wrapped, _signed_products), (_saturated, _products), (_wrapped, _products))
    wide = ((_keep, _signed_products), (_wrapped, _signed_products), (_saturated, _products), (_keep, _products))
    return {
        i16: Relaxed("idot", (OPERATIONS[i16], *(_dot(*row) for row in rows))),
        i32: Relaxed("idot add", (OPERATIONS[i32], *(_dot_add(*row) for row in wide))),
    }


def _table() -> dict[str, Relaxed]:
    found = _dots()
    usual: Callable[[str], Operation] = OPERATIONS.__getitem__
    found["i8x16.relaxed_swizzle"] = Relaxed("swizzle", (vectors.swizzle, _swizzle))
    name = "i16x8.relaxed_q15mulr_s"
    found[name] = Relaxed("iq15mulr", (usual(name), _q15mulr))
    for n, count in ((8, 16), (16, 8), (32, 4), (64, 2)):
        name = f"i{n}x{count}.relaxed_laneselect"
        tops = (8, 16) if n == 16 else (n,)  # the official tests allow 16-bit lanes to be selected byte by byte
        parameter = "laneselect" if n != 16 else "laneselect of i16x8"
        found[name] = Relaxed(parameter, (usual(name), *(_laneselect(n, top) for top in sorted(tops, reverse=True))))
    for n, count in ((32, 4), (64, 2)):
        for word in ("madd", "nmadd"):
            name = f"f{n}x{count}.relaxed_{word}"
            found[name] = Relaxed("fmadd", (usual(name), _fused(n, word == "nmadd")))
        for word in ("min", "max"):
            found[f"f{n}x{count}.relaxed_{word}"] = Relaxed(f"f{word}", _extremes(n, word == "min"))
    for source, tail in ((32, "f32x4_{}"), (64, "f64x2_{}_zero")):
        for sign, most in (("s", 0x80000000), ("u", 0xFFFFFFFF)):
            name = f"i32x4.relaxed_trunc_{tail.format(sign)}"
            given = (_truncated(name, source, default) for default in (most, 0))
            found[name] = Relaxed(f"trunc_{sign}", (usual(name), *given), 32)
    return found


RELAXED: dict[str, Relaxed] = _table()


def differing(results: Sequence[int], anything: int) -> int:
    """The bits that options differ in; whole lanes of width ``anything``, unless that is 0."""
    first, mask = results[0], 0
    for result in results[1:]:
        mask |= first ^ result
    if not anything:
        return mask
    ones = (1 << anything) - 1
    return sum(ones << shift for shift in range(0, 128, anything) if mask >> shift & ones)
