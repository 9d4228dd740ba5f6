"""wasm3 (PyPI ``pywasm3``)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MERGES = [["undefined-element", "table-access", "uninitialized-element"]]
STACK = 1 << 20
TRAPS = {
    "unreachable": "unreachable", "integer divide by zero": "divide-by-zero", "integer overflow": "integer-overflow",
    "invalid conversion to integer": "invalid-conversion", "out of bounds memory access": "memory-access",
    "undefined element": "undefined-element", "null table element": "uninitialized-element",
    "indirect call type mismatch": "call-type",
}  # fmt: skip


def instantiate(module: bytes) -> Any:
    """A run-time with the module in it."""
    wasm3 = import_module("wasm3")

    environment = wasm3.Environment()
    runtime = environment.new_runtime(STACK)
    parsed = environment.parse_module(module)
    runtime.load(parsed)
    return runtime, parsed, environment


def call(instance: Any, name: str, words: list[int]) -> int | None:
    """Call an export."""
    result: int | None = instance[0].find_function(name)(*words)
    return result


def memory(instance: Any, name: str) -> bytes:
    """The only memory."""
    found = instance[0].get_memory(0)
    return b"" if found is None else bytes(found)


def outcome(error: Exception, instantiating: bool) -> dict[str, Any]:
    """What an error means."""
    text = str(error)
    if "stack overflow" in text:
        return {"kind": "exhausted"}
    if text.startswith("[trap]"):
        kind = next((kind for part, kind in TRAPS.items() if part in text), text)
        return {"kind": "trap", "trap": kind}
    if "memory" in text and ("limit" in text or "alloc" in text):
        return {"kind": "limit", "reason": text}
    return {"kind": "refused", "stage": "validate", "reason": text}
