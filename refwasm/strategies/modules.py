"""Whole modules."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm import embedding as e
from refwasm.strategies.configuration import Features, Imports, Limits, configuration, without_orphans
from refwasm.strategies.definitions import begin, fill_elements, most_definitions
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.functions import define, empty
from refwasm.strategies.kit import kit_for
from refwasm.strategies.leaves import constant
from refwasm.strategies.scope import Scope
from refwasm.strategies.termination import bounded, without_unused_fuel
from refwasm.syntax.instructions import END, instr
from refwasm.syntax.modules import Elem, Export, Import, Module, Table
from refwasm.syntax.types import FUNCREF, I32, FuncType, FuncUse, RefType, TableType, TagType
from refwasm.syntax.types import Limits as Sizes
from refwasm.text.printer import print_module


class DrawnModule:
    """A valid module. ``module`` is its syntax, ``bytes`` (also ``bytes(m)``) its binary and :meth:`wat` its text
    format; ``functions`` are the types of the exported functions by name."""

    def __init__(self, module: Module) -> None:
        self.module = module

    @cached_property
    def bytes(self) -> builtins.bytes:
        """The binary format."""
        return e.module_encode(self.module)

    def wat(self) -> str:
        """The text format."""
        return print_module(self.module)

    @cached_property
    def validated(self) -> e.Validated:
        """The module as the validator leaves it."""
        return e.module_validate(self.module)

    @cached_property
    def functions(self) -> dict[str, FuncType]:
        """The types of the exported functions, by name. References are written in closed form."""
        found = {}
        for name, t in e.module_exports(self.validated):
            if isinstance(t, FuncUse):
                composite: Any = t.type
                found[name] = composite.composite
        return found

    def __bytes__(self) -> builtins.bytes:
        return self.bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DrawnModule) and self.module == other.module

    def __hash__(self) -> int:
        return hash(self.bytes)

    def __repr__(self) -> str:
        return self.wat().rstrip()


@st.composite
def modules(
    draw: DrawFn,
    features: Features = "all",
    limits: Limits | None = None,
    imports: Imports | None = None,
    exports: str | Mapping[str, FuncType] = "all",
    traps: str = "rare",
    nan: str = "any",
    termination: str | None = "fuel",
) -> DrawnModule:
    """Valid modules.

    ``features`` are those that they may use (as ``refwasm validate --features`` takes them); some modules are without
    some of them. ``imports`` are the types of all that they import, by module and name; there a type mentions no type
    index. ``exports`` is "all", "none", or the types of functions that they export by these names, and nothing else.
    ``traps``: "allowed" (the operands of every third instruction that may trap are left to chance), "rare" (of every
    fortieth) or "none" (no call traps). ``nan``: "any", or "canonicalised", with which float arithmetic leaves nothing
    open, but relaxed instructions do. With ``termination`` "fuel", every call ends: a global, exported as ``fuel``,
    counts down if there is anything to count, and loops end when it is used up; with None they may run for ever.

    Raises InvalidArgument."""
    config = configuration(features, limits, imports or {}, exports, traps, nan, termination)
    drawing = Drawing(draw)
    with kit_for(config) as kit:
        enabled = config.features
        banned = {drawing.pick(kit.switches) for _ in drawing.several(4 if kit.switches else 0, 1)}
        if banned:
            enabled = without_orphans(enabled - (banned - config.needed))
        kit.scope = scope = Scope(config, enabled)
        begin(scope)
        most = most_definitions(config.limits)
        for _ in drawing.several(most, min(5, most / 2)):
            draw(kit.definition)
        draw(kit.function)
        for _ in drawing.several(config.limits.functions - 1, (config.limits.functions - 1) / 2):
            draw(kit.function)
        named = {}
        if not isinstance(config.exports, str):
            for name, t in config.exports:
                named[name] = scope.callable()
                define(kit, drawing, t)
        if not scope.funcs:
            empty(scope)
        fill_elements(scope, drawing)
        return DrawnModule(without_unused_fuel(assembled(scope, drawing, named), scope.fuel))


# ---- the whole ------------------------------------------------------------------------------------------------------


def assembled(scope: Scope, drawing: Drawing, named: Mapping[str, int]) -> Module:
    """The module of what was drawn. ``named`` are functions to export."""
    funcs = bounded(scope, drawing, scope.funcs)
    tables, elems = [Table(t) for t in scope.tables], list(scope.elems)
    if scope.call_table is not None:
        size = len(scope.slots) + 1  # the last element is null
        tables[scope.call_table - scope.imported.get("table", 0)] = Table(TableType(I32, Sizes(size, size), FUNCREF))
        inits = tuple((instr("ref.func", func), END) for func in scope.slots)
        elems.append(Elem(RefType(False, "func"), inits, "active", scope.call_table, (constant(I32, 0), END)))
    exports = _exports(scope, named)
    undeclared = scope.context.refs - {x.index for x in exports if x.kind == "func"}
    if undeclared:
        inits = tuple((instr("ref.func", f), END) for f in sorted(undeclared))
        elems.append(Elem(RefType(False, "func"), inits, "declarative"))
    uses_datas = any("data" in i.form.immediates for func in funcs for i in func.body)
    return Module(
        types=tuple(scope.types), imports=_imports(scope), funcs=tuple(funcs), tables=tuple(tables),
        memories=tuple(scope.memories), tags=tuple(TagType(scope.index(t)) for t in scope.context.tags),
        globals=tuple(scope.globals), exports=exports, start=_start(scope, drawing),
        elems=tuple(elems), datas=tuple(scope.datas),
        data_count=len(scope.datas) if uses_datas else None,
    )  # fmt: skip


def _start(scope: Scope, drawing: Drawing) -> int | None:
    """Seldom a start function."""
    found = [i for i in range(scope.callable()) if scope.func_type(i) == FuncType((), ())]
    return drawing.pick(found) if found and drawing.rarely(16) else None


def _imports(scope: Scope) -> tuple[Import, ...]:
    """The imports, with type indices."""
    found = []
    for (module, name), wanted in scope.config.imports:
        t = FuncUse(scope.func_index(wanted)) if isinstance(wanted, FuncType) else wanted
        found.append(Import(module, name, t))
    return tuple(found)


def _exports(scope: Scope, named: Mapping[str, int]) -> tuple[Export, ...]:
    found = [Export(name, "func", index) for name, index in named.items()]
    if scope.config.exports == "all":
        counts = {"func": len(scope.context.funcs), "memory": len(scope.context.memories)}
        for kind, letter in (("func", "f"), ("memory", "m")):
            first = scope.imported.get(kind, 0)
            found += [Export(f"{letter}{i}", kind, i) for i in range(first, counts[kind])]
        first = scope.imported.get("global", 0)
        globals = scope.context.globals
        for index in range(first, len(globals)):
            if not globals[index].mutable or "mutable-globals" in scope.features:
                name = "fuel" if index == scope.fuel else f"g{index}"
                found.append(Export(name, "global", index))
        tables = range(scope.imported.get("table", 0), len(scope.context.tables))
        found += [Export(f"t{i}", "table", i) for i in tables if i != scope.call_table]
    return tuple(found)


__all__ = ["DrawnModule", "assembled", "modules"]
