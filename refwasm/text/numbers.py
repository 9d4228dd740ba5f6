"""Numbers (specification 6.3.1, 6.3.2): tokens to unsigned integers and bit patterns, and back.

All functions raise ValueError with the suite's wording.
"""

from __future__ import annotations

import re
import struct
from fractions import Fraction

_NUM = r"[0-9](?:_?[0-9])*"
_HEX = r"[0-9A-Fa-f](?:_?[0-9A-Fa-f])*"
_NAT = re.compile(rf"{_NUM}|0x{_HEX}")
_INTEGER = re.compile(rf"[+-]?(?:{_NUM}|0x{_HEX})")
_DECIMAL = re.compile(rf"([+-]?)({_NUM})(?:\.({_NUM})?)?(?:[eE]([+-]?{_NUM}))?")
_HEXFLOAT = re.compile(rf"([+-]?)0x({_HEX})(?:\.({_HEX})?)?(?:[pP]([+-]?{_NUM}))?")
_NAN = re.compile(rf"([+-]?)nan(?::0x({_HEX}))?")

#: Bits of the fraction and of the exponent by width.
FLOAT_LAYOUT = {32: (23, 8), 64: (52, 11)}


def _magnitude(digits: str) -> int:
    """The value of digits; beyond every range for absurdly many (Python limits how many it converts)."""
    digits = digits.replace("_", "")
    if digits.startswith("0x"):
        return int(digits, 16)
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 40 else 1 << 130


def _exponent(text: str | None) -> int:
    """An exponent, clamped to what no mantissa of a reasonable length makes up for."""
    if not text:
        return 0
    value = min(_magnitude(text.lstrip("+-")), 1 << 40)
    return -value if text[0] == "-" else value


def parse_nat(token: str, bits: int = 32) -> int:
    """An unsigned integer without sign, as indices and sizes are written."""
    if not _NAT.fullmatch(token):
        raise ValueError("unexpected token")
    value = _magnitude(token)
    if value >> bits:
        raise ValueError(f"i{bits} constant out of range")
    return value


def is_nat(token: str) -> bool:
    """Whether a token is written like an unsigned integer."""
    return token[:1].isdigit() and _NAT.fullmatch(token) is not None


def parse_int(token: str, bits: int) -> int:
    """A constant, signed or unsigned, as its unsigned representation."""
    if not _INTEGER.fullmatch(token):
        raise ValueError("unknown operator" if token[:1].isdigit() else "unexpected token")
    negative = token[0] == "-"
    value = _magnitude(token.lstrip("+-"))
    if value >> bits or (negative and value > 1 << (bits - 1)):
        raise ValueError("constant out of range")
    return (-value if negative else value) & ((1 << bits) - 1)


def round_to_float(value: Fraction, bits: int) -> int:
    """Bit pattern of the float nearest to a non-negative rational, ties to even; ValueError if that is infinite."""
    fraction_bits, exponent_bits = FLOAT_LAYOUT[bits]
    bias = (1 << (exponent_bits - 1)) - 1
    if not value:
        return 0
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if value < Fraction(2) ** exponent:
        exponent -= 1
    exponent = max(exponent, 1 - bias)  # subnormals share the smallest exponent
    scaled = value / Fraction(2) ** (exponent - fraction_bits)
    significand = round(scaled)  # Python rounds ties to even
    pattern = significand + ((exponent + bias - 1) << fraction_bits)  # a carry raises the exponent by itself
    if pattern >> fraction_bits >= (1 << exponent_bits) - 1:
        raise ValueError("constant out of range")
    return pattern


#: More significant digits than this decide nothing but on which side of a tie a number lies.
MAX_DIGITS = 1200


def _decimal(match: re.Match[str], bits: int) -> int:
    """A decimal float; the rounding of Python's float() is right for f64 and for most f32."""
    sign, whole, fraction, exponent = match.groups()
    number = float(match[0].replace("_", ""))
    sign_bit = (sign == "-") << (bits - 1)
    if number in (float("inf"), float("-inf")) or (abs(number) > 1e39 and bits == 32):
        raise ValueError("constant out of range")
    if bits == 64:
        return int(struct.unpack("<Q", struct.pack("<d", abs(number)))[0]) | sign_bit
    try:
        pattern = int(struct.unpack("<I", struct.pack("<f", abs(number)))[0])
        exact = struct.unpack("<f", struct.pack("<I", pattern))[0] == abs(number)
    except OverflowError:
        exact = False
    if not exact:  # the double may lie on the other side of a tie than the number itself
        fraction = (fraction or "").replace("_", "")
        digits = (whole.replace("_", "") + fraction).lstrip("0")
        power = _exponent(exponent) - len(fraction)
        if len(digits) > MAX_DIGITS:
            power += len(digits) - MAX_DIGITS - 1
            digits = digits[:MAX_DIGITS] + ("1" if digits[MAX_DIGITS:].strip("0") else "0")
        pattern = round_to_float(int(digits) * Fraction(10) ** power, 32)
    return pattern | sign_bit


def _hexadecimal(match: re.Match[str], bits: int) -> int:
    sign, whole, fraction, exponent = match.groups()
    fraction = (fraction or "").replace("_", "")
    mantissa = int(whole.replace("_", "") + fraction, 16)
    power = _exponent(exponent) - 4 * len(fraction)
    size = mantissa.bit_length() + power
    if mantissa and size > 2000:
        raise ValueError("constant out of range")
    if not mantissa or size < -2000:
        mantissa = power = 0
    return round_to_float(mantissa * Fraction(2) ** power, bits) | (sign == "-") << (bits - 1)


def parse_float(token: str, bits: int) -> int:
    """A float constant as its bit pattern: decimal, hexadecimal, ``inf``, ``nan`` and ``nan:0x…``."""
    fraction_bits, exponent_bits = FLOAT_LAYOUT[bits]
    infinity = ((1 << exponent_bits) - 1) << fraction_bits
    if match := _DECIMAL.fullmatch(token):
        return _decimal(match, bits)
    if match := _HEXFLOAT.fullmatch(token):
        return _hexadecimal(match, bits)
    if token in ("inf", "+inf", "-inf"):
        return infinity | (token[0] == "-") << (bits - 1)
    if match := _NAN.fullmatch(token):
        sign, payload = match.groups()
        value = int(payload.replace("_", ""), 16) if payload else 1 << (fraction_bits - 1)
        if not 0 < value < 1 << fraction_bits:
            raise ValueError("constant out of range")
        return infinity | value | (sign == "-") << (bits - 1)
    raise ValueError("unknown operator" if token[:1].isdigit() else "unexpected token")


def print_int(value: int, bits: int) -> str:
    """A constant, signed."""
    return str(value - (1 << bits) if value >> (bits - 1) else value)


def print_float(pattern: int, bits: int) -> str:
    """A bit pattern as text that parses to the same bits: decimal if short, else hexadecimal."""
    fraction_bits, exponent_bits = FLOAT_LAYOUT[bits]
    sign = "-" if pattern >> (bits - 1) else ""
    fraction = pattern & ((1 << fraction_bits) - 1)
    exponent = pattern >> fraction_bits & ((1 << exponent_bits) - 1)
    if exponent == (1 << exponent_bits) - 1:
        if not fraction:
            return f"{sign}inf"
        return f"{sign}nan" if fraction == 1 << (fraction_bits - 1) else f"{sign}nan:0x{fraction:x}"
    letters = ("<I", "<f") if bits == 32 else ("<Q", "<d")
    number = struct.unpack(letters[1], struct.pack(letters[0], pattern))[0]
    decimal = repr(number)
    if len(decimal) <= 10 or bits == 64:
        return decimal.removesuffix(".0") if "e" not in decimal and len(decimal) < 15 else decimal
    return str(number.hex())
