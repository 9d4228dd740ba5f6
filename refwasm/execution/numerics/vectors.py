"""Vector operations (specification 4.3.5). A v128 is an unsigned integer; lane 0 is its least significant part.

Lane-wise operations lift the functions of the other modules. Where lanes can be handled together inside one big
integer (additions, comparisons with masks between lanes), they are: it is several times faster in Python, and tests
compare each of these with its lifted definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct

from refwasm.execution.numerics.integers import isat_s, signed

_LANES = {8: Struct("<16B"), 16: Struct("<8H"), 32: Struct("<4I"), 64: Struct("<2Q")}
ALL_ONES = (1 << 128) - 1

Lanes = Sequence[int]


def lanes(n: int, v: int) -> tuple[int, ...]:
    """The n-bit lanes, unsigned."""
    return _LANES[n].unpack(v.to_bytes(16, "little"))


def signed_lanes(n: int, v: int) -> list[int]:
    """The n-bit lanes, signed."""
    half, whole = 1 << (n - 1), 1 << n
    return [i - whole if i >= half else i for i in lanes(n, v)]


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


def dot_i8_s(a: int, b: int) -> int:
    """i16x8.relaxed_dot_i8x16_i7x16_s: both signed, the sum saturated."""
    products = [i * j for i, j in zip(signed_lanes(8, a), signed_lanes(8, b))]
    return vector(16, [isat_s(16, i + j) for i, j in zip(products[::2], products[1::2])])


def dot_i8_add_s(a: int, b: int, c: int) -> int:
    """i32x4.relaxed_dot_i8x16_i7x16_add_s: the same, neighbours added, and c."""
    sums = [signed(16, i) for i in lanes(16, dot_i8_s(a, b))]
    pairs = zip(sums[::2], sums[1::2], lanes(32, c))
    return vector(32, [i + j + k & 0xFFFFFFFF for i, j, k in pairs])


def narrow(m: int, n: int, f: Callable[[int, int, int], int]) -> Callable[[int, int], int]:
    """The lanes of a, then of b, narrowed."""
    return lambda a, b: vector(n, [f(m, n, i) for i in lanes(m, a) + lanes(m, b)])


def convert(m: int, n: int, f: Callable[[int, int, int], int], half: str = "") -> Callable[[int], int]:
    """vcvtop: f on each lane, or on the low half; missing lanes of the result are zero."""
    count = min(128 // m, 128 // n) if half != "zero" else 128 // m
    padding = [0] * (128 // n - count)
    return lambda v: vector(n, [f(m, n, i) for i in lanes(m, v)[:count]] + padding)
