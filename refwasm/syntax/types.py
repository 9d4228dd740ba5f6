"""Types (specification 2.3).

Number and vector types are singletons compared by identity. A heap type is a string (``"func"``, ``"any"``, …: the
abstract ones), an int (a type index of the module, as written), a :class:`DefType` (closed: what validation and
execution work with, see :mod:`refwasm.validation.types`) or :class:`Exact` of one of the latter two.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar, Union

T = TypeVar("T")


def distinct(cls: type[T], compared: int | None = None) -> type[T]:
    """Makes a named tuple a value of its own kind: equal only to one of the same class. ``compared`` is the number of
    fields that count, the first ones; None means all.

    Named tuples, since making two dozen data classes takes half of the start-up time.
    """

    def same(self: Any, other: Any) -> bool:
        return type(self) is type(other) and tuple.__eq__(self[:compared], other[:compared])

    cls.__eq__, cls.__ne__ = same, lambda self, other: not same(self, other)  # type: ignore[method-assign]
    cls.__hash__ = lambda self: hash(self[:compared])  # type: ignore[index, method-assign]
    return cls


class NumType:
    """A number or vector type; ``bits`` is its width."""

    __slots__ = ("name", "bits", "code")

    def __init__(self, name: str, bits: int, code: int) -> None:
        self.name, self.bits, self.code = name, bits, code

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:  # the singletons stay singletons when they travel between processes
        return self.name.upper()


I32 = NumType("i32", 32, 0x7F)
I64 = NumType("i64", 64, 0x7E)
F32 = NumType("f32", 32, 0x7D)
F64 = NumType("f64", 64, 0x7C)
V128 = NumType("v128", 128, 0x7B)
#: The bottom type of validation in unreachable code (3.1.7); never occurs in a module.
BOT = NumType("bot", 0, 0)

NUM_TYPES = {t.name: t for t in (I32, I64, F32, F64, V128)}


class PackedType:
    """An 8- or 16-bit storage type of struct fields and array elements."""

    __slots__ = ("name", "bits", "code")

    def __init__(self, name: str, bits: int, code: int) -> None:
        self.name, self.bits, self.code = name, bits, code

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name.upper()


I8 = PackedType("i8", 8, 0x78)
I16 = PackedType("i16", 16, 0x77)
PACKED_TYPES = {t.name: t for t in (I8, I16)}


class DefType:
    """A closed type: member ``index`` of a canonical recursive group (3.1.3 "Rolling and Unrolling").

    Equal types are the same object, so equality is identity. ``sub`` is the unrolled sub type, whose type uses are
    DefTypes themselves; ``supers`` the chain of declared supertypes, nearest first.
    """

    __slots__ = ("group", "index", "sub", "supers", "__weakref__")

    def __init__(self, group: object, index: int) -> None:
        self.group = group
        self.index = index
        self.sub: SubType
        self.supers: tuple[DefType, ...] = ()

    @property
    def composite(self) -> CompositeType:
        """The expansion of the type: a function, struct, array or continuation type."""
        return self.sub.composite

    def __repr__(self) -> str:
        """Its kind only: the type may contain itself."""
        return type(self.composite).__name__.removesuffix("Type").lower() + " type"


@distinct
class Exact(NamedTuple):
    """The exact heap type of a defined type: its subtypes do not belong to it (custom-descriptors proposal)."""

    type: int | DefType

    def __repr__(self) -> str:
        return f"(exact {self.type})"


HeapType = Union[str, int, DefType, Exact]

#: Abstract heap types and their one-byte codes (5.3.4).
HEAP_TYPES: dict[str, int] = {
    "nocont": 0x75, "noexn": 0x74, "nofunc": 0x73, "noextern": 0x72, "none": 0x71, "func": 0x70, "extern": 0x6F,
    "any": 0x6E, "eq": 0x6D, "i31": 0x6C, "struct": 0x6B, "array": 0x6A, "exn": 0x69, "cont": 0x68,
}  # fmt: skip

#: The text format's abbreviations of nullable references to an abstract heap type (6.4.4).
REF_ABBREVIATIONS: dict[str, str] = {
    "anyref": "any", "eqref": "eq", "i31ref": "i31", "structref": "struct", "arrayref": "array", "funcref": "func",
    "externref": "extern", "exnref": "exn", "nullref": "none", "nullfuncref": "nofunc",
    "nullexternref": "noextern", "nullexnref": "noexn", "contref": "cont", "nullcontref": "nocont",
}  # fmt: skip
ABBREVIATED = {heap: name for name, heap in REF_ABBREVIATIONS.items()}


@distinct
class RefType(NamedTuple):
    """A reference type (2.3.5)."""

    nullable: bool
    heap: HeapType

    def __repr__(self) -> str:
        if self.nullable and isinstance(self.heap, str) and self.heap in ABBREVIATED:
            return ABBREVIATED[self.heap]
        return f"(ref {'null ' if self.nullable else ''}{self.heap})"


FUNCREF = RefType(True, "func")
EXTERNREF = RefType(True, "extern")

ValType = Union[NumType, RefType]
StorageType = Union[NumType, RefType, PackedType]


@distinct
class FieldType(NamedTuple):
    """A struct field or array element: its storage type and whether it can be set (2.3.7)."""

    storage: StorageType
    mutable: bool


@distinct
class FuncType(NamedTuple):
    """A function type (2.3.9): parameters to results."""

    params: tuple[ValType, ...]
    results: tuple[ValType, ...]

    def __repr__(self) -> str:
        return f"[{' '.join(map(repr, self.params))}] -> [{' '.join(map(repr, self.results))}]"


@distinct
class StructType(NamedTuple):
    """A structure type."""

    fields: tuple[FieldType, ...]


@distinct
class ArrayType(NamedTuple):
    """An array type."""

    field: FieldType


@distinct
class ContType(NamedTuple):
    """A continuation type (stack-switching proposal): ``func`` is the type of what is left to execute."""

    func: HeapType


CompositeType = Union[FuncType, StructType, ArrayType, ContType]


@distinct
class SubType(NamedTuple):
    """A composite type with its declared supertypes; only a non-final one may be extended (2.3.10).

    A structure type may describe another, which names it as its descriptor: structures of the one carry a structure
    of the other (custom-descriptors proposal).
    """

    final: bool
    supertypes: tuple[HeapType, ...]
    composite: CompositeType
    describes: HeapType | None = None
    descriptor: HeapType | None = None


@distinct
class RecType(NamedTuple):
    """A group of mutually recursive types (2.3.11); each takes one type index."""

    subtypes: tuple[SubType, ...]


@distinct
class Limits(NamedTuple):
    """Size range of a memory or table, in pages or elements; ``maximum`` None means unbounded."""

    minimum: int
    maximum: int | None


#: Pages of 64 KiB, unless a memory says otherwise.
PAGE_BITS = 16


@distinct
class MemType(NamedTuple):
    """A memory type; ``address`` is I32 or I64, ``shared`` comes from the threads proposal. ``page_bits`` is the
    logarithm of the page size in bytes (custom-page-sizes proposal)."""

    address: NumType
    limits: Limits
    shared: bool = False
    page_bits: int = PAGE_BITS


@distinct
class TableType(NamedTuple):
    """A table type."""

    address: NumType
    limits: Limits
    element: RefType


@distinct
class GlobalType(NamedTuple):
    """A global type."""

    value: ValType
    mutable: bool


@distinct
class TagType(NamedTuple):
    """A tag type: the type index (or closed type) of a function type without results."""

    type: HeapType


@distinct
class FuncUse(NamedTuple):
    """An imported function's type: a type index (or closed type). The external type of functions. An ``exact`` one
    leaves out functions of subtypes (custom-descriptors proposal)."""

    type: HeapType
    exact: bool = False


ExternType = Union[FuncUse, TableType, MemType, GlobalType, TagType]

#: The specification's word for each kind of external type.
EXTERN_KINDS: dict[type, str] = {
    FuncUse: "func", TableType: "table", MemType: "memory", GlobalType: "global", TagType: "tag",
}  # fmt: skip


@distinct
class BlockType(NamedTuple):
    """The type of a structured instruction (2.4.1): a type index, or at most one result written in line.

    ``index`` is None for the inline form, where ``result`` is the result type or None.
    """

    index: int | None = None  # type: ignore[assignment]  # not the method of tuples
    result: ValType | None = None


EMPTY_BLOCK = BlockType()
