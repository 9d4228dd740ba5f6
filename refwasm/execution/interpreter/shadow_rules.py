"""Shadow bits: what of a result is open, given what of the operands is (:mod:`.shadow`).

A rule takes the instruction and its operands. It returns the mask of open bits and the width of float lanes that are
NaN wherever they have open bits (0: they need not be); or None where the instruction traps or not, as these bits will.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refwasm.execution.numerics.floats import is_nan
from refwasm.execution.numerics.nans import FRACTION, is_canonical
from refwasm.execution.numerics.relaxed import RELAXED, Relaxed, differing
from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import FORMS, Form, Instr
from refwasm.syntax.types import NumType, ValType


class Open(int):
    """A value that other executions may have otherwise, in the bits of ``mask``. ``lanes`` is the width of its float
    lanes if each lane with open bits is a NaN, whatever these bits are; 0 if nothing is known of them."""

    mask: int
    lanes: int

    def __new__(cls, value: int, mask: int, lanes: int = 0) -> Open:
        self = super().__new__(cls, value)
        self.mask, self.lanes = mask, lanes
        return self

    def __repr__(self) -> str:
        return f"Open({int(self):#x}, mask={self.mask:#x})"


def result_width(form: Form) -> int:
    """The width of the only result."""
    return _width(form.results)


def _width(types: Sequence[ValType] | None) -> int:
    t = types[0] if types else None
    assert isinstance(t, NumType)
    return t.bits


Rule = Callable[[Instr, Sequence[int]], "tuple[int, int] | None"]


def mask_of(value: int) -> int:
    """The open bits of a value."""
    return value.mask if type(value) is Open else 0


Arithmetic = Callable[[int, Sequence[int]], int]


def _arithmetic(width: int, lane: int) -> Arithmetic:
    """Float arithmetic (4.3.3, "NaN Propagation"): the sign of a NaN is open; so is its payload, but for the quiet bit,
    if an operand is a NaN whose payload is not the canonical one."""
    ones, sign, quiet = (1 << lane) - 1, 1 << (lane - 1), 1 << (FRACTION[lane] - 1)

    def result_of(result: int, operands: Sequence[int]) -> int:
        if any(type(operand) is Open and operand.lanes != lane for operand in operands):
            return Open(result, (1 << width) - 1)
        mask = 0
        for shift in range(0, width, lane):
            if is_nan(lane, result >> shift & ones):
                canonical = all(_is_propagated_canonical(operand, shift, lane) for operand in operands)
                mask |= (sign if canonical else sign | quiet - 1) << shift
        return Open(result, mask, lane) if mask else int(result)

    return result_of


def _is_propagated_canonical(operand: int, shift: int, lane: int) -> bool:
    """Whether a lane of an operand is no NaN, or one with the canonical payload, whatever its sign."""
    bits = operand >> shift & (1 << lane) - 1
    is_settled = not mask_of(operand) >> shift & (1 << FRACTION[lane]) - 1
    return not is_nan(lane, bits) or (is_settled and is_canonical(lane, bits))


def _conversion(width: int, lane: int, source: int, bits: int) -> Arithmetic:
    """Promotion and demotion, from lanes of width ``source`` of an operand of so many ``bits``."""
    ones, sign, quiet = (1 << lane) - 1, 1 << (lane - 1), 1 << (FRACTION[lane] - 1)

    def result_of(result: int, operands: Sequence[int]) -> int:
        (operand,) = operands
        if type(operand) is Open and operand.lanes != source:
            return Open(result, (1 << width) - 1)
        canonical = all(_is_propagated_canonical(operand, shift, source) for shift in range(0, bits, source))
        mask = 0
        for shift in range(0, width, lane):
            if is_nan(lane, result >> shift & ones):
                mask |= (sign if canonical else sign | quiet - 1) << shift
        return Open(result, mask, lane) if mask else int(result)

    return result_of


def relaxed_mask(relaxed: Relaxed, operands: Sequence[int], lane: int) -> int:
    """The bits that a relaxed instruction's options differ in; float lanes (0: it has none) are open as a whole where
    one of the options gives a NaN."""
    results = [option(*operands) for option in relaxed.options]
    mask = differing(results, relaxed.anything)
    if lane:
        ones = (1 << lane) - 1
        for shift in range(0, 128, lane):
            if any(is_nan(lane, result >> shift & ones) for result in results):
                mask |= ones << shift
    return mask


# ---- rules ----------------------------------------------------------------------------------------------------------


def refused(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """Whether it traps depends on open bits."""
    return None


def _all(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """Nothing is known of the result."""
    return (1 << result_width(instr.form)) - 1, 0


def _truth(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """A truth value, which may be the other one."""
    return 1, 0


def _and(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    (a, b), (ma, mb) = operands, map(mask_of, operands)
    return (ma & (b | mb)) | (mb & (a | ma)), 0


def _or(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    (a, b), (ma, mb) = operands, map(mask_of, operands)
    return (ma & (~b | mb)) | (mb & (~a | ma)), 0


def _xor(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    return mask_of(operands[0]) | mask_of(operands[1]), 0


def _bitselect(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    a, b, c = operands
    lanes = a.lanes if type(a) is Open else b.lanes if type(b) is Open else 0
    if mask_of(c):
        return _all(instr, operands)
    mask = (mask_of(a) & c) | (mask_of(b) & ~c)
    return mask, lanes if mask and lanes and _whole_lanes(c, lanes) and _one_width(operands) else 0


def _whole_lanes(selector: int, lanes: int) -> bool:
    """Whether a selector takes each lane as a whole."""
    ones = (1 << lanes) - 1
    return all(selector >> shift & ones in (0, ones) for shift in range(0, 128, lanes))


def _one_width(operands: Sequence[int]) -> bool:
    return len({operand.lanes for operand in operands if type(operand) is Open}) == 1


def _same(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """The bits of the only operand, moved nowhere."""
    return mask_of(operands[0]) & (1 << result_width(instr.form)) - 1, 0


def _abs(lane: int) -> Rule:
    """The sign is settled."""

    def rule(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
        signs = sum(1 << (shift + lane - 1) for shift in range(0, result_width(instr.form), lane))
        return mask_of(operands[0]) & ~signs, _lanes(operands[0], lane)

    return rule


def _neg(lane: int) -> Rule:
    return lambda instr, operands: (mask_of(operands[0]), _lanes(operands[0], lane))


def _copysign(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    lane, (a, b) = result_width(instr.form), operands
    sign = 1 << (lane - 1)
    lanes = _lanes(a, lane)
    if mask_of(b) & sign and not is_nan(lane, int(a)):
        lanes = 0
    return (mask_of(a) & ~sign) | (mask_of(b) & sign), lanes


def _lanes(value: int, lane: int) -> int:
    return lane if type(value) is not Open or value.lanes == lane else 0


def _nan_blind(lane: int, otherwise: Rule) -> Rule:
    """What looks at floats: to it, one NaN is like another."""

    def rule(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
        if all(_lanes(operand, lane) for operand in operands):
            return 0, 0
        return otherwise(instr, operands)

    return rule


def _lane_width(instr: Instr) -> int:
    """The width of the lanes in a mnemonic: 8 in ``i8x16.splat``."""
    return int(instr.form.mnemonic.split("x")[0][1:])


def _extract(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """One lane; its bits stay what they are, but a sign may be spread."""
    width = _lane_width(instr)
    mask = mask_of(operands[0]) >> width * instr.args[0] & (1 << width) - 1
    if mask and width < 32:
        return (1 << 32) - 1, 0
    is_float = instr.form.mnemonic[0] == "f"
    return mask, width if is_float and _lanes(operands[0], width) else 0


def _replace(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    width = _lane_width(instr)
    ones, shift = (1 << width) - 1, width * instr.args[0]
    is_nan_wherever_open = instr.form.mnemonic[0] == "f" and all(_lanes(operand, width) for operand in operands)
    mask = (mask_of(operands[0]) & ~(ones << shift)) | (mask_of(operands[1]) & ones) << shift
    return mask, width if is_nan_wherever_open else 0


def _splat(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    width = _lane_width(instr)
    mask = mask_of(operands[0]) & (1 << width) - 1
    lanes = width if instr.form.mnemonic[0] == "f" and _lanes(operands[0], width) else 0
    return sum(mask << shift for shift in range(0, 128, width)), lanes


def _first(lane: int) -> Rule:
    """pmin and pmax: a comparison with a NaN is false, and then the first operand is the result."""

    def rule(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
        if all(_lanes(operand, lane) for operand in operands):
            return mask_of(operands[0]), lane
        return _all(instr, operands)

    return rule


_ARITHMETIC = frozenset(
    ["add", "sub", "mul", "div", "sqrt", "min", "max", "ceil", "floor", "trunc", "nearest", "madd", "nmadd"]
)
_COMPARISONS = frozenset(["eq", "ne", "lt", "gt", "le", "ge"])


def _float_width(mnemonic: str) -> int:
    """The width of the float lanes that an instruction works on: those of its operands."""
    if "_f32" in mnemonic:
        return 32
    if "_f64" in mnemonic:
        return 64
    return int(mnemonic[1:3]) if mnemonic[0] == "f" else 0


def _lane_rule(mnemonic: str) -> Rule | None:
    """The rule of a vector instruction with lanes as immediates."""
    form = FORMS[mnemonic]
    if form.has_lane and not form.width:
        return _extract if len(form.params or ()) == 1 else _replace
    return _shuffled if mnemonic == "i8x16.shuffle" else None


def _float_rule(mnemonic: str) -> Rule | None:
    """The rule of what looks at floats without computing with them."""
    shape, _, name = mnemonic.partition(".")
    lane = _float_width(mnemonic)
    if name in _COMPARISONS and shape[0] == "f":
        return _nan_blind(lane, _truth if shape in ("f32", "f64") else _all)
    if name in ("neg", "abs") and shape[0] == "f":
        return (_abs if name == "abs" else _neg)(lane)
    if name in ("pmin", "pmax"):
        return _first(lane)
    if lane and "trunc_sat" in name:
        return _nan_blind(lane, _all)
    return _nan_blind(lane, refused) if lane and name.startswith("trunc_f") else None


def _shifted(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """A scalar shift or rotation by a settled count moves open bits along; the sign may be spread."""
    n, (value, count) = result_width(instr.form), operands
    if mask_of(count):
        return _all(instr, operands)
    k, mask, name = int(count) % n, mask_of(value), instr.form.mnemonic.partition(".")[2]
    if name == "shl":
        return mask << k & (1 << n) - 1, 0
    if name in ("rotl", "rotr"):
        k = k if name == "rotl" else (n - k) % n
        return (mask << k | mask >> (n - k)) & (1 << n) - 1, 0
    spread = (1 << k) - 1 << n - k if name == "shr_s" and mask >> n - 1 else 0
    return mask >> k | spread, 0


def _extended(source: int) -> Rule:
    """Sign extension of so many bits: the sign may be open."""

    def rule(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
        mask = mask_of(operands[0]) & (1 << source) - 1
        ones = (1 << result_width(instr.form)) - 1
        return mask | (ones & -1 << source if mask >> source - 1 else 0), 0

    return rule


def _touched_lanes(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """Lane by lane: a lane of the result is open if one of the operands' is. A last operand of another type is a count,
    which must be settled."""
    n = _lane_width(instr)
    if instr.form.mnemonic.partition(".")[2] in _SHIFTS:
        if mask_of(operands[1]):
            return _all(instr, operands)
        operands = operands[:1]
    mask, ones = 0, (1 << n) - 1
    for operand in operands:
        mask |= mask_of(operand)
    return sum(ones << shift for shift in range(0, 128, n) if mask >> shift & ones), 0


def _shuffled(instr: Instr, operands: Sequence[int]) -> tuple[int, int] | None:
    """Bytes are moved, with their open bits."""
    both = mask_of(operands[0]) | mask_of(operands[1]) << 128
    return sum((both >> 8 * lane & 0xFF) << 8 * i for i, lane in enumerate(instr.args[0])), 0


_SHIFTS = frozenset(["shl", "shr_s", "shr_u"])
#: Operations on integer vectors that work lane by lane.
_LANEWISE = frozenset(
    ["add", "sub", "mul", "neg", "abs", "popcnt", "min", "max", "avgr", "eq", "ne", "lt", "gt", "le", "ge", "shl",
     "shr"]
)  # fmt: skip


def _integer_rule(mnemonic: str) -> Rule:
    shape, _, name = mnemonic.partition(".")
    kind = name.split("_")[0]
    if shape in ("i32", "i64") and kind in ("div", "rem"):
        return refused
    if shape in ("i32", "i64") and kind in _COMPARISONS:
        return _truth
    if shape in ("i32", "i64") and name in (*_SHIFTS, "rotl", "rotr"):
        return _shifted
    if shape in ("i32", "i64") and name.startswith("extend") and name.endswith("_s"):
        return _extended(32 if "i32" in name else int(name[6:-2]))
    if "x" in shape and shape[0] == "i" and kind in _LANEWISE:
        return _touched_lanes
    return _NAMED.get(name, _all)


def arithmetic_lanes(mnemonic: str) -> tuple[int, int] | None:
    """The width of float lanes of the result and of the operands, if the instruction can make NaNs."""
    shape, _, name = mnemonic.partition(".")
    if shape[0] == "f" and name.removeprefix("relaxed_") in _ARITHMETIC:
        return int(shape[1:3]), int(shape[1:3])
    if name.startswith(("promote", "demote")):
        return int(shape[1:3]), _float_width(mnemonic)
    return None


def _arithmetic_of(mnemonic: str) -> Arithmetic | None:
    """What makes the NaNs of an instruction open, if it can make any."""
    form, lanes = FORMS[mnemonic], arithmetic_lanes(mnemonic)
    if lanes is None or mnemonic in RELAXED:
        return None
    if lanes[0] == lanes[1]:
        return _arithmetic(result_width(form), lanes[0])
    return _conversion(result_width(form), *lanes, _width(form.params))


_NAMED: dict[str, Rule] = {
    "and": _and, "or": _or, "xor": _xor, "andnot": _xor, "not": _same, "bitselect": _bitselect,
    "copysign": _copysign, "splat": _splat, "eqz": _truth, "all_true": _truth, "any_true": _truth,
    "wrap_i64": _same, "extend_i32_u": _same, "reinterpret_f32": _same, "reinterpret_f64": _same,
    "reinterpret_i32": _same, "reinterpret_i64": _same,
}  # fmt: skip


ARITHMETIC: dict[str, Arithmetic] = {}
RULES: dict[str, Rule] = {}
for _mnemonic in FORMS:
    if is_numeric(_mnemonic) and (_found := _arithmetic_of(_mnemonic)) is not None:
        ARITHMETIC[_mnemonic] = _found
    elif is_numeric(_mnemonic):
        RULES[_mnemonic] = _float_rule(_mnemonic) or _integer_rule(_mnemonic)
    elif (_rule := _lane_rule(_mnemonic)) is not None:
        RULES[_mnemonic] = _rule
