"""Vector instructions as loops over lanes, which compilers unroll. ``a``, ``b``, ``c`` are operands, ``r`` the result.

A v128 is a union of arrays: ``b`` bytes, ``h`` 16-bit, ``w`` 32-bit and ``d`` 64-bit integers, ``f`` and ``g`` floats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refwasm.host.parallel.devices.opencl.memory_access import place
from refwasm.host.parallel.devices.opencl.operations import C_TYPES, EXPRESSIONS
from refwasm.syntax.instructions import FORMS, Instr

if TYPE_CHECKING:
    from refwasm.host.parallel.devices.opencl.translation import Translation

#: By shape: the array, the number of lanes, and the bits of one.
SHAPES = {
    "i8x16": ("b", 16, 8), "i16x8": ("h", 8, 16), "i32x4": ("w", 4, 32), "i64x2": ("d", 2, 64),
    "f32x4": ("f", 4, 32), "f64x2": ("g", 2, 64),
}  # fmt: skip
HALF = {"i16x8": "i8x16", "i32x4": "i16x8", "i64x2": "i32x4"}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}


def _each(count: int, statement: str) -> str:
    return f"for (int k = 0; k < {count}; k++) {statement}"


def _clamp(value: str, low: int, high: int) -> str:
    return f"s64 x = {value}; x = x < {low} ? {low} : x > {high} ? {high} : x;"


def _integer_lanes() -> dict[str, str]:
    """Lane-wise operations on integers."""
    table: dict[str, str] = {}
    for shape in ("i8x16", "i16x8", "i32x4", "i64x2"):
        x, count, n = SHAPES[shape]
        u, s, ones = f"u{n}", f"s{n}", f"(u{n})-1"
        a, b, r = f"a.{x}[k]", f"b.{x}[k]", f"r.{x}[k]"
        lanes = {
            "add": f"{a} + {b}", "sub": f"{a} - {b}", "mul": f"(u64){a} * {b}", "neg": f"-{a}",
            "abs": f"({s}){a} < 0 ? -{a} : {a}",
            **{f"{name}_s": f"({s}){a} {op} ({s}){b} ? {a} : {b}" for name, op in (("min", "<"), ("max", ">"))},
            **{f"{name}_u": f"{a} {op} {b} ? {a} : {b}" for name, op in (("min", "<"), ("max", ">"))},
            "avgr_u": f"((u64){a} + {b} + 1) >> 1",
            **{name: f"{a} {_COMPARE[name]} {b} ? {ones} : 0" for name in ("eq", "ne")},
            **{f"{name}_u": f"{a} {_COMPARE[name]} {b} ? {ones} : 0" for name in ("lt", "gt", "le", "ge")},
            **{f"{name}_s": f"({s}){a} {_COMPARE[name]} ({s}){b} ? {ones} : 0" for name in ("lt", "gt", "le", "ge")},
            "popcnt": f"POPCNT32({a})",
        }  # fmt: skip
        for name, value in lanes.items():
            table[f"{shape}.{name}"] = _each(count, f"{r} = ({u})({value});")
        shifts = {"shl": f"({u})({a} << n)", "shr_u": f"({u})({a} >> n)", "shr_s": f"({u})(({s}){a} >> n)"}
        for name, value in shifts.items():
            table[f"{shape}.{name}"] = f"u32 n = b & {n - 1}; " + _each(count, f"{r} = {value};")
        if n < 32:
            for sign in "su":
                low, high = (-(1 << n - 1), (1 << n - 1) - 1) if sign == "s" else (0, (1 << n) - 1)
                for name, op in (("add_sat", "+"), ("sub_sat", "-")):
                    value = f"(s64)({sign}{n}){a} {op} ({sign}{n}){b}"
                    table[f"{shape}.{name}_{sign}"] = _each(count, f"{{ {_clamp(value, low, high)} {r} = ({u})x; }}")
        table[f"{shape}.all_true"] = f"r = 1; {_each(count, f'r &= {a} != 0;')}"
        table[f"{shape}.bitmask"] = f"r = 0; {_each(count, f'r |= (u32)({a} >> {n - 1}) << k;')}"
    return table


def _conversions() -> dict[str, str]:
    """What makes lanes wider or narrower."""
    table: dict[str, str] = {}
    for shape, half in HALF.items():
        x, count, n = SHAPES[shape]
        y, _, m = SHAPES[half]
        for sign in "su":
            wide = f"(u{n})({sign}{n})({sign}{m})"
            for part, at in (("low", "k"), ("high", f"k + {count}")):
                value = f"{wide}a.{y}[{at}]"
                if sign == "u":  # LLVM 14, which pocl 3 has, takes the plain way for a copy of the bytes
                    value = f"(u{n})(a.d[{int(part == 'high')}] >> {m} * k & {(1 << m) - 1}u)"
                table[f"{shape}.extend_{part}_{half}_{sign}"] = _each(count, f"r.{x}[k] = {value};")
                product = f"(u{n})((u64)(s64)({sign}{m})a.{y}[{at}] * (u64)(s64)({sign}{m})b.{y}[{at}])"
                table[f"{shape}.extmul_{part}_{half}_{sign}"] = _each(count, f"r.{x}[k] = {product};")
            pair = f"{wide}a.{y}[2 * k] + {wide}a.{y}[2 * k + 1]"
            table[f"{shape}.extadd_pairwise_{half}_{sign}"] = _each(count, f"r.{x}[k] = (u{n})({pair});")
            low, high = (-(1 << m - 1), (1 << m - 1) - 1) if sign == "s" else (0, (1 << m) - 1)
            for_each = " ".join(
                _each(count, f"{{ {_clamp(f'(s64)(s{n}){v}.{x}[k]', low, high)} r.{y}[k + {at}] = (u{m})x; }}")
                for v, at in (("a", 0), ("b", count))
            )
            table[f"{half}.narrow_{shape}_{sign}"] = for_each
    dot = "(s32)(s16)a.h[2 * k] * (s16)b.h[2 * k] + (u32)((s32)(s16)a.h[2 * k + 1] * (s16)b.h[2 * k + 1])"
    table["i32x4.dot_i16x8_s"] = _each(4, f"r.w[k] = (u32)({dot});")
    rounded = _clamp("((s64)(s16)a.h[k] * (s16)b.h[k] + 0x4000) >> 15", -32768, 32767)
    table["i16x8.q15mulr_sat_s"] = _each(8, f"{{ {rounded} r.h[k] = (u16)x; }}")
    return table


def _floats() -> dict[str, str]:
    """Lane-wise operations on floats: the scalar ones, and comparisons that give masks."""
    table: dict[str, str] = {}
    for shape, mask in (("f32x4", "w"), ("f64x2", "d")):
        x, count, n = SHAPES[shape]
        for name in (
            "abs",
            "neg",
            "sqrt",
            "ceil",
            "floor",
            "trunc",
            "nearest",
            "add",
            "sub",
            "mul",
            "div",
            "min",
            "max",
        ):
            text = EXPRESSIONS[f"f{n}.{name}"]
            table[f"{shape}.{name}"] = _each(count, f"r.{x}[k] = {_lanes(text, x)};")
        for name, op in _COMPARE.items():
            table[f"{shape}.{name}"] = _each(count, f"r.{mask}[k] = a.{x}[k] {op} b.{x}[k] ? (u{n})-1 : 0;")
        # the bits of one operand, whatever they are
        table[f"{shape}.pmin"] = _each(count, f"r.{mask}[k] = b.{x}[k] < a.{x}[k] ? b.{mask}[k] : a.{mask}[k];")
        table[f"{shape}.pmax"] = _each(count, f"r.{mask}[k] = a.{x}[k] < b.{x}[k] ? b.{mask}[k] : a.{mask}[k];")
    for sign in "su":
        from_32, from_64 = EXPRESSIONS[f"i32.trunc_sat_f32_{sign}"], EXPRESSIONS[f"i32.trunc_sat_f64_{sign}"]
        table[f"i32x4.trunc_sat_f32x4_{sign}"] = _each(4, f"r.w[k] = {_lanes(from_32, 'f')};")
        table[f"i32x4.trunc_sat_f64x2_{sign}_zero"] = "r.d[1] = 0; " + _each(2, f"r.w[k] = {_lanes(from_64, 'g')};")
        table[f"f32x4.convert_i32x4_{sign}"] = _each(4, f"r.f[k] = (f32)({sign}32)a.w[k];")
        table[f"f64x2.convert_low_i32x4_{sign}"] = _each(2, f"r.g[k] = (f64)({sign}32)a.w[k];")
    demote, promote = _lanes(EXPRESSIONS["f32.demote_f64"], "g"), _lanes(EXPRESSIONS["f64.promote_f32"], "f")
    table["f32x4.demote_f64x2_zero"] = f"r.d[1] = 0; {_each(2, f'r.f[k] = {demote};')}"
    table["f64x2.promote_low_f32x4"] = _each(2, f"r.g[k] = {promote};")
    return table


def _lanes(text: str, x: str) -> str:
    """A scalar expression with lanes for operands."""
    return re.sub(r"\b([ab])\b", rf"\1.{x}[k]", text)


def _both(text: str) -> str:
    return _each(2, f"r.d[k] = {text};")


_ALL: dict[str, str] = {
    **_integer_lanes(), **_conversions(), **_floats(),
    "v128.not": _both("~a.d[k]"), "v128.and": _both("a.d[k] & b.d[k]"), "v128.andnot": _both("a.d[k] & ~b.d[k]"),
    "v128.or": _both("a.d[k] | b.d[k]"), "v128.xor": _both("a.d[k] ^ b.d[k]"),
    "v128.bitselect": _both("(a.d[k] & c.d[k]) | (b.d[k] & ~c.d[k])"),
    "v128.any_true": "r = (a.d[0] | a.d[1]) != 0;",
    "i8x16.swizzle": _each(16, "r.b[k] = b.b[k] < 16 ? a.b[b.b[k]] : 0;"),
    **{f"{shape}.splat": _each(count, f"r.{x}[k] = (u{n})a;" if shape[0] == "i" else f"r.{x}[k] = a;")
       for shape, (x, count, n) in SHAPES.items()},
}  # fmt: skip

#: Instructions without immediates: statements that set ``r``.
STATEMENTS = {name: text for name, text in _ALL.items() if name in FORMS}

_LANE = re.compile(r"(\w+x\d+)\.(extract_lane|replace_lane)(?:_([su]))?")
_WIDER = re.compile(r"v128\.load(8|16|32)x\d_([su])")
_ONE = re.compile(r"v128\.(load|store)(8|16|32|64)(_splat|_zero|_lane)")


def translate(to: Translation, instruction: Instr) -> bool:
    """Whether it is a vector instruction that is translated; if so, its statements are there."""
    name = instruction.form.mnemonic
    if name in STATEMENTS:
        _statement(to, instruction, STATEMENTS[name])
    elif name == "i8x16.shuffle":
        lanes = " ".join(
            f"r.b[{k}] = {'a' if lane < 16 else 'b'}.b[{lane & 15}];" for k, lane in enumerate(instruction.args[0])
        )
        _statement(to, instruction, lanes)
    elif found := _LANE.fullmatch(name):
        _lane(to, instruction, *found.groups())
    elif name == "v128.load":
        access = place(to, instruction.args[0], 16)
        r = to.push("v128")
        to.emit(f"{{ {access} {r} = constant128(LOAD64(m, at), LOAD64(m, at + 8)); }}")
    elif name == "v128.store":
        value = to.pop()
        access = place(to, instruction.args[0], 16)
        to.emit(f"{{ {access} STORE64(m, at, {value}.d[0]); STORE64(m, at + 8, {value}.d[1]); }}")
    elif found := _WIDER.fullmatch(name):
        _wider(to, instruction, int(found[1]), found[2])
    elif found := _ONE.fullmatch(name):
        _one(to, instruction, found[1], int(found[2]), found[3])
    else:
        return False
    return True


def _statement(to: Translation, instruction: Instr, text: str) -> None:
    form = instruction.form
    assert form.params is not None and form.results is not None, "vector instructions have types"
    names = to.pop_many(len(form.params))
    given = " ".join(f"{C_TYPES[repr(t)]} {x} = {name};" for t, x, name in zip(form.params, "abc", names))
    t = repr(form.results[0])
    to.emit(f"{{ {given} {C_TYPES[t]} r; {text} {to.push(t)} = r; }}")


def _lane(to: Translation, instruction: Instr, shape: str, what: str, sign: str | None) -> None:
    x, _, n = SHAPES[shape]
    lane = f"{x}[{instruction.args[0]}]"
    if what == "extract_lane":
        value = f"{to.pop()}.{lane}"
        t = shape.split("x")[0] if n >= 32 else "i32"
        cast = f"(u32)(s32)(s{n})" if sign == "s" else ""
        to.emit(f"{to.push(t)} = {cast}{value};")
    else:
        value, vector = to.pop(), to.pop()
        value = f"(u{n}){value}" if shape[0] == "i" else value
        r = to.push("v128")
        to.emit(f"{r} = {vector}; {r}.{lane} = {value};" if r != vector else f"{r}.{lane} = {value};")


def _wider(to: Translation, instruction: Instr, n: int, sign: str) -> None:
    """Loads of 64 bits whose lanes become twice as wide."""
    access, x = place(to, instruction.args[0], 8), {8: "h", 16: "w", 32: "d"}[n]
    lane = f"(u{n})(a >> {n} * k)"
    value = f"(u{2 * n})(s{2 * n})(s{n}){lane}" if sign == "s" else f"(u{2 * n})(a >> {n} * k & {(1 << n) - 1}u)"
    loop = _each(64 // n, f"{to.push('v128')}.{x}[k] = {value};")
    to.emit(f"{{ {access} u64 a = LOAD64(m, at); {loop} }}")


def _one(to: Translation, instruction: Instr, what: str, n: int, how: str) -> None:
    """Loads and stores of one lane, and loads that fill the others with copies or zeros."""
    x = {8: "b", 16: "h", 32: "w", 64: "d"}[n]
    vector = to.pop() if how == "_lane" else ""
    access = place(to, instruction.args[0], n // 8)
    if what == "store":
        to.emit(f"{{ {access} STORE{n}(m, at, {vector}.{x}[{instruction.args[1]}]); }}")
        return
    r = to.push("v128")
    if how == "_splat":
        to.emit(f"{{ {access} u{n} a = LOAD{n}(m, at); {_each(128 // n, f'{r}.{x}[k] = a;')} }}")
    elif how == "_zero":
        to.emit(f"{{ {access} {r} = constant128((u64)LOAD{n}(m, at), 0); }}")
    else:
        copy = f"{r} = {vector}; " if r != vector else ""
        to.emit(f"{{ {access} {copy}{r}.{x}[{instruction.args[1]}] = LOAD{n}(m, at); }}")
