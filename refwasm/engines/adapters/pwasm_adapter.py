"""pwasm (PyPI), in pure Python."""

from __future__ import annotations

from importlib import import_module
from typing import Any

SLOW = True
MERGES = [["undefined-element", "table-access"], ["call-type", "undefined-element", "uninitialized-element"]]
TRAPS = {
    "unreachable": "unreachable", "divide by zero": "divide-by-zero", "integer overflow": "integer-overflow",
    "invalid conversion": "invalid-conversion", "out of bounds memory": "memory-access",
    "out of bounds table": "table-access", "uninitialized": "uninitialized-element",
    "type mismatch": "call-type", "undefined element": "undefined-element", "unaligned": "unaligned",
    "null ": "null-reference", "out of bounds array": "array-access", "cast": "cast",
}  # fmt: skip
#: Instructions of one call.
FUEL = 20_000_000


def instantiate(module: bytes) -> Any:
    """An instance."""
    pwasm = import_module("pwasm")

    return pwasm.instantiate(pwasm.decode_module(module), {})


def call(instance: Any, name: str, words: list[int]) -> int | None:
    """Call an export."""
    result: Any = instance.exports[name](*words)
    found: int | None = (result[0] if result else None) if isinstance(result, (list, tuple)) else result
    return found


def memory(instance: Any, name: str) -> bytes:
    """An exported memory."""
    return bytes(instance.exports[name].data)


def outcome(error: Exception, instantiating: bool) -> dict[str, Any]:
    """What an error means."""
    text, kind = str(error).lower(), type(error).__name__
    if isinstance(error, (RecursionError, MemoryError)) or "stack" in text:
        return {"kind": "exhausted"}
    if kind in ("OutOfFuel", "Timeout"):
        return {"kind": "limit", "reason": text}
    if kind == "TrapError":
        found = next((trap for part, trap in TRAPS.items() if part in text), text)
        return {"kind": "trap", "trap": found}
    if kind in ("DecodeError", "ValidationError", "LinkError"):
        return {"kind": "refused", "stage": "validate", "reason": str(error)}
    return {"kind": "trap", "trap": f"{kind}: {error}"}
