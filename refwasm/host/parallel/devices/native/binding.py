"""All that depends on wasmtime-py (extra ``native``): its faults, what it lacks, and fast calls.

The faults were seen in versions 44 to 50: ``SharedMemory`` can't be imported (it gives a pointer to its pointer), and
its ``size`` passes the wrong pointer. What it lacks: exact types of old traps, and calls that cost less than 100 us.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from refwasm.errors import ResourceLimit, WasmError

#: Settings of the binding's Config that are switched on where it has them: what kernels may contain.
FEATURES = (
    "wasm_simd", "wasm_bulk_memory", "wasm_reference_types", "wasm_multi_value", "wasm_multi_memory", "wasm_memory64",
    "wasm_threads", "wasm_tail_call", "wasm_relaxed_simd", "wasm_relaxed_simd_deterministic",
    "wasm_function_references", "wasm_gc", "wasm_exceptions", "wasm_wide_arithmetic", "shared_memory",
)  # fmt: skip
#: Bytes of stack that a kernel may use, and that a thread has.
WASM_STACK, THREAD_STACK = 2 << 20, 8 << 20
#: The specification's words for traps, by the names that the binding has for them.
TRAPS = {
    "MEMORY_OUT_OF_BOUNDS": "out of bounds memory access", "HEAP_MISALIGNED": "unaligned atomic",
    "TABLE_OUT_OF_BOUNDS": "out of bounds table access", "INDIRECT_CALL_TO_NULL": "uninitialized element",
    "BAD_SIGNATURE": "indirect call type mismatch", "INTEGER_OVERFLOW": "integer overflow",
    "INTEGER_DIVISION_BY_ZERO": "integer divide by zero", "UNREACHABLE": "unreachable",
    "BAD_CONVERSION_TO_INTEGER": "invalid conversion to integer", "STACK_OVERFLOW": "call stack exhausted",
    "NULL_REFERENCE": "null reference", "ARRAY_OUT_OF_BOUNDS": "out of bounds array access",
    "CAST_FAILURE": "cast failure", "UNCAUGHT_EXCEPTION": "uncaught exception",
    "ATOMIC_WAIT_NON_SHARED_MEMORY": "expected shared memory", "OUT_OF_FUEL": "all fuel consumed",
    "INTERRUPT": "interrupted",
}  # fmt: skip


class NativeUnavailable(WasmError):
    """wasmtime is not installed, or too old."""


class NativeTrap(NamedTuple):
    """Why native code ended: the specification's words, and the active calls (function index, offset into the module's
    bytes), innermost first, with the name of each one's module."""

    message: str
    frames: tuple[tuple[int, int, str], ...]


@cache
def api() -> Any:
    """The module ``wasmtime``. Raises NativeUnavailable."""
    try:
        import wasmtime
    except ImportError:
        raise NativeUnavailable("wasmtime is not installed: pip install 'refwasm[native]'") from None
    if not hasattr(wasmtime, "SharedMemory"):
        raise NativeUnavailable("this wasmtime has no shared memories for Python: pip install -U wasmtime")
    return wasmtime


def version() -> str:
    """Of the binding."""
    from importlib import metadata

    return metadata.version("wasmtime")


def make_engine(fuel: bool = False, epochs: bool = False, keep: bool = False) -> Any:
    """An engine for kernels and programs. ``fuel`` counts instructions, ``epochs`` lets runs be interrupted; both cost
    speed. ``keep`` has wasmtime keep compiled modules on disk."""
    config = api().Config()
    for name in FEATURES:
        with suppress(AttributeError):  # not every version has them all
            setattr(config, name, True)
    config.max_wasm_stack = WASM_STACK
    config.consume_fuel = fuel
    config.epoch_interruption = epochs
    if keep:
        with suppress(api().WasmtimeError, AttributeError):
            config.cache = True
    return api().Engine(config)


@cache
def _shared_memory_class() -> Any:
    ffi = api()._ffi

    class SharedMemory(api().SharedMemory):  # type: ignore[misc]
        """The binding's, mended."""

        def _as_extern(self) -> Any:
            union = ffi.wasmtime_extern_union(sharedmemory=self.ptr())
            return ffi.wasmtime_extern_t(ffi.WASMTIME_EXTERN_SHAREDMEMORY, union)

        def size(self) -> int:
            return int(ffi.wasmtime_sharedmemory_size(self.ptr()))

    return SharedMemory


def make_shared_memory(engine: Any, pages: int, limit: int) -> Any:
    """A shared memory that can be imported. Raises ResourceLimit."""
    try:
        t = api().MemoryType(api().Limits(pages, limit), shared=True)
        return _shared_memory_class()(engine, t)
    except api().WasmtimeError as error:
        raise ResourceLimit(f"wasmtime has no memory of {limit} pages: {error}") from None


def mended(memory: Any) -> Any:
    """A shared memory that the binding gave, with its faults mended."""
    memory.__class__ = _shared_memory_class()
    return memory


def address_of(memory: Any, store: Any = None) -> int:
    """Where a memory lies in this process."""
    pointer = memory.data_ptr() if store is None else memory.data_ptr(store)
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


class Call:
    """A function with integer parameters and at most one i64 result, called without the binding's detours: 3 us instead
    of 130."""

    def __init__(self, store: Any, function: Any, params: int, results: int) -> None:
        self.ffi = api()._ffi
        self.store, self.function = store, function
        self.context = store._context()
        self.args = (self.ffi.wasmtime_val_t * max(params, 1))()
        self.results = (self.ffi.wasmtime_val_t * max(results, 1))()
        self.counts = (params, results)
        for arg in self.args:
            arg.kind = self.ffi.WASMTIME_I64.value

    def __call__(self, *args: int) -> int:
        """The result, or 0. Raises api().Trap or api().WasmtimeError."""
        for place, value in zip(self.args, args):
            place.of.i64 = value
        trap = ctypes.POINTER(self.ffi.wasm_trap_t)()
        error = self.ffi.wasmtime_func_call(
            self.context, ctypes.byref(self.function._func), self.args, self.counts[0], self.results, self.counts[1],
            ctypes.byref(trap),
        )  # fmt: skip
        if error:
            raise api().WasmtimeError._from_ptr(error)
        if trap:
            raise api().Trap._from_ptr(trap)
        return int(self.results[0].of.i64)


def trap_of(error: Any) -> NativeTrap:
    """What an error of the binding's tells."""
    if not isinstance(error, api().Trap):
        return NativeTrap(_reason(str(error)), ())
    name = ""
    with suppress(ValueError):  # a code that the binding has no name for
        name = getattr(error.trap_code, "name", "")
    message = TRAPS.get(name) or _reason(str(error))
    frames = tuple((f.func_index, f.module_offset, f.module_name or "") for f in error.frames)
    return NativeTrap(message, frames)


def _reason(text: str) -> str:
    """What a message says besides the backtrace."""
    if "uncaught exception" in text or "thrown Wasm exception" in text:
        return "uncaught exception"
    lines = [line.strip() for line in text.strip().splitlines()]
    told = [line.partition("wasm trap:")[2].strip() for line in lines if "wasm trap:" in line]
    return (told or lines or ["?"])[0]
