"""Guests that use wasi-parallel, for tests and measurements: kernels from their bodies, programs around them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.binary import encode
from refwasm.host.guest import Guest
from refwasm.host.parallel import MODULE, Context, Parallel, ParallelLimits, Policies
from refwasm.host.parallel.types import Failure
from refwasm.text import parse_module
from refwasm.text.printer import quote

EXAMPLES = Path(__file__).parent.parent / "examples"

SEQUENTIAL, CPU = 0, 1
#: Devices that tests run on: a hint, or the name of one.
DeviceHint = int | str
NATIVE = "native"


@dataclass
class Program:
    """A running guest: call its exports by name; the memory holds the kernel at ``kernel``."""

    instance: e.ModuleInst
    store: e.Store
    context: Context
    failures: list[Failure]
    kernel: tuple[int, int]

    @property
    def memory(self) -> e.Memory:
        memory = self.instance.exports["memory"]
        assert isinstance(memory, e.Memory)
        return memory

    def call(self, name: str, *args: int) -> int:
        """Call one of the five functions as the guest would."""
        function = self.instance.exports[name]
        assert isinstance(function, (e.FuncInst, e.HostFunc))
        return int(e.func_invoke(self.store, function, [arg & 0xFFFFFFFF for arg in args])[0])

    # What most tests need, at fixed places: results at 0, handle lists at 16.

    def device(self, hint: DeviceHint) -> int:
        if isinstance(hint, str):
            self.context.force_device, hint = hint, CPU
        assert self.call("get_device", hint, 0) == 0
        return self.memory.load(4, 0)

    def buffer(self, device: int, size: int, kind: int = 2) -> int:
        assert self.call("create_buffer", device, size, kind, 0) == 0
        return self.memory.load(4, 0)

    def exec(self, device: int, iterations: int, *buffers: int, block: int = 1) -> int:
        """parallel_exec with all buffers as outputs."""
        for index, handle in enumerate(buffers):
            self.memory.store(4, 16 + 4 * index, handle)
        return self.call("parallel_exec", device, *self.kernel, iterations, block, 0, 0, 16, len(buffers))


IMPORTS = """
  (import "wasi_ephemeral_parallel" "get_device" (func $gd (param i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "create_buffer" (func $cb (param i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "write_buffer" (func $wb (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "read_buffer" (func $rb (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "parallel_exec"
    (func $pe (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "get_device") (param i32 i32) (result i32) (call $gd (local.get 0) (local.get 1)))
  (func (export "create_buffer") (param i32 i32 i32 i32) (result i32)
    (call $cb (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "write_buffer") (param i32 i32 i32) (result i32)
    (call $wb (local.get 0) (local.get 1) (local.get 2)))
  (func (export "read_buffer") (param i32 i32 i32) (result i32)
    (call $rb (local.get 0) (local.get 1) (local.get 2)))
  (func (export "parallel_exec") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $pe (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
      (local.get 7) (local.get 8)))"""
KERNEL_AT = 1024


def kernel_wat(body: str, buffers: int = 1, memory: str = "1 8 shared", extra: str = "") -> str:
    """A kernel whose parameters are $id $n $block $p0 $s0 $p1 …"""
    params = "".join(f" (param $p{i} i32) (param $s{i} i32)" for i in range(buffers))
    return (
        f'(module (import "env" "memory" (memory {memory})) {extra} '
        f'(func $kernel (export "kernel") (param $id i32) (param $n i32) (param $block i32){params} {body}))'
    )


def program(
    kernel: str | bytes,
    memory: str = "2 8 shared",
    policies: str = "",
    limits: ParallelLimits | None = None,
    **context: Any,
) -> Program:
    """A guest with a kernel (text or bytes) in its memory at KERNEL_AT."""
    data = encode(parse_module(kernel)) if isinstance(kernel, str) else kernel
    text = f'(module {IMPORTS} (memory (export "memory") {memory}) (data (i32.const {KERNEL_AT}) {quote(data)}))'
    store, guest = e.store_init(), Guest()
    made = Context(Policies.parse(policies), limits or ParallelLimits(workers=2), **context)
    failures: list[Failure] = []
    host = {MODULE: Parallel(guest, made, failures.append).exports()}
    validated = e.module_validate(e.module_parse(text))
    instance = e.module_instantiate(store, validated, e.resolve_imports(validated, host), guest.attach)
    return Program(instance, store, made, failures, (KERNEL_AT, len(data)))


def shipped(name: str) -> bytes:
    """A program shipped in the package ``pwasm``: "micropython", "quickjs" or "mquickjs"."""
    spec = importlib.util.find_spec("pwasm")
    assert spec is not None and spec.origin is not None, "pwasm is a test dependency: pip install -e '.[test]'"
    return (Path(spec.origin).parent / "guests" / f"{name}.wasm").read_bytes()
