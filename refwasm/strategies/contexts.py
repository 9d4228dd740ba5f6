"""What parts of modules are drawn for: a module that is given, and types in it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from hypothesis.errors import InvalidArgument

from refwasm.errors import Invalid
from refwasm.strategies.breaches import with_function
from refwasm.strategies.calls import AnyModule, drawn
from refwasm.strategies.configuration import Configuration, problem
from refwasm.strategies.modules import DrawnModule
from refwasm.strategies.operands import is_inhabited
from refwasm.strategies.scope import Scope
from refwasm.strategies.values import value_type
from refwasm.syntax.instructions import PLAIN
from refwasm.syntax.types import (
    I32,
    FuncType,
    GlobalType,
    MemType,
    RefType,
    TableType,
    ValType,
)


def in_context(context: AnyModule, t: FuncType, config: Configuration) -> tuple[DrawnModule, FuncType]:
    """The module that is given, and a function type in it, in closed form: a number as heap type is a type index there.
    Raises InvalidArgument for what is no module, or no type of it, and for what the features do not allow."""
    given = bytes(context) if isinstance(context, bytearray) else context
    return _in_context(given, t, config.features)


@lru_cache(maxsize=256)
def _in_context(context: Any, t: FuncType, features: frozenset[str]) -> tuple[DrawnModule, FuncType]:
    module = drawn(context)
    scope = scope_of(module, Configuration(features))
    closed = FuncType(_closed(t.params, scope), _closed(t.results, scope))
    opened = (tuple(map(scope.open, types)) for types in closed)
    reason = problem(with_function(module.module, [PLAIN["unreachable"]], *opened), features)
    if reason:
        raise InvalidArgument(f"a context and types beyond features: {reason}")
    return module, closed


def _closed(types: Iterable[ValType | str], scope: Scope) -> tuple[ValType, ...]:
    found, space = [], scope.context.space
    for t in map(value_type, types):
        try:
            found.append(space.value(t))
        except Invalid as error:
            raise InvalidArgument(f"{t!r}: {error} in the context") from None
        heap = t.heap if isinstance(t, RefType) else ""
        if not isinstance(heap, (str, int)) and heap not in space.types:
            raise InvalidArgument(f"{t!r} is a type of another module: the context does not define it")
    return tuple(found)


def check_inhabited(scope: Scope, types: Iterable[ValType]) -> None:
    """That there are values of all types. Raises InvalidArgument."""
    for t in types:
        if not is_inhabited(scope, t):
            raise InvalidArgument(f"nothing makes a {t!r} here: an expression of that type could only trap")


def scope_of(module: DrawnModule, config: Configuration) -> Scope:
    """The scope of a module that is given; fuel is another global of it."""
    syntax, scope = module.module, Scope(config, config.features)
    context, validated = scope.context, module.validated
    for rec in syntax.types:
        scope.define(rec)
    spaces: dict[type, list[Any]] = {
        TableType: context.tables, MemType: context.memories, GlobalType: context.globals,
    }  # fmt: skip
    for wanted in syntax.imports:
        t = context.space.extern(wanted.type)
        if type(t) in spaces:
            spaces[type(t)].append(t)
    context.imported_globals = len(context.globals)
    context.tables += [context.space.extern(table.type) for table in syntax.tables]  # type: ignore[misc]
    context.memories += syntax.memories
    context.globals += [context.space.extern(g.type) for g in syntax.globals]  # type: ignore[misc]
    context.tags += [context.space.func(tag.type) for tag in syntax.tags]
    context.funcs += validated.func_types
    context.elems += [context.space.ref(elem.type) for elem in syntax.elems]
    scope.datas, scope.elems, context.datas = list(syntax.datas), list(syntax.elems), len(syntax.datas)
    scope.fuel = len(context.globals)
    context.globals.append(GlobalType(I32, True))
    scope.config = config._replace(limits=config.limits._replace(memories=0, tables=0, types=0, globals=0, segments=0))
    return scope
