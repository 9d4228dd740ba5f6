"""Numerics against independent oracles: exact rationals, ``struct``, all values of 8 and 16 bits."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refwasm.errors import Trap
from refwasm.execution.numerics import OPERATIONS, conversions, floats, integers
from refwasm.text.numbers import parse_float, print_float, round_to_float

WIDTHS = [32, 64]
BITS = {32: st.integers(0, (1 << 32) - 1), 64: st.integers(0, (1 << 64) - 1)}
#: Bit patterns where rounding and classes change.
EDGE_FLOATS = {
    32: [0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x3F800001, 0x4B000000, 0x4B800001, 0x5F000000, 0x7F7FFFFF, 0x7F800000,
         0x7F800001, 0x7FC00000, 0x7FC00001, 0x7FFFFFFF],
    64: [0, 1, (1 << 52) - 1, 1 << 52, 0x3FF0000000000000, 0x3FF0000000000001, 0x41E0000000000000, 0x43E0000000000000,
         0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF0000000000001, 0x7FF8000000000000, 0x7FFFFFFFFFFFFFFF],
}  # fmt: skip


def patterns(n: int) -> st.SearchStrategy[int]:
    edges = EDGE_FLOATS[n] + [value | 1 << (n - 1) for value in EDGE_FLOATS[n]]
    return st.one_of(st.sampled_from(edges), BITS[n])


def exact(n: int, z: int) -> Fraction | None:
    """The rational that a finite float is, by its layout."""
    fraction_bits, exponent_bits = (23, 8) if n == 32 else (52, 11)
    fraction, exponent = z & (1 << fraction_bits) - 1, z >> fraction_bits & (1 << exponent_bits) - 1
    bias = (1 << exponent_bits - 1) - 1
    if exponent == (1 << exponent_bits) - 1:
        return None
    significand = fraction + (1 << fraction_bits) if exponent else fraction
    value = Fraction(significand) * Fraction(2) ** (max(exponent, 1) - bias - fraction_bits)
    return -value if z >> (n - 1) else value


def rounded(n: int, value: Fraction, negative_zero: bool) -> int:
    """The float nearest to a rational."""
    sign = 1 << (n - 1) if value < 0 or (not value and negative_zero) else 0
    try:
        return round_to_float(abs(value), n) | sign
    except ValueError:
        return floats.INFINITY[n] | sign


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("name", ["fadd", "fsub", "fmul", "fdiv"])
def test_float_arithmetic_rounds_the_exact_result_once(n: int, name: str) -> None:
    @given(patterns(n), patterns(n))
    def check(a: int, b: int) -> None:
        x, y = exact(n, a), exact(n, b)
        if x is None or y is None or (name == "fdiv" and not y):
            return
        value = {"fadd": x + y, "fsub": x - y, "fmul": x * y}[name] if name != "fdiv" else x / y
        if value or name in ("fmul", "fdiv"):
            expected = rounded(n, value, bool((a ^ b) >> (n - 1)))
        else:
            other = b ^ 1 << (n - 1) if name == "fsub" else b
            expected = rounded(n, value, bool(a >> (n - 1) and other >> (n - 1)))
        assert getattr(floats, name)(n, a, b) == expected

    check()


@pytest.mark.parametrize("n", WIDTHS)
def test_square_root_is_the_nearest(n: int) -> None:
    @given(patterns(n))
    def check(a: int) -> None:
        x = exact(n, a)
        if x is None or x <= 0:
            return
        root = floats.fsqrt(n, a)
        middle = exact(n, root)
        assert middle is not None
        below, above = exact(n, root - 1), exact(n, root + 1)
        assert below is not None and above is not None
        assert ((below + middle) / 2) ** 2 <= x <= ((middle + above) / 2) ** 2

    check()


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize(
    ("name", "function"), [("fceil", math.ceil), ("ffloor", math.floor), ("ftrunc", math.trunc), ("fnearest", round)]
)
def test_rounding_to_integers(n: int, name: str, function: object) -> None:
    @given(patterns(n))
    def check(a: int) -> None:
        x = exact(n, a)
        result = getattr(floats, name)(n, a)
        if x is None:
            assert result == (floats.CANONICAL_NAN[n] if floats.is_nan(n, a) else a)
        else:
            assert result == rounded(n, Fraction(function(x)), bool(a >> (n - 1)))  # type: ignore[operator]

    check()


@pytest.mark.parametrize("n", WIDTHS)
def test_nan_results_are_canonical_and_bit_operations_keep_payloads(n: int) -> None:
    signalling = floats.INFINITY[n] | 1
    for name in ("fadd", "fsub", "fmul", "fdiv", "fmin", "fmax"):
        assert getattr(floats, name)(n, signalling, floats.SIGN[n]) == floats.CANONICAL_NAN[n]
    assert floats.fneg(n, signalling) == signalling | floats.SIGN[n]
    assert floats.fabs(n, signalling | floats.SIGN[n]) == signalling
    assert floats.fcopysign(n, signalling, floats.SIGN[n]) == signalling | floats.SIGN[n]


@pytest.mark.parametrize("n", WIDTHS)
def test_minimum_and_maximum_order_zeros(n: int) -> None:
    minus = floats.SIGN[n]
    assert floats.fmin(n, 0, minus) == floats.fmin(n, minus, 0) == minus
    assert floats.fmax(n, 0, minus) == floats.fmax(n, minus, 0) == 0


@pytest.mark.parametrize("m", WIDTHS)
@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("sign", ["s", "u"])
def test_truncation_and_saturation(m: int, n: int, sign: str) -> None:
    low, high = (-(1 << n - 1), (1 << n - 1) - 1) if sign == "s" else (0, (1 << n) - 1)

    @given(patterns(m))
    def check(a: int) -> None:
        trap, saturate = getattr(conversions, f"trunc_{sign}"), getattr(conversions, f"trunc_sat_{sign}")
        x = exact(m, a)
        if x is None:
            expected = 0 if floats.is_nan(m, a) else (high if not a >> (m - 1) else low)
            assert saturate(m, n, a) == expected & (1 << n) - 1
            with pytest.raises(Trap):
                trap(m, n, a)
            return
        integer = math.trunc(x)
        assert saturate(m, n, a) == min(max(integer, low), high) & (1 << n) - 1
        if low <= integer <= high:
            assert trap(m, n, a) == integer & (1 << n) - 1
        else:
            with pytest.raises(Trap, match="integer overflow"):
                trap(m, n, a)

    check()


@pytest.mark.parametrize("m", WIDTHS)
@pytest.mark.parametrize("n", WIDTHS)
def test_conversion_rounds_once(m: int, n: int) -> None:
    @given(BITS[m])
    def check(i: int) -> None:
        assert conversions.convert_u(m, n, i) == rounded(n, Fraction(i), False)
        assert conversions.convert_s(m, n, i) == rounded(n, Fraction(integers.signed(m, i)), False)

    check()
    for i in (0x8000004000000001, 0x8000004000000000, 0x7FFFFFFFFFFFFFFF, (1 << 53) + 1, (1 << 24) + 1):
        assert conversions.convert_u(64, n, i) == rounded(n, Fraction(i), False)


@given(patterns(64))
def test_demotion_rounds_once(a: int) -> None:
    x = exact(64, a)
    if x is not None:
        assert conversions.demote(64, 32, a) == rounded(32, x, bool(a >> 63))


def test_all_values_of_eight_bits() -> None:
    for a in range(256):
        x = struct.unpack("b", bytes([a]))[0]
        assert integers.ineg(8, a) == -x & 255
        assert integers.iabs(8, a) == abs(x) & 255
        assert integers.ipopcnt(8, a) == bin(a).count("1")
        assert integers.iclz(8, a) == len(f"{a:08b}".split("1")[0])
        assert integers.ictz(8, a) == len(f"{a:08b}"[::-1].split("1")[0])
        assert integers.iextend_s(16, 8, a) == x & 0xFFFF
        for b in range(256):
            y = struct.unpack("b", bytes([b]))[0]
            assert integers.iadd(8, a, b) == (x + y) & 255
            assert integers.isub(8, a, b) == (x - y) & 255
            assert integers.imul(8, a, b) == (x * y) & 255
            assert integers.iadd_sat_s(8, a, b) == min(max(x + y, -128), 127) & 255
            assert integers.isub_sat_u(8, a, b) == max(a - b, 0)
            assert integers.ilt_s(8, a, b) == (x < y)
            assert integers.imin_s(8, a, b) == min(x, y) & 255
            assert integers.iavgr_u(8, a, b) == math.ceil((a + b) / 2)
            assert integers.irotl(8, a, b) == int((f"{a:08b}" * 2)[b % 8 : b % 8 + 8], 2)
            assert integers.ishr_s(8, a, b) == (x >> b % 8) & 255


def test_division_truncates_and_traps() -> None:
    for a in range(256):
        x = integers.signed(8, a)
        for b in range(1, 256):
            y = integers.signed(8, b)
            if (x, y) == (-128, -1):
                with pytest.raises(Trap, match="integer overflow"):
                    integers.idiv_s(8, a, b)
                assert integers.irem_s(8, a, b) == 0
                continue
            quotient = math.trunc(Fraction(x, y))
            assert integers.idiv_s(8, a, b) == quotient & 255
            assert integers.irem_s(8, a, b) == (x - quotient * y) & 255
        for name in ("idiv_s", "idiv_u", "irem_s", "irem_u"):
            with pytest.raises(Trap, match="integer divide by zero"):
                getattr(integers, name)(8, a, 0)


@pytest.mark.parametrize("n", WIDTHS)
def test_float_literals_round_trip(n: int) -> None:
    @given(patterns(n))
    def check(a: int) -> None:
        assert parse_float(print_float(a, n), n) == a

    check()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=30, min_value=-(10**38), max_value=10**38))
def test_decimal_literals_round_once(value: object) -> None:
    text = f"{value:f}"
    expected = rounded(32, Fraction(text), text.startswith("-"))
    assert parse_float(text, 32) == expected


def test_q15_multiplication_saturates() -> None:
    assert OPERATIONS["i16x8.q15mulr_sat_s"](0x8000, 0x8000) == 0x7FFF
