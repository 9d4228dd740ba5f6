"""Modules (specification 2.5). Everything here is frozen; index spaces start with the imports.

What the specification leaves out of a module but tools want (custom sections, names, source positions) is carried
along: ``customs`` and ``names`` are part of the value, positions do not take part in comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    ExternType,
    FuncUse,
    GlobalType,
    MemType,
    RecType,
    RefType,
    SubType,
    TableType,
    TagType,
    ValType,
    distinct,
)

#: More locals than this in one function are refused (the JavaScript API's limit).
MAX_LOCALS = 50_000

#: An expression: instructions with their closing ``end``.
Expr = tuple[Instr, ...]


@partial(distinct, compared=3)
class Import(NamedTuple):
    """An import: two names and the external type required. ``grouped``: it was written in a group of one module's,
    which needs the feature compact-import-section, and means the same."""

    module: str
    name: str
    type: ExternType
    grouped: bool = False


@distinct
class Export(NamedTuple):
    """An export: ``kind`` is "func", "table", "memory", "global" or "tag"."""

    name: str
    kind: str
    index: int  # type: ignore[assignment]  # not what tuples have


class Func:
    """A function: type index, declared locals in runs ``(count, type)``, body with its final ``end``.

    ``positions`` gives, for each instruction, where it stands: a byte offset or a token index.
    """

    __slots__ = ("type", "locals", "body", "positions")

    def __init__(
        self, type: int, locals: tuple[tuple[int, ValType], ...], body: Expr, positions: Sequence[int] = ()
    ) -> None:
        self.type = type
        self.locals = locals
        self.body = body
        self.positions = positions

    def _value(self) -> tuple[object, ...]:
        return self.type, self.locals, self.body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Func) and self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())

    def __repr__(self) -> str:
        return f"Func{self._value()}"


@distinct
class Global(NamedTuple):
    """A global with its initial value."""

    type: GlobalType
    init: Expr


@distinct
class Table(NamedTuple):
    """A table; ``init`` is the initial value of each element, None where the type's null is meant."""

    type: TableType
    init: Expr | None = None


@distinct
class Elem(NamedTuple):
    """An element segment: ``mode`` is "passive", "active" or "declarative"; table and offset for active ones.

    ``inits`` has one constant expression per element.
    """

    type: RefType
    inits: tuple[Expr, ...]
    mode: str
    table: int = 0
    offset: Expr | None = None


@distinct
class Data(NamedTuple):
    """A data segment: ``mode`` is "passive" or "active"; memory and offset for active ones."""

    init: bytes
    mode: str
    memory: int = 0
    offset: Expr | None = None


@partial(distinct, compared=2)
class Custom(NamedTuple):
    """A custom section; ``after`` is the id of the last non-custom section before it (0: none)."""

    name: str
    content: bytes
    after: int = 0


@distinct
class BranchHint(NamedTuple):
    """A branch hint (appendix "Custom Sections"): at instruction ``instruction`` of function ``function``."""

    function: int
    instruction: int
    likely: bool


NameMap = Mapping[int, str]


@distinct
class Names(NamedTuple):
    """The contents of the name section: plain maps by index, indirect ones (locals, labels, fields) by two. Nobody
    changes them."""

    module: str | None = None
    maps: Mapping[str, NameMap] = {}
    indirect: Mapping[str, Mapping[int, NameMap]] = {}

    def __bool__(self) -> bool:
        return self.module is not None or any(self.maps.values()) or any(self.indirect.values())

    def of(self, kind: str, index: int) -> str:
        """Name of an index of that kind ("func", "global", …), or ""."""
        return self.maps.get(kind, {}).get(index, "")


@partial(distinct, compared=13)
class Module(NamedTuple):
    """A module (2.5), compared by what the specification calls so and the custom sections. ``locate`` turns a position
    of :class:`Func` into text for messages. ``digest`` identifies the source; a module that is made from another one by
    changing its functions must not keep it."""

    types: tuple[RecType, ...] = ()
    imports: tuple[Import, ...] = ()
    funcs: tuple[Func, ...] = ()
    tables: tuple[Table, ...] = ()
    memories: tuple[MemType, ...] = ()
    tags: tuple[TagType, ...] = ()
    globals: tuple[Global, ...] = ()
    exports: tuple[Export, ...] = ()
    start: int | None = None
    elems: tuple[Elem, ...] = ()
    datas: tuple[Data, ...] = ()
    customs: tuple[Custom, ...] = ()
    branch_hints: tuple[BranchHint, ...] = ()
    data_count: int | None = None
    names: Names = Names()
    locate: Callable[[int], str] | None = None
    digest: bytes = b""


def subtypes(module: Module) -> list[SubType]:
    """The sub types of a module, by type index."""
    return [sub for rec in module.types for sub in rec.subtypes]


def func_types(module: Module) -> list[int]:
    """The type index of each function, imported ones first."""
    imported = [i.type.type for i in module.imports if isinstance(i.type, FuncUse)]
    return [*(index for index in imported if isinstance(index, int)), *(f.type for f in module.funcs)]
