"""The numeric function of every numeric and vector instruction without immediates, by mnemonic.

``OPERATIONS["i32.add"](a, b)`` is what all tiers agree on. Entries are made when first asked for.
``WIDE_OPERATIONS`` has those with two results, which give a tuple.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from refwasm.execution.numerics import conversions, floats, integers
from refwasm.execution.numerics import vectors as v
from refwasm.syntax.instructions import FORMS

Operation = Callable[..., int]
WideOperation = Callable[..., tuple[int, int]]

_SCALAR = re.compile(r"([if])(32|64)\.(\w+)")
_CONVERSION = re.compile(
    r"[if](\d+)\.(wrap|extend|trunc|trunc_sat|convert|demote|promote|reinterpret)_[if](\d+)(_[su])?"
)
_EXTEND = re.compile(r"i(32|64)\.extend(8|16|32)_s")
_SHAPE = re.compile(r"([if])(\d+)x(\d+)\.(\w+)")
_WIDENING = re.compile(r"(extend|extmul)_(low|high)_i(\d+)x\d+_([su])")
_PAIRWISE = re.compile(r"extadd_pairwise_i(\d+)x\d+_([su])")
_NARROW = re.compile(r"narrow_i(\d+)x\d+_([su])")
_VECTOR_CONVERSION = re.compile(
    r"(?:relaxed_)?(trunc|trunc_sat|convert|demote|promote)(?:_low)?_[if](\d+)x\d+(_[su])?(_zero)?"
)

#: Relaxed operations in the deterministic profile are the ordinary ones.
_RELAXED = {
    "relaxed_min": "min", "relaxed_max": "max", "relaxed_q15mulr_s": "q15mulr_sat_s",
}  # fmt: skip
_BITWISE: dict[str, Operation] = {
    "v128.not": partial(integers.inot, 128),
    "v128.and": partial(integers.iand, 128),
    "v128.andnot": partial(integers.iandnot, 128),
    "v128.or": partial(integers.ior, 128),
    "v128.xor": partial(integers.ixor, 128),
    "v128.bitselect": partial(integers.ibitselect, 128),
    "v128.any_true": v.any_true,
    "i8x16.swizzle": v.swizzle,
    "i8x16.relaxed_swizzle": v.swizzle,
    "i32x4.dot_i16x8_s": v.dot_s,
    "i16x8.relaxed_dot_i8x16_i7x16_s": v.dot_i8_s,
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": v.dot_i8_add_s,
}
_TOGETHER: dict[str, Callable[[int], Operation]] = {
    "add": v.add, "sub": v.sub, "eq": v.eq, "ne": v.ne, "shl": v.shl, "shr_u": v.shr_u, "shr_s": v.shr_s,
    "mul": v.mul, "all_true": v.all_true, "bitmask": v.bitmask,
}  # fmt: skip
#: Arithmetic of float lanes in Python's floats. Those of f32 are exact in double precision before the one rounding.
_FLOAT_ARITHMETIC: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "ceil": lambda x: math.copysign(math.ceil(x), x), "floor": lambda x: math.copysign(math.floor(x), x),
    "trunc": lambda x: math.copysign(math.trunc(x), x), "nearest": lambda x: math.copysign(round(x), x),
}  # fmt: skip
_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_SATURATING = re.compile(r"(add|sub)_sat_([su])")
_RELATION = re.compile(r"(eq|ne|lt|gt|le|ge)(?:_([su]))?")
_EXTREME = re.compile(r"(min|max)_([su])")


def _scalar(mnemonic: str) -> Operation | None:
    if match := _EXTEND.fullmatch(mnemonic):
        return partial(integers.iextend_s, int(match[1]), int(match[2]))
    if match := _CONVERSION.fullmatch(mnemonic):
        target, name, source, sign = match.groups()
        function: Callable[..., int] = getattr(conversions, name + (sign or ""))
        return partial(function, int(source), int(target))
    if match := _SCALAR.fullmatch(mnemonic):
        kind, width, name = match.groups()
        function = getattr(integers if kind == "i" else floats, kind + name)
        return partial(function, int(width))
    return None


def _splat(n: int) -> Operation:
    ones, mask = v.ALL_ONES // ((1 << n) - 1), (1 << n) - 1
    return lambda value: (value & mask) * ones


def _between_shapes(n: int, name: str) -> Operation | None:
    """Operations whose operands have lanes of another width."""
    if match := _WIDENING.fullmatch(name):
        kind, half, source, sign = match.groups()
        return (v.extend if kind == "extend" else v.extmul)(int(source), n, half, sign)
    if match := _PAIRWISE.fullmatch(name):
        return v.extadd_pairwise(int(match[1]), n, match[2])
    if match := _NARROW.fullmatch(name):
        return v.narrow(int(match[1]), n, match[2])
    if match := _VECTOR_CONVERSION.fullmatch(name):
        kind, source, sign, zero = match.groups()
        if name.startswith("relaxed_trunc"):
            kind = "trunc_sat"
        function = getattr(conversions, kind + (sign or ""))
        lifted = v.convert(int(source), n, function, (zero or "")[1:])
        return v.truncate_sat(int(source), (sign or "")[1:], lifted) if kind == "trunc_sat" else lifted
    return None


def _vector(mnemonic: str) -> Operation:
    match = _SHAPE.fullmatch(mnemonic)
    assert match, mnemonic
    kind, n, name = match[1], int(match[2]), _RELAXED.get(match[4], match[4])
    if name == "splat":
        return _splat(n)
    if kind == "i" and name in _TOGETHER:
        return _TOGETHER[name](n)
    if (between := _between_shapes(n, name)) is not None:
        return between
    if name == "relaxed_laneselect":
        return partial(integers.ibitselect, 128)
    if match := _SATURATING.fullmatch(name):
        return (v.add_sat if match[1] == "add" else v.sub_sat)(n, match[2])
    if name == "q15mulr_sat_s":
        return v.q15mulr_sat_s
    if name in ("relaxed_madd", "relaxed_nmadd"):
        shape = mnemonic.partition(".")[0]
        return v.madd(n, OPERATIONS[f"{shape}.add"], OPERATIONS[f"{shape}.mul"], 1 if name == "relaxed_madd" else -1)
    if relation := _RELATION.fullmatch(name):
        return v.compare(n, relation[2] or kind, getattr(operator, relation[1]))
    if kind == "i" and (extreme := _EXTREME.fullmatch(name)):
        return v.choose(n, extreme[2], min if extreme[1] == "min" else max)
    if kind == "f" and (python := _FLOAT_ARITHMETIC.get(name)) is not None:
        return v.float_lanes(n, python, _lifted(mnemonic, getattr(floats, kind + name), n))
    function = getattr(integers if kind == "i" else floats, kind + name)
    if kind == "f" and name in _OPERATORS:
        return v.float_arithmetic(n, _OPERATORS[name], _lifted(mnemonic, function, n))
    return _lifted(mnemonic, function, n)


def _lifted(mnemonic: str, function: Callable[..., int], n: int) -> Operation:
    """A function of a width, on each lane of as many vectors as the instruction takes."""
    params = FORMS[mnemonic].params
    assert params is not None
    return (v.lift1, v.lift2, v.lift3)[len(params) - 1](n, function)


def is_numeric(mnemonic: str) -> bool:
    """Whether an instruction is numeric: fixed type, no immediates, at least one operand, one result."""
    form = FORMS[mnemonic]
    return bool(form.params) and not form.immediates and len(form.results or ()) == 1


def is_wide(mnemonic: str) -> bool:
    """Whether an instruction is numeric with two results."""
    form = FORMS[mnemonic]
    return bool(form.params) and not form.immediates and len(form.results or ()) == 2


class _Operations(dict[str, Operation]):
    def __missing__(self, mnemonic: str) -> Operation:
        if mnemonic not in FORMS or not is_numeric(mnemonic):
            raise KeyError(mnemonic)
        operation: Any = _BITWISE.get(mnemonic) or _scalar(mnemonic) or _vector(mnemonic)
        self[mnemonic] = operation
        return operation  # type: ignore[no-any-return]


OPERATIONS = _Operations()
WIDE_OPERATIONS: dict[str, WideOperation] = {
    name: partial(getattr(integers, name.replace("i64.", "i")), 64) for name in FORMS if is_wide(name)
}
