"""Types (specification 6.4)."""

from __future__ import annotations

from typing import NamedTuple

from refwasm.syntax.types import (
    EMPTY_BLOCK,
    HEAP_TYPES,
    I32,
    I64,
    NUM_TYPES,
    PACKED_TYPES,
    PAGE_BITS,
    REF_ABBREVIATIONS,
    ArrayType,
    BlockType,
    CompositeType,
    ContType,
    Exact,
    FieldType,
    FuncType,
    FuncUse,
    GlobalType,
    HeapType,
    Limits,
    MemType,
    NumType,
    RecType,
    RefType,
    StorageType,
    StructType,
    SubType,
    TableType,
    ValType,
)
from refwasm.text.cursor import Cursor, Space

_ABBREVIATED = {word: RefType(True, heap) for word, heap in REF_ABBREVIATIONS.items()}
_NUMERIC = {name: t for name, t in NUM_TYPES.items()}


#: A parameter or local with its name, if it has one.
class Named(NamedTuple):
    """A parameter, result or local: its identifier, its type, and the name that an annotation gives it."""

    id: str | None
    type: ValType
    annotation: str | None = None


class TypeSection:
    """The type index space with what the text format needs beside: field names and implicit function types."""

    def __init__(self) -> None:
        self.space = Space("type")
        self.groups: list[RecType] = []
        self.subtypes: list[SubType] = []
        self.fields: dict[int, Space] = {}
        self.address_bits = 64
        self._by_func_type: dict[FuncType, int] = {}

    # -- heap, reference and value types -----------------------------------------------------------------------------

    def heap(self, c: Cursor) -> HeapType:
        """A heap type (6.4.3)."""
        if c.take_open("exact"):
            t = Exact(self._index(c))
            c.close()
            return t
        token = c.peek()
        if token in HEAP_TYPES:
            c.i += 1
            return token
        return self._index(c)

    def _index(self, c: Cursor) -> int:
        if not c.at_index():
            c.unexpected()
        return self.space.index(c)

    def at_ref(self, c: Cursor) -> bool:
        """Whether a reference type comes next."""
        return c.peek() in _ABBREVIATED or c.at_open("ref")

    def ref(self, c: Cursor) -> RefType:
        """A reference type (6.4.4)."""
        token = c.peek()
        if token in _ABBREVIATED:
            c.i += 1
            return _ABBREVIATED[token]
        c.open("ref")
        nullable = c.take("null")
        t = RefType(nullable, self.heap(c))
        c.close()
        return t

    def value(self, c: Cursor) -> ValType:
        """A value type (6.4.5)."""
        t = _NUMERIC.get(c.tokens[c.i])
        if t is not None:
            c.i += 1
            return t
        return self.ref(c)

    def at_value(self, c: Cursor) -> bool:
        """Whether a value type comes next."""
        return c.peek() in _NUMERIC or self.at_ref(c)

    def storage(self, c: Cursor) -> StorageType:
        """A storage type (6.4.8)."""
        packed = PACKED_TYPES.get(c.peek())
        if packed is not None:
            c.i += 1
            return packed
        return self.value(c)

    def field(self, c: Cursor) -> FieldType:
        """A field type (6.4.8)."""
        if c.take_open("mut"):
            t = FieldType(self.storage(c), True)
            c.close()
            return t
        return FieldType(self.storage(c), False)

    # -- function types ----------------------------------------------------------------------------------------------

    def params(self, c: Cursor, keyword: str = "param") -> list[Named]:
        """Any number of ``(param …)``, or of another keyword that is written so."""
        out: list[Named] = []
        while c.take_open(keyword):
            name = c.identifier() if keyword != "result" else None
            annotation = c.name_annotation() if keyword != "result" and c.source.annotations else None
            if name is not None or annotation is not None:
                out.append(Named(name, self.value(c), annotation))
                c.close()
                continue
            while not c.take(")"):
                out.append(Named(None, self.value(c)))
        return out

    def func_type(self, c: Cursor) -> tuple[FuncType, list[Named]]:
        """Parameters and results (6.4.7)."""
        params = self.params(c)
        results = self.params(c, "result")
        if c.at_open("param"):
            c.fail("unexpected token param: parameters come before results", c.i + 1)
        return FuncType(tuple(p.type for p in params), tuple(r.type for r in results)), params

    def use(self, c: Cursor) -> tuple[int, list[Named]]:
        """A type use (6.4.12): an explicit index, an inline type or both; the parameters with their names."""
        start = c.i
        index: int | None = None
        if c.take_open("type"):
            index = self.space.index(c)
            c.close()
        inline_start = c.i
        inline, params = self.func_type(c)
        if index is None:
            return self.implicit(inline), params
        declared = self.subtypes[index].composite if index < len(self.subtypes) else None
        if c.i != inline_start:
            if declared is None:
                c.fail(f"unknown type {index}", start)
            if inline != declared:
                c.fail("inline function type does not match the type it names", start)
        elif isinstance(declared, FuncType):
            params = [Named(None, t) for t in declared.params]
        return index, params

    def func_use(self, c: Cursor) -> FuncUse:
        """The type of an imported function: a type use, which may be exact."""
        exact = c.take_open("exact")
        index = self.use(c)[0]
        if exact:
            c.close()
        return FuncUse(index, exact)

    def implicit(self, t: FuncType) -> int:
        """The index of a function type, which is appended if it is not there (6.4.12, abbreviation)."""
        index = self._by_func_type.get(t)
        if index is None:
            index = self.space.count
            self.space.count += 1
            self._add_group(RecType((SubType(True, (), t),)), index)
        return index

    def block(self, c: Cursor) -> BlockType:
        """A block type (6.5.2)."""
        if c.tokens[c.i] != "(":
            return EMPTY_BLOCK
        if c.tokens[c.i + 1] not in ("type", "param", "result"):
            return EMPTY_BLOCK
        start = c.i
        if c.tokens[c.i + 1] == "result":
            results = self.params(c, "result")
            if len(results) <= 1:
                return BlockType(None, results[0].type if results else None)
            c.i = start
        index, params = self.use(c)
        if any(param.id is not None for param in params):
            c.fail("unexpected token: block parameters have no names", start)
        if c.tokens[start + 1] != "type":
            t = self.subtypes[index].composite
            if t == FuncType((), ()):
                return EMPTY_BLOCK
        return BlockType(index)

    # -- definitions -------------------------------------------------------------------------------------------------

    def declare(self, c: Cursor) -> None:
        """Note the identifiers of a ``(type …)`` or ``(rec …)`` field, so that types may refer ahead."""
        if c.take_open("rec"):
            while c.at_open("type"):
                self.declare(c)
            c.close()
            return
        c.open("type")
        self.space.add(c, c.identifier())
        c.i -= 2 if c.tokens[c.i - 1][:1] != "$" else 3
        c.skip_expression()

    def define(self, c: Cursor) -> None:
        """Parse a ``(type …)`` or ``(rec …)`` field."""
        first = len(self.subtypes)
        if c.take_open("rec"):
            subtypes: list[SubType] = []
            while c.at_open("type"):
                subtypes.append(self._type_field(c, first + len(subtypes)))
            c.close()
            self._add_group(RecType(tuple(subtypes)), first)
        else:
            self._add_group(RecType((self._type_field(c, first),)), first)

    def _add_group(self, group: RecType, first: int) -> None:
        self.groups.append(group)
        self.subtypes += group.subtypes
        if len(group.subtypes) == 1:
            only = group.subtypes[0]
            if only == SubType(True, (), only.composite) and isinstance(only.composite, FuncType):
                self._by_func_type.setdefault(only.composite, first)

    def _type_field(self, c: Cursor, index: int) -> SubType:
        c.open("type")
        c.identifier()
        final, supertypes = True, []
        extensible = c.take_open("sub")
        if extensible:
            final = c.take("final")
            while c.at_index():
                supertypes.append(self.space.index(c))
        describes, descriptor = self._clause(c, "describes"), self._clause(c, "descriptor")
        t = SubType(final, tuple(supertypes), self._composite(c, index), describes, descriptor)
        if extensible:
            c.close()
        c.close()
        return t

    def _clause(self, c: Cursor, keyword: str) -> int | None:
        """An optional type index in parentheses, behind a keyword."""
        if not c.take_open(keyword):
            return None
        index = self.space.index(c)
        c.close()
        return index

    def _composite(self, c: Cursor, index: int) -> CompositeType:
        if c.take_open("func"):
            t: CompositeType = self.func_type(c)[0]
        elif c.take_open("struct"):
            t = self._struct(c, index)
        elif c.take_open("array"):
            t = ArrayType(self.field(c))
        elif c.take_open("cont"):
            t = ContType(self.space.index(c))
        else:
            c.unexpected()
        c.close()
        return t

    def _struct(self, c: Cursor, index: int) -> StructType:
        names = self.fields[index] = Space("field")
        fields: list[FieldType] = []
        while c.take_open("field"):
            name = c.identifier()
            if name is not None:
                names.add(c, name)
                fields.append(self.field(c))
                c.close()
                continue
            while not c.take(")"):
                names.add(c, None)
                fields.append(self.field(c))
        return StructType(tuple(fields))

    # -- limits and external types -----------------------------------------------------------------------------------

    def address(self, c: Cursor) -> NumType:
        """An optional address type."""
        if c.take("i64"):
            return I64
        c.take("i32")
        return I32

    def limits(self, c: Cursor) -> Limits:
        """Limits (6.4.9)."""
        minimum = c.nat(self.address_bits)
        token = c.peek()
        return Limits(minimum, c.nat(self.address_bits) if token[:1].isdigit() else None)

    def memory(self, c: Cursor) -> MemType:
        """A memory type (6.4.10)."""
        address = self.address(c)
        size = self.limits(c)
        return MemType(address, size, c.take("shared"), self.page_bits(c))

    def page_bits(self, c: Cursor) -> int:
        """An optional page size, a power of two, as its logarithm (custom-page-sizes proposal)."""
        if not c.take_open("pagesize"):
            return PAGE_BITS
        start, size = c.i, c.nat(64)
        if size.bit_count() != 1:
            c.fail("invalid custom page size", start)
        c.close()
        return size.bit_length() - 1

    def table(self, c: Cursor) -> TableType:
        """A table type (6.4.11)."""
        address = self.address(c)
        size = self.limits(c)
        return TableType(address, size, self.ref(c))

    def global_(self, c: Cursor) -> GlobalType:
        """A global type."""
        if c.take_open("mut"):
            t = GlobalType(self.value(c), True)
            c.close()
            return t
        return GlobalType(self.value(c), False)
