"""Kernels: what a binary module must be to run as one, and instances of it.

A kernel imports exactly one thing, a shared memory, and exports ``kernel`` with parameters ``(iteration id, number of
iterations, block size, then (pointer, length) of each input buffer, then of each output buffer)``, all i32, no results.
"""

from __future__ import annotations

from typing import Any

from refwasm import embedding as e
from refwasm.errors import Invalid, Malformed, ResourceLimit
from refwasm.host.parallel.types import Errno, ParallelError
from refwasm.syntax.types import I32, FuncType, FuncUse, MemType

#: Instructions that change the module state of an instance.
STATEFUL = frozenset(
    {
        "global.set", "table.set", "table.grow", "table.fill", "table.copy", "table.init", "elem.drop", "data.drop",
        "struct.set", "array.set", "array.fill", "array.copy", "array.init_data", "array.init_elem",
    }
)  # fmt: skip


class Kernel:
    """A checked kernel. ``buffers`` is how many (pointer, length) pairs it takes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            self.validated = e.module_validate(e.module_decode(data))
        except (Malformed, Invalid, ResourceLimit) as error:
            raise ParallelError(Errno.INVALID_KERNEL, f"the kernel is not a valid module: {error}") from None
        self.memory_type = self._memory_type()
        self.buffers = self._check_signature()
        module = self.validated.module
        mnemonics = {instr.form.mnemonic for func in module.funcs for instr in set(func.body)}
        self.has_state = bool(mnemonics & STATEFUL)
        #: Whether making an instance does something that others can see: then it happens once per parallel_exec.
        self.acts_on_instantiation = module.start is not None or any(d.offset is not None for d in module.datas)

    def _memory_type(self) -> MemType:
        imports = e.module_imports(self.validated)
        if len(imports) != 1 or not isinstance(imports[0][2], MemType):
            names = ", ".join(f"{module!r} {name!r}" for module, name, _ in imports) or "nothing"
            raise ParallelError(
                Errno.INVALID_KERNEL, f"a kernel imports exactly one thing, a shared memory; this one imports {names}"
            )
        t = imports[0][2]
        if not t.shared or t.address is not I32:
            raise ParallelError(Errno.INVALID_KERNEL, "the memory that the kernel imports must be shared and 32-bit")
        return t

    def _check_signature(self) -> int:
        exported = dict(e.module_exports(self.validated)).get("kernel")
        if not isinstance(exported, FuncUse):
            raise ParallelError(Errno.INVALID_KERNEL, "the kernel exports no function named 'kernel'")
        t: FuncType = exported.type.composite  # type: ignore[union-attr, assignment]
        pairs, odd = divmod(len(t.params) - 3, 2)
        if t.results or odd or pairs < 0 or any(p is not I32 for p in t.params):
            raise ParallelError(
                Errno.INVALID_KERNEL,
                f"'kernel' must take (id, iterations, block size) and a (pointer, length) per buffer, all i32, "
                f"and return nothing; its type is {t!r}",
            )
        return pairs


class KernelInstance:
    """An instance of a kernel over a memory, able to go back to the module state that it started with."""

    def __init__(self, kernel: Kernel, memory: e.Memory, settings: e.Settings) -> None:
        self.store = e.store_init(settings)
        self.instance = e.module_instantiate(self.store, kernel.validated, [memory])
        function = e.instance_export(self.instance, "kernel")
        assert isinstance(function, e.FuncInst), "the signature was checked"
        self.function = function
        self._saved: list[tuple[Any, str, Any]] = self._module_state() if kernel.has_state else []

    def _module_state(self) -> list[tuple[Any, str, Any]]:
        """What instructions can change, with copies of the present values."""
        i = self.instance
        return [
            *((cell, "value", cell.value) for cell in i.globals if cell.type.mutable),
            *((table, "elements", list(table.elements)) for table in i.tables),
            *((elem, "elements", elem.elements) for elem in i.elems),
            *((data, "content", data.content) for data in i.datas),
        ]

    def reset(self) -> None:
        """Globals, tables and segments as right after instantiation. Tables keep their identity."""
        for item, field, value in self._saved:
            setattr(item, field, list(value) if isinstance(value, list) else value)

    def run(self, args: tuple[int, ...]) -> None:
        """One iteration."""
        self.store.tier.invoke(self.function, args)
