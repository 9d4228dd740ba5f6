"""Functions in tables, found alike by every tier (rules Step/call_indirect and Step_read/ref.cast)."""

from __future__ import annotations

from refwasm.errors import Trap
from refwasm.execution.store import AnyFunc, TableInst
from refwasm.syntax.types import DefType


def function_at(table: TableInst, wanted: DefType, index: int) -> AnyFunc:
    """The function at an index, if it has the type that the call expects; traps otherwise."""
    elements = table.elements
    if index >= len(elements):
        raise Trap("undefined element")
    func: AnyFunc | None = elements[index]
    if func is None:
        raise Trap(f"uninitialized element {index}")
    if func.type is not wanted and wanted not in func.type.supers:
        raise Trap("indirect call type mismatch")
    return func
