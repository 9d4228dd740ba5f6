"""Helpers: refwasm as a command, and guests that use wasi-parallel."""

from __future__ import annotations

import subprocess
import sys

from tools.guests import (
    CPU,
    EXAMPLES,
    IMPORTS,
    KERNEL_AT,
    NATIVE,
    SEQUENTIAL,
    DeviceHint,
    Program,
    kernel_wat,
    program,
)


def refwasm(*args: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    command = [sys.executable, "-m", "refwasm", *args]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, env=env, check=False)


__all__ = [
    "CPU",
    "EXAMPLES",
    "IMPORTS",
    "KERNEL_AT",
    "NATIVE",
    "SEQUENTIAL",
    "DeviceHint",
    "Program",
    "kernel_wat",
    "program",
    "refwasm",
]
