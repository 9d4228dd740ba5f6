"""Operands on which it depends whether an instruction traps: mostly such that it does not, else near the border."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from refwasm.execution.numerics.edges import EDGES
from refwasm.strategies.configuration import TRAPS
from refwasm.strategies.leaves import constant, edges_of
from refwasm.strategies.parts import part
from refwasm.strategies.provision import provide_memory
from refwasm.strategies.scope import Candidate, Scope
from refwasm.strategies.tables import ROLES, WAITS
from refwasm.syntax.instructions import PLAIN, Form, Instr, MemArg, instr
from refwasm.syntax.types import I32, ArrayType, NumType, RefType, ValType

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

#: Arrays have so many elements at least, where instructions must not trap.
FLOOR = 4
#: Addresses that are certain to be within a page, whatever the offset; offsets are below the rest.
WITHIN, OFFSETS = 0x7FFF, (0, 1, 4, 16, 0x100, 0x3FF0)
#: Bytes of one bulk instruction.
LENGTH = 0x1F


def risks(body: Body) -> bool:
    """Whether the operands of an instruction are left to chance, so that it may trap."""
    often = TRAPS[body.config.traps]
    return often > 0 and body.drawing.rarely(often)


def is_safe(body: Body, candidate: Candidate) -> bool:
    """Whether operands exist with which an instruction can't trap."""
    (form, args), params, _ = candidate
    instruction, name, scope = candidate[0], form.mnemonic, body.scope
    if not all(is_inhabited(scope, t) for t in params):
        return False
    if name in ("memory.fill", "memory.copy", "memory.init"):
        return min(scope.context.memories[i].limits.minimum for i in _places(instruction)) > 0
    if name in ("table.get", "table.set", "table.fill", "table.copy", "table.init"):
        return min(scope.context.tables[i].limits.minimum for i in _places(instruction)) > 0
    if name in ("ref.cast", "ref.cast null"):
        return bool(instruction.form.is_nullable or scope.constructible(scope.context.space.heap(args[0])))
    if name == "array.len":
        return scope.constructible("array")
    if name == "data.drop":
        return bool(scope.datas[args[0]].mode == "active")
    if name == "elem.drop":
        return bool(scope.elems[args[0]].mode != "passive")
    if name in ("array.new_data", "array.new_elem"):
        return _available(body, instruction) >= FLOOR
    return True


def first_suitable(body: Body, known: Iterable[list[Candidate]], safe: bool) -> Candidate | None:
    """A candidate of the first instruction that has any; if it is to be ``safe``, any that can't trap."""
    for of_form in known:
        found = [candidate for candidate in of_form if not safe or is_safe(body, candidate)]
        if found:
            return body.drawing.choose(found)
    return None


def is_inhabited(scope: Scope, t: ValType) -> bool:
    """Whether there is an expression of a type that does not trap."""
    return isinstance(t, NumType) or t.nullable or scope.constructible(t.heap) or bool(scope.constants(t))


def _places(instruction: Instr) -> tuple[int, ...]:
    """The memories or tables that an instruction works on."""
    return instruction.args if instruction.form.mnemonic in ("memory.copy", "table.copy") else instruction.args[-1:]


def _available(body: Body, instruction: Instr) -> int:
    """Elements that a segment has for an instruction; none if it is dropped when the module is instantiated."""
    name, args, scope = instruction.form.mnemonic, instruction.args, body.scope
    if name == "memory.init":
        return _bytes(body, args[0])
    if name in ("array.new_data", "array.init_data"):
        composite = scope.context.space.types[args[0]].composite
        assert isinstance(composite, ArrayType) and not isinstance(composite.field.storage, RefType)
        return _bytes(body, args[1]) // (composite.field.storage.bits // 8)
    elem = scope.elems[args[0 if name == "table.init" else 1]]
    return len(elem.inits) if elem.mode == "passive" else 0


def _bytes(body: Body, data: int) -> int:
    segment = body.scope.datas[data]
    return len(segment.init) if segment.mode == "passive" else 0


def special(body: Body, form: Form) -> None:
    """Emit constants that implementations treat specially, as the operands of an instruction. The second one has often
    to do with the first: it is the same, or the one with the other sign."""
    first, types = 0, form.params or []
    for number, t in enumerate(types):
        assert isinstance(t, NumType)
        edges = edges_of(t, form.mnemonic)
        k = body.drawing.below(4) if number and t is types[0] else 0
        bits = body.drawing.pick(edges) if k < 2 else first if k == 2 else first ^ 1 << t.bits - 1
        body.emit(constant(t, bits))
        first = first if number else bits


def dangerous(body: Body, instruction: Instr, role: str, t: ValType) -> None:
    """Emit an operand of type ``t`` that has a role and may make the instruction trap."""
    if role == "truncated":
        assert isinstance(t, NumType)
        body.emit(constant(t, body.drawing.pick(EDGES[t.name])))
    elif role == "dividend":
        assert isinstance(t, NumType)
        body.emit(constant(t, 1 << t.bits - 1))
    elif role in ("", "object", "cast", "growth", "stored"):
        body.expression(t)
    else:
        assert isinstance(t, NumType)
        bound, k = _bound(body, instruction, role), body.drawing.below(5)
        if k == 4:
            body.expression(t)
        else:
            body.emit(constant(t, (bound, bound + 1, bound - 1, -1)[k] & (1 << t.bits) - 1))


def _bound(body: Body, instruction: Instr, role: str) -> int:
    """The least number that an operand must not be, or that it must not be with the greatest of others."""
    if role in ("divisor", "signed divisor"):
        return 0
    if role in ("address", "length"):
        return min(body.scope.context.memories[i].limits.minimum for i in _places(instruction)) << 16
    if role == "position":
        return FLOOR
    if role == "size" and instruction.form.immediates == ("type",):
        return 0
    if {"data", "elem"} & set(instruction.form.immediates):
        return _available(body, instruction)
    return _most(body, instruction, role) + 1


def operand(body: Body, instruction: Instr, role: str, t: ValType, result: ValType | None) -> None:
    """Emit an operand of type ``t`` that has a role; ``result`` is what the instruction leaves."""
    if role == "object" and isinstance(t, RefType):
        strict = RefType(False, t.heap)
        body.expression(strict if body.scope.constructible(t.heap) else t)
    elif role == "cast":
        assert result is not None
        body.expression(result)
    elif role == "stored" and isinstance(t, NumType) and body.drawing.below(2):
        body.emit(constant(t, body.drawing.pick(EDGES[t.name])))
    elif role in ("dividend", "stored"):
        body.expression(t)
    elif role == "truncated":
        assert isinstance(t, NumType)
        _truncated(body, t)
    else:
        assert isinstance(t, NumType)
        _index(body, instruction, role, t)


def _index(body: Body, instruction: Instr, role: str, t: NumType) -> None:
    """An operand that is a number."""
    if role in ("divisor", "signed divisor"):
        _divisor(body, t, role == "signed divisor")
    elif role == "address":
        masked(body, t, WITHIN)
    elif role in ("growth", "length"):
        masked(body, t, 1 if role == "growth" else LENGTH)
    elif role == "position":
        masked(body, t, FLOOR - 1)
    elif role == "size":
        most = 4 if instruction.form.immediates == ("type",) else _available(body, instruction) - FLOOR - 1
        body.emit(constant(t, FLOOR + body.drawing.below(max(most, 0) + 1)))
    elif role == "start":
        body.emit(constant(t, body.drawing.between(0, _start(body, instruction))))
    elif role == "few":
        most = max(_most(body, instruction, role), 0)
        body.emit(constant(t, body.drawing.pick((0, most, min(most, 1), most // 2))))
    else:
        body.emit(constant(t, body.drawing.below(_most(body, instruction, role) + 1)))


def _truncated(body: Body, t: NumType) -> None:
    """A float that every integer type has room for."""
    if not body.drawing.below(4):
        body.emit(constant(t, body.drawing.pick(_ROUNDED[t.name])))
        return
    body.expression(I32)
    part(body, "i32.and", f"{t.name}.convert_i32_u")
    body.emit(constant(I32, 0x7FFF), PLAIN["i32.and"], PLAIN[f"{t.name}.convert_i32_u"])


#: The bits of floats: 0, 0.5, 1, 1.5, 2, 100.25, 2**30 and -0.
_ROUNDED = {
    "f32": (0, 0x3F000000, 0x3F800000, 0x3FC00000, 0x40000000, 0x42C88000, 0x4E800000, 0x80000000),
    "f64": (0, 0x3FE << 52, 0x3FF << 52, 0x3FF8 << 48, 0x4 << 60, 0x40591 << 44, 0x41D << 52, 1 << 63),
}


def _divisor(body: Body, t: NumType, may_overflow: bool) -> None:
    """An operand that is not zero, nor, where the quotient may overflow, -1."""
    k = body.drawing.below(4)
    if k == 0:
        edges = [edge for edge in EDGES[t.name] if 0 < edge < (1 << t.bits) - 1]
        body.emit(constant(t, body.drawing.pick(edges)))
        return
    body.expression(t)
    part(body, f"{t.name}.or")
    if k < 3 or may_overflow:
        part(body, f"{t.name}.and")
        body.emit(constant(t, 0x7F), PLAIN[f"{t.name}.and"])
    body.emit(constant(t, 1), PLAIN[f"{t.name}.or"])


def _most(body: Body, instruction: Instr, role: str) -> int:
    """The greatest element ("element") or number of elements ("few")."""
    name, immediates = instruction.form.mnemonic, instruction.form.immediates
    if "table" not in immediates:
        fixed = LENGTH if "memory" in immediates else FLOOR - 1
        return min(fixed, _available(body, instruction) - 1) if {"data", "elem"} & set(immediates) else fixed
    least = min(body.scope.context.tables[i].limits.minimum for i in _places(instruction))
    if role == "element":
        return least - 1 if name in ("table.get", "table.set") else least // 2
    few = least - least // 2
    return min(few, _available(body, instruction) - 1) if name == "table.init" else few


def _start(body: Body, instruction: Instr) -> int:
    """The greatest place in a segment or an array where something begins, with which any number of elements is left."""
    if not {"data", "elem"} & set(instruction.form.immediates):
        return 1
    least = FLOOR if "size" in ROLES[instruction.form.mnemonic] else 0
    return min(1, max(_available(body, instruction) - least, 0))


def masked(body: Body, t: NumType, mask: int) -> None:
    """A small constant, or any number within a mask."""
    k = body.drawing.below(12)
    if k < 8:
        body.emit(constant(t, 8 * k & mask if mask > 8 else k & mask))
        return
    body.expression(t)
    part(body, f"{t.name}.and")
    body.emit(constant(t, mask), PLAIN[f"{t.name}.and"])


#: What addresses that follow a counter begin with, and what the counter is multiplied by.
_BASES, _SCALES = (0, 4, 64, 1000, 1002), (1, 2, 4, 8, 3)


def followed(body: Body, t: NumType) -> bool:
    """An address that follows the innermost counter of its type; False: there is none."""
    found = [counter for counter, type in body.counters if type is t]
    if not found:
        return False
    drawing, get = body.drawing, instr("local.get", found[-1])
    form = drawing.below(3)
    if form == 0:
        body.emit(get)
        return True
    if form == 2:
        body.emit(constant(t, drawing.pick(_BASES)))
    scale = drawing.pick(_SCALES)
    shift = scale.bit_length() - 1
    if scale == 1 << shift and drawing.below(2):
        part(body, f"{t.name}.shl")
        body.emit(get, constant(t, shift), PLAIN[f"{t.name}.shl"])
    else:
        part(body, f"{t.name}.mul")
        body.emit(get, constant(t, scale), PLAIN[f"{t.name}.mul"])
    if form == 2:
        part(body, f"{t.name}.add")
        body.emit(PLAIN[f"{t.name}.add"])
    return True


def access(body: Body, form: Form, safe: bool) -> MemArg | None:
    """The memory argument of an access, whose address is emitted; None: there is no memory for it."""
    waits = form.mnemonic in WAITS
    memories = body.scope.context.memories
    usable = [i for i, m in enumerate(memories) if not safe or (m.limits.minimum and (m.shared or not waits))]
    if not usable and (memories or not body.config.limits.memories):
        return None
    if not usable:  # the module has a memory if an access wants one
        provide_memory(body.scope, waits)
        usable = [0]
    index = body.drawing.pick(usable)
    address, natural = memories[index].address, form.width.bit_length() - 1
    is_atomic = form.feature == "threads"
    align = natural if is_atomic else natural - body.drawing.below(natural + 1)
    if not safe:
        body.expression(address)
        return MemArg(index, align, body.drawing.pick((*OFFSETS, 0xFFFF, 0xFFFFFFFF)))
    offset, grain = body.drawing.pick(OFFSETS), -form.width if is_atomic else -1
    if is_atomic or not body.drawing.below(2) or not followed(body, address):
        masked(body, address, WITHIN & grain)
    return MemArg(index, align, offset & grain)
