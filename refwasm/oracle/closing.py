"""Modules without imports: what a module imports is defined in it, so that every engine gets the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refwasm.errors import UnsupportedFeature
from refwasm.syntax.instructions import END, Instr, instr
from refwasm.syntax.modules import Expr, Func, Global, Module, Table, func_types, subtypes
from refwasm.syntax.types import (
    FuncType,
    FuncUse,
    GlobalType,
    MemType,
    NumType,
    RecType,
    SubType,
    TableType,
    TagType,
    ValType,
)


class Unclosable(UnsupportedFeature):
    """What is imported has no value that could be written in the module."""


def signature(types: Sequence[SubType], index: object) -> FuncType:
    """The function type of an index among the sub types of a valid module."""
    assert isinstance(index, int)
    composite = types[index].composite
    assert isinstance(composite, FuncType)
    return composite


def default_instr(t: ValType) -> Instr | None:
    """A constant of the type: zero or null; None for references that can't be null."""
    if isinstance(t, NumType):
        return instr(f"{t.name}.const", 0)
    return instr("ref.null", t.heap) if t.nullable else None


def closed(module: Module) -> Module:
    """A module that defines what this (valid) one imports: functions that return zeros and nulls (or trap as
    unreachable where the result can't be null), globals of zero or null, empty tables, memories of the least size.

    Raises Unclosable for an imported global or table of references that can't be null."""
    if not module.imports:
        return module
    types = subtypes(module)
    stubs = [_stub(types, i.type.type) for i in module.imports if isinstance(i.type, FuncUse)]
    globals = [
        Global(i.type, _constant(i.type.value, i.name)) for i in module.imports if isinstance(i.type, GlobalType)
    ]
    tables = [
        Table(i.type, None if i.type.element.nullable else _constant(i.type.element, i.name))
        for i in module.imports
        if isinstance(i.type, TableType)
    ]
    return module._replace(
        imports=(),
        funcs=(*stubs, *module.funcs),
        globals=(*globals, *module.globals),
        tables=(*tables, *module.tables),
        memories=(*(i.type for i in module.imports if isinstance(i.type, MemType)), *module.memories),
        tags=(*(i.type for i in module.imports if isinstance(i.type, TagType)), *module.tags),
        digest=b"",
    )


def _constant(t: ValType, name: str) -> Expr:
    value = default_instr(t)
    if value is None:
        raise Unclosable(f"import {name!r}: there is no constant of type {t!r}")
    return (value, END)


def _stub(types: Sequence[SubType], index: object) -> Func:
    assert isinstance(index, int)
    return Func(index, (), zeros(signature(types, index).results))


def zeros(results: Sequence[ValType]) -> Expr:
    """A body that returns zeros and nulls; that traps where a reference can't be null."""
    values = [default_instr(t) for t in results]
    return (*(i for i in values if i is not None), END) if all(values) else (instr("unreachable"), END)


def with_types(module: Module, added: Iterable[FuncType]) -> Module:
    """The module with more function types behind its own."""
    recs = tuple(RecType((SubType(True, (), t),)) for t in added)
    return module._replace(types=(*module.types, *recs), digest=b"")


__all__ = [
    "Unclosable", "closed", "default_instr", "func_types", "signature", "subtypes", "with_types", "zeros",
]  # fmt: skip
