"""Functions that a program imports and nobody has: many programs never call them.

Compilers and libraries import what they may need of a host: Ruby and others import functions of JavaScript that a plain
run does without. A stand-in either traps when it is called, or returns zeros (nulls for references).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Trap
from refwasm.syntax.types import FuncType, FuncUse, RefType

#: What can be done about unknown imports.
REFUSE, TRAP, ZERO = "refuse", "trap", "zero"
CHOICES = (REFUSE, TRAP, ZERO)


def stand_ins(
    validated: e.Validated, provided: Mapping[str, Mapping[str, e.Extern]], choice: str
) -> dict[str, dict[str, e.Extern]]:
    """By module and name, a function for each function that is imported and not provided; none with REFUSE."""
    found: dict[str, dict[str, e.Extern]] = {}
    for module, name, t in e.module_imports(validated) if choice != REFUSE else ():
        if isinstance(t, FuncUse) and name not in provided.get(module, {}):
            found.setdefault(module, {})[name] = _stand_in(module, name, t, choice)
    return found


def _stand_in(module: str, name: str, t: FuncUse, choice: str) -> e.HostFunc:
    assert isinstance(t.type, e.DefType), "the types of what is imported are closed"
    signature = t.type.composite
    assert isinstance(signature, FuncType)
    what = f"the unknown import {module!r} {name!r} was called"
    zeros = [None if isinstance(result, RefType) else 0 for result in signature.results]
    has_zeros = not any(isinstance(result, RefType) and not result.nullable for result in signature.results)

    def call(*args: Any) -> list[Any]:
        if choice == ZERO and has_zeros:
            return list(zeros)
        raise Trap(what)

    return e.HostFunc(t.type, call, name)
