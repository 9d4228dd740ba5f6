"""Memory instructions.

A memory has *views* by element type and constant offset, as global names of the generated code: ``u32_m0_8`` is a tuple
of four views of memory 0 that start at bytes 8, 9, 10 and 11, so that ``u32_m0_8[a & 3][a >> 2]`` is the access
``i32.load offset=8`` at any address, and its IndexError exactly the trap. ``U32_m0_8`` is the first of the four, for
addresses that are known to be multiples of four (:mod:`refwasm.execution.compiler.linking.views`).

What has been an address is below the size of its memory: the facts about locals that went into it say so afterwards.
"""

from __future__ import annotations

from refwasm.execution.compiler.conventions import SMALL
from refwasm.execution.compiler.translation.expressions import (
    ADD,
    Comparison,
    Element,
    Expression,
    Literal,
    Located,
    Operation,
    call,
    hexadecimal,
    literal,
    local,
)
from refwasm.execution.compiler.translation.integers import canonical
from refwasm.execution.compiler.translation.statements import Assign, If
from refwasm.execution.compiler.translation.translator import Translator, type_name
from refwasm.execution.compiler.translation.values import SCRATCH, Value, combined, expr, integer, plain
from refwasm.execution.memory import MAX_BYTES
from refwasm.execution.numerics.vectors import repeat
from refwasm.syntax.instructions import Instr, MemArg

#: Larger offsets are added to addresses that may be anything: those need a view for each way to be aligned.
MAX_VIEW_OFFSET = 512
_INTEGER_VIEWS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}


class Access:
    """The element of a view at an address. ``in_view`` gives the same element of a view of another type."""

    def __init__(self, t: Translator, width: int, arg: MemArg, address: Value) -> None:
        shift = width.bit_length() - 1
        address, offset = _address(arg, address, shift)
        self.memory, self.shift, self.offset = arg.memory, shift, offset
        t.speculation.wanted.memories.add(arg.memory)
        self.is_aligned = address.alignment >= shift
        if not shift:
            self.index: Expression = address.expression
        elif self.is_aligned:
            self.index, further = _divided(t, address, shift)
            self.offset += further
        elif address.atom:
            self.index = address.expression
        else:
            self.index = address.expression
            self.variable = t.operands.fresh()
        self.is_atom = address.atom
        if address.alignment < shift:
            t.speculation.want_aligned(address, shift)
        _was_address(t, arg, width, offset, address)

    def in_view(self, view: str) -> Expression:
        """The element."""
        name = f"{view}_m{self.memory}_{self.offset}"
        if not self.shift:
            return Element(name, self.index)
        if self.is_aligned:
            return Element(view.upper() + name[len(view) :], self.index)
        mask, shift = literal((1 << self.shift) - 1), literal(self.shift)
        if self.is_atom:
            return Operation(name + "[{0} & {1}][{0} >> {2}]", self.index, mask, shift)
        return Operation(name + "[({0} := {1}) & {2}][{0} >> {3}]", self.variable, self.index, mask, shift)


def _address(arg: MemArg, address: Value, shift: int) -> tuple[Value, int]:
    """The address without what the view's offset adds."""
    if address.constant is None and (arg.offset < MAX_VIEW_OFFSET or address.alignment >= shift):
        return address, arg.offset
    return _moved(address, arg.offset), 0


def _moved(address: Value, offset: int) -> Value:
    """An address and a constant offset, which together don't wrap around."""
    if address.constant is not None:
        return integer(address.constant + offset, address.type)
    sum = expr(ADD, address, literal(offset))
    found = combined(sum, address.type, address.lo + offset, address.hi + offset, address)
    found.alignment = min(address.alignment, (offset & -offset).bit_length() - 1)
    found.parts = address.parts
    if address.linear is not None:
        found.linear = {**address.linear, SCRATCH: address.linear.get(SCRATCH, 0) + offset}
    return found


def _divided(t: Translator, address: Value, shift: int) -> tuple[Expression, int]:
    """An address that is a multiple of 2**shift, divided by that; and what the view's offset adds further."""
    if address.constant is not None:
        return literal(address.constant >> shift), 0
    whole = expr("{} >> {}", address, literal(shift))
    if address.linear is None or not t.speculation.is_fast:
        return whole, 0
    positive: list[Expression] = []
    negative: list[Expression] = []
    constant = address.linear.get(SCRATCH, 0)
    for index, factor in address.linear.items():
        if not factor or index == SCRATCH:
            continue
        variable: Expression = local(index)
        if factor % (1 << shift) == 0:
            factor, term = factor >> shift, variable
        elif t.facts.get(index, (0, 0, 0))[2] < shift:
            return whole, 0
        else:
            term = t.speculation.divided(index, shift)
        amount = abs(factor)
        (positive if factor > 0 else negative).append(term if amount == 1 else expr("{} * {}", term, literal(amount)))
    if positive and not negative and constant >= 0:
        return _sum(positive, []), constant
    if constant % (1 << shift):
        return whole, 0
    if constant:
        (positive if constant > 0 else negative).append(literal(abs(constant) >> shift))
    return _sum(positive or [literal(0)], negative), 0


def _sum(positive: list[Expression], negative: list[Expression]) -> Expression:
    """Some terms added, others subtracted."""
    if len(positive) == 2 and not negative:
        return Operation(ADD, *positive)
    terms = [*positive, *negative]
    return terms[0] if len(terms) == 1 else Operation(
        " - ".join([" + ".join(["{}"] * len(positive)), *["{}"] * len(negative)]), *terms)  # fmt: skip


def _was_address(t: Translator, arg: MemArg, width: int, offset: int, address: Value) -> None:
    """What is known about an address that has been used."""
    if not address.parts:
        return
    size = SMALL["i32"] if t.speculation.is_fast else MAX_BYTES[_address_bits(t, arg)]
    limit = size - offset - width
    for index in address.parts:
        low, high, alignment = t.facts.get(index, (0, 1 << 64, 0))
        if limit < high and limit >= low:
            t.facts[index] = (low, limit, alignment)


def _address_bits(t: Translator, arg: MemArg) -> int:
    return t.instance.memories[arg.memory].type.address.bits


# ---- loads and stores ------------------------------------------------------------------------------------------------


def load(t: Translator, pc: int, instr: Instr) -> None:
    """A number from memory."""
    form, arg = instr.form, instr.args[0]
    type, width = form.mnemonic[:3], form.width
    address = canonical(t.operands, t.operands.pop(1)[0], _address_bits(t, arg))
    access = Access(t, width, arg, address)
    if type[0] == "f":
        found = Value(Located(pc, access.in_view(type)), type, 0, 0, address.locals, True)
        if type == "f32":
            found.bits = Located(pc, access.in_view("u32"))
        t.operands.push(found)
        return
    element = Located(pc, access.in_view(_INTEGER_VIEWS[width]))
    high = (1 << 8 * width) - 1
    if form.extends_sign:
        half, fill = 1 << (8 * width - 1), (1 << int(type[1:])) - 1 - high
        template = "({0} if ({0} := {1}) < {2} else {0} | {3})"
        extended = Operation(template, t.operands.fresh(), element, hexadecimal(half), hexadecimal(fill))
        t.operands.push(plain(extended, type, address.locals, True))
        return
    found = Value(element, type, 0, high, address.locals, True)
    if width == int(type[1:]) // 8:
        found.signed = Located(pc, access.in_view(f"i{8 * width}"))
    t.operands.push(found)


def store(t: Translator, pc: int, instr: Instr) -> None:
    """A number to memory."""
    operands, width, type, arg = t.operands, instr.form.width, instr.form.mnemonic[:3], instr.args[0]
    address, value = operands.pop(2)
    address = canonical(operands, address, _address_bits(t, arg))
    if address.ordered and value.ordered:  # Python evaluates what is stored first
        address = operands.stored(address)
    if type[0] == "f":
        _store_float(t, pc, width, arg, address, value)
        return
    mask = (1 << 8 * width) - 1
    if width == int(type[1:]) // 8:
        value = canonical(operands, value, 8 * width)
    stored = value.expression if value.within(0, mask) else expr("{} & {}", value, hexadecimal(mask))
    element = Access(t, width, arg, address).in_view(_INTEGER_VIEWS[width])
    operands.emit(Assign(Located(pc, element), stored), True)


def _store_float(t: Translator, pc: int, width: int, arg: MemArg, address: Value, value: Value) -> None:
    operands, type = t.operands, value.type
    if type == "f32" and not value.loose and not value.bits and not value.unrounded:
        operands.settle_ordered()
        address, value = operands.in_order([address, value])
        access = Access(t, width, arg, address)
        bits = call("bits32", [value.expression])
        t.emitter.add(If(
            Comparison(value.expression, "==", value.expression),
            [Assign(Located(pc, access.in_view(type)), value.expression)],
            [Assign(Located(pc, access.in_view("u32")), bits)],
        ))  # fmt: skip
        return
    if type == "f32" and value.bits and not value.loose:
        element, stored = Access(t, width, arg, address).in_view("u32"), value.bits
    else:
        stored = operands.with_nan(value).expression
        element = Access(t, width, arg, address).in_view(type)
    operands.emit(Assign(Located(pc, element), stored), True)


# ---- vectors: two halves of 64 bits ----------------------------------------------------------------------------------


def load_vector(t: Translator, pc: int, instr: Instr) -> None:
    arg: MemArg = instr.args[0]
    address = t.operands.atom(canonical(t.operands, t.operands.pop(1)[0], _address_bits(t, arg)))
    low, high = _halves(t, arg, address)
    t.operands.push(Value(Located(pc, expr("({} | {} << 64)", low, high)), "", 0, 0, address.locals, True))


def store_vector(t: Translator, pc: int, instr: Instr) -> None:
    arg: MemArg = instr.args[0]
    address, value = t.operands.pop(2)
    address, value = t.operands.in_order([canonical(t.operands, address, _address_bits(t, arg)), value])
    low, high = _halves(t, arg, address)
    lower = expr("{} & {}", value, hexadecimal((1 << 64) - 1))
    t.operands.emit(Assign(Located(pc, high), expr("{} >> 64", value)), True)  # what may be out of bounds goes first
    t.operands.emit(Assign(Located(pc, low), lower), True)


def _halves(t: Translator, arg: MemArg, address: Value) -> tuple[Expression, Expression]:
    low = Access(t, 8, arg, address).in_view("u64")
    return low, Access(t, 8, arg._replace(offset=arg.offset + 8), address).in_view("u64")


def load_splat(t: Translator, pc: int, instr: Instr) -> None:
    arg, width = instr.args[0], instr.form.width
    address = canonical(t.operands, t.operands.pop(1)[0], _address_bits(t, arg))
    element = Located(pc, Access(t, width, arg, address).in_view(_INTEGER_VIEWS[width]))
    lanes = expr("({} * {})", element, hexadecimal(repeat(8 * width, 1)))
    t.operands.push(Value(lanes, "", 0, 0, address.locals, True))


# ---- size, and many bytes at once ------------------------------------------------------------------------------------


def memory_size(t: Translator, pc: int, instr: Instr) -> None:
    type = t.instance.memories[instr.args[0]].type
    most = MAX_BYTES[type.address.bits] >> type.page_bits
    t.operands.push(Value(call(f"m{instr.args[0]}.size", []), type_name(type.address), 0, most, ordered=True))


def memory_grow(t: Translator, pc: int, instr: Instr) -> None:
    type = t.instance.memories[instr.args[0]].type.address
    (delta,) = t.operands.settled(t.operands.pop(1))
    grown = call(f"m{instr.args[0]}.grow", [delta.expression])
    t.effect(expr("({} & {})", grown, hexadecimal((1 << type.bits) - 1)), [type_name(type)])


def memory_copy(t: Translator, pc: int, instr: Instr) -> None:
    target, source = instr.args
    _bulk(t, pc, "memory_copy", [Literal(f"m{target}"), Literal(f"m{source}")])


def memory_fill(t: Translator, pc: int, instr: Instr) -> None:
    _bulk(t, pc, "memory_fill", [Literal(f"m{instr.args[0]}")])


def _bulk(t: Translator, pc: int, function: str, memories: list[Expression]) -> None:
    args = t.operands.settled(t.operands.pop(3))
    t.operands.emit_effect(Located(pc, call(function, [*memories, *(argument.expression for argument in args)])))
