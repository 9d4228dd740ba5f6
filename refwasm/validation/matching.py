"""Matching (specification 3.3): ``match_x(a, b)`` tells whether a is a subtype of b. All types are closed."""

from __future__ import annotations

from refwasm.syntax.types import (
    BOT,
    I32,
    ArrayType,
    CompositeType,
    ContType,
    DefType,
    Exact,
    ExternType,
    FieldType,
    FuncType,
    FuncUse,
    GlobalType,
    HeapType,
    Limits,
    MemType,
    PackedType,
    RefType,
    StorageType,
    StructType,
    TableType,
    TagType,
    ValType,
)

#: Strict supertypes of the abstract heap types (3.3.3). "bot" is the bottom of validation, below everything.
ABSTRACT_SUPERS: dict[str, frozenset[str]] = {
    "none": frozenset({"i31", "struct", "array", "eq", "any"}),
    "i31": frozenset({"eq", "any"}),
    "struct": frozenset({"eq", "any"}),
    "array": frozenset({"eq", "any"}),
    "eq": frozenset({"any"}),
    "nofunc": frozenset({"func"}),
    "noextern": frozenset({"extern"}),
    "noexn": frozenset({"exn"}),
    "nocont": frozenset({"cont"}),
}
_COMPOSITE_HEAP: dict[type, str] = {FuncType: "func", StructType: "struct", ArrayType: "array", ContType: "cont"}
_TOPS = {"func": "func", "nofunc": "func", "extern": "extern", "noextern": "extern", "exn": "exn", "noexn": "exn",
         "cont": "cont", "nocont": "cont"}  # fmt: skip
_BOTTOMS = {FuncType: "nofunc", ContType: "nocont"}


def abstract_heap(heap: HeapType) -> str:
    """The least abstract heap type above (or equal to) a heap type."""
    if isinstance(heap, Exact):
        return abstract_heap(heap.type)
    if isinstance(heap, DefType):
        return _COMPOSITE_HEAP[type(heap.composite)]
    assert isinstance(heap, str)
    return heap


def top_of(heap: HeapType) -> str:
    """The top of the hierarchy that a heap type belongs to: "any", "func", "extern", "exn" or "cont"."""
    return _TOPS.get(abstract_heap(heap), "any")


def match_heap_type(a: HeapType, b: HeapType) -> bool:
    """Rule Heaptype_sub."""
    if a is b or a == b or a == "bot":
        return True
    if isinstance(a, Exact):
        return not isinstance(b, Exact) and match_heap_type(a.type, b)
    if isinstance(b, Exact):
        return isinstance(a, str) and match_heap_type(a, b.type)
    if isinstance(a, DefType):
        if isinstance(b, DefType):
            return b in a.supers
        abstract = _COMPOSITE_HEAP[type(a.composite)]
        return b == abstract or b in ABSTRACT_SUPERS.get(abstract, ())
    if isinstance(b, DefType):
        return a == _BOTTOMS.get(type(b.composite), "none")
    return isinstance(a, str) and b in ABSTRACT_SUPERS.get(a, ())


def match_ref_type(a: RefType, b: RefType) -> bool:
    """Rule Reftype_sub."""
    return (b.nullable or not a.nullable) and match_heap_type(a.heap, b.heap)


def match_val_type(a: ValType, b: ValType) -> bool:
    """Rule Valtype_sub."""
    if a is b or a is BOT:
        return True
    return isinstance(a, RefType) and isinstance(b, RefType) and match_ref_type(a, b)


def match_result_type(a: tuple[ValType, ...], b: tuple[ValType, ...]) -> bool:
    """Rule Resulttype_sub: pointwise."""
    return len(a) == len(b) and all(map(match_val_type, a, b))


def match_storage_type(a: StorageType, b: StorageType) -> bool:
    """Rule Storagetype_sub."""
    if isinstance(a, PackedType) or isinstance(b, PackedType):
        return a is b
    return match_val_type(a, b)


def match_field_type(a: FieldType, b: FieldType) -> bool:
    """Rule Fieldtype_sub: covariant if constant, invariant if mutable."""
    if a.mutable != b.mutable or not match_storage_type(a.storage, b.storage):
        return False
    return not a.mutable or match_storage_type(b.storage, a.storage)


def match_composite_type(a: CompositeType, b: CompositeType) -> bool:
    """Rule Comptype_sub."""
    if isinstance(a, FuncType) and isinstance(b, FuncType):
        return match_result_type(b.params, a.params) and match_result_type(a.results, b.results)
    if isinstance(a, StructType) and isinstance(b, StructType):
        return len(a.fields) >= len(b.fields) and all(map(match_field_type, a.fields, b.fields))
    if isinstance(a, ContType) and isinstance(b, ContType):
        return match_heap_type(a.func, b.func)
    return isinstance(a, ArrayType) and isinstance(b, ArrayType) and match_field_type(a.field, b.field)


def match_limits(a: Limits, b: Limits) -> bool:
    """Rule Limits_sub."""
    if a.minimum < b.minimum:
        return False
    return b.maximum is None or (a.maximum is not None and a.maximum <= b.maximum)


def match_extern_type(a: ExternType, b: ExternType) -> bool:
    """Rule Externtype_sub: may an ``a`` be imported where a ``b`` is asked for?"""
    if isinstance(a, FuncUse) and isinstance(b, FuncUse):
        return a.exact and a.type is b.type if b.exact else match_heap_type(a.type, b.type)
    if isinstance(a, TagType) and isinstance(b, TagType):
        return a.type is b.type
    if isinstance(a, GlobalType) and isinstance(b, GlobalType):
        if a.mutable != b.mutable or not match_val_type(a.value, b.value):
            return False
        return not a.mutable or match_val_type(b.value, a.value)
    if isinstance(a, MemType) and isinstance(b, MemType):
        same = a.address is b.address and a.shared == b.shared and a.page_bits == b.page_bits
        return same and match_limits(a.limits, b.limits)
    if isinstance(a, TableType) and isinstance(b, TableType):
        same_element = match_ref_type(a.element, b.element) and match_ref_type(b.element, a.element)
        return same_element and a.address is b.address and match_limits(a.limits, b.limits)
    return False


def unpacked(t: StorageType) -> ValType:
    """The type of a value that is stored (2.3.7)."""
    return I32 if isinstance(t, PackedType) else t


def is_defaultable(t: StorageType) -> bool:
    """Whether a type has a default value (3.2.6): all but non-nullable references."""
    return not isinstance(t, RefType) or t.nullable
