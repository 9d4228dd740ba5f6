"""The guest as host functions see it: its memory, and how pointers into it are checked.

Host functions take i32 pointers into the memory that the guest exports as ``memory``. A pointer out of bounds, or
misaligned where a type asks for alignment, traps before anything else happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Trap, Unlinkable
from refwasm.syntax.types import NUM_TYPES, FuncType


class Guest:
    """An instance that calls host functions. ``instance`` is set while it is instantiated (:meth:`attach`).

    ``binary`` is its module in the binary format, if it came so.
    """

    def __init__(self, binary: bytes | None = None) -> None:
        self.binary = binary
        self.instance: e.ModuleInst | None = None
        self.exported_memory: e.Memory | None = None

    def attach(self, instance: e.ModuleInst) -> None:
        """Serve this instance."""
        self.instance = instance
        memory = instance.exports.get("memory")
        self.exported_memory = memory if isinstance(memory, e.Memory) else None

    @property
    def memory(self) -> e.Memory:
        """The guest's memory; Unlinkable if it exports none."""
        if self.exported_memory is None:
            raise Unlinkable("the module calls host functions but exports no memory named 'memory'")
        return self.exported_memory

    def check(self, pointer: int, size: int, align: int = 1) -> None:
        """Trap unless ``size`` bytes at ``pointer`` are in bounds, and the pointer is aligned."""
        if pointer % align:
            raise Trap(f"misaligned pointer 0x{pointer:x}: a multiple of {align} is needed")
        self.memory.check(pointer, size)

    def read_u32s(self, pointer: int, count: int) -> tuple[int, ...]:
        """An array of 32-bit integers, copied once."""
        self.check(pointer, 4 * count, 4)
        raw = self.memory.read(pointer, 4 * count)
        return tuple(int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 4))

    def write_u32(self, pointer: int, value: int) -> None:
        """Store a 32-bit integer."""
        self.memory.store(4, pointer, value)

    def write_u64(self, pointer: int, value: int) -> None:
        """Store a 64-bit integer."""
        self.memory.store(8, pointer, value)


def host_functions(methods: Mapping[str, Callable[..., Any]], signatures: Mapping[str, str]) -> dict[str, e.Extern]:
    """Host functions from methods, with types such as ``"i32 i64 -> i32"``.

    A method returns its one result, or None where the type has none.
    """
    return {name: _host_function(method, name, signatures[name]) for name, method in methods.items()}


def _host_function(method: Callable[..., int | None], name: str, signature: str) -> e.HostFunc:
    before, _, after = signature.partition("->")
    t = FuncType(tuple(NUM_TYPES[w] for w in before.split()), tuple(NUM_TYPES[w] for w in after.split()))
    if not t.results:

        def call_without_result(*args: Any) -> Sequence[Any]:
            method(*args)
            return ()

        return e.func_alloc(t, call_without_result, name)
    return e.func_alloc(t, lambda *args: (method(*args),), name)
