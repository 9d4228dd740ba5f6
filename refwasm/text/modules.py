"""Modules (specification 6.6): fields in any order, identifiers from anywhere, abbreviations expanded.

Two passes over the fields: the first gives every definition its index, so that the second can resolve names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.errors import Malformed, ResourceLimit
from refwasm.garbage import makes_what_stays
from refwasm.syntax.instructions import END, instr
from refwasm.syntax.modules import (
    MAX_LOCALS,
    BranchHint,
    Custom,
    Data,
    Elem,
    Export,
    Expr,
    Func,
    Global,
    Import,
    Module,
    Names,
    Table,
)
from refwasm.syntax.types import (
    ExternType,
    Limits,
    MemType,
    RefType,
    TableType,
    TagType,
    ValType,
)
from refwasm.text.annotations import Annotations, branch_hints
from refwasm.text.cursor import Cursor, Space, unexpected
from refwasm.text.imports import declare_import, parse_import
from refwasm.text.instructions import parse_expr, parse_folded, positions_of
from refwasm.text.lexer import END_OF_INPUT, Source
from refwasm.text.operands import Body, Spaces
from refwasm.text.types import Named

_DEFINITIONS = ("func", "table", "memory", "global", "tag")


class ModuleParser:
    """Parses the fields of one module from a cursor."""

    def __init__(self, c: Cursor, address_bits: int = 64) -> None:
        self.c = c
        self.spaces = Spaces()
        self.spaces.types.address_bits = address_bits
        self.imports: list[Import] = []
        self.funcs: list[Func] = []
        self.tables: list[Table] = []
        self.memories: list[MemType] = []
        self.tags: list[TagType] = []
        self.globals: list[Global] = []
        self.exports: list[Export] = []
        self.start: int | None = None
        self.elems: list[Elem] = []
        self.datas: list[Data] = []
        self.branch_hints: list[BranchHint] = []
        self.local_names: dict[int, dict[int, str]] = {}
        self.label_names: dict[int, dict[int, str]] = {}
        self.next = dict.fromkeys((*_DEFINITIONS, "elem", "data"), 0)
        self.starts: list[int] = []  # token index of each top-level field
        self.notes = Annotations(c)
        self._defined: str | None = None  # the first kind defined: imports may not follow

    def parse(self, name: str | None = None) -> Module:
        """Parse fields up to the ``)`` of the module, or the end of input; neither is consumed."""
        c = self.c
        first = c.i
        fields = self._declare_fields()
        end = c.i
        for start, keyword in fields:
            if keyword in ("type", "rec"):
                c.i = start
                self.spaces.types.define(c)
        for start, keyword in fields:
            if keyword not in ("type", "rec"):
                c.i = start + 2
                _FIELDS[keyword](self)
                c.close()
        c.i = end
        customs, module_name = self.notes.module_annotations(first, self.starts, end, name)
        return self._finish(module_name, customs)

    def _finish(self, name: str | None, customs: list[Custom]) -> Module:
        types = self.spaces.types
        maps = {"type": types.space.names(), **{kind: s.names() for kind, s in self.spaces.by_kind.items()}}
        for (kind, index), text in self.notes.definition_names.items():
            maps[kind][index] = text
        fields = {index: space.names() for index, space in types.fields.items() if space.ids}
        indirect = {"local": self.local_names, "label": self.label_names, "field": fields}
        names = Names(name, {k: m for k, m in maps.items() if m}, {k: m for k, m in indirect.items() if m})
        return Module(
            types=tuple(types.groups), imports=tuple(self.imports), funcs=tuple(self.funcs),
            tables=tuple(self.tables), memories=tuple(self.memories), tags=tuple(self.tags),
            globals=tuple(self.globals), exports=tuple(self.exports), start=self.start, elems=tuple(self.elems),
            datas=tuple(self.datas), customs=tuple(customs), branch_hints=tuple(self.branch_hints), names=names,
            locate=self.c.source.locate,
        )  # fmt: skip

    # -- first pass --------------------------------------------------------------------------------------------------

    def _declare_fields(self) -> list[tuple[int, str]]:
        """Where the fields start and what they are; definitions get their indices."""
        c = self.c
        fields: list[tuple[int, str]] = []
        while c.peek() not in (")", END_OF_INPUT):
            start = c.i
            c.expect("(")
            keyword = c.next()
            self.starts.append(start)
            if keyword in ("type", "rec"):
                c.i = start
                self.spaces.types.declare(c)
            elif keyword == "import":
                self._declare_import()
            elif keyword in self.spaces.by_kind:
                self._declare(keyword)
            elif keyword not in _FIELDS:
                c.fail(unexpected(keyword), start + 1)
            fields.append((start, keyword))
            c.i = start
            c.skip_expression()
        return fields

    def _declare_import(self) -> None:
        declare_import(self.c, self._declare_imported)

    def _declare_imported(self, untyped: int = 0) -> None:
        """What is imported: one thing, or so many that share a type, which then has no identifier."""
        c = self.c
        c.expect("(")
        keyword = c.next()
        if keyword not in _DEFINITIONS:
            c.fail(unexpected(keyword), c.i - 1)
        self._check_import_order()
        at, identifier = c.i, c.identifier()
        if untyped and identifier is not None:
            c.fail("identifier not allowed", at)
        for _ in range(untyped or 1):
            self.spaces[keyword].add(c, identifier)

    def _declare(self, keyword: str) -> None:
        c = self.c
        self.spaces[keyword].add(c, c.identifier())
        if keyword not in _DEFINITIONS:
            return
        while c.at_open("export"):
            c.skip_expression()
        if c.at_open("import"):
            self._check_import_order()
        else:
            self._defined = self._defined or keyword
        if keyword == "table":
            address = self.spaces.types.address(c)
            assert address
            if self.spaces.types.at_ref(c):
                self._skip_ref()
                if c.at_open("elem"):
                    self.spaces["elem"].add(c, None)
        elif keyword == "memory":
            self.spaces.types.address(c)
            if c.at_open("pagesize"):
                c.skip_expression()
            if c.at_open("data"):
                self.spaces["data"].add(c, None)

    def _skip_ref(self) -> None:
        if self.c.peek() == "(":
            self.c.skip_expression()
        else:
            self.c.i += 1

    def _check_import_order(self) -> None:
        if self._defined is not None:
            self.c.fail(f"import after {SPACE_WORDS[self._defined]}", self.starts[-1])

    # -- second pass: shared pieces ----------------------------------------------------------------------------------

    def _head(self, kind: str) -> tuple[int, tuple[str, str] | None]:
        """Identifier, inline exports and inline import of a definition; returns its index and the import's names."""
        c = self.c
        index = self.next[kind]
        self.next[kind] += 1
        c.identifier()
        self.notes.definition(kind, index)
        while c.take_open("export"):
            self.exports.append(Export(c.name(), kind, index))
            c.close()
        if c.take_open("import"):
            names = c.name(), c.name()
            c.close()
            return index, names
        return index, None

    def _import(self, names: tuple[str, str], t: ExternType) -> None:
        self.imports.append(Import(*names, t))

    def _body(self) -> Body:
        return Body(self.spaces)

    def _constant(self) -> Expr:
        """A constant expression up to the ``)`` of its field."""
        return parse_expr(self.c, self._body())

    def _offset(self) -> Expr:
        """``(offset expr)`` or a single folded instruction."""
        c = self.c
        if c.take_open("offset"):
            expr = self._constant()
            c.close()
            return expr
        return parse_folded(c, self._body())

    # -- second pass: fields -----------------------------------------------------------------------------------------

    def import_(self) -> None:
        self.imports += parse_import(self.c, self._imported)

    def _imported(self, count: int) -> ExternType:
        """The type of so many imports."""
        c = self.c
        c.expect("(")
        kind = c.next()
        self.next[kind] += count
        c.identifier()
        found = self._extern_type(kind)
        c.close()
        return found

    def _extern_type(self, kind: str) -> ExternType:
        c, types = self.c, self.spaces.types
        if kind == "func":
            return types.func_use(c)
        if kind == "tag":
            return TagType(types.use(c)[0])
        if kind == "table":
            return types.table(c)
        if kind == "memory":
            return types.memory(c)
        return types.global_(c)

    def func(self) -> None:
        c = self.c
        start = c.i
        index, imported = self._head("func")
        if imported:
            self._import(imported, self._extern_type("func"))
            return
        type_index, params = self.spaces.types.use(c)
        self._func_body(index, type_index, params, start)

    def _func_body(self, index: int, type_index: int, params: list[Named], start: int) -> None:
        c = self.c
        space = Space("local")
        locals = self.spaces.types.params(c, "local")
        annotated = {}
        for named in [*params, *locals]:
            place = space.add(c, named.id)
            if named.annotation is not None:
                annotated[place] = named.annotation
        runs: list[tuple[int, ValType]] = []
        for _, t, _ in locals:
            if runs and runs[-1][1] == t:
                runs[-1] = (runs[-1][0] + 1, t)
            else:
                runs.append((1, t))
        if space.count > MAX_LOCALS:
            raise ResourceLimit(f"too many locals: {space.count}, at most {MAX_LOCALS} are supported", start)
        body = Body(self.spaces, space)
        expr = parse_expr(c, body)
        self.funcs.append(Func(type_index, tuple(runs), expr, positions_of(body)))
        if space.ids or annotated:
            self.local_names[index] = {**space.names(), **annotated}
        if body.label_names:
            self.label_names[index] = body.label_names
        self.branch_hints += branch_hints(c, index, body)

    def table(self) -> None:
        c, types = self.c, self.spaces.types
        index, imported = self._head("table")
        if imported:
            self._import(imported, types.table(c))
            return
        start = c.i
        address = types.address(c)
        if not types.at_ref(c):
            c.i = start
            t = types.table(c)
            init = self._constant() if c.peek() != ")" else None
            self.tables.append(Table(t, init))
            return
        element = types.ref(c)
        c.open("elem")
        inits = self._elem_list(element)
        c.close()
        self.tables.append(Table(TableType(address, Limits(len(inits), len(inits)), element)))
        self.next["elem"] += 1
        zero = instr(f"{address.name}.const", 0)
        self.elems.append(Elem(element, inits, "active", index, (zero, END)))

    def memory(self) -> None:
        c, types = self.c, self.spaces.types
        index, imported = self._head("memory")
        if imported:
            self._import(imported, types.memory(c))
            return
        start = c.i
        address, page_bits = types.address(c), types.page_bits(c)
        if c.take_open("data"):
            content = c.strings()
            c.close()
            pages = -(-len(content) >> page_bits)
            self.memories.append(MemType(address, Limits(pages, pages), False, page_bits))
            self.next["data"] += 1
            self.datas.append(Data(content, "active", index, (instr(f"{address.name}.const", 0), END)))
            return
        c.i = start
        self.memories.append(types.memory(c))

    def global_(self) -> None:
        c, types = self.c, self.spaces.types
        _, imported = self._head("global")
        t = types.global_(c)
        if imported:
            self._import(imported, t)
            return
        self.globals.append(Global(t, self._constant()))

    def tag(self) -> None:
        _, imported = self._head("tag")
        t = TagType(self.spaces.types.use(self.c)[0])
        if imported:
            self._import(imported, t)
        else:
            self.tags.append(t)

    def export(self) -> None:
        c = self.c
        name = c.name()
        c.expect("(")
        kind = c.next()
        if kind not in _DEFINITIONS:
            c.fail(unexpected(kind), c.i - 1)
        self.exports.append(Export(name, kind, self.spaces[kind].index(c)))
        c.close()

    def start_(self) -> None:
        if self.start is not None:
            self.c.fail("multiple start sections", self.c.i - 1)
        self.start = self.spaces["func"].index(self.c)

    def elem(self) -> None:
        """An element segment (6.6.10)."""
        c = self.c
        self.next["elem"] += 1
        c.identifier()
        if c.take("declare"):
            self._passive_elem("declarative")
            return
        if c.peek() == "func" or self.spaces.types.at_ref(c):
            self._passive_elem("passive")
            return
        table, explicit = 0, False
        if c.take_open("table"):
            table, explicit = self.spaces["table"].index(c), True
            c.close()
        elif c.at_index():
            table = self.spaces["table"].index(c)  # as 1.0 wrote it: function indices may follow
        offset = self._offset()
        if c.peek() == "func" or self.spaces.types.at_ref(c):
            element, inits = self._typed_elems()
        elif explicit and c.peek() != ")":
            c.unexpected()
        else:
            element, inits = RefType(False, "func"), self._func_indices()
        self.elems.append(Elem(element, inits, "active", table, offset))

    def _passive_elem(self, mode: str) -> None:
        element, inits = self._typed_elems()
        self.elems.append(Elem(element, inits, mode))

    def _typed_elems(self) -> tuple[RefType, tuple[Expr, ...]]:
        if self.c.take("func"):
            return RefType(False, "func"), self._func_indices()
        element = self.spaces.types.ref(self.c)
        return element, self._items()

    def _elem_list(self, element: RefType) -> tuple[Expr, ...]:
        """What stands in the ``(elem …)`` of a table: items, or function indices."""
        return self._func_indices() if self.c.at_index() else self._items()

    def _func_indices(self) -> tuple[Expr, ...]:
        c, out = self.c, []
        while c.at_index():
            out.append((instr("ref.func", self.spaces["func"].index(c)), END))
        return tuple(out)

    def _items(self) -> tuple[Expr, ...]:
        c, out = self.c, []
        while c.peek() == "(":
            if c.take_open("item"):
                out.append(self._constant())
                c.close()
            else:
                out.append(parse_folded(c, self._body()))
        return tuple(out)

    def data(self) -> None:
        """A data segment (6.6.11)."""
        c = self.c
        self.next["data"] += 1
        c.identifier()
        memory, offset = 0, None
        if c.take_open("memory"):
            memory = self.spaces["memory"].index(c)
            c.close()
            offset = self._offset()
        elif c.at_index():
            memory = self.spaces["memory"].index(c)
            offset = self._offset()
        elif c.peek() == "(":
            offset = self._offset()
        self.datas.append(Data(c.strings(), "passive" if offset is None else "active", memory, offset))


SPACE_WORDS = {"func": "function", "table": "table", "memory": "memory", "global": "global", "tag": "tag"}

_FIELDS: dict[str, Callable[[ModuleParser], None]] = {
    "import": ModuleParser.import_,
    "func": ModuleParser.func,
    "table": ModuleParser.table,
    "memory": ModuleParser.memory,
    "global": ModuleParser.global_,
    "tag": ModuleParser.tag,
    "export": ModuleParser.export,
    "start": ModuleParser.start_,
    "elem": ModuleParser.elem,
    "data": ModuleParser.data,
}


def locate_errors(source: Source) -> Any:
    """A context manager that gives errors with a token position their line and column."""
    return _Locating(source)


class _Locating:
    def __init__(self, source: Source) -> None:
        self.source = source

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (Malformed, ResourceLimit)) and error.position is not None and not error.location:
            error.location = self.source.locate(error.position)


@makes_what_stays
def parse_module(text: str | bytes | Source, address_bits: int = 64) -> Module:
    """Parse a module: ``(module …)`` or its fields alone (6.6.13). Raises Malformed with line and column.

    ``address_bits`` is 32 for the editions of the text format before memory64, whose limits were 32 bits wide.
    """
    source = text if isinstance(text, Source) else Source(text)
    with locate_errors(source):
        c = Cursor(source)
        name = None
        wrapped = c.take_open("module")
        if wrapped:
            name = c.identifier()
        module = ModuleParser(c, address_bits).parse(name)
        if wrapped:
            c.close()
        if c.peek() != END_OF_INPUT:
            c.unexpected()
        return module
