"""pywasm (PyPI), in pure Python. It tells neither traps nor refusals apart: all are assertions."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

SLOW = True
MERGES = [
    ["unreachable", "divide-by-zero", "integer-overflow", "invalid-conversion", "memory-access", "table-access",
     "undefined-element", "uninitialized-element", "call-type", "null-reference", "unaligned", "trap"],
]  # fmt: skip


def instantiate(module: bytes) -> Any:
    """A run-time, and the instance in it."""
    core = import_module("pywasm.core")

    runtime = core.Runtime()
    return runtime, runtime.instance(core.ModuleDesc.from_reader(io.BytesIO(module)))


def call(instance: Any, name: str, words: list[int]) -> int | None:
    """Call an export."""
    runtime, module = instance
    try:
        results = runtime.invocate(module, name, words)
    except Exception:
        stack = runtime.machine.stack  # a trap leaves it as it was, and all later calls would fail
        for part in (stack.frame, stack.label, stack.value):
            part.clear()
        raise
    return results[0] if results else None


def memory(instance: Any, name: str) -> bytes:
    """An exported memory."""
    runtime, module = instance
    return bytes(runtime.exported_memory(module, name).data)


def outcome(error: Exception, instantiating: bool) -> dict[str, Any]:
    """What an error means: decoding fails with the same exceptions as executing, so only the moment tells."""
    text = str(error)
    if isinstance(error, (RecursionError, MemoryError)) or ("overflow" in text and "stack" in text):
        return {"kind": "exhausted"}
    if instantiating and not isinstance(error, IndexError):
        return {"kind": "refused", "stage": "validate", "reason": f"{type(error).__name__}: {text}"}
    return {"kind": "trap", "trap": "trap"}
