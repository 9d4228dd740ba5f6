"""An instance in wasmtime as the host functions of wasi-parallel see it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from refwasm import embedding as e
from refwasm.errors import ResourceLimit, Unlinkable
from refwasm.execution.domain import current_domain
from refwasm.execution.memory import PAGE, Memory, SharedMemory
from refwasm.host.guest import Guest
from refwasm.host.parallel.devices.native import binding, mapping
from refwasm.host.parallel.forms import TABLES
from refwasm.host.parallel.types import Errno, ParallelError
from refwasm.syntax.modules import Module
from refwasm.syntax.types import I32, FuncUse, Limits, MemType

#: Instructions after which a table is no longer what its segments say.
_CHANGING = frozenset({"table.set", "table.grow", "table.fill", "table.copy", "table.init"})


class PrivateMemory(Memory):
    """A view of a private memory of wasmtime's, taken anew for each call: wasmtime may move it when it grows."""

    __slots__ = ("native", "holder")

    def __init__(self, native: Any, store: Any) -> None:
        self.native, self.holder = native, store
        limits = native.type(store).limits
        self.pages = native.size(store)
        super().__init__(MemType(I32, Limits(self.pages, limits.max), False))

    def _reserve(self) -> memoryview:
        self.limit = max(self.limit, self.pages)
        size = self.native.data_len(self.holder)
        if not size:
            return memoryview(bytearray())
        address = binding.address_of(self.native, self.holder)
        return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")

    def grow(self, delta: int) -> int:
        """As for any memory."""
        if not delta:
            return self.pages
        try:
            old = int(self.native.grow(self.holder, delta))
        except binding.api().WasmtimeError:
            return -1
        self.pages = old + delta
        self.mapping = self._reserve()
        self._make_views()
        return old


class NativeGuest(Guest):
    """The instance that calls. Its memory is looked up in each call: it may have grown, or be another one's."""

    def __init__(self, engine: Any, module: Module | None, binary: bytes | None) -> None:
        super().__init__(binary)
        self.engine, self.module = engine, module
        self.shared: dict[int, tuple[SharedMemory, Any]] = {}  # by address: ours over theirs
        self.shares: bool | None = None

    def has_memory(self, native: Any, store: Any) -> None:
        """What the instance exports as ``memory`` (None: nothing), in a store or a caller."""
        kind = type(native).__name__
        if kind == "Memory":
            self.exported_memory = PrivateMemory(native, store)
        elif kind == "SharedMemory":
            self.exported_memory = self.over(binding.mended(native))
        else:
            self.exported_memory = None

    def over(self, native: Any) -> Memory:
        """Our shared memory that is one with a shared memory of wasmtime's; one of the same size as it now."""
        address = binding.address_of(native)
        if address not in self.shared:
            self.shared[address] = self._shared(native, address), native
        ours, theirs = self.shared[address]
        if theirs.size() > ours.size():
            ours.grow(theirs.size() - ours.size())
        return ours

    def after(self) -> None:
        """Once a call is served: what kernels grew has grown here too."""
        if isinstance(self.exported_memory, SharedMemory):
            for ours, theirs in self.shared.values():
                if ours is self.exported_memory and ours.size() > theirs.size():
                    theirs.grow(ours.size() - theirs.size())

    def _shared(self, native: Any, address: int) -> SharedMemory:
        limits = native.type().limits
        t = MemType(I32, Limits(native.size(), limits.max), True)
        ours = SharedMemory(t, current_domain())
        size = native.size() * PAGE
        if self.shares is None:
            self.shares = mapping.can_share(self.engine, e.module_encode(e.module_parse(mapping.PROBE)))
        if size:
            ours.write(0, ctypes.string_at(address, size))
        if not self.shares or not mapping.map_over(address, ours.fd, ours.HEADER, size, ours.limit * PAGE):
            raise ResourceLimit("a shared memory of wasmtime's can't be shared with the processes that run kernels")
        return ours

    def function_at(self, position: int) -> int:
        """The index of the function at a position of the exported table, for the form of 2021: as the program's
        segments say, since wasmtime does not tell what is in a table."""
        module = self.module
        if module is None:
            raise ParallelError(Errno.UNSUPPORTED, "PAR-FORM-05", "the caller's module is not known: pass module=")
        table = next((x.index for name in TABLES for x in module.exports if (x.name, x.kind) == (name, "table")), None)
        if table is None:
            raise ParallelError(
                Errno.INVALID_KERNEL, "PAR-FORM-05", f"the caller exports no table {' or '.join(map(repr, TABLES))}"
            )
        if any(i.form.mnemonic in _CHANGING and i.args[:1] == (table,) for f in module.funcs for i in f.body):
            raise ParallelError(Errno.UNSUPPORTED, "PAR-FORM-05", "the caller changes its table while it runs")
        imported = sum(isinstance(i.type, FuncUse) for i in module.imports)
        found = _in_segments(module, table, position)
        if found is None or found < imported:
            raise ParallelError(
                Errno.INVALID_KERNEL, "PAR-FORM-05",
                f"position {position} of the table holds no function of the caller's",
            )  # fmt: skip
        return found


def _in_segments(module: Module, table: int, position: int) -> int | None:
    """The function that active segments put at a position of a table; None if there is none."""
    found = None
    for elem in module.elems:
        if elem.mode == "active" and elem.table == table and elem.offset is not None:
            start = _constant(elem.offset)
            if start is not None and 0 <= position - start < len(elem.inits):
                found = _constant(elem.inits[position - start], "ref.func")
    return found


def _constant(expression: Sequence[Any], mnemonic: str = "i32.const") -> int | None:
    """The operand of an expression that is this one instruction."""
    instructions = [i for i in expression if i.form.mnemonic != "end"]
    if len(instructions) == 1 and instructions[0].form.mnemonic == mnemonic:
        return int(instructions[0].args[0])
    return None


def shared_import(module: Any) -> Any:
    """The import of a shared memory in a module of wasmtime's, if there is one."""
    shared = [i for i in module.imports if type(i.type).__name__ == "MemoryType" and i.type.is_shared]
    if len(shared) > 1:
        raise Unlinkable("the program imports several shared memories")
    return shared[0] if shared else None
