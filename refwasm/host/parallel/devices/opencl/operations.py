"""Scalar instructions as C expressions. ``a``, ``b`` and ``c`` are the operands, plain variables.

Floats are kept as floats; whatever computes one gives the canonical NaN where the result is a NaN, as refwasm does.
"""

from __future__ import annotations

#: C types of values, and letters for variables of them.
C_TYPES = {"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64", "v128": "v128"}
LETTERS = {"i32": "w", "i64": "d", "f32": "f", "f64": "g", "v128": "v"}

#: Codes of traps, which a device reports, and what they mean.
TRAPS = (
    "", "unreachable", "out of bounds memory access", "integer divide by zero", "integer overflow",
    "invalid conversion to integer", "undefined element", "uninitialized element", "indirect call type mismatch",
    "unaligned atomic",
)  # fmt: skip
CODE = {message: code for code, message in enumerate(TRAPS)}


def _integers(n: int) -> dict[str, str]:
    u, s, top = f"u{n}", f"s{n}", n - 1
    table = {
        "add": "a + b", "sub": "a - b", "mul": "a * b", "and": "a & b", "or": "a | b", "xor": "a ^ b",
        "shl": f"a << (b & {top})", "shr_u": f"a >> (b & {top})", "shr_s": f"({u})(({s})a >> (b & {top}))",
        "rotl": f"a << (b & {top}) | a >> (-b & {top})", "rotr": f"a >> (b & {top}) | a << (-b & {top})",
        "clz": f"CLZ{n}(a)", "ctz": f"POPCNT{n}(~a & (a - 1))", "popcnt": f"POPCNT{n}(a)", "eqz": "a == 0",
        "eq": "a == b", "ne": "a != b", "extend8_s": f"({u})({s})(s8)a", "extend16_s": f"({u})({s})(s16)a",
    }  # fmt: skip
    if n == 64:
        table["extend32_s"] = "(u64)(s64)(s32)a"
    for name, operator in {"lt": "<", "gt": ">", "le": "<=", "ge": ">="}.items():
        table[f"{name}_u"] = f"a {operator} b"
        table[f"{name}_s"] = f"({s})a {operator} ({s})b"
    return {f"i{n}.{name}": text for name, text in table.items()}


def _floats(n: int) -> dict[str, str]:
    sign, rest = ("0x80000000u", "0x7FFFFFFFu") if n == 32 else ("0x8000000000000000ul", "0x7FFFFFFFFFFFFFFFul")
    table = {
        "abs": f"FLOAT{n}(BITS{n}(a) & {rest})", "neg": f"FLOAT{n}(BITS{n}(a) ^ {sign})",
        "copysign": f"FLOAT{n}((BITS{n}(a) & {rest}) | (BITS{n}(b) & {sign}))",
        "ceil": f"canon{n}(CEIL{n}(a))", "floor": f"canon{n}(FLOOR{n}(a))", "trunc": f"canon{n}(TRUNC{n}(a))",
        "nearest": f"canon{n}(RINT{n}(a))", "sqrt": f"canon{n}(SQRT{n}(a))",
        "add": f"canon{n}(ADD{n}(a, b))", "sub": f"canon{n}(SUB{n}(a, b))", "mul": f"canon{n}(MUL{n}(a, b))",
        "div": f"canon{n}(DIV{n}(a, b))", "min": f"min{n}(a, b)", "max": f"max{n}(a, b)",
        "eq": "a == b", "ne": "a != b", "lt": "a < b", "gt": "a > b", "le": "a <= b", "ge": "a >= b",
    }  # fmt: skip
    for bits in (32, 64):
        table[f"convert_i{bits}_s"] = f"(f{n})(s{bits})a"
        table[f"convert_i{bits}_u"] = f"(f{n})a"
    return {f"f{n}.{name}": text for name, text in table.items()}


#: For each conversion: the condition under which a float has an integer of that type.
_RANGES = {
    ("i32", "f32", "s"): "a >= -2147483648.0f && a < 2147483648.0f",
    ("i32", "f32", "u"): "a > -1.0f && a < 4294967296.0f",
    ("i32", "f64", "s"): "a > -2147483649.0 && a < 2147483648.0",
    ("i32", "f64", "u"): "a > -1.0 && a < 4294967296.0",
    ("i64", "f32", "s"): "a >= -9223372036854775808.0f && a < 9223372036854775808.0f",
    ("i64", "f32", "u"): "a > -1.0f && a < 18446744073709551616.0f",
    ("i64", "f64", "s"): "a >= -9223372036854775808.0 && a < 9223372036854775808.0",
    ("i64", "f64", "u"): "a > -1.0 && a < 18446744073709551616.0",
}


def _limits(t: str, sign: str) -> tuple[str, str]:
    """The least and the greatest value of an integer type."""
    if sign == "u":
        return "0", "0xFFFFFFFFu" if t == "i32" else "0xFFFFFFFFFFFFFFFFul"
    return ("0x80000000u", "0x7FFFFFFFu") if t == "i32" else ("0x8000000000000000ul", "0x7FFFFFFFFFFFFFFFul")


def _saturating() -> dict[str, str]:
    table = {}
    for (t, f, sign), inside in _RANGES.items():
        n = t[1:]
        low, high = _limits(t, sign)
        value = f"(u{n})({sign}{n})a"
        table[f"{t}.trunc_sat_{f}_{sign}"] = f"({inside}) ? {value} : a != a ? 0 : a < 0 ? {low} : {high}"
    return table


#: Operations that never trap.
EXPRESSIONS: dict[str, str] = {
    **_integers(32), **_integers(64), **_floats(32), **_floats(64), **_saturating(),
    "i32.wrap_i64": "(u32)a", "i64.extend_i32_u": "(u64)a", "i64.extend_i32_s": "(u64)(s64)(s32)a",
    "i32.reinterpret_f32": "BITS32(a)", "i64.reinterpret_f64": "BITS64(a)",
    "f32.reinterpret_i32": "FLOAT32(a)", "f64.reinterpret_i64": "FLOAT64(a)",
    # written out: a compiler may fold the two conversions, and so keep a signalling NaN
    "f32.demote_f64": "a != a ? NAN32 : (f32)a", "f64.promote_f32": "a != a ? NAN64 : (f64)a",
}  # fmt: skip


def _division(n: int) -> dict[str, tuple[tuple[tuple[str, str], ...], str]]:
    zero, least = ("b == 0", "integer divide by zero"), "0x80000000u" if n == 32 else "0x8000000000000000ul"
    overflow = (f"a == {least} && b == (u{n})-1", "integer overflow")
    return {
        f"i{n}.div_u": ((zero,), "a / b"), f"i{n}.rem_u": ((zero,), "a % b"),
        f"i{n}.div_s": ((zero, overflow), f"(u{n})((s{n})a / (s{n})b)"),
        f"i{n}.rem_s": ((zero,), f"b == (u{n})-1 ? 0 : (u{n})((s{n})a % (s{n})b)"),
    }  # fmt: skip


#: Operations that trap: on which conditions, and with what; and the result otherwise.
TRAPPING: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    **_division(32), **_division(64),
    **{
        f"{t}.trunc_{f}_{sign}": (
            (("a != a", "invalid conversion to integer"), (f"!({inside})", "integer overflow")),
            f"(u{t[1:]})({sign}{t[1:]})a",
        )
        for (t, f, sign), inside in _RANGES.items()
    },
}  # fmt: skip

#: Operations with two results, each a statement for both; ``lo`` and ``hi`` are variables of their own.
WIDE: dict[str, str] = {
    "i64.add128": "lo = a + c; hi = b + d + (lo < a);",
    "i64.sub128": "lo = a - c; hi = b - d - (a < c);",
    "i64.mul_wide_s": "lo = a * b; hi = MULHI_S(a, b);",
    "i64.mul_wide_u": "lo = a * b; hi = MULHI_U(a, b);",
}
