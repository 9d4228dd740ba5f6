"""Modules (specification 2.5). Everything here is frozen; index spaces start with the imports.

What the specification leaves out of a module but tools want (custom sections, names, source positions) is carried
along: ``customs`` and ``names`` are part of the value, positions do not take part in comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import ExternType, GlobalType, MemType, RecType, RefType, TableType, TagType, ValType

#: More locals than this in one function are refused (the JavaScript API's limit).
MAX_LOCALS = 50_000

#: An expression: instructions with their closing ``end``.
Expr = tuple[Instr, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """An import: two names and the external type required."""

    module: str
    name: str
    type: ExternType


@dataclass(frozen=True, slots=True)
class Export:
    """An export: ``kind`` is "func", "table", "memory", "global" or "tag"."""

    name: str
    kind: str
    index: int


@dataclass(frozen=True, slots=True)
class Func:
    """A function: type index, declared locals in runs ``(count, type)``, body with its final ``end``.

    ``positions`` gives, for each instruction, where it stands: a byte offset or a token index.
    """

    type: int
    locals: tuple[tuple[int, ValType], ...]
    body: Expr
    positions: Sequence[int] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Global:
    """A global with its initial value."""

    type: GlobalType
    init: Expr


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``init`` is the initial value of each element, None where the type's null is meant."""

    type: TableType
    init: Expr | None = None


@dataclass(frozen=True, slots=True)
class Elem:
    """An element segment: ``mode`` is "passive", "active" or "declarative"; table and offset for active ones.

    ``inits`` has one constant expression per element.
    """

    type: RefType
    inits: tuple[Expr, ...]
    mode: str
    table: int = 0
    offset: Expr | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """A data segment: ``mode`` is "passive" or "active"; memory and offset for active ones."""

    init: bytes
    mode: str
    memory: int = 0
    offset: Expr | None = None


@dataclass(frozen=True, slots=True)
class Custom:
    """A custom section; ``after`` is the id of the last non-custom section before it (0: none)."""

    name: str
    content: bytes
    after: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class BranchHint:
    """A branch hint (appendix "Custom Sections"): at instruction ``instruction`` of function ``function``."""

    function: int
    instruction: int
    likely: bool


NameMap = dict[int, str]


@dataclass(frozen=True, slots=True)
class Names:
    """The contents of the name section: plain maps by index, indirect ones (locals, labels, fields) by two."""

    module: str | None = None
    maps: dict[str, NameMap] = field(default_factory=dict)
    indirect: dict[str, dict[int, NameMap]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.module is not None or any(self.maps.values()) or any(self.indirect.values())

    def of(self, kind: str, index: int) -> str:
        """Name of an index of that kind ("func", "global", …), or ""."""
        return self.maps.get(kind, {}).get(index, "")


@dataclass(frozen=True, slots=True)
class Module:
    """A module (2.5). ``locate`` turns a position of :class:`Func` into text for messages. ``digest`` identifies the
    source; a module that is made from another one by changing its functions must not keep it."""

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
    data_count: int | None = field(default=None, compare=False)
    customs: tuple[Custom, ...] = ()
    branch_hints: tuple[BranchHint, ...] = ()
    names: Names = field(default_factory=Names, compare=False)
    locate: Callable[[int], str] | None = field(default=None, compare=False, repr=False)
    digest: bytes = field(default=b"", compare=False, repr=False)
