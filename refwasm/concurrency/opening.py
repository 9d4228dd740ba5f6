"""From what a user names to what can be explored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.concurrency.programs import Script, Subject, Threads, WasiProgram
from refwasm.errors import Malformed

MAGIC = b"\0asm"


def open_subject(
    source: str | bytes | Path | Callable[..., Any], threads: Sequence[str | tuple[Any, ...]] | None = None,
    args: Sequence[str] = (), **options: Any,
) -> Subject:  # fmt: skip
    """A file (as a Path), the text or the bytes of a module or script, or a Python test. With ``threads`` exported
    functions of a module are called, each by a thread; without, a module with ``_start`` is a program that gets
    ``args``, and of another one all functions without parameters are called.

    Raises Malformed, Invalid, Unlinkable, OSError.
    """
    if callable(source):
        from refwasm.concurrency.agents import PythonTest

        return PythonTest(source)
    name = source.name if isinstance(source, Path) else "program"
    data = source.read_bytes() if isinstance(source, Path) else source.encode() if isinstance(source, str) else source
    if name.endswith(".wast"):
        return Script(data, name)
    try:
        module = e.module_load(data)
    except Malformed:
        if data[:4] != MAGIC and any(word in data for word in (b"(thread", b"(register", b"(invoke", b"(assert_")):
            return Script(data, name)
        raise
    validated = e.module_validate(module)
    if threads is None and "_start" in dict(e.module_exports(validated)):
        return WasiProgram(data, name, args, validated, **options)
    return Threads(validated, threads, name=name)
