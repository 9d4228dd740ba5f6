"""A kernel made ready for its driver: its mutable globals exported, both in the binary format; and trap places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from refwasm import embedding as e
from refwasm.errors import BACKTRACE, StackEntry
from refwasm.host.parallel.devices.device import Unsupported
from refwasm.host.parallel.devices.native.binding import TRAPS, NativeTrap
from refwasm.host.parallel.devices.native.driver import DRIVER, driver
from refwasm.host.parallel.kernels import HEAP_CHANGING, STATEFUL, Kernel
from refwasm.syntax.modules import Export, Module
from refwasm.syntax.types import NumType

#: The offset that wasmtime gives a call that found no stack to begin with.
NOWHERE = (1 << 64) - 1


@dataclass(frozen=True)
class NativeModules:
    """What the process gets of a kernel: ``first`` is its module, ``again`` the same without what acts on memory when
    an instance is made; ``globals`` are the names of exported globals. With ``renewed`` each fresh iteration needs a
    new instance."""

    first: bytes
    again: bytes
    driver: bytes
    parameters: int
    globals: tuple[str, ...]
    renewed: bool
    acts: bool


class NativeKernel:
    """A kernel for the native device."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        module = kernel.validated.module
        mutable = [(index, g.type.value) for index, g in enumerate(module.globals) if g.type.mutable]
        plain = [(index, t) for index, t in mutable if isinstance(t, NumType)]
        names = tuple(_free_name(module, f"refwasm: global {index}") for index, _ in plain)
        exports = tuple(Export(name, "global", index) for name, (index, _) in zip(names, plain))
        mnemonics = {instr.form.mnemonic for func in module.funcs for instr in set(func.body)}
        others = mnemonics & (STATEFUL - {"global.set"} | HEAP_CHANGING)
        renewed = bool(others or module.memories or len(plain) < len(mutable))
        if renewed and module.start is not None:
            raise Unsupported("a start function whose work each iteration would need in an instance of its own")
        parameters = 3 + 2 * kernel.buffers
        text = driver(parameters, [repr(t) for _, t in plain])
        self.modules = NativeModules(
            _encoded(module, exports), _encoded(kernel.quiet.module, exports), e.module_encode(e.module_parse(text)),
            parameters, names, renewed,
            kernel.acts_on_instantiation,
        )  # fmt: skip

    @cached_property
    def _offsets(self) -> list[dict[int, int]]:
        """By function of the module's own: the number of the instruction at each offset into the bytes that run."""
        funcs = e.module_decode(self.modules.first).funcs
        return [{position: number for number, position in enumerate(func.positions)} for func in funcs]

    def message(self, trap: NativeTrap) -> str:
        """What a trap is called: wasmtime does not tell a call beyond a table from another access."""
        if trap.message == TRAPS["TABLE_OUT_OF_BOUNDS"] and trap.frames:
            index, offset, _ = trap.frames[0]
            number, funcs = self._offsets[index].get(offset), self.kernel.validated.module.funcs
            if number is not None and "call_indirect" in funcs[index].body[number].form.mnemonic:
                return "undefined element"
        return trap.message

    def backtrace(self, frames: tuple[tuple[int, int, str], ...]) -> tuple[StackEntry, ...]:
        """Active calls as the other devices tell them: places are those in the kernel as it came."""
        module = self.kernel.validated.module
        entries = []
        for index, offset, name in frames:
            if name == DRIVER or offset == NOWHERE:
                continue
            number, positions = self._offsets[index].get(offset), module.funcs[index].positions
            location = ""
            if number is not None and number < len(positions) and module.locate is not None:
                location = module.locate(positions[number])
            entries.append(StackEntry(index, module.names.of("func", index), location))
        return tuple(entries[:BACKTRACE])


def _encoded(module: Module, exports: tuple[Export, ...]) -> bytes:
    """The module with more exports, and with a name by which its frames are told from the driver's."""
    names = module.names._replace(module="kernel")
    return e.module_encode(module._replace(exports=(*module.exports, *exports), digest=b"", customs=(), names=names))


def _free_name(module: Module, name: str) -> str:
    taken = {export.name for export in module.exports}
    while name in taken:
        name += "'"
    return name
