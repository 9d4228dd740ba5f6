"""wasmer 1 (PyPI ``wasmer`` and ``wasmer_compiler_cranelift``, for Python 3.10 at most)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MERGES = [["undefined-element", "table-access"]]
TRAPS = {
    "unreachable": "unreachable", "integer divide by zero": "divide-by-zero", "integer overflow": "integer-overflow",
    "invalid conversion": "invalid-conversion", "out of bounds memory access": "memory-access",
    "out of bounds table access": "table-access", "uninitialized element": "uninitialized-element",
    "indirect call type mismatch": "call-type", "undefined element": "undefined-element",
    "misaligned": "unaligned",
}  # fmt: skip


def instantiate(module: bytes) -> Any:
    """An instance in a store of its own."""
    wasmer, compiler = import_module("wasmer"), import_module("wasmer_compiler_cranelift").Compiler
    kind = getattr(wasmer.engine, "Universal", None) or wasmer.engine.JIT
    return wasmer.Instance(wasmer.Module(wasmer.Store(kind(compiler)), module))


def call(instance: Any, name: str, words: list[int]) -> int | None:
    """Call an export."""
    result: int | None = getattr(instance.exports, name)(*words)
    return result


def memory(instance: Any, name: str) -> bytes:
    """An exported memory."""
    return bytes(getattr(instance.exports, name).buffer)


def outcome(error: Exception, instantiating: bool) -> dict[str, Any]:
    """What an error means."""
    text = str(error)
    if "call stack exhausted" in text or "stack overflow" in text:
        return {"kind": "exhausted"}
    for part, kind in TRAPS.items():
        if part in text:
            return {"kind": "trap", "trap": kind}
    if instantiating or "alidation" in text or "ompil" in text:
        return {"kind": "refused", "stage": "validate", "reason": text.splitlines()[0]}
    return {"kind": "trap", "trap": (text.splitlines() or ["?"])[0]}
