"""Vector operations as expressions, where that is shorter than calling the numeric function.

These treat all bits alike, or work on lanes side by side inside one large integer. A v128 is an unsigned integer, lane
0 its lowest bits.

What is proved here: the result is what ``OPERATIONS[mnemonic]`` gives. A test tries that for every operation.
"""

from __future__ import annotations

from collections.abc import Callable

from refwasm.execution.compiler.translation.expressions import Expression, hexadecimal, literal
from refwasm.execution.compiler.translation.integers import Helper, canonical, truth
from refwasm.execution.compiler.translation.values import Value, combined, expr
from refwasm.execution.numerics.vectors import ALL_ONES, repeat

Maker = Callable[[Helper, list[Value]], Value]


def _bitwise(template: str, twice: bool = False) -> Maker:
    """A template over the operands ``{0}``, ``{1}``, ``{2}``; those that occur ``twice`` must be names."""

    def make(helper: Helper, operands: list[Value]) -> Value:
        named = helper.in_order(operands) if twice else operands
        return combined(expr(template, *named), "", 0, 0, *named)

    return make


def _add(n: int) -> Maker:
    """The top bit of each lane is added without carry, so none crosses into the next lane."""
    high = repeat(n, 1 << (n - 1))
    low = ALL_ONES ^ high
    return _bitwise(f"((({{0}} & {hex(low)}) + ({{1}} & {hex(low)})) ^ ({{0}} ^ {{1}}) & {hex(high)})", True)


def _sub(n: int) -> Maker:
    """Each lane lends itself its top bit."""
    high = repeat(n, 1 << (n - 1))
    low = ALL_ONES ^ high
    return _bitwise(
        f"((({{0}} | {hex(high)}) - ({{1}} & {hex(low)})) ^ ({{0}} ^ {{1}} ^ {hex(high)}) & {hex(high)})", True
    )


def _splat(n: int) -> Maker:
    """The same integer in every lane."""

    def make(helper: Helper, operands: list[Value]) -> Value:
        (value,) = operands
        if n < 32:
            return combined(
                expr("(({} & {}) * {})", value, hexadecimal((1 << n) - 1), hexadecimal(repeat(n, 1))), "", 0, 0, value
            )
        value = canonical(helper, value, n)
        return combined(expr("({} * {})", value, hexadecimal(repeat(n, 1))), "", 0, 0, value)

    return make


def _any_true(helper: Helper, operands: list[Value]) -> Value:
    return truth(expr("({} != 0)", operands[0]), None, operands[0])


MAKERS: dict[str, Maker] = {
    "v128.not": _bitwise(f"({{0}} ^ {hex(ALL_ONES)})"), "v128.and": _bitwise("({0} & {1})"),
    "v128.or": _bitwise("({0} | {1})"), "v128.xor": _bitwise("({0} ^ {1})"),
    "v128.andnot": _bitwise("({0} & ~{1})"), "v128.bitselect": _bitwise("(({0} ^ {1}) & {2} ^ {1})", True),
    "v128.any_true": _any_true,
    **{
        f"{shape}.{name}": make(n)
        for shape, n in (("i8x16", 8), ("i16x8", 16), ("i32x4", 32), ("i64x2", 64))
        for name, make in (("add", _add), ("sub", _sub), ("splat", _splat))
    },
}  # fmt: skip


def operation(helper: Helper, mnemonic: str, operands: list[Value]) -> Value | None:
    """The result of an operation, or None if the numeric function is to be called."""
    make = MAKERS.get(mnemonic)
    return None if make is None else make(helper, operands)


def extracted(shape: str, lane: int, vector: Value) -> Expression:
    """The bits of a lane."""
    n = lane_bits(shape)
    shifted = expr("{} >> {}", vector, literal(n * lane)) if lane else vector.expression
    return expr("({})", shifted) if n * (lane + 1) == 128 else expr("({} & {})", shifted, hexadecimal((1 << n) - 1))


def replaced(shape: str, lane: int, vector: Value, bits: Expression) -> Expression:
    """A vector with other bits, below 2**n, in one lane."""
    n = lane_bits(shape)
    mask = ALL_ONES ^ ((1 << n) - 1 << n * lane)
    return expr("({} & {} | {} << {})", vector, hexadecimal(mask), bits, literal(n * lane))


def lane_bits(shape: str) -> int:
    """Width of a lane: of ``i32x4`` 32."""
    return int(shape[1:].partition("x")[0])


__all__ = ["MAKERS", "extracted", "lane_bits", "operation", "replaced"]
