"""Functions: a type, locals, and a body."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from refwasm.strategies.body import Body
from refwasm.strategies.canonical import canonicalised
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.scope import Scope
from refwasm.syntax.instructions import END
from refwasm.syntax.modules import Func
from refwasm.syntax.types import FuncType, ValType

if TYPE_CHECKING:
    from refwasm.strategies.kit import Kit


def function(kit: Kit, drawing: Drawing) -> None:
    """Draw a function of any type, and add it to the module. No function is the simplest one, which the shrinker can
    delete wherever it stands."""
    if not drawing.below(16):
        return
    scope = kit.scope
    limits = scope.config.limits
    params = tuple(_type(scope, drawing) for _ in drawing.several(limits.params, limits.params / 2))
    most = min(limits.results, 2 if "multi-value" in scope.features else 1)
    declared = _locals(scope, drawing)
    last: tuple[ValType, ...] = ()
    if most and drawing.rarely(8):
        last = (_type(scope, drawing),)
    else:
        drawing.none(_TYPES)

    def typed(first: tuple[ValType, ...]) -> FuncType:
        return FuncType(params, (*(first if len(first) <= most else ()), *last)[:most])

    _define(kit, drawing, (params, declared), typed)


def empty(scope: Scope) -> None:
    """Add a function that does nothing."""
    index = scope.func_index(FuncType((), ()))
    scope.context.funcs.append(scope.context.space.types[index])
    scope.funcs.append(Func(index, (), (END,)))


#: Choices of a type.
_TYPES = 12


def _type(scope: Scope, drawing: Drawing) -> ValType:
    """A type of a parameter, result or local: mostly a number."""
    k = drawing.below(_TYPES)
    numbers, references = scope.numbers(), scope.nullable()
    if k > 9 and references:
        return drawing.pick(references)
    return numbers[(0, 1, 2, 3, 0, 1, -1, 0, 2, 3, 0, 1)[k]]


def _locals(scope: Scope, drawing: Drawing) -> tuple[ValType, ...]:
    """Types of locals behind the parameters."""
    most = scope.config.limits.locals
    return tuple(_type(scope, drawing) for _ in drawing.several(most, most / 2))


def define(kit: Kit, drawing: Drawing, t: FuncType) -> None:
    """Draw a function of a type, and add it to the module."""
    _define(kit, drawing, (t.params, _locals(kit.scope, drawing)), lambda first: t, is_known=True)


def _define(
    kit: Kit, drawing: Drawing, locals: tuple[tuple[ValType, ...], tuple[ValType, ...]],
    typed: Callable[[tuple[ValType, ...]], FuncType], is_known: bool = False,
) -> None:  # fmt: skip
    """Draw a function, and add it to the module as soon as its type is known: from the start, or else when the first
    values are. ``locals`` are the parameters, and the others."""
    scope, (params, declared) = kit.scope, locals

    def define(first: tuple[ValType, ...]) -> tuple[ValType, ...]:
        t = typed(first)
        scope.context.funcs.append(scope.context.space.types[scope.func_index(t)])
        return t.results

    body = Body(scope, drawing, kit, [*params, *declared], None, define)
    if is_known:
        body.settle()
    body.outermost()
    index = scope.func_index(FuncType(params, body.results))
    func = Func(index, declared_locals(body, len(params)), tuple(body.out))
    scope.funcs.append(canonicalised(func, len(params)) if scope.config.nan == "canonicalised" else func)


def declared_locals(body: Body, params: int) -> tuple[tuple[int, ValType], ...]:
    """The locals behind the parameters in runs, as the module writes them."""
    return tuple((len(list(run)), kind) for kind, run in groupby(map(body.scope.open, body.locals[params:])))
