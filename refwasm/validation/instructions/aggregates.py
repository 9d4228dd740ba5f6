"""Typing rules of structures and arrays (specification 3.4.7)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    I32,
    ArrayType,
    DefType,
    Exact,
    FieldType,
    PackedType,
    RefType,
    StorageType,
    StructType,
    ValType,
)
from refwasm.validation.context import Context
from refwasm.validation.instructions.rule import InstrType, rule, typed
from refwasm.validation.matching import (
    is_defaultable,
    match_ref_type,
    match_storage_type,
    unpacked,
)
from refwasm.validation.stacks import Stacks


def _struct(c: Context, index: int) -> tuple[DefType, StructType]:
    deftype = c.space.use(index)
    if not isinstance(deftype.composite, StructType):
        raise Invalid(f"type mismatch: type {index} is not a structure type")
    return deftype, deftype.composite


def _array(c: Context, index: int) -> tuple[DefType, FieldType]:
    deftype = c.space.use(index)
    if not isinstance(deftype.composite, ArrayType):
        raise Invalid(f"type mismatch: type {index} is not an array type")
    return deftype, deftype.composite.field


def _struct_field(c: Context, i: Instr) -> tuple[DefType, FieldType]:
    deftype, struct = _struct(c, i.args[0])
    if i.args[1] >= len(struct.fields):
        raise Invalid(f"unknown field {i.args[1]}")
    return deftype, struct.fields[i.args[1]]


def _check_extension(i: Instr, storage: StorageType) -> None:
    extends = i.form.is_packed
    if extends != isinstance(storage, PackedType):
        raise Invalid(f"type mismatch: {i.form.mnemonic} on {'an unpacked' if extends else 'a packed'} type")


def _mutable(field: FieldType, what: str) -> None:
    if not field.mutable:
        raise Invalid(f"immutable {what}")


def _defaultable(storage: StorageType) -> None:
    if not is_defaultable(storage):
        raise Invalid(f"type mismatch: {storage!r} is not defaultable")


def _allocated(c: Context, i: Instr) -> tuple[DefType, StructType]:
    """The type to be made by an instruction, which must be one with a descriptor or without."""
    deftype, struct = _struct(c, i.args[0])
    described = i.form.takes_descriptor
    if deftype.sub.descriptor is not None and not described:
        raise Invalid(f"type with descriptor requires descriptor allocation: {i.form.mnemonic}_desc")
    if deftype.sub.descriptor is None and described:
        other = i.form.mnemonic.removesuffix("_desc")
        raise Invalid(f"type without descriptor requires non-descriptor allocation: {other}")
    return deftype, struct


def _descriptor(deftype: DefType) -> list[ValType]:
    """The last operand of an allocation, if the type has a descriptor."""
    descriptor = deftype.sub.descriptor
    return [RefType(True, Exact(descriptor))] if isinstance(descriptor, DefType) else []


@typed("struct.new", "struct.new_desc")
def _struct_new(c: Context, i: Instr) -> InstrType:
    deftype, struct = _allocated(c, i)
    return [unpacked(field.storage) for field in struct.fields] + _descriptor(deftype), [c.new(deftype)]


@typed("struct.new_default", "struct.new_default_desc")
def _struct_new_default(c: Context, i: Instr) -> InstrType:
    deftype, struct = _allocated(c, i)
    if deftype not in c.defaultable:
        for field in struct.fields:
            _defaultable(field.storage)
        c.defaultable.add(deftype)
    return _descriptor(deftype), [c.new(deftype)]


@typed("struct.get", "struct.get_s", "struct.get_u")
def _struct_get(c: Context, i: Instr) -> InstrType:
    deftype, field = _struct_field(c, i)
    _check_extension(i, field.storage)
    return [RefType(True, deftype)], [unpacked(field.storage)]


@typed("struct.set")
def _struct_set(c: Context, i: Instr) -> InstrType:
    deftype, field = _struct_field(c, i)
    _mutable(field, "field")
    return [RefType(True, deftype), unpacked(field.storage)], []


@typed("array.new")
def _array_new(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    return [unpacked(field.storage), I32], [c.new(deftype)]


@typed("array.new_default")
def _array_new_default(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _defaultable(field.storage)
    return [I32], [c.new(deftype)]


@rule("array.new_fixed")
def _array_new_fixed(v: Stacks, i: Instr) -> None:
    """The operands are popped one by one, so that a huge count costs nothing in reachable code."""
    deftype, field = _array(v.context, i.args[0])
    count = i.args[1]
    t = unpacked(field.storage)
    available = len(v.operands) - v.control.height
    if count > available and not v.control.unreachable:
        v.mismatch([t] * min(count, available + 1))
    for _ in range(min(count, available)):
        v.pop(t)
    v.push(v.context.new(deftype))


@typed("array.new_data")
def _array_new_data(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _numeric_elements(field)
    c.data(i.args[1])
    return [I32, I32], [c.new(deftype)]


def _numeric_elements(field: FieldType) -> None:
    if isinstance(field.storage, RefType):
        raise Invalid("array type is not numeric or vector")


def _elements_match(c: Context, field: FieldType, index: int) -> None:
    source = c.elem(index)
    if not isinstance(field.storage, RefType) or not match_ref_type(source, field.storage):
        raise Invalid(f"type mismatch: elements of type {source!r} in an array of {field.storage!r}")


@typed("array.new_elem")
def _array_new_elem(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _elements_match(c, field, i.args[1])
    return [I32, I32], [c.new(deftype)]


@typed("array.get", "array.get_s", "array.get_u")
def _array_get(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _check_extension(i, field.storage)
    return [RefType(True, deftype), I32], [unpacked(field.storage)]


@typed("array.set")
def _array_set(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _mutable(field, "array")
    return [RefType(True, deftype), I32, unpacked(field.storage)], []


@typed("array.len")
def _array_len(c: Context, i: Instr) -> InstrType:
    return [RefType(True, "array")], [I32]


@typed("array.fill")
def _array_fill(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _mutable(field, "array")
    return [RefType(True, deftype), I32, unpacked(field.storage), I32], []


@typed("array.copy")
def _array_copy(c: Context, i: Instr) -> InstrType:
    target, target_field = _array(c, i.args[0])
    source, source_field = _array(c, i.args[1])
    _mutable(target_field, "array")
    if not match_storage_type(source_field.storage, target_field.storage):
        raise Invalid("array types do not match")
    return [RefType(True, target), I32, RefType(True, source), I32, I32], []


@typed("array.init_data")
def _array_init_data(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _mutable(field, "array")
    _numeric_elements(field)
    c.data(i.args[1])
    return [RefType(True, deftype), I32, I32, I32], []


@typed("array.init_elem")
def _array_init_elem(c: Context, i: Instr) -> InstrType:
    deftype, field = _array(c, i.args[0])
    _mutable(field, "array")
    _elements_match(c, field, i.args[1])
    return [RefType(True, deftype), I32, I32, I32], []
