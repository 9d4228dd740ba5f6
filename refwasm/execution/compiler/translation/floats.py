"""Floating-point operations as expressions.

Python floats stand for f64 and, with one rounding to single precision, for f32.

What is proved here: with operands that are the doubles of the same values, the result denotes what
``OPERATIONS[mnemonic]`` gives for their bit patterns: ``loose`` results of which any NaN stands for the canonical one,
``unrounded`` ones that are still to be rounded (exact for ``+ - * /`` and square roots since 53 >= 2 * 24 + 2). A test
tries just that for every operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from refwasm.execution.compiler.translation import integers
from refwasm.execution.compiler.translation.expressions import (
    Comparison,
    Literal,
    Operation,
    call,
    hexadecimal,
)
from refwasm.execution.compiler.translation.integers import canonical, truth
from refwasm.execution.compiler.translation.values import Value, combined, expr, plain
from refwasm.execution.numerics.floats import CANONICAL_NAN, is_nan, to_float
from refwasm.syntax.instructions import FORMS


class Helper(integers.Helper, Protocol):
    """What a translation does for an operation."""

    def rounded(self, operands: list[Value]) -> list[Value]:
        """All of them in the precision of their type."""

    def exact(self, operands: list[Value]) -> list[Value]:
        """All of them rounded, and with the right bits if they are NaNs."""


Maker = Callable[[Helper, str, list[Value]], Value]


def constant(bits: int, type: str) -> Value:
    """A number given by its bit pattern."""
    n = 32 if type == "f32" else 64
    number = to_float(n, bits)
    if is_nan(n, bits):
        text = "NAN" if bits == CANONICAL_NAN[n] else f"{type}_of({hex(bits)})"
    elif math.isinf(number):
        text = "INF" if number > 0 else "(-INF)"
    else:
        text = repr(number) if bits >> (n - 1) == 0 else f"({number!r})"
    found = Value(Literal(text), type, atom="(" not in text)
    found.bits = hexadecimal(bits)
    return found


def _arithmetic(operator: str) -> Maker:
    template = f"({{}} {operator} {{}})"

    def make(helper: Helper, type: str, operands: list[Value]) -> Value:
        a, b = helper.rounded(operands)
        found = combined(expr(template, a, b), type, 0, 0, a, b)
        found.loose, found.unrounded = True, type == "f32"
        return found

    return make


def _divide(helper: Helper, type: str, operands: list[Value]) -> Value:
    a, b = helper.rounded(operands)
    is_constant = b.bits and b.atom
    if not is_constant or b.text == "0.0":
        a, b = helper.in_order([a, b])
        quotient = expr("({0} / {1} if {1} else fdiv({0}, {1}))", a, b)
    else:
        quotient = expr("({} / {})", a, b)
    found = combined(quotient, type, 0, 0, a, b)
    found.loose, found.unrounded = True, type == "f32"
    return found


def _sqrt(helper: Helper, type: str, operands: list[Value]) -> Value:
    a = helper.atom(helper.rounded(operands)[0])
    found = combined(expr("(sqrt({0}) if {0} >= 0.0 else NAN)", a), type, 0, 0, a)
    found.loose, found.unrounded = True, type == "f32"
    return found


def _calling(function: str) -> Maker:
    """Functions of floats whose results need no rounding, see :mod:`.runtime`."""

    def make(helper: Helper, type: str, operands: list[Value]) -> Value:
        operands = helper.rounded(operands)
        found = combined(call(function, [v.expression for v in operands]), type, 0, 0, *operands)
        found.loose = True
        return found

    return make


def _moving(template: str) -> Maker:
    """Functions that only move bits, of NaNs too."""

    def make(helper: Helper, type: str, operands: list[Value]) -> Value:
        operands = helper.exact(operands)
        return combined(expr(template, *operands), type, 0, 0, *operands)

    return make


def _relation(operator: str) -> Maker:
    def make(helper: Helper, type: str, operands: list[Value]) -> Value:
        a, b = helper.rounded(operands)
        return truth(Comparison(a.expression, operator, b.expression), None, a, b)

    return make


ARITHMETIC: dict[str, Maker] = {
    "add": _arithmetic("+"), "sub": _arithmetic("-"), "mul": _arithmetic("*"), "div": _divide, "sqrt": _sqrt,
    "min": _calling("fmin"), "max": _calling("fmax"), "ceil": _calling("fceil"), "floor": _calling("ffloor"),
    "trunc": _calling("ftrunc"), "nearest": _calling("fnearest"), "abs": _moving("abs({})"), "neg": _moving("(-{})"),
    "copysign": _moving("copysign({}, {})"), "eq": _relation("=="), "ne": _relation("!="), "lt": _relation("<"),
    "gt": _relation(">"), "le": _relation("<="), "ge": _relation(">="),
}  # fmt: skip

# ---- conversions -----------------------------------------------------------------------------------------------------

#: Which floats truncate into the range of an integer type.
_RANGES = {
    ("i32", "s"): "-2147483649.0 < {0} < 2147483648.0", ("i32", "u"): "-1.0 < {0} < 4294967296.0",
    ("i64", "s"): "-9223372036854775808.0 <= {0} < 9223372036854775808.0",
    ("i64", "u"): "-1.0 < {0} < 18446744073709551616.0",
}  # fmt: skip


def _truncate(helper: Helper, target: str, source: str, sign: str, mnemonic: str, operand: Value) -> Value:
    a = helper.atom(helper.rounded([operand])[0])
    n, slow = int(target[1:]), f"o_{mnemonic.replace('.', '_')}(bits{source[1:]}({{0}}))"
    found = combined(
        expr(f"(int({{0}}) if {_RANGES[target, sign]} else {slow})", a),
        target,
        -(1 << (n - 1)) if sign == "s" else 0,
        (1 << n) - 1,
        a,
    )
    found.ordered = found.ordered or FORMS[mnemonic].may_trap
    return found


def _convert(helper: Helper, target: str, source: str, sign: str, operand: Value) -> Value:
    n = int(source[1:])
    half = 1 << (n - 1)
    a = operand
    if sign == "s" and operand.signed:
        a = combined(operand.signed, operand.type, -half, half - 1, operand)
    if sign == "u" or not a.within(-half, half - 1):
        a = canonical(helper, a, n)
    lo, hi, shown = a.lo, a.hi, a.expression
    if sign == "s" and hi >= half:
        a = helper.atom(a)
        lo, hi, shown = -half, half - 1, integers.as_signed(a, n)
    if target == "f32" and max(hi, -lo) >= 1 << 53:  # one rounding to double would be one too many
        a = canonical(helper, a, n)
        return combined(expr(f"f32_of(o_f32_convert_i{n}_{sign}({{}}))", a), target, 0, 0, a)
    found = combined(Operation("({} + 0.0)", shown), target, 0, 0, a)
    found.unrounded = target == "f32" and max(hi, -lo) > 1 << 24
    return found


def _reinterpret(helper: Helper, target: str, operand: Value) -> Value:
    n = int(target[1:])
    if target[0] == "i":
        if operand.bits and not operand.loose:
            found = plain(operand.bits, target, operand.locals, operand.ordered)
            return found
        loose = operand.loose
        a = helper.rounded([operand])[0]
        found = combined(call(f"{'canonical' if loose else 'bits'}{n}", [a.expression]), target, 0, (1 << n) - 1, a)
        return found
    a = canonical(helper, operand, n)
    found = combined(call(f"{target}_of", [a.expression]), target, 0, 0, a)
    found.bits = a.expression
    return found


def _demote(helper: Helper, operand: Value) -> Value:
    found = combined(operand.expression, "f32", 0, 0, operand)
    found.atom, found.loose, found.unrounded = operand.atom, True, True
    return found


def _promote(helper: Helper, operand: Value) -> Value:
    a = helper.rounded([operand])[0]
    found = combined(a.expression, "f64", 0, 0, a)
    found.atom, found.loose = a.atom, True
    return found


def operation(helper: Helper, mnemonic: str, operands: list[Value]) -> Value | None:
    """A floating-point instruction applied to operands; None if the table does not have it."""
    type, _, name = mnemonic.partition(".")
    if type[0] == "f" and (maker := ARITHMETIC.get(name)) is not None:
        return maker(helper, type, operands)
    words = name.split("_")
    if words[0] == "trunc":
        return _truncate(helper, type, words[-2], words[-1], mnemonic, operands[0])
    if words[0] == "convert":
        return _convert(helper, type, words[1], words[2], operands[0])
    if words[0] == "reinterpret":
        return _reinterpret(helper, type, operands[0])
    if words[0] == "demote":
        return _demote(helper, operands[0])
    if words[0] == "promote":
        return _promote(helper, operands[0])
    return None
