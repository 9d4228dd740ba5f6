"""Types (specification 5.3), both directions. Encoders take what decoders return."""

from __future__ import annotations

from refwasm.binary.values import Reader, encode_signed, encode_unsigned, encode_vector
from refwasm.syntax.types import (
    EMPTY_BLOCK,
    HEAP_TYPES,
    I32,
    I64,
    NUM_TYPES,
    PACKED_TYPES,
    PAGE_BITS,
    ArrayType,
    BlockType,
    CompositeType,
    ContType,
    Exact,
    ExternType,
    FieldType,
    FuncType,
    FuncUse,
    GlobalType,
    HeapType,
    Limits,
    MemType,
    NumType,
    PackedType,
    RecType,
    RefType,
    StorageType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
)

NUM_BY_CODE = {t.code: t for t in NUM_TYPES.values()}
PACKED_BY_CODE = {t.code: t for t in PACKED_TYPES.values()}
HEAP_BY_CODE = {code: name for name, code in HEAP_TYPES.items()}
NULLABLE_BY_CODE = {code: RefType(True, name) for name, code in HEAP_TYPES.items()}

DESCRIBES, DESCRIPTOR, REC, SUB_FINAL, SUB = 0x4C, 0x4D, 0x4E, 0x4F, 0x50
CONT, ARRAY, STRUCT, FUNC = 0x5D, 0x5E, 0x5F, 0x60
EXACT, REF_NULL, REF = 0x62, 0x63, 0x64
EMPTY = 0x40
TABLE_WITH_INIT = 0x40
#: The kind of an import that must be a function of exactly that type.
EXACT_FUNC = 0x20


def heap_type(r: Reader) -> HeapType:
    """An abstract heap type, a type index or an exact one (5.3.4)."""
    start = r.pos
    if start < r.end and r.data[start] == EXACT:
        r.byte()
        index = r.signed(33)
        if index < 0:
            r.fail("malformed storage type: only a type index can be exact", start)
        return Exact(index)
    value = r.signed(33)
    if value >= 0:
        return value
    if r.pos != start + 1 or (name := HEAP_BY_CODE.get(value & 0x7F)) is None:
        r.fail("malformed heap type", start)
    return name


def ref_type(r: Reader) -> RefType:
    """A reference type (5.3.5)."""
    start = r.pos
    code = r.byte()
    if code in NULLABLE_BY_CODE:
        return NULLABLE_BY_CODE[code]
    if code in (REF_NULL, REF):
        return RefType(code == REF_NULL, heap_type(r))
    r.fail("malformed reference type", start)


def val_type(r: Reader) -> ValType:
    """A value type (5.3.6)."""
    start = r.pos
    code = r.byte()
    if code in NUM_BY_CODE:
        return NUM_BY_CODE[code]
    if code in NULLABLE_BY_CODE or code in (REF_NULL, REF):
        r.pos = start
        return ref_type(r)
    r.fail("malformed storage type" if code == EXACT else "malformed value type", start)


def storage_type(r: Reader) -> StorageType:
    """A value type or a packed type (5.3.8)."""
    if r.pos < r.end and r.data[r.pos] in PACKED_BY_CODE:
        return PACKED_BY_CODE[r.byte()]
    return val_type(r)


def mutability(r: Reader) -> bool:
    """0 for const, 1 for var."""
    start = r.pos
    flag = r.byte()
    if flag > 1:
        r.fail("malformed mutability", start)
    return flag == 1


def field_type(r: Reader) -> FieldType:
    """A storage type with its mutability."""
    storage = storage_type(r)
    return FieldType(storage, mutability(r))


def composite_type(r: Reader) -> CompositeType:
    """A function, struct or array type (5.3.8)."""
    start = r.pos
    code = r.byte()
    if code == FUNC:
        params = r.vector(lambda: val_type(r))
        return FuncType(params, r.vector(lambda: val_type(r)))
    if code == STRUCT:
        return StructType(r.vector(lambda: field_type(r)))
    if code == ARRAY:
        return ArrayType(field_type(r))
    if code == CONT:
        return ContType(heap_type(r))
    r.fail("integer representation too long" if code & 0x80 else "malformed definition type", start)


def sub_type(r: Reader) -> SubType:
    """A sub type (5.3.9); a bare composite type is final and has no supertypes."""
    final = True
    supertypes: tuple[int, ...] = ()
    if r.pos < r.end and r.data[r.pos] in (SUB, SUB_FINAL):
        final = r.byte() == SUB_FINAL
        supertypes = r.vector(r.u32)
    describes, descriptor = _clause(r, DESCRIBES), _clause(r, DESCRIPTOR)
    return SubType(final, supertypes, composite_type(r), describes, descriptor)


def _clause(r: Reader, code: int) -> int | None:
    """The type index behind a byte that may be absent."""
    if r.pos == r.end or r.data[r.pos] != code:
        return None
    r.byte()
    return r.u32()


def rec_type(r: Reader) -> RecType:
    """A recursive type (5.3.9); a bare sub type is a group of its own."""
    if r.pos < r.end and r.data[r.pos] == REC:
        r.byte()
        return RecType(r.vector(lambda: sub_type(r)))
    return RecType((sub_type(r),))


def limits(r: Reader, flags_allowed: int) -> tuple[NumType, Limits, int]:
    """Address type, limits, flags (5.3.10): bits 0 maximum, 1 shared, 2 64-bit addresses, 3 page size."""
    start = r.pos
    flags = r.byte()
    if flags & ~flags_allowed or (flags & 8 and r.pos == r.end):  # 3.0 knows no bit 3, and its tests end there
        r.fail("malformed limits flags", start)
    address = I64 if flags & 4 else I32
    minimum = r.unsigned(64)
    maximum = r.unsigned(64) if flags & 1 else None
    return address, Limits(minimum, maximum), flags


def mem_type(r: Reader) -> MemType:
    """A memory type (5.3.11)."""
    address, size, flags = limits(r, 0b1111)
    page_bits = PAGE_BITS
    if flags & 8:
        start, page_bits = r.pos, r.u32()
        if page_bits >= 64:
            r.fail("invalid custom page size", start)
    return MemType(address, size, bool(flags & 2), page_bits)


def table_type(r: Reader) -> TableType:
    """A table type (5.3.12)."""
    element = ref_type(r)
    address, size, _ = limits(r, 0b101)
    return TableType(address, size, element)


def global_type(r: Reader) -> GlobalType:
    """A global type (5.3.13)."""
    value = val_type(r)
    return GlobalType(value, mutability(r))


def tag_type(r: Reader) -> TagType:
    """A tag type (5.3.14); its attribute byte is 0."""
    if r.byte() != 0:
        r.fail("malformed attribute", r.pos - 1)
    return TagType(r.u32())


def extern_type(r: Reader) -> ExternType:
    """An external type (5.3.15)."""
    start = r.pos
    kind = r.byte()
    if kind in (0, EXACT_FUNC):
        return FuncUse(r.u32(), kind == EXACT_FUNC)
    if kind == 1:
        return table_type(r)
    if kind == 2:
        return mem_type(r)
    if kind == 3:
        return global_type(r)
    if kind == 4:
        return tag_type(r)
    r.fail("malformed import kind", start)


def block_type(r: Reader) -> BlockType:
    """A block type (5.4.1)."""
    start = r.pos
    if start >= r.end:
        r.fail("unexpected end of section or function")
    code = r.data[start]
    if code == EMPTY:
        r.pos += 1
        return EMPTY_BLOCK
    if code in NUM_BY_CODE or code in NULLABLE_BY_CODE or code in (REF_NULL, REF):
        return BlockType(None, val_type(r))
    index = r.signed(33)
    if index < 0:
        r.fail("malformed block type", start)
    return BlockType(index)


# ---- encoding -------------------------------------------------------------------------------------------------------


def encode_heap_type(heap: HeapType) -> bytes:
    """An abstract heap type, a type index or an exact one."""
    if isinstance(heap, Exact):
        return bytes([EXACT]) + encode_heap_type(heap.type)
    if isinstance(heap, str):
        return bytes([HEAP_TYPES[heap]])
    assert isinstance(heap, int), "syntax holds type indices, closed types belong to validation"
    return encode_signed(heap)


def encode_val_type(t: StorageType) -> bytes:
    """A value or packed type; references to nullable abstract types in their one-byte form."""
    if isinstance(t, (NumType, PackedType)):
        return bytes([t.code])
    if t.nullable and isinstance(t.heap, str):
        return encode_heap_type(t.heap)
    return bytes([REF_NULL if t.nullable else REF]) + encode_heap_type(t.heap)


def encode_field_type(field: FieldType) -> bytes:
    """A storage type with its mutability."""
    return encode_val_type(field.storage) + bytes([field.mutable])


def encode_composite_type(t: CompositeType) -> bytes:
    """A function, struct or array type."""
    if isinstance(t, FuncType):
        params = encode_vector([encode_val_type(p) for p in t.params])
        return bytes([FUNC]) + params + encode_vector([encode_val_type(p) for p in t.results])
    if isinstance(t, StructType):
        return bytes([STRUCT]) + encode_vector([encode_field_type(f) for f in t.fields])
    if isinstance(t, ContType):
        return bytes([CONT]) + encode_heap_type(t.func)
    return bytes([ARRAY]) + encode_field_type(t.field)


def encode_sub_type(t: SubType) -> bytes:
    """A sub type, in its short form where it has one."""
    out = b""
    if t.supertypes or not t.final:
        out = bytes([SUB_FINAL if t.final else SUB]) + encode_vector([encode_heap_type(s) for s in t.supertypes])
    for code, clause in ((DESCRIBES, t.describes), (DESCRIPTOR, t.descriptor)):
        if clause is not None:
            out += bytes([code]) + encode_heap_type_index(clause)
    return out + encode_composite_type(t.composite)


def encode_rec_type(t: RecType) -> bytes:
    """A recursive type, in its short form where it has one."""
    if len(t.subtypes) == 1:
        return encode_sub_type(t.subtypes[0])
    return bytes([REC]) + encode_vector([encode_sub_type(s) for s in t.subtypes])


def encode_limits(address: NumType, size: Limits, more: int = 0) -> bytes:
    """Limits with their flags, and more of these."""
    flags = (size.maximum is not None) | (address is I64) << 2 | more
    out = bytes([flags]) + encode_unsigned(size.minimum)
    return out if size.maximum is None else out + encode_unsigned(size.maximum)


def encode_extern_type(t: ExternType) -> bytes:
    """An external type without its kind byte (which imports write, and sections don't need)."""
    if isinstance(t, FuncUse):
        return encode_heap_type_index(t.type)
    if isinstance(t, TableType):
        return encode_val_type(t.element) + encode_limits(t.address, t.limits)
    if isinstance(t, MemType):
        if t.page_bits == PAGE_BITS:
            return encode_limits(t.address, t.limits, t.shared << 1)
        return encode_limits(t.address, t.limits, t.shared << 1 | 8) + encode_unsigned(t.page_bits)
    if isinstance(t, GlobalType):
        return encode_val_type(t.value) + bytes([t.mutable])
    return b"\0" + encode_heap_type_index(t.type)


def encode_heap_type_index(heap: HeapType) -> bytes:
    """A type index as u32."""
    assert isinstance(heap, int), "syntax holds type indices, closed types belong to validation"
    return encode_unsigned(heap)


def encode_block_type(t: BlockType) -> bytes:
    """A block type."""
    if t.index is not None:
        return encode_signed(t.index)
    return bytes([EMPTY]) if t.result is None else encode_val_type(t.result)
