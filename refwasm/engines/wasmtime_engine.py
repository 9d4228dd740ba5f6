"""wasmtime, in this process (extra ``engines``: PyPI ``wasmtime``)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from refwasm.engines.protocol import Ended, Unavailable, each
from refwasm.oracle.outcomes import Exhausted, Limited, Outcome, Refused, Trapped, Value
from refwasm.oracle.traps import TABLE_ACCESS, kind_of
from refwasm.validation.features import VERSION_3

#: Kinds of traps by the names that the binding has for them.
_TRAPS = {
    "MEMORY_OUT_OF_BOUNDS": "memory-access", "HEAP_MISALIGNED": "unaligned", "TABLE_OUT_OF_BOUNDS": "table-access",
    "INDIRECT_CALL_TO_NULL": "uninitialized-element", "BAD_SIGNATURE": "call-type",
    "INTEGER_OVERFLOW": "integer-overflow", "INTEGER_DIVISION_BY_ZERO": "divide-by-zero",
    "BAD_CONVERSION_TO_INTEGER": "invalid-conversion", "UNREACHABLE": "unreachable",
}  # fmt: skip
#: And by what a message contains, for those that it has no names for.
_MESSAGES = {
    "null reference": "null-reference", "out of bounds array access": "array-access", "cast failure": "cast",
    "atomic wait on non-shared memory": "unshared-wait", "unaligned atomic": "unaligned",
}  # fmt: skip
#: Settings of the binding's Config that are switched on where it has them.
_SETTINGS = (
    "wasm_simd", "wasm_bulk_memory", "wasm_reference_types", "wasm_multi_value", "wasm_multi_memory", "wasm_memory64",
    "wasm_threads", "wasm_tail_call", "wasm_relaxed_simd", "wasm_function_references", "wasm_gc", "wasm_exceptions",
    "wasm_wide_arithmetic", "shared_memory",
)  # fmt: skip
FUEL = 100_000_000


class WasmtimeEngine:
    """wasmtime of whichever version is installed."""

    name = "wasmtime"
    features = VERSION_3 | {"threads", "wide-arithmetic", "compact-import-section"}
    merges: tuple[frozenset[str], ...] = (TABLE_ACCESS,)
    batch = False

    def __init__(self) -> None:
        try:
            import wasmtime
        except ImportError:
            raise Unavailable("wasmtime is not installed: pip install 'refwasm[engines]'") from None
        self.api: Any = wasmtime
        try:
            self.version = version("wasmtime")
        except PackageNotFoundError:
            self.version = "?"
        config = wasmtime.Config()
        for setting in _SETTINGS:
            with suppress(AttributeError):
                setattr(config, setting, True)
        with suppress(AttributeError):
            config.consume_fuel = True
        with suppress(AttributeError):  # modules are small
            config.parallel_compilation = False
        with suppress(AttributeError):  # reserving address space takes most of the time of an instance
            config.memory_reservation = 1 << 20
            config.memory_guard_size = 1 << 16
        self.engine = wasmtime.Engine(config)

    def instantiate(self, module: bytes) -> WasmtimeInstance:
        return WasmtimeInstance(self, module)

    def close(self) -> None:
        pass


class WasmtimeInstance:
    """An instance in a store of its own."""

    def __init__(self, engine: WasmtimeEngine, module: bytes) -> None:
        self.api = engine.api
        self.funcs: dict[str, Any] = {}
        self.store = self.api.Store(engine.engine)
        self._refuel()
        try:
            compiled = self.api.Module(engine.engine, module)
        except self.api.WasmtimeError as error:
            raise Ended(Refused("validate", str(error))) from None
        try:
            exports = self.api.Instance(self.store, compiled, []).exports
            # before version 0.27, what is in a store knew it
            self.given: tuple[Any, ...] = (self.store,) if callable(exports) else ()
            self.exports = exports(self.store) if callable(exports) else exports
        except (self.api.Trap, self.api.WasmtimeError) as error:
            raise Ended(self._outcome(error)) from None

    def _refuel(self) -> None:
        """Fuel for one call; old versions can only add some, or have none."""
        give: Any = getattr(self.store, "set_fuel", None) or getattr(self.store, "add_fuel", None)
        if give is not None:
            give(FUEL)

    def call(self, export: str, words: Sequence[Value]) -> int | None:
        func = self.funcs.get(export)
        if func is None:  # old versions look all of them through
            func = self.funcs[export] = self.exports[export]
        signed = [_signed(word.bits, word.type) for word in words]
        self._refuel()
        try:
            result = func(*self.given, *signed)
        except (self.api.Trap, self.api.WasmtimeError) as error:
            raise Ended(self._outcome(error)) from None
        if result is None:
            return None
        return int(result) & (1 << 64) - 1

    def call_all(self, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
        return each(self, calls)

    def memory(self, export: str) -> bytes:
        memory = self.exports[export]
        given = () if type(memory).__name__ == "SharedMemory" else self.given
        pointer, size = (x(*given) if callable(x) else x for x in (memory.data_ptr, memory.data_len))
        address = ctypes.cast(pointer, ctypes.c_void_p).value
        return ctypes.string_at(address, size) if address else b""

    def _outcome(self, error: Any) -> Outcome:
        code = ""
        with suppress(ValueError):  # a code that the binding has no name for
            code = getattr(getattr(error, "trap_code", None), "name", "")
        if code in _TRAPS:  # some versions take a tenth of a second for a message
            return Trapped(_TRAPS[code])
        text = str(error)
        if code == "STACK_OVERFLOW" or "call stack exhausted" in text:
            return Exhausted()
        for part, kind in _MESSAGES.items():
            if part in text:
                return Trapped(kind)
        if isinstance(error, self.api.Trap) and "fuel" not in text:
            return Trapped(kind_of(_reason(text)))
        return Limited(_reason(text))


def _reason(text: str) -> str:
    """What a message says besides the backtrace."""
    lines = [line.strip() for line in text.strip().splitlines()]
    told = [line.partition("wasm trap:")[2].strip() for line in lines if "wasm trap:" in line]
    return (told or lines or ["?"])[0]


def _signed(word: int, t: str) -> int:
    bits = 32 if t == "i32" else 64
    return word - (1 << bits) if word >> (bits - 1) else word
