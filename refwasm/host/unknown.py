"""Functions that a program imports and nobody has: many programs never call them.

Compilers and libraries import what they may need of a host: Ruby and others import functions of JavaScript that a plain
run does without. A stand-in traps when it is called, or returns zeros (nulls for references), or what the choices of
the execution say: any of :data:`EDGES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Trap
from refwasm.execution.choices import HOST, Choices
from refwasm.execution.numerics.edges import EDGES
from refwasm.syntax.types import FuncType, FuncUse, NumType, RefType, ValType

#: What can be done about unknown imports.
REFUSE, TRAP, ZERO, ANY = "refuse", "trap", "zero", "any"
WAYS = (REFUSE, TRAP, ZERO, ANY)


def stand_ins(
    validated: e.Validated, provided: Mapping[str, Mapping[str, e.Extern]], way: str, choices: Choices | None = None
) -> dict[str, dict[str, e.Extern]]:
    """By module and name, a function for each function that is imported and not provided; none with REFUSE."""
    found: dict[str, dict[str, e.Extern]] = {}
    for module, name, t in e.module_imports(validated) if way != REFUSE else ():
        if isinstance(t, FuncUse) and name not in provided.get(module, {}):
            found.setdefault(module, {})[name] = _stand_in(module, name, t, way, choices or Choices())
    return found


def _stand_in(module: str, name: str, t: FuncUse, way: str, choices: Choices) -> e.HostFunc:
    assert isinstance(t.type, e.DefType), "the types of what is imported are closed"
    signature = t.type.composite
    assert isinstance(signature, FuncType)
    what = f"the unknown import {module!r} {name!r} was called"
    zeros = [None if isinstance(result, RefType) else 0 for result in signature.results]
    has_zeros = not any(isinstance(result, RefType) and not result.nullable for result in signature.results)

    def call(*args: Any) -> list[Any]:
        if way == ANY and has_zeros:
            return [_any(choices, result) for result in signature.results]
        if way == ZERO and has_zeros:
            return list(zeros)
        raise Trap(what)

    return e.HostFunc(t.type, call, name)


def _any(choices: Choices, t: ValType) -> int | None:
    """A value of a type, zero or null if the choices are the default."""
    if isinstance(t, NumType):
        return EDGES[t.name][choices.choose(HOST, len(EDGES[t.name]))]
    return None
