"""Vector operations (specification 4.3.5). A v128 is an unsigned integer; lane 0 is its least significant part.

Lane-wise operations lift the functions of the other modules. Where lanes can be handled together inside one big
integer (additions, comparisons with masks between lanes), they are: it is several times faster in Python, and tests
compare each of these with its lifted definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

_LANES = {8: Struct("<16B"), 16: Struct("<8H"), 32: Struct("<4I"), 64: Struct("<2Q")}
_SIGNED_LANES = {8: Struct("<16b"), 16: Struct("<8h"), 32: Struct("<4i"), 64: Struct("<2q")}
_FLOAT_LANES = {32: Struct("<4f"), 64: Struct("<2d")}
ALL_ONES = (1 << 128) - 1

Lanes = Sequence[int]


def lanes(n: int, v: int) -> tuple[int, ...]:
    """The n-bit lanes, unsigned."""
    return _LANES[n].unpack(v.to_bytes(16, "little"))


def signed_lanes(n: int, v: int) -> tuple[int, ...]:
    """The n-bit lanes, signed."""
    return _SIGNED_LANES[n].unpack(v.to_bytes(16, "little"))


def vector(n: int, values: Lanes) -> int:
    """The vector of unsigned n-bit lanes."""
    return int.from_bytes(_LANES[n].pack(*values), "little")


def repeat(n: int, value: int) -> int:
    """The vector whose n-bit lanes are all ``value``."""
    return value * (ALL_ONES // ((1 << n) - 1))


# ---- lifting --------------------------------------------------------------------------------------------------------


def lift1(n: int, f: Callable[[int, int], int]) -> Callable[[int], int]:
    """vunop: f on each lane."""
    return lambda a: vector(n, [f(n, i) for i in lanes(n, a)])


def lift2(n: int, f: Callable[[int, int, int], int]) -> Callable[[int, int], int]:
    """vbinop: f on pairs of lanes."""
    return lambda a, b: vector(n, [f(n, i, j) for i, j in zip(lanes(n, a), lanes(n, b))])


def lift3(n: int, f: Callable[[int, int, int, int], int]) -> Callable[[int, int, int], int]:
    """vternop: f on triples of lanes."""
    return lambda a, b, c: vector(n, [f(n, i, j, k) for i, j, k in zip(lanes(n, a), lanes(n, b), lanes(n, c))])


def lift_relation(n: int, f: Callable[[int, int, int], int]) -> Callable[[int, int], int]:
    """vrelop: all ones where f holds, zero elsewhere."""
    ones = (1 << n) - 1
    return lambda a, b: vector(n, [ones if f(n, i, j) else 0 for i, j in zip(lanes(n, a), lanes(n, b))])


def lift_shift(n: int, f: Callable[[int, int, int], int]) -> Callable[[int, int], int]:
    """vshiftop: f on each lane with one scalar count."""
    return lambda a, count: vector(n, [f(n, i, count) for i in lanes(n, a)])


# ---- several lanes at once ------------------------------------------------------------------------------------------


def _high_bits(n: int) -> int:
    return repeat(n, 1 << (n - 1))


def add(n: int) -> Callable[[int, int], int]:
    """Addition: the top bit of each lane is added without carry, so none crosses into the next lane."""
    high = _high_bits(n)
    low = ALL_ONES ^ high
    return lambda a, b: ((a & low) + (b & low)) ^ ((a ^ b) & high)


def sub(n: int) -> Callable[[int, int], int]:
    """Subtraction: each lane lends itself its top bit."""
    high = _high_bits(n)
    low = ALL_ONES ^ high
    return lambda a, b: ((a | high) - (b & low)) ^ ((a ^ b ^ high) & high)


def eq(n: int) -> Callable[[int, int], int]:
    """Equality: a lane of a ^ b is zero exactly if neither its low bits carry into the top one nor that is set."""
    high = _high_bits(n)
    low = ALL_ONES ^ high
    shift, ones = n - 1, (1 << n) - 1

    def compare(a: int, b: int) -> int:
        x = a ^ b
        differs = ((x & low) + low | x) & high
        return ALL_ONES ^ (differs >> shift) * ones

    return compare


def ne(n: int) -> Callable[[int, int], int]:
    """The complement of equality."""
    equal = eq(n)
    return lambda a, b: ALL_ONES ^ equal(a, b)


def shl(n: int) -> Callable[[int, int], int]:
    """Left shift: bits that would leave their lane are cleared first."""
    masks = [repeat(n, ((1 << n) - 1) >> k) for k in range(n)]
    return lambda a, count: (a & masks[count % n]) << count % n


def shr_u(n: int) -> Callable[[int, int], int]:
    """Unsigned right shift: bits that came from the next lane are cleared."""
    masks = [repeat(n, ((1 << n) - 1) >> k) for k in range(n)]
    return lambda a, count: a >> count % n & masks[count % n]


def _clamped(n: int, sx: str) -> Callable[[list[int]], int]:
    """The vector of any integers, clamped to the range of signed or unsigned n-bit lanes."""
    pack = (_SIGNED_LANES if sx == "s" else _LANES)[n].pack
    low, high = (-(1 << (n - 1)), (1 << (n - 1)) - 1) if sx == "s" else (0, (1 << n) - 1)
    return lambda values: int.from_bytes(pack(*[low if i < low else high if i > high else i for i in values]), "little")


_clamped_q15 = _clamped(16, "s")


def add_sat(n: int, sx: str) -> Callable[[int, int], int]:
    """Saturating addition."""
    clamped = _clamped(n, sx)
    return lambda a, b: clamped([i + j for i, j in zip(_read(n, sx, a), _read(n, sx, b))])


def sub_sat(n: int, sx: str) -> Callable[[int, int], int]:
    """Saturating subtraction."""
    clamped = _clamped(n, sx)
    return lambda a, b: clamped([i - j for i, j in zip(_read(n, sx, a), _read(n, sx, b))])


def q15mulr_sat_s(a: int, b: int) -> int:
    """Products of Q15 numbers, rounded and saturated."""
    return _clamped_q15([(i * j + 0x4000) >> 15 for i, j in zip(_read(16, "s", a), _read(16, "s", b))])


def narrow(m: int, n: int, sx: str) -> Callable[[int, int], int]:
    """The signed lanes of a, then of b, saturated to n bits."""
    clamped = _clamped(n, sx)
    return lambda a, b: clamped([*_read(m, "s", a), *_read(m, "s", b)])


def float_lanes(n: int, f: Callable[..., float], lifted: Callable[..., int]) -> Callable[..., int]:
    """Arithmetic on float lanes as Python floats, where all results are finite; else, and where Python refuses, lifted.

    ``f`` must round like the operation when its result is rounded once more to n bits.
    """
    unpack, pack = _FLOAT_LANES[n].unpack, _FLOAT_LANES[n].pack

    def operate(*vectors: int) -> int:
        try:
            values = list(map(f, *(unpack(v.to_bytes(16, "little")) for v in vectors)))
            total = sum(values)
            if total - total == 0.0:  # neither NaN nor infinite
                return int.from_bytes(pack(*values), "little")
        except (OverflowError, ValueError, ZeroDivisionError):
            pass
        return lifted(*vectors)

    return operate


def _written_out(n: int, operator: str, mask: str = "") -> tuple[str, list[str]]:
    """Statements that make the lanes of ``a`` and ``b`` under an operator, and the names of these. Written out they
    take a third of the time that mapping a function over lanes takes."""
    xs, ys = ([f"{letter}{i}" for i in range(128 // n)] for letter in "xy")
    reading = [f"{', '.join(names)} = unpack({v}.to_bytes(16, 'little'))" for names, v in ((xs, "a"), (ys, "b"))]
    return "; ".join(reading + [f"{x} = {x} {operator} {y}{mask}" for x, y in zip(xs, ys)]), xs


def float_arithmetic(n: int, operator: str, lifted: Callable[..., int]) -> Callable[[int, int], int]:
    """``+ - * /`` as in :func:`float_lanes`."""
    statements, names = _written_out(n, operator)
    source = f"""def operate(a, b):
 try:
  {statements}; total = {" + ".join(names)}
  if total - total == 0.0: return from_bytes(pack({", ".join(names)}), 'little')
 except (OverflowError, ZeroDivisionError): pass
 return lifted(a, b)"""
    return _operation(source, _FLOAT_LANES[n], lifted)


def mul(n: int) -> Callable[[int, int], int]:
    """Multiplication."""
    statements, names = _written_out(n, "*", f" & {(1 << n) - 1}")
    return _operation(
        f"def operate(a, b): {statements}; return from_bytes(pack({', '.join(names)}), 'little')", _LANES[n]
    )


def _operation(source: str, shape: Struct, lifted: Callable[..., int] | None = None) -> Callable[[int, int], int]:
    names: dict[str, Any] = {"unpack": shape.unpack, "pack": shape.pack, "lifted": lifted, "from_bytes": int.from_bytes}
    exec(source, names)
    return names["operate"]  # type: ignore[no-any-return]


def shr_s(n: int) -> Callable[[int, int], int]:
    """Signed right shift."""
    shape = _SIGNED_LANES[n]

    def operate(a: int, count: int) -> int:
        k = count % n
        return int.from_bytes(shape.pack(*[i >> k for i in shape.unpack(a.to_bytes(16, "little"))]), "little")

    return operate


def compare(n: int, kind: str, holds: Callable[[object, object], bool]) -> Callable[[int, int], int]:
    """All ones where a relation holds. ``kind``: "s" and "u" for integers, "f" for floats."""
    ones, pack = (1 << n) - 1, _LANES[n].pack
    unpack = {"s": _SIGNED_LANES, "u": _LANES, "f": _FLOAT_LANES}[kind][n].unpack

    def operate(a: int, b: int) -> int:
        pairs = map(holds, unpack(a.to_bytes(16, "little")), unpack(b.to_bytes(16, "little")))
        return int.from_bytes(pack(*pairs), "little") * ones  # each lane holds 0 or 1

    return operate


def choose(n: int, sx: str, f: Callable[..., int]) -> Callable[[int, int], int]:
    """Minimum or maximum of integer lanes."""
    lanes_of = (_SIGNED_LANES if sx == "s" else _LANES)[n]

    def operate(a: int, b: int) -> int:
        pairs = map(f, lanes_of.unpack(a.to_bytes(16, "little")), lanes_of.unpack(b.to_bytes(16, "little")))
        return int.from_bytes(lanes_of.pack(*pairs), "little")

    return operate


def truncate_sat(m: int, sx: str, lifted: Callable[[int], int]) -> Callable[[int], int]:
    """Float lanes to saturated 32-bit integer lanes; NaN and infinities take the lifted way."""
    unpack, clamped = _FLOAT_LANES[m].unpack, _clamped(32, sx)
    padding = [0] * (4 - 128 // m)

    def operate(v: int) -> int:
        try:
            return clamped([*map(math.trunc, unpack(v.to_bytes(16, "little"))), *padding])
        except (OverflowError, ValueError):
            return lifted(v)

    return operate


def madd(n: int, add: Callable[[int, int], int], mul: Callable[[int, int], int], sign: int) -> Callable[..., int]:
    """Product, negated if ``sign`` is -1, and sum, rounded separately."""
    flip = _high_bits(n) if sign < 0 else 0
    return lambda a, b, c: add(mul(a, b) ^ flip, c)


# ---- whole vectors --------------------------------------------------------------------------------------------------


def any_true(v: int) -> int:
    return int(v != 0)


def all_true(n: int) -> Callable[[int], int]:
    return lambda v: int(all(lanes(n, v)))


def bitmask(n: int) -> Callable[[int], int]:
    """The top bits of the lanes, as a number."""
    return lambda v: sum((i >> (n - 1)) << k for k, i in enumerate(lanes(n, v)))


def swizzle(a: int, b: int) -> int:
    """Lanes of a chosen by b; 0 where the index is out of range."""
    source = lanes(8, a)
    return vector(8, [source[i] if i < 16 else 0 for i in lanes(8, b)])


def shuffle(a: int, b: int, choice: Sequence[int]) -> int:
    """Lanes of a and b (16 to 31) chosen by constants."""
    source = lanes(8, a) + lanes(8, b)
    return vector(8, [source[i] for i in choice])


def extract_u(n: int, v: int, lane: int) -> int:
    return v >> (n * lane) & ((1 << n) - 1)


def replace(n: int, v: int, lane: int, value: int) -> int:
    mask = (1 << n) - 1
    return v & ~(mask << n * lane) | (value & mask) << n * lane


# ---- between shapes -------------------------------------------------------------------------------------------------


def _read(n: int, sx: str, v: int) -> Sequence[int]:
    return signed_lanes(n, v) if sx == "s" else lanes(n, v)


def extend(m: int, n: int, half: str, sx: str) -> Callable[[int], int]:
    """vextunop: half of the lanes, widened from m to n bits."""
    part = slice(0, 128 // n) if half == "low" else slice(128 // n, None)
    mask = (1 << n) - 1
    return lambda v: vector(n, [i & mask for i in _read(m, sx, v)[part]])


def extadd_pairwise(m: int, n: int, sx: str) -> Callable[[int], int]:
    """Sums of neighbouring lanes, widened."""
    mask = (1 << n) - 1

    def operate(v: int) -> int:
        values = _read(m, sx, v)
        return vector(n, [(i + j) & mask for i, j in zip(values[::2], values[1::2])])

    return operate


def extmul(m: int, n: int, half: str, sx: str) -> Callable[[int, int], int]:
    """Products of half of the lanes, widened."""
    part = slice(0, 128 // n) if half == "low" else slice(128 // n, None)
    mask = (1 << n) - 1
    return lambda a, b: vector(n, [i * j & mask for i, j in zip(_read(m, sx, a)[part], _read(m, sx, b)[part])])


def dot_s(a: int, b: int) -> int:
    """i32x4.dot_i16x8_s: sums of two neighbouring products."""
    products = [i * j for i, j in zip(signed_lanes(16, a), signed_lanes(16, b))]
    return vector(32, [i + j & 0xFFFFFFFF for i, j in zip(products[::2], products[1::2])])


def _products_of_i8(a: int, b: int) -> list[int]:
    """Sums of two neighbouring products of signed 8-bit lanes; only 2 * 128 * 128 exceeds 16 bits."""
    x, y = signed_lanes(8, a), signed_lanes(8, b)
    sums = [i * j + k * m for i, j, k, m in zip(x[::2], y[::2], x[1::2], y[1::2])]
    return sums if 0x8000 not in sums else [min(i, 0x7FFF) for i in sums]


def dot_i8_s(a: int, b: int) -> int:
    """i16x8.relaxed_dot_i8x16_i7x16_s: both signed, the sum saturated."""
    return int.from_bytes(_SIGNED_LANES[16].pack(*_products_of_i8(a, b)), "little")


def dot_i8_add_s(a: int, b: int, c: int) -> int:
    """i32x4.relaxed_dot_i8x16_i7x16_add_s: the same, neighbours added, and c."""
    sums = _products_of_i8(a, b)
    return vector(32, [i + j + k & 0xFFFFFFFF for i, j, k in zip(sums[::2], sums[1::2], lanes(32, c))])


def convert(m: int, n: int, f: Callable[[int, int, int], int], half: str = "") -> Callable[[int], int]:
    """vcvtop: f on each lane, or on the low half; missing lanes of the result are zero."""
    count = min(128 // m, 128 // n) if half != "zero" else 128 // m
    padding = [0] * (128 // n - count)
    return lambda v: vector(n, [f(m, n, i) for i in lanes(m, v)[:count]] + padding)
