"""What can be wrong with a program, for people who compile it."""

from __future__ import annotations

from refwasm.errors import WasmError


class ToolchainError(WasmError):
    """A program that can't become a wasi-parallel program, or a compiler that can't be had; the message says why and
    what to do."""
