"""Programs that use wasi-parallel, on wasmtime: an implementation of the interface that shares nothing with ours.

Buffers are copied, iterations run one after the other. Kernels import a shared memory, which wasmtime's Python package
can't pass; their import is rewritten to an unshared one, on which atomics mean the same to a single agent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wasmtime

from refwasm.binary import decode, encode
from refwasm.syntax.types import MemType

PAGE = 65536


def unshared(kernel: bytes) -> bytes:
    """The kernel with an unshared memory import."""
    module = decode(kernel)
    (item,) = module.imports
    assert isinstance(item.type, MemType)
    return encode(module._replace(imports=(item._replace(type=item.type._replace(shared=False)),)))


class ParallelPeer:
    """Runs one program; ``output`` is what it printed."""

    def __init__(self, path: Path, args: list[str]) -> None:
        config = wasmtime.Config()
        config.wasm_threads = True
        self.engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(self.engine)
        self.buffers: list[bytearray] = []
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            wasi = wasmtime.WasiConfig()
            wasi.argv = [path.name, *args]
            wasi.stdout_file = str(out)
            self.store.set_wasi(wasi)
            linker = wasmtime.Linker(self.engine)
            linker.define_wasi()
            self._define(linker)
            instance = linker.instantiate(self.store, wasmtime.Module(self.engine, path.read_bytes()))
            exports: Any = instance.exports(self.store)
            self.memory = exports["memory"]
            self.code = 0
            try:
                exports["_start"](self.store)
            except wasmtime.ExitTrap as trap:
                self.code = trap.code
            self.output = out.read_text()

    def _define(self, linker: wasmtime.Linker) -> None:
        i32 = wasmtime.ValType.i32()
        functions: dict[str, tuple[int, Callable[..., int]]] = {
            "get_device": (2, lambda hint, out: self._store(out, 1)),
            "create_buffer": (4, self._create),
            "write_buffer": (3, self._write),
            "read_buffer": (3, self._read),
            "parallel_exec": (9, self._exec),
        }
        for name, (count, function) in functions.items():
            t = wasmtime.FuncType([i32] * count, [i32])
            linker.define_func("wasi_ephemeral_parallel", name, t, function)

    def _store(self, pointer: int, value: int) -> int:
        self.memory.write(self.store, value.to_bytes(4, "little"), pointer)
        return 0

    def _create(self, device: int, size: int, kind: int, out: int) -> int:
        self.buffers.append(bytearray(size))
        return self._store(out, len(self.buffers))

    def _write(self, pointer: int, size: int, handle: int) -> int:
        self.buffers[handle - 1][:] = self.memory.read(self.store, pointer, pointer + size)
        return 0

    def _read(self, handle: int, pointer: int, size: int) -> int:
        self.memory.write(self.store, bytes(self.buffers[handle - 1]), pointer)
        return 0

    def _exec(
        self, device: int, kernel: int, size: int, n: int, block: int, ins: int, in_len: int, outs: int, out_len: int
    ) -> int:
        module = wasmtime.Module(self.engine, unshared(bytes(self.memory.read(self.store, kernel, kernel + size))))
        handles = [self._word(ins + 4 * i) for i in range(in_len)] + [self._word(outs + 4 * i) for i in range(out_len)]
        t = module.imports[0].type
        assert isinstance(t, wasmtime.MemoryType)
        store = wasmtime.Store(self.engine)
        memory = wasmtime.Memory(store, t)
        places, end = {}, t.limits.min * PAGE
        for handle in dict.fromkeys(handles):
            places[handle] = end
            end += -(-len(self.buffers[handle - 1]) // 16) * 16
        memory.grow(store, max(-(-end // PAGE) - t.limits.min, 0))
        for handle, place in places.items():
            memory.write(store, bytes(self.buffers[handle - 1]), place)
        run: Any = wasmtime.Instance(store, module, [memory]).exports(store)["kernel"]
        pairs = [word for handle in handles for word in (places[handle], len(self.buffers[handle - 1]))]
        for iteration in range(n):
            run(store, iteration, n, block, *pairs)
        for handle, place in places.items():
            self.buffers[handle - 1][:] = memory.read(store, place, place + len(self.buffers[handle - 1]))
        return 0

    def _word(self, pointer: int) -> int:
        return int.from_bytes(self.memory.read(self.store, pointer, pointer + 4), "little")
