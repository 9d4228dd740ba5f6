"""Structures and arrays (specification 4.6.6). Packed fields hold their low bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.errors import ResourceLimit, Trap
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.values import ArrayInst, StructInst, default
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import ArrayType, FieldType, PackedType, RefType, StorageType, StructType

NULL_STRUCT = "null structure reference"
NULL_ARRAY = "null array reference"
OUT_OF_ARRAY = "out of bounds array access"
#: Longer arrays are refused: an element takes 8 bytes here.
MAX_ARRAY = 100_000_000


def _mask(t: StorageType) -> int | None:
    return (1 << t.bits) - 1 if isinstance(t, PackedType) else None


def _unpack(instr: Instr, t: StorageType) -> Callable[[Any], Any] | None:
    """How a get instruction extends a packed field; None if it does not."""
    if not isinstance(t, PackedType) or not instr.form.extends_sign:
        return None
    sign = 1 << (t.bits - 1)
    return lambda value: (value ^ sign) - sign & 0xFFFFFFFF


def _struct_type(code: Code, index: int) -> StructType:
    composite = code.instance.types[index].composite
    assert isinstance(composite, StructType)
    return composite


def _element(code: Code, index: int) -> FieldType:
    composite = code.instance.types[index].composite
    assert isinstance(composite, ArrayType)
    return composite.field


def _check_length(count: int) -> None:
    if count > MAX_ARRAY:
        raise ResourceLimit(f"array of {count} elements: at most {MAX_ARRAY} are supported")


@meaning("struct.new")
def struct_new(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    """Rule Step_read/struct.new."""
    deftype = code.instance.types[instr.args[0]]
    masks = [_mask(f.storage) for f in _struct_type(code, instr.args[0]).fields]
    count, packs = len(masks), any(m is not None for m in masks)

    def op(t: Any, s: list[Any]) -> Any:
        first = len(s) - count
        fields = s[first:]
        del s[first:]
        if packs:
            fields = [value if m is None else value & m for value, m in zip(fields, masks)]
        s.append(StructInst(deftype, fields))
        return following

    return op


@meaning("struct.new_default")
def struct_new_default(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    """Rule Step_read/struct.new_default."""
    deftype = code.instance.types[instr.args[0]]
    fields = [default(f.storage) for f in _struct_type(code, instr.args[0]).fields]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(StructInst(deftype, fields[:]))
        return following

    return op


@meaning("struct.get", "struct.get_s", "struct.get_u")
def _struct_get(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index, field = instr.args
    unpack = _unpack(instr, _struct_type(code, index).fields[field].storage)

    def op(t: Any, s: list[Any]) -> Any:
        struct = s[-1]
        if struct is None:
            raise Trap(NULL_STRUCT)
        value = struct.fields[field]
        s[-1] = value if unpack is None else unpack(value)
        return following

    return op


@meaning("struct.set")
def _struct_set(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index, field = instr.args
    mask = _mask(_struct_type(code, index).fields[field].storage)

    def op(t: Any, s: list[Any]) -> Any:
        value, struct = s.pop(), s.pop()
        if struct is None:
            raise Trap(NULL_STRUCT)
        struct.fields[field] = value if mask is None else value & mask
        return following

    return op


@meaning("array.new")
def _array_new(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    deftype, mask = code.instance.types[instr.args[0]], _mask(_element(code, instr.args[0]).storage)

    def op(t: Any, s: list[Any]) -> Any:
        count = s.pop()
        _check_length(count)
        t.work(count)
        value = s[-1]
        s[-1] = ArrayInst(deftype, [value if mask is None else value & mask] * count)
        return following

    return op


@meaning("array.new_default")
def _array_new_default(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    deftype, value = code.instance.types[instr.args[0]], default(_element(code, instr.args[0]).storage)

    def op(t: Any, s: list[Any]) -> Any:
        _check_length(s[-1])
        t.work(s[-1])
        s[-1] = ArrayInst(deftype, [value] * s[-1])
        return following

    return op


@meaning("array.new_fixed")
def _array_new_fixed(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index, count = instr.args
    deftype, mask = code.instance.types[index], _mask(_element(code, index).storage)

    def op(t: Any, s: list[Any]) -> Any:
        first = len(s) - count
        elements = s[first:]
        del s[first:]
        s.append(ArrayInst(deftype, elements if mask is None else [value & mask for value in elements]))
        return following

    return op


def _data_reader(t: StorageType) -> Callable[[bytes, int, int], list[int]]:
    """Reads ``count`` elements of a numeric type from a data segment at an offset; traps out of bounds."""
    assert not isinstance(t, RefType), "validation has seen to it"
    width = t.bits // 8

    def read(content: bytes, offset: int, count: int) -> list[int]:
        if offset + count * width > len(content):
            raise Trap("out of bounds memory access")
        starts = range(offset, offset + count * width, width)
        return [int.from_bytes(content[at : at + width], "little") for at in starts]

    return read


@meaning("array.new_data")
def _array_new_data(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index, data_index = instr.args
    deftype, data = code.instance.types[index], code.instance.datas[data_index]
    read = _data_reader(_element(code, index).storage)

    def op(t: Any, s: list[Any]) -> Any:
        count = s.pop()
        elements = read(data.content, s[-1], count)
        t.work(count)
        s[-1] = ArrayInst(deftype, elements)
        return following

    return op


def _elements_of(elements: list[Any], offset: int, count: int) -> list[Any]:
    if offset + count > len(elements):
        raise Trap("out of bounds table access")
    return elements[offset : offset + count]


@meaning("array.new_elem")
def _array_new_elem(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    deftype, elem = code.instance.types[instr.args[0]], code.instance.elems[instr.args[1]]

    def op(t: Any, s: list[Any]) -> Any:
        count = s.pop()
        elements = _elements_of(elem.elements, s[-1], count)
        t.work(count)
        s[-1] = ArrayInst(deftype, elements)
        return following

    return op


def _elements(array: ArrayInst | None) -> list[Any]:
    if array is None:
        raise Trap(NULL_ARRAY)
    return array.elements


def _bounds(elements: list[Any], index: int, count: int) -> None:
    if index + count > len(elements):
        raise Trap(OUT_OF_ARRAY)


@meaning("array.get", "array.get_s", "array.get_u")
def _array_get(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    unpack = _unpack(instr, _element(code, instr.args[0]).storage)

    def op(t: Any, s: list[Any]) -> Any:
        index = s.pop()
        elements = _elements(s[-1])
        _bounds(elements, index, 1)
        value = elements[index]
        s[-1] = value if unpack is None else unpack(value)
        return following

    return op


@meaning("array.set")
def _array_set(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    mask = _mask(_element(code, instr.args[0]).storage)

    def op(t: Any, s: list[Any]) -> Any:
        value, index, array = s.pop(), s.pop(), s.pop()
        elements = _elements(array)
        _bounds(elements, index, 1)
        elements[index] = value if mask is None else value & mask
        return following

    return op


@meaning("array.len")
def _array_len(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        s[-1] = len(_elements(s[-1]))
        return following

    return op


@meaning("array.fill")
def _array_fill(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    mask = _mask(_element(code, instr.args[0]).storage)

    def op(t: Any, s: list[Any]) -> Any:
        count, value, index, array = s.pop(), s.pop(), s.pop(), s.pop()
        elements = _elements(array)
        _bounds(elements, index, count)
        t.work(count)
        elements[index : index + count] = [value if mask is None else value & mask] * count
        return following

    return op


@meaning("array.copy")
def _array_copy(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        count, source_index, source, index, target = s.pop(), s.pop(), s.pop(), s.pop(), s.pop()
        into, origin = _elements(target), _elements(source)
        _bounds(into, index, count)
        _bounds(origin, source_index, count)
        t.work(count)
        into[index : index + count] = origin[source_index : source_index + count]
        return following

    return op


@meaning("array.init_data")
def _array_init_data(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    data, read = code.instance.datas[instr.args[1]], _data_reader(_element(code, instr.args[0]).storage)

    def op(t: Any, s: list[Any]) -> Any:
        count, offset, index, array = s.pop(), s.pop(), s.pop(), s.pop()
        elements = _elements(array)
        _bounds(elements, index, count)
        new = read(data.content, offset, count)
        t.work(count)
        elements[index : index + count] = new
        return following

    return op


@meaning("array.init_elem")
def _array_init_elem(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    elem = code.instance.elems[instr.args[1]]

    def op(t: Any, s: list[Any]) -> Any:
        count, offset, index, array = s.pop(), s.pop(), s.pop(), s.pop()
        elements = _elements(array)
        _bounds(elements, index, count)
        new = _elements_of(elem.elements, offset, count)
        t.work(count)
        elements[index : index + count] = new
        return following

    return op
