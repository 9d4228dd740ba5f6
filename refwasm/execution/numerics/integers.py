"""Integer operations (specification 4.3.2), pure functions of a width ``n``, with the specification's names.

Integers are unsigned: ``0 <= i < 2**n``. A name ending in ``_s`` reads them as signed, in two's complement.
"""

from __future__ import annotations

from refwasm.errors import Trap


def signed(n: int, i: int) -> int:
    """The signed reading of i."""
    return i - (1 << n) if i >> (n - 1) else i


def unsigned(n: int, i: int) -> int:
    """The representation of any integer modulo 2**n."""
    return i & ((1 << n) - 1)


def iadd(n: int, a: int, b: int) -> int:
    return (a + b) & ((1 << n) - 1)


def isub(n: int, a: int, b: int) -> int:
    return (a - b) & ((1 << n) - 1)


def imul(n: int, a: int, b: int) -> int:
    return (a * b) & ((1 << n) - 1)


def idiv_u(n: int, a: int, b: int) -> int:
    if b == 0:
        raise Trap("integer divide by zero")
    return a // b


def idiv_s(n: int, a: int, b: int) -> int:
    """Truncates towards zero; traps on -2**(n-1) / -1."""
    if b == 0:
        raise Trap("integer divide by zero")
    x, y = signed(n, a), signed(n, b)
    quotient = abs(x) // abs(y)
    if (x < 0) != (y < 0):
        quotient = -quotient
    if quotient >> (n - 1) == 1:
        raise Trap("integer overflow")
    return unsigned(n, quotient)


def irem_u(n: int, a: int, b: int) -> int:
    if b == 0:
        raise Trap("integer divide by zero")
    return a % b


def irem_s(n: int, a: int, b: int) -> int:
    """The remainder has the sign of the dividend."""
    if b == 0:
        raise Trap("integer divide by zero")
    x, y = signed(n, a), signed(n, b)
    remainder = abs(x) % abs(y)
    return unsigned(n, -remainder if x < 0 else remainder)


def inot(n: int, a: int) -> int:
    return a ^ ((1 << n) - 1)


def iand(n: int, a: int, b: int) -> int:
    return a & b


def iandnot(n: int, a: int, b: int) -> int:
    return a & ~b


def ior(n: int, a: int, b: int) -> int:
    return a | b


def ixor(n: int, a: int, b: int) -> int:
    return a ^ b


def ishl(n: int, a: int, b: int) -> int:
    return (a << (b % n)) & ((1 << n) - 1)


def ishr_u(n: int, a: int, b: int) -> int:
    return a >> (b % n)


def ishr_s(n: int, a: int, b: int) -> int:
    return unsigned(n, signed(n, a) >> (b % n))


def irotl(n: int, a: int, b: int) -> int:
    k = b % n
    return (a << k | a >> (n - k)) & ((1 << n) - 1)


def irotr(n: int, a: int, b: int) -> int:
    k = b % n
    return (a >> k | a << (n - k)) & ((1 << n) - 1)


def iclz(n: int, a: int) -> int:
    return n - a.bit_length()


def ictz(n: int, a: int) -> int:
    return (a & -a).bit_length() - 1 if a else n


def ipopcnt(n: int, a: int) -> int:
    return a.bit_count()


def iextend_s(n: int, bits: int, a: int) -> int:
    """Sign-extend the low ``bits`` bits to n."""
    low = a & ((1 << bits) - 1)
    return unsigned(n, signed(bits, low))


def ieqz(n: int, a: int) -> int:
    return int(a == 0)


def ieq(n: int, a: int, b: int) -> int:
    return int(a == b)


def ine(n: int, a: int, b: int) -> int:
    return int(a != b)


def ilt_u(n: int, a: int, b: int) -> int:
    return int(a < b)


def ilt_s(n: int, a: int, b: int) -> int:
    return int(signed(n, a) < signed(n, b))


def igt_u(n: int, a: int, b: int) -> int:
    return int(a > b)


def igt_s(n: int, a: int, b: int) -> int:
    return int(signed(n, a) > signed(n, b))


def ile_u(n: int, a: int, b: int) -> int:
    return int(a <= b)


def ile_s(n: int, a: int, b: int) -> int:
    return int(signed(n, a) <= signed(n, b))


def ige_u(n: int, a: int, b: int) -> int:
    return int(a >= b)


def ige_s(n: int, a: int, b: int) -> int:
    return int(signed(n, a) >= signed(n, b))


# ---- used by vector lanes only --------------------------------------------------------------------------------------


def iabs(n: int, a: int) -> int:
    return unsigned(n, abs(signed(n, a)))


def ineg(n: int, a: int) -> int:
    return unsigned(n, -a)


def imin_u(n: int, a: int, b: int) -> int:
    return min(a, b)


def imin_s(n: int, a: int, b: int) -> int:
    return a if signed(n, a) <= signed(n, b) else b


def imax_u(n: int, a: int, b: int) -> int:
    return max(a, b)


def imax_s(n: int, a: int, b: int) -> int:
    return a if signed(n, a) >= signed(n, b) else b


def isat_u(n: int, i: int) -> int:
    """Any integer, clamped to the unsigned range."""
    return max(0, min(i, (1 << n) - 1))


def isat_s(n: int, i: int) -> int:
    """Any integer, clamped to the signed range; in unsigned representation."""
    half = 1 << (n - 1)
    return unsigned(n, max(-half, min(i, half - 1)))


def iadd_sat_u(n: int, a: int, b: int) -> int:
    return isat_u(n, a + b)


def iadd_sat_s(n: int, a: int, b: int) -> int:
    return isat_s(n, signed(n, a) + signed(n, b))


def isub_sat_u(n: int, a: int, b: int) -> int:
    return isat_u(n, a - b)


def isub_sat_s(n: int, a: int, b: int) -> int:
    return isat_s(n, signed(n, a) - signed(n, b))


def iavgr_u(n: int, a: int, b: int) -> int:
    """Average, rounded up."""
    return (a + b + 1) >> 1


def iq15mulr_sat_s(n: int, a: int, b: int) -> int:
    """Product of two Q15 numbers, rounded and saturated."""
    return isat_s(n, (signed(n, a) * signed(n, b) + (1 << 14)) >> 15)


def ibitselect(n: int, a: int, b: int, c: int) -> int:
    """Bits of a where c has ones, of b where it has zeros."""
    return a & c | b & ~c


# ---- wide arithmetic: numbers of 2n bits as two of n bits, the low one first (wide-arithmetic proposal) --------------


def iadd128(n: int, low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
    """Sum of two numbers of 2n bits."""
    return _halves(n, (low | high << n) + (other_low | other_high << n))


def isub128(n: int, low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
    """Difference of two numbers of 2n bits."""
    return _halves(n, (low | high << n) - (other_low | other_high << n))


def imul_wide_u(n: int, a: int, b: int) -> tuple[int, int]:
    """The whole product of unsigned numbers."""
    return _halves(n, a * b)


def imul_wide_s(n: int, a: int, b: int) -> tuple[int, int]:
    """The whole product of signed numbers."""
    return _halves(n, signed(n, a) * signed(n, b))


def _halves(n: int, value: int) -> tuple[int, int]:
    mask = (1 << n) - 1
    return value & mask, value >> n & mask
