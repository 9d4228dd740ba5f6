"""Functions: a type, locals, and a body."""

from __future__ import annotations

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
    """Draw a function of any type, and add it to the module."""
    scope = kit.scope
    limits = scope.config.limits
    params = tuple(_type(scope, drawing) for _ in range(drawing.below(limits.params + 1)))
    most = min(limits.results, 2 if "multi-value" in scope.features else 1)
    count = min((0, 1, 1, 1, 2)[drawing.below(5)], most)
    define(kit, drawing, FuncType(params, tuple(_type(scope, drawing) for _ in range(count))))


def _type(scope: Scope, drawing: Drawing) -> ValType:
    """A type of a parameter, result or local: mostly a number."""
    k = drawing.below(12)
    numbers, references = scope.numbers(), scope.nullable()
    if k > 9 and references:
        return drawing.pick(references)
    return numbers[(0, 1, 2, 3, 0, 1, -1, 0, 2, 3, 0, 1)[k]]


def define(kit: Kit, drawing: Drawing, t: FuncType) -> None:
    """Draw a function of a type, and add it to the module."""
    scope = kit.scope
    index = scope.func_index(t)
    scope.context.funcs.append(scope.context.space.types[index])
    declared = [_type(scope, drawing) for _ in range(drawing.below(scope.config.limits.locals + 1))]
    body = Body(scope, drawing, kit, [*t.params, *declared], t.results)
    body.outermost()
    for result in t.results:
        body.expression(result)
    body.emit(END)
    func = Func(index, declared_locals(body, t), tuple(body.out))
    scope.funcs.append(canonicalised(func, len(t.params)) if scope.config.nan == "canonicalised" else func)


def declared_locals(body: Body, t: FuncType) -> tuple[tuple[int, ValType], ...]:
    """The locals behind the parameters in runs, as the module writes them."""
    return tuple((len(list(run)), kind) for kind, run in groupby(map(body.scope.open, body.locals[len(t.params) :])))
