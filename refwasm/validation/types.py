"""Types in closed form (specification 3.1.3 and 3.2): type indices replaced by canonical DefTypes.

A recursive group is *rolled* (references into the group become positions) and looked up among all groups seen so
far; equal groups thus share their DefTypes, and comparing types is comparing identities.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from refwasm.errors import Invalid, ResourceLimit
from refwasm.syntax.types import (
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
    MemType,
    RecType,
    RefType,
    StorageType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
    distinct,
)
from refwasm.validation.descriptors import check_clauses, check_subtype
from refwasm.validation.matching import match_composite_type

#: Longest chain of declared supertypes (the JavaScript API's limit).
MAX_SUBTYPING_DEPTH = 63
#: Most parameters or results of a function, and most fields of a structure (the JavaScript API's limits).
MAX_PARAMS, MAX_FIELDS = 1_000, 10_000


@distinct
class RecPosition(NamedTuple):
    """A reference from within a rolled group to its ``index``-th member."""

    index: int  # type: ignore[assignment]  # not the method of tuples


class RecGroup:
    """A canonical recursive group: its rolled form and its DefTypes."""

    __slots__ = ("rolled", "types", "__weakref__")

    def __init__(self, rolled: tuple[SubType, ...]) -> None:
        self.rolled = rolled
        self.types = tuple(DefType(self, index) for index in range(len(rolled)))


_groups: WeakValueDictionary[tuple[SubType, ...], RecGroup] = WeakValueDictionary()

Substitution = Callable[[Any], Any]


def substitute_value(t: Any, heap: Substitution) -> Any:
    """Apply a substitution of heap types to a value or storage type."""
    return RefType(t.nullable, heap(t.heap)) if isinstance(t, RefType) else t


def _substitute_field(field: FieldType, heap: Substitution) -> FieldType:
    return FieldType(substitute_value(field.storage, heap), field.mutable)


def _substitute_composite(t: CompositeType, heap: Substitution) -> CompositeType:
    if isinstance(t, FuncType):
        params = tuple(substitute_value(p, heap) for p in t.params)
        return FuncType(params, tuple(substitute_value(r, heap) for r in t.results))
    if isinstance(t, StructType):
        return StructType(tuple(_substitute_field(f, heap) for f in t.fields))
    if isinstance(t, ContType):
        return ContType(heap(t.func))
    return ArrayType(_substitute_field(t.field, heap))


def _substitute_sub(t: SubType, heap: Substitution) -> SubType:
    supertypes, composite = tuple(heap(s) for s in t.supertypes), _substitute_composite(t.composite, heap)
    return SubType(t.final, supertypes, composite, heap(t.describes), heap(t.descriptor))


def roll(rec: RecType, types: list[DefType]) -> tuple[DefType, ...]:
    """The canonical types of a group whose first index is ``len(types)``; Invalid if it refers beyond its end."""
    start, size = len(types), len(rec.subtypes)

    def close(heap: Any) -> Any:
        if isinstance(heap, Exact):
            return Exact(close(heap.type))
        if not isinstance(heap, int):
            return heap
        if heap < start:
            return types[heap]
        if heap >= start + size:
            raise Invalid(f"unknown type {heap}")
        return RecPosition(heap - start)

    for offset, sub in enumerate(rec.subtypes):
        for parent in sub.supertypes:
            if isinstance(parent, int) and parent >= start + offset:
                raise Invalid(f"unknown type {parent}")
    for sub in rec.subtypes:
        _check_size(sub.composite)
        if isinstance(sub.composite, ContType):
            _check_continuation(sub.composite, rec, types)
    check_clauses(rec, start)
    rolled = tuple(_substitute_sub(sub, close) for sub in rec.subtypes)
    group = _groups.get(rolled)
    if group is None:
        group = _unroll(rolled)
        for offset, (deftype, sub) in enumerate(zip(group.types, rec.subtypes)):
            _check_supertypes(deftype, start + offset, sub)
        _groups[rolled] = group
    return group.types


def _check_continuation(t: ContType, rec: RecType, types: list[DefType]) -> None:
    """A continuation is one of a function."""
    index, start = t.func, len(types)
    if isinstance(index, int) and index < start + len(rec.subtypes):
        composite = types[index].composite if index < start else rec.subtypes[index - start].composite
        if isinstance(composite, FuncType):
            return
    raise Invalid(f"non-function type {index}")


def _check_size(t: CompositeType) -> None:
    if isinstance(t, FuncType) and max(len(t.params), len(t.results)) > MAX_PARAMS:
        raise ResourceLimit(f"function type with more than {MAX_PARAMS} parameters or results")
    if isinstance(t, StructType) and len(t.fields) > MAX_FIELDS:
        raise ResourceLimit(f"structure type with more than {MAX_FIELDS} fields")


def _unroll(rolled: tuple[SubType, ...]) -> RecGroup:
    """A new group; each member's sub type with DefTypes in place of positions (3.1.3), checked (3.2.11)."""
    group = RecGroup(rolled)

    def open_(heap: Any) -> Any:
        if isinstance(heap, Exact):
            return Exact(open_(heap.type))
        return group.types[heap.index] if isinstance(heap, RecPosition) else heap

    for deftype, sub in zip(group.types, rolled):
        deftype.sub = _substitute_sub(sub, open_)
        if deftype.sub.supertypes:
            parent = deftype.sub.supertypes[0]
            assert isinstance(parent, DefType)
            if len(parent.supers) >= MAX_SUBTYPING_DEPTH:
                raise Invalid(f"sub type: more than {MAX_SUBTYPING_DEPTH} levels of supertypes")
            deftype.supers = (parent, *parent.supers)
    return group


def _check_supertypes(deftype: DefType, index: int, declared: SubType) -> None:
    """Rule Subtype_ok (3.2.11): at most one supertype, not final, that the composite type matches. ``index`` and
    ``declared`` are what the module calls the type, and what it writes."""
    sub = deftype.sub
    if len(sub.supertypes) > 1:
        raise Invalid(f"sub type {index} has more than one super type")
    for parent, name in zip(sub.supertypes, declared.supertypes):
        assert isinstance(parent, DefType)
        if parent.sub.final:
            raise Invalid(f"sub type {index} does not match super type {name}, which is final")
        if not match_composite_type(sub.composite, parent.composite):
            raise Invalid(f"sub type {index} does not match super type {name}")
        check_subtype(sub, parent.sub, declared, f"sub type {index} does not match super type {name}")


class TypeSpace:
    """The type indices of a module, closed (``types``), and the closing of whatever mentions them."""

    def __init__(self) -> None:
        self.types: list[DefType] = []
        self._closed: dict[RefType, RefType] = {}

    def define(self, rec: RecType) -> None:
        """Add a recursive group."""
        self.types += roll(rec, self.types)

    def use(self, index: HeapType) -> DefType:
        """The type of an index; Invalid "unknown type"."""
        if isinstance(index, DefType):
            return index
        if not isinstance(index, int) or index >= len(self.types):
            raise Invalid(f"unknown type {index}")
        return self.types[index]

    def func(self, index: HeapType) -> DefType:
        """Like :meth:`use`, but it must be a function type."""
        deftype = self.use(index)
        if not isinstance(deftype.composite, FuncType):
            raise Invalid(f"unknown type: type {index} is not a function type")
        return deftype

    def heap(self, heap: HeapType) -> HeapType:
        """Close a heap type."""
        if isinstance(heap, Exact):
            return Exact(self.use(heap.type))
        return self.use(heap) if isinstance(heap, int) else heap

    def value(self, t: ValType) -> ValType:
        """Close a value type."""
        if not isinstance(t, RefType) or isinstance(t.heap, str):
            return t
        return self.ref(t)

    def ref(self, t: RefType) -> RefType:
        """Close a reference type."""
        closed = self._closed.get(t)
        if closed is None:
            closed = self._closed[t] = RefType(t.nullable, self.heap(t.heap))
        return closed

    def storage(self, t: StorageType) -> StorageType:
        """Close a storage type."""
        return self.ref(t) if isinstance(t, RefType) else t

    def extern(self, t: ExternType) -> ExternType:
        """Close an external type."""
        if isinstance(t, FuncUse):
            return FuncUse(self.func(t.type), t.exact)
        if isinstance(t, TableType):
            return TableType(t.address, t.limits, self.ref(t.element))
        if isinstance(t, GlobalType):
            return GlobalType(self.value(t.value), t.mutable)
        if isinstance(t, TagType):
            return TagType(self.func(t.type))
        assert isinstance(t, MemType)
        return t


@lru_cache(1024)  # host functions have few types
def func_type(params: tuple[ValType, ...], results: tuple[ValType, ...]) -> DefType:
    """The canonical function type with these (closed) parameters and results: what host functions have."""
    return roll(RecType((SubType(True, (), FuncType(params, results)),)), [])[0]
