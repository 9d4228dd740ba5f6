"""Custom descriptors (proposal of that name): which structure types describe which.

A type and its descriptor stand in one recursive group and name each other, the described one first. So no type is in
its own chain of descriptors.
"""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.types import DefType, Exact, HeapType, RecType, RefType, StructType, SubType
from refwasm.validation.matching import match_heap_type


def check_clauses(rec: RecType, start: int) -> None:
    """Check the clauses ``describes`` and ``descriptor`` of a group whose first type index is ``start``."""
    if not any(sub.describes is not None or sub.descriptor is not None for sub in rec.subtypes):
        return
    for index, sub in enumerate(rec.subtypes, start):
        _check_within(sub.describes, rec, start, "described")
        if isinstance(sub.describes, int) and sub.describes >= index:
            raise Invalid(f"forward use of described type {sub.describes}")
        _check_within(sub.descriptor, rec, start, "descriptor")
    for sub in rec.subtypes:
        if not isinstance(sub.composite, StructType):
            if sub.descriptor is not None:
                raise Invalid("descriptor type must be a struct: no other types have one")
            if sub.describes is not None:
                raise Invalid("described type must be a struct, and so must its descriptor")
    for index, sub in enumerate(rec.subtypes, start):
        if isinstance(sub.descriptor, int) and rec.subtypes[sub.descriptor - start].describes != index:
            raise Invalid(f"type is not described by its descriptor: type {sub.descriptor} needs (describes {index})")
        if isinstance(sub.describes, int) and rec.subtypes[sub.describes - start].descriptor != index:
            raise Invalid(
                f"described type is not described by descriptor: type {sub.describes} needs (descriptor {index})"
            )


def _check_within(clause: HeapType | None, rec: RecType, start: int, what: str) -> None:
    if isinstance(clause, int) and not start <= clause < start + len(rec.subtypes):
        raise Invalid(f"{what} type is outside rec group: type {clause}")


def check_subtype(sub: SubType, parent: SubType, declared: SubType, mismatch: str) -> None:
    """Check the clauses of a (closed) type against those of its supertype. ``declared`` is what the module writes,
    ``mismatch`` the message where the clauses differ."""
    if sub.describes is None or parent.describes is None:
        if sub.describes is not parent.describes:
            raise Invalid(f"{mismatch}: both or neither must describe a type")
    elif not match_heap_type(sub.describes, parent.describes):
        raise Invalid(f"described type {declared.describes} does not match what the super type describes")
    if parent.descriptor is not None:
        if sub.descriptor is None:
            raise Invalid(f"{mismatch}, which has a descriptor")
        if not match_heap_type(sub.descriptor, parent.descriptor):
            raise Invalid(f"descriptor type {declared.descriptor} does not match the descriptor of the super type")


def descriptor_of(heap: HeapType, written: object) -> RefType:
    """What a descriptor of a (closed) heap type is given as: exact if the type is, so that what is cast with it is."""
    deftype = heap.type if isinstance(heap, Exact) else heap
    descriptor = deftype.sub.descriptor if isinstance(deftype, DefType) else None
    if not isinstance(descriptor, DefType):
        raise Invalid(f"type {written} does not have a descriptor")
    return RefType(True, Exact(descriptor) if isinstance(heap, Exact) else descriptor)
