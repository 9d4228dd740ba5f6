"""Values (specification 4.2.1) as Python objects.

i32, i64, f32, f64 and v128 are unsigned integers (floats as bit patterns). The null reference is None whatever its
type. Other references are a function instance, an :class:`I31`, a :class:`StructInst`, an :class:`ArrayInst`, an
:class:`ExnInst`, a :class:`ContInst` or a :class:`HostRef`. Converting between ``any`` and ``extern`` changes nothing.
"""

from __future__ import annotations

from typing import Any

from refwasm.errors import Trap
from refwasm.syntax.types import DefType, Exact, HeapType, RefType, StorageType
from refwasm.validation.matching import match_heap_type


class I31(int):
    """An unboxed scalar reference: 31 bits, unsigned."""

    __slots__ = ()


class HostRef:
    """A reference to something of the host's: what ``externref`` carries."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"HostRef({self.value!r})"


class StructInst:
    """A structure on the heap; ``fields`` are packed where the type says so."""

    __slots__ = ("type", "fields")

    def __init__(self, deftype: DefType, fields: list[Any]) -> None:
        self.type = deftype
        self.fields = fields


class DescribedInst(StructInst):
    """A structure with a custom descriptor, another structure (custom-descriptors proposal)."""

    __slots__ = ("descriptor",)

    def __init__(self, deftype: DefType, fields: list[Any], descriptor: StructInst) -> None:
        super().__init__(deftype, fields)
        self.descriptor = descriptor


class ArrayInst:
    """An array on the heap."""

    __slots__ = ("type", "elements")

    def __init__(self, deftype: DefType, elements: list[Any]) -> None:
        self.type = deftype
        self.elements = elements


class ContInst:
    """A continuation: what is left of an execution (``rest``: its innermost and outermost segment, which belong to the
    interpreter; None once it was resumed or bound), and the first arguments if they are bound already."""

    __slots__ = ("type", "rest", "bound")

    def __init__(self, deftype: DefType, rest: Any, bound: list[Any] | None = None) -> None:
        self.type = deftype
        self.rest = rest
        self.bound = bound or []


class ExnInst:
    """An exception: its tag instance and its values."""

    __slots__ = ("tag", "payload")

    def __init__(self, tag: object, payload: tuple[Any, ...]) -> None:
        self.tag = tag
        self.payload = payload


def heap_type_of(value: Any) -> HeapType:
    """The dynamic heap type of a non-null reference (4.2.1, rule Ref_ok)."""
    if isinstance(value, I31):
        return "i31"
    if isinstance(value, HostRef):
        return "any"
    if isinstance(value, ExnInst):
        return "exn"
    return value.type  # type: ignore[no-any-return]


def is_of_heap(value: Any, heap: HeapType) -> bool:
    """Whether a non-null reference is of a (closed) heap type. Static types decide between any and extern."""
    if heap == "extern":
        return True
    if isinstance(heap, Exact):
        return heap_type_of(value) is heap.type
    return match_heap_type(heap_type_of(value), heap)


def check_descriptor(descriptor: Any) -> None:
    """Trap where there is no descriptor to allocate or to compare with."""
    if descriptor is None:
        raise Trap("null descriptor reference")


def is_described_by(value: Any, descriptor: Any) -> bool:
    """Whether a non-null reference is to a structure with that descriptor."""
    return isinstance(value, DescribedInst) and value.descriptor is descriptor


def default(t: StorageType) -> Any:
    """The default value of a type (4.2.2): zero or null."""
    return None if isinstance(t, RefType) else 0
