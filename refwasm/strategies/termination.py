"""Fuel: a global that loops count down, and functions that may call each other without end.

When there is none left, loops end and such functions return at once, so that a call ends without a trap.
"""

from __future__ import annotations

from collections.abc import Sequence

from refwasm.strategies.drawing import Drawing
from refwasm.strategies.leaves import constant, leaf
from refwasm.strategies.scope import Scope
from refwasm.syntax.instructions import END, FORMS, PLAIN, Instr, instr
from refwasm.syntax.modules import Export, Expr, Func, Module
from refwasm.syntax.types import EMPTY_BLOCK, I32, GlobalType, RefType
from refwasm.validation.matching import match_ref_type

#: Modules with more functions than this have fuel counted in every function that is called: even without recursion
#: they may make very many calls.
FEW = 6
_DIRECT = frozenset({"call", "return_call"})
_INDIRECT = frozenset({"call_indirect", "call_ref", "return_call_indirect", "return_call_ref"})


def bounded(scope: Scope, drawing: Drawing, funcs: Sequence[Func]) -> list[Func]:
    """The functions, of which those that may call themselves count fuel when they are entered."""
    if scope.fuel is None:
        return list(funcs)
    first = scope.imported.get("func", 0)
    counted = _called(scope, funcs, first) if len(funcs) > FEW else _recursive(scope, funcs, first)
    return [
        Func(f.type, f.locals, (*_entry(scope, drawing, first + i), *f.body)) if first + i in counted else f
        for i, f in enumerate(funcs)
    ]


def without_unused_fuel(module: Module, fuel: int | None) -> Module:
    """The module without its fuel, if nothing counts it: the globals behind it move up."""
    getters = (FORMS["global.get"], FORMS["global.set"])
    if fuel is None or any(i.form in getters and i.args[0] == fuel for func in module.funcs for i in func.body):
        return module

    def moved(expr: Expr | None) -> Expr:
        return tuple(
            Instr(i.form, (i.args[0] - 1,)) if i.form in getters and i.args[0] > fuel else i for i in expr or ()
        )

    def export(x: Export) -> Export:
        return x._replace(index=x.index - 1) if x.kind == "global" and x.index > fuel else x

    own = fuel - sum(isinstance(i.type, GlobalType) for i in module.imports)
    return module._replace(
        funcs=tuple(Func(f.type, f.locals, moved(f.body)) for f in module.funcs),
        globals=tuple(g._replace(init=moved(g.init)) for i, g in enumerate(module.globals) if i != own),
        exports=tuple(export(x) for x in module.exports if (x.kind, x.index) != ("global", fuel)),
        elems=tuple(elem._replace(inits=tuple(map(moved, elem.inits))) for elem in module.elems),
    )


def _called(scope: Scope, funcs: Sequence[Func], first: int) -> set[int]:
    """Functions that anything in the module calls, or may call."""
    edges = _edges(scope, funcs, first, set(range(first, first + len(funcs))))
    return set().union(*edges.values())


def _edges(scope: Scope, funcs: Sequence[Func], first: int, referred: set[int]) -> dict[int, set[int]]:
    """What each function may call: by references, all functions that were referred to and are of the type."""
    types, edges = scope.context.space.types, {}
    for number, func in enumerate(funcs, first):
        found = {i.args[0] for i in func.body if i.form.mnemonic in _DIRECT}
        for index in {i.args[0] for i in func.body if i.form.mnemonic in _INDIRECT}:
            wanted = RefType(False, types[index])
            found |= {f for f in referred if match_ref_type(RefType(False, scope.context.funcs[f]), wanted)}
        edges[number] = found
    return edges


def _recursive(scope: Scope, funcs: Sequence[Func], first: int) -> set[int]:
    """Functions that may call themselves, through others or not."""
    edges = _edges(scope, funcs, first, scope.context.refs | set(scope.slots))
    found = set()
    for number in edges:
        seen: set[int] = set()
        waiting = list(edges[number])
        while waiting:
            callee = waiting.pop()
            if callee not in seen:
                seen.add(callee)
                waiting += edges.get(callee, ())
        if number in seen:
            found.add(number)
    return found


def _entry(scope: Scope, drawing: Drawing, index: int) -> list[Instr]:
    """Return something if there is no fuel; else use one of it."""
    assert scope.fuel is not None
    get = instr("global.get", scope.fuel)
    out: list[Instr] = [get, PLAIN["i32.eqz"], instr("if", EMPTY_BLOCK)]
    for t in scope.func_type(index).results:
        leaf(scope, drawing, out, t)
    return [*out, PLAIN["return"], END, get, constant(I32, 1), PLAIN["i32.sub"], instr("global.set", scope.fuel)]
