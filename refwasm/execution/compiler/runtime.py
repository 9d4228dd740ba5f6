"""What generated code calls: traps, tables, other functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from refwasm.errors import Exhaustion, Trap
from refwasm.execution import bulk
from refwasm.execution.memory import Memory
from refwasm.execution.store import AnyFunc, HostFunc, Store, TableInst
from refwasm.syntax.types import DefType

#: Host calls that run WebAssembly that calls the host …: each level takes C stack.
MAX_HOST_DEPTH = 100


def unreachable() -> NoReturn:
    raise Trap("unreachable")


def out_of_bounds(error: IndexError) -> Trap:
    """The trap for an access that a view refused; ``error`` knows where."""
    trap = Trap("out of bounds memory access")
    trap.__cause__ = error
    return trap


def grown(memory: Memory, error: IndexError) -> None:
    """A view of a shared memory refused an access: a trap, unless another process has grown the memory."""
    if not memory.refresh():
        raise out_of_bounds(error)


def table_lookup(callable_of: Callable[[AnyFunc], Callable[..., Any]]) -> Callable[..., Callable[..., Any]]:
    """``found``: the function of a table at an index, checked as call_indirect does."""
    cache: dict[AnyFunc, Callable[..., Any]] = {}

    def found(table: TableInst, wanted: DefType, index: int) -> Callable[..., Any]:
        elements = table.elements
        if index >= len(elements):
            raise Trap("undefined element")
        func = elements[index]
        if func is None:
            raise Trap(f"uninitialized element {index}")
        if func.type is not wanted and wanted not in func.type.supers:
            raise Trap("indirect call type mismatch")
        function = cache.get(func)
        if function is None:
            function = cache[func] = callable_of(func)
        return function

    return found


def host_caller(store: Store, func: HostFunc) -> Callable[..., Any]:
    """A host function as generated code calls it: one result is given as it is."""
    function, results = func.function, len(func.signature.results)

    def call(*args: Any) -> Any:
        if store.host_depth >= MAX_HOST_DEPTH:
            raise Exhaustion("call stack exhausted")
        store.host_depth += 1
        try:
            values = function(*args)
        finally:
            store.host_depth -= 1
        return values[0] if results == 1 else tuple(values)

    return call


HELPERS: dict[str, Any] = {
    "unreachable": unreachable,
    "out_of_bounds": out_of_bounds,
    "grown": grown,
    "memory_fill": bulk.memory_fill,
    "memory_copy": bulk.memory_copy,
    "memory_init": bulk.memory_init,
}
