"""Integer operations: each function takes operands and gives the cheapest expression that their bounds allow.

What is proved here: the Python integer of the result is congruent to ``OPERATIONS[mnemonic]`` of the operands and
within the result's bounds, for all integers within the operands' bounds. A test tries just that for every operation.
``helper.atom`` puts an operand that a text names twice into a variable first; ``helper.doubled`` gives the name of
``x * 0x100000001``, of which every rotation of x is a part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from refwasm.execution.compiler.translation.expressions import (
    ADD,
    FALSE,
    SHIFT,
    SUB,
    TRUE,
    Comparison,
    Expression,
    Literal,
    Name,
    Not,
    hexadecimal,
    literal,
)
from refwasm.execution.compiler.translation.values import SCRATCH, Value, combined, expr, integer

#: Texts of integers may grow to this many bits before operands are masked.
MAX_BITS = 160


class Helper(Protocol):
    """What a translation does for an operation."""

    def atom(self, value: Value) -> Value:
        """The same value as a name or a number."""

    def in_order(self, operands: list[Value]) -> list[Value]:
        """All of them as names or numbers, evaluated in this order."""

    def doubled(self, value: Value) -> Name:
        """A variable with a 32-bit value twice side by side."""

    def want_small(self, value: Value) -> None:
        """It would help if what an integer is made of were small."""

    def want_small_counters(self, a: Value, b: Value) -> None:
        """The same of locals that are compared, if one of them counts."""

    def signed(self, value: Value) -> Expression | None:
        """An integer read as signed, if that can be had for nothing."""


Maker = Callable[[Helper, int, Value, Value], Value]


def canonical(helper: Helper, value: Value, n: int) -> Value:
    """The value itself, between 0 and 2**n - 1."""
    if value.lo >= 0 and not value.hi >> n:
        return value
    mask = (1 << n) - 1
    if value.constant is not None:
        return integer(value.constant & mask, value.type)
    helper.want_small(value)
    # The remainder is the cheaper one unless it has something to do.
    if value.mixes:
        reduced = expr("({} & {})", value, hexadecimal(mask))
    else:
        reduced = expr("({} % {})", value, hexadecimal(mask + 1))
    found = combined(reduced, value.type, 0, mask, value)
    found.alignment = min(value.alignment, n)
    found.mixes = value.mixes
    return found


def signed_constant(value: Value, n: int) -> Value:
    """A constant as the signed number it may be meant to be: shorter text, narrower bounds."""
    number = value.constant
    if number is not None and number >> (n - 1) == 1 and number < 1 << n:
        return integer(number - (1 << n), value.type)
    return value


def _small_enough(helper: Helper, value: Value, n: int) -> Value:
    return value if max(value.hi, -value.lo) >> MAX_BITS == 0 else canonical(helper, value, n)


def _sum(helper: Helper, n: int, a: Value, b: Value, sign: int) -> Value:
    a = _small_enough(helper, signed_constant(a, n), n)
    b = _small_enough(helper, signed_constant(b, n), n)
    plus, addend = sign > 0, b.expression
    if b.constant is not None and b.constant < 0:
        plus, addend = not plus, Literal(str(-b.constant))
    bounds = (a.lo + b.lo, a.hi + b.hi) if sign > 0 else (a.lo - b.hi, a.hi - b.lo)
    found = combined(expr(ADD if plus else SUB, a, addend), a.type, *bounds, a, b)
    found.alignment = min(a.alignment, b.alignment)
    found.mixes = a.mixes or b.mixes
    if sign > 0:
        found.parts = (a.parts if b.lo >= 0 else ()) + (b.parts if a.lo >= 0 else ())
        if b.adds is not None and b.adds not in a.locals:
            found.adds = b.adds
    if a.adds is not None and a.adds not in b.locals:
        found.adds = a.adds
    if a.linear is not None and b.linear is not None:
        found.linear = dict(a.linear)
        for index, factor in b.linear.items():
            found.linear[index] = found.linear.get(index, 0) + sign * factor
    return found


def add(helper: Helper, n: int, a: Value, b: Value) -> Value:
    return _sum(helper, n, a, b, 1)


def sub(helper: Helper, n: int, a: Value, b: Value) -> Value:
    return _sum(helper, n, a, b, -1)


def _times(value: Value, factor: int) -> dict[int, int] | None:
    return None if value.linear is None else {index: factor * k for index, k in value.linear.items()}


def mul(helper: Helper, n: int, a: Value, b: Value) -> Value:
    a, b = (_small_enough(helper, signed_constant(v, n), n) for v in (a, b))
    corners = (a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi)
    found = combined(expr("({} * {})", a, b), a.type, min(corners), max(corners), a, b)
    found.alignment = min(a.alignment + b.alignment, 64)
    # Products with small factors are indices; others are hashes.
    found.mixes = min(a.hi, b.hi) >= 1 << 16
    if b.constant is not None:
        found.linear = _times(a, b.constant)
        if b.constant > 0 and a.lo >= 0:
            found.parts = a.parts
    elif a.constant is not None:
        found.linear = _times(b, a.constant)
    return found


def and_(helper: Helper, n: int, a: Value, b: Value) -> Value:
    if a.lo < 0 and b.lo < 0:
        a = canonical(helper, a, n)
    mask = (1 << n) - 1
    if not a.within(0, mask) and not b.within(0, mask):
        a = canonical(helper, a, n)
    hi = min(v.hi for v in (a, b) if v.lo >= 0)
    found = combined(expr("({} & {})", a, b), a.type, 0, hi, a, b)
    found.alignment = max(a.alignment, b.alignment)
    return found


def _bitwise(operator: str) -> Maker:
    template = f"({{}} {operator} {{}})"

    def make(helper: Helper, n: int, a: Value, b: Value) -> Value:
        a, b = (canonical(helper, v, n) if v.lo < 0 else _small_enough(helper, v, n) for v in (a, b))
        hi = (1 << max(a.hi.bit_length(), b.hi.bit_length())) - 1
        found = combined(expr(template, a, b), a.type, 0, hi, a, b)
        found.alignment = min(a.alignment, b.alignment)
        found.mixes = a.mixes or b.mixes or operator == "^"
        if operator == "|":
            found.parts = a.parts + b.parts
        return found

    return make


def shl(helper: Helper, n: int, a: Value, b: Value) -> Value:
    if b.constant is not None:
        k = b.constant % n
        if max(a.hi, -a.lo) >> (MAX_BITS - n):
            a = canonical(helper, a, n)
        found = combined(expr("({} << {})", a, literal(k)), a.type, a.lo << k, a.hi << k, a)
        found.alignment = min(a.alignment + k, 64)
        found.mixes = a.mixes or k > 8
        found.parts = a.parts if a.lo >= 0 else ()
        found.linear = _times(a, 1 << k)
        return found
    a = canonical(helper, a, n)
    found = combined(expr("({} << {})", a, _amount(b, n)), a.type, 0, a.hi << (n - 1), a, b)
    found.mixes = True
    return found


def _amount(b: Value, n: int) -> Expression:
    """How far to shift."""
    return b.expression if b.within(0, n - 1) else expr("({} & {})", b, literal(n - 1))


def shr_u(helper: Helper, n: int, a: Value, b: Value) -> Value:
    a = canonical(helper, a, n)
    if b.constant is not None:
        k = b.constant % n
        found = combined(expr(SHIFT, a, literal(k)), a.type, a.lo >> k, a.hi >> k, a)
        found.alignment = max(a.alignment - k, 0) if a.hi else 0
        return found
    return combined(expr(SHIFT, a, _amount(b, n)), a.type, 0, a.hi, a, b)


def shr_s(helper: Helper, n: int, a: Value, b: Value) -> Value:
    a = canonical(helper, a, n)
    half = 1 << (n - 1)
    if a.hi < half:
        return shr_u(helper, n, a, b)
    if b.constant is None:
        if not a.atom:
            a, b = helper.in_order([a, b])
        shifted = expr("({} >> {})", as_signed(a, n), _amount(b, n))
        return combined(shifted, a.type, -half, half - 1, a, b)
    a, k = helper.atom(a), b.constant % n
    fill = ((1 << n) - 1) ^ ((1 << n) - 1) >> k
    shifted = expr(
        "({0} >> {1} if {0} < {2} else {0} >> {1} | {3})", a, literal(k), hexadecimal(half), hexadecimal(fill)
    )
    return combined(shifted, a.type, 0, (1 << n) - 1, a)


def _rotate(left: bool) -> Maker:
    def make(helper: Helper, n: int, a: Value, b: Value) -> Value:
        a = canonical(helper, a, n)
        if b.constant is None:
            a, b = helper.in_order([a, b])
            template = "({0} << {1} | {0} >> ({2} - {1}))" if left else "({0} >> {1} | {0} << ({2} - {1}))"
            found = combined(expr(template, a, _amount(b, n), literal(n)), a.type, 0, (1 << 2 * n) - 1, a, b)
            found.mixes = True
            return found
        k = b.constant % n
        right = (n - k) % n if left else k
        if n == 32:
            word = helper.doubled(a)
            found = Value(
                expr(SHIFT, word, literal(right)), a.type, 0, (1 << (64 - right)) - 1
            )  # the name stands for the value as it is now
        else:
            a = helper.atom(a)
            both = expr("({0} >> {1} | {0} << {2})", a, literal(right), literal(n - right))
            found = combined(both, a.type, 0, (1 << (2 * n - right)) - 1, a)
        found.mixes = True
        return found

    return make


def _divisor(b: Value) -> Expression:
    return b.expression if b.lo > 0 else expr("({} or divide_by_zero())", b)


def div_u(helper: Helper, n: int, a: Value, b: Value) -> Value:
    a, b = canonical(helper, a, n), canonical(helper, b, n)
    found = combined(
        expr("({} // {})", a, _divisor(b)), a.type, 0 if not b.lo else a.lo // b.hi, a.hi // max(b.lo, 1), a, b
    )
    found.ordered = found.ordered or b.lo == 0
    return found


def rem_u(helper: Helper, n: int, a: Value, b: Value) -> Value:
    a, b = canonical(helper, a, n), canonical(helper, b, n)
    found = combined(expr("({} % {})", a, _divisor(b)), a.type, 0, min(a.hi, max(b.hi - 1, 0)), a, b)
    found.ordered = found.ordered or b.lo == 0
    return found


def _signed_division(name: str) -> Maker:
    unsigned = div_u if name == "div_s" else rem_u
    operator = "//" if name == "div_s" else "%"

    def make(helper: Helper, n: int, a: Value, b: Value) -> Value:
        half, mask = 1 << (n - 1), (1 << n) - 1
        a, b = canonical(helper, a, n), canonical(helper, b, n)
        if a.hi < half and b.hi < half:
            return unsigned(helper, n, a, b)
        helper.want_small(a)
        helper.want_small(b)
        slow = f"o_i{n}_{name}({{0}}, {{1}})"
        a, b = helper.in_order([a, b])
        test = "{0} < {2}" if b.constant is not None and 0 < b.constant < half else "{0} < {2} > {1} > 0"
        quotient = expr(f"({{0}} {operator} {{1}} if {test} else {slow})", a, b, hexadecimal(half))
        found = combined(quotient, a.type, 0, mask, a, b)
        found.ordered = found.ordered or b.constant in (None, 0, mask)
        return found

    return make


# ---- comparisons: the value is 1 or 0, the truth a Python condition --------------------------------------------------


def truth(condition: Expression, compare: tuple[str, Value, Value] | None, *operands: Value) -> Value:
    """A condition as an i32."""
    found = combined(expr("(1 if {} else 0)", condition), "i32", 0, 1, *operands)
    found.truth = condition
    found.compare = compare
    return found


def _equality(operator: str) -> Maker:
    def make(helper: Helper, n: int, a: Value, b: Value) -> Value:
        a, b = canonical(helper, a, n), canonical(helper, b, n)
        name = "eq" if operator == "==" else "ne"
        helper.want_small_counters(a, b)
        if b.constant == 0:
            holds = expr("({})", a.condition) if name == "ne" else Not(a.condition)
            return truth(holds, (name, a, b), a)
        return truth(Comparison(a.expression, operator, b.expression), (name, a, b), a, b)

    return make


def eqz(helper: Helper, n: int, a: Value) -> Value:
    a = canonical(helper, a, n)
    return truth(Not(a.condition), ("eq", a, integer(0, a.type)), a)


def _relation_u(name: str, operator: str) -> Maker:
    def make(helper: Helper, n: int, a: Value, b: Value) -> Value:
        a, b = canonical(helper, a, n), canonical(helper, b, n)
        helper.want_small_counters(a, b)
        return truth(Comparison(a.expression, operator, b.expression), (name, a, b), a, b)

    return make


#: Signed comparisons of unsigned representations: whether each operand is surely below 2**(n-1) (True), surely not
#: (False), or unknown (None), and the condition then. ``{2}`` is 2**(n-1), ``r`` the unsigned relation.
_SIGNED: dict[tuple[bool | None, bool | None], str] = {
    (None, True): "({0} r {1} or {0} >= {2})",
    (True, None): "({0} r {1} < {2})",
    (None, False): "({2} <= {0} r {1})",
    (False, None): "({1} < {2} or {0} r {1})",
    (None, None): "({0} r {1} if {0} < {2} > {1} else ({0} ^ {2}) r ({1} ^ {2}))",
}


TRUE_CONDITION, FALSE_CONDITION = expr("({})", TRUE), expr("({})", FALSE)


def _below_half(v: Value, half: int) -> bool | None:
    return True if v.hi < half else False if v.lo >= half else None


def _signed_condition(less: Value, greater: Value, n: int, relation: str) -> Expression:
    half = 1 << (n - 1)
    below = _below_half(less, half), _below_half(greater, half)
    if below == (True, False):
        return FALSE_CONDITION
    if below == (False, True):
        return TRUE_CONDITION
    if below[0] is not None and below[0] is below[1]:
        return Comparison(less.expression, relation, greater.expression)
    return expr(_SIGNED[below].replace(" r ", f" {relation} "), less, greater, hexadecimal(half))


def _relation_s(name: str, operator: str) -> Maker:
    swapped, relation = operator[0] == ">", operator.replace(">", "<")

    def make(helper: Helper, n: int, a: Value, b: Value) -> Value:
        half = 1 << (n - 1)
        if a.within(0, half - 1) and b.within(0, half - 1):
            return truth(Comparison(a.expression, operator, b.expression), (name, a, b), a, b)
        helper.want_small_counters(a, b)
        left, right = helper.signed(a), helper.signed(b)
        if left and right:
            return truth(Comparison(left, operator, right), None, a, b)
        a, b = canonical(helper, a, n), canonical(helper, b, n)
        if ((left and b.atom) or (right and a.atom)) and a.constant is None and b.constant is None:
            return truth(Comparison(left or as_signed(a, n), operator, right or as_signed(b, n)), None, a, b)
        a, b = helper.in_order([a, b])
        less, greater = (b, a) if swapped else (a, b)
        return truth(_signed_condition(less, greater, n, relation), (f"{name}s", a, b), a, b)

    return make


def as_signed(atom: Value, n: int) -> Expression:
    """A canonical integer read as signed."""
    return expr("({0} if {0} < {1} else {0} - {2})", atom, hexadecimal(1 << (n - 1)), hexadecimal(1 << n))


# ---- one operand -----------------------------------------------------------------------------------------------------


def clz(helper: Helper, n: int, a: Value) -> Value:
    a = canonical(helper, a, n)
    return combined(expr("({} - ({}).bit_length())", literal(n), a), a.type, n - a.hi.bit_length(), n, a)


def ctz(helper: Helper, n: int, a: Value) -> Value:
    a = helper.atom(canonical(helper, a, n))
    return combined(expr("(({0} & -{0}).bit_length() - 1 if {0} else {1})", a, literal(n)), a.type, 0, n, a)


def popcnt(helper: Helper, n: int, a: Value) -> Value:
    a = canonical(helper, a, n)
    return combined(expr("({}).bit_count()", a), a.type, 0, n, a)


def _extend(bits: int) -> Callable[[Helper, int, Value], Value]:
    half, mask = 1 << (bits - 1), (1 << bits) - 1

    def make(helper: Helper, n: int, a: Value) -> Value:
        if a.within(0, half - 1):
            return a
        low = a.expression if a.within(0, mask) else expr("({} & {})", a, hexadecimal(mask))
        return combined(expr("(({0} ^ {1}) - {1})", low, hexadecimal(half)), a.type, -half, half - 1, a)

    return make


def wrap(helper: Helper, n: int, a: Value) -> Value:
    if a.constant is not None:
        return integer(a.constant & 0xFFFFFFFF, "i32")
    found = combined(a.expression, "i32", a.lo, a.hi, a)
    found.atom, found.alignment, found.mixes = a.atom, a.alignment, True
    return found


def extend_i32_u(helper: Helper, n: int, a: Value) -> Value:
    a = canonical(helper, a, 32)
    found = combined(a.expression, "i64", a.lo, a.hi, a)
    found.atom, found.constant, found.alignment = a.atom, a.constant, a.alignment
    return found


def extend_i32_s(helper: Helper, n: int, a: Value) -> Value:
    if a.within(-(1 << 31), (1 << 31) - 1):
        found = combined(a.expression, "i64", a.lo, a.hi, a)
        found.atom, found.constant, found.alignment = a.atom, a.constant, a.alignment
        return found
    a = helper.atom(canonical(helper, a, 32))
    return combined(as_signed(a, 32), "i64", -(1 << 31), (1 << 31) - 1, a)


BINARY: dict[str, Maker] = {
    "add": add, "sub": sub, "mul": mul, "and": and_, "or": _bitwise("|"), "xor": _bitwise("^"), "shl": shl,
    "shr_u": shr_u, "shr_s": shr_s, "rotl": _rotate(True), "rotr": _rotate(False), "div_u": div_u, "rem_u": rem_u,
    "div_s": _signed_division("div_s"), "rem_s": _signed_division("rem_s"), "eq": _equality("=="),
    "ne": _equality("!="),
    "lt_u": _relation_u("lt", "<"), "gt_u": _relation_u("gt", ">"), "le_u": _relation_u("le", "<="),
    "ge_u": _relation_u("ge", ">="), "lt_s": _relation_s("lt", "<"), "gt_s": _relation_s("gt", ">"),
    "le_s": _relation_s("le", "<="), "ge_s": _relation_s("ge", ">="),
}  # fmt: skip
UNARY: dict[str, Callable[[Helper, int, Value], Value]] = {
    "clz": clz, "ctz": ctz, "popcnt": popcnt, "eqz": eqz, "extend8_s": _extend(8), "extend16_s": _extend(16),
    "extend32_s": _extend(32), "wrap_i64": wrap, "extend_i32_u": extend_i32_u, "extend_i32_s": extend_i32_s,
}  # fmt: skip


def operation(helper: Helper, mnemonic: str, operands: list[Value]) -> Value | None:
    """An integer instruction applied to operands; None if the table does not have it."""
    kind, _, name = mnemonic.partition(".")
    n = 32 if kind == "i32" else 64
    if len(operands) == 1:
        unary = UNARY.get(name)
        return None if unary is None else unary(helper, n, operands[0])
    binary = BINARY.get(name)
    return None if binary is None else binary(helper, n, *operands)


__all__ = ["BINARY", "SCRATCH", "UNARY", "canonical", "operation"]
