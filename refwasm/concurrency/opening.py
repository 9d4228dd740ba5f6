"""From what a user names to what can be explored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.concurrency.programs import Script, Subject, Threads, WasiProgram
from refwasm.errors import Malformed


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
    if _is_script(data, name):
        return Script(data, name)
    validated = e.module_validate(e.module_load(data))
    if threads is None and "_start" in dict(e.module_exports(validated)):
        return WasiProgram(data, name, args, **options)
    return Threads(validated, threads, name=name)


def _is_script(data: bytes, name: str) -> bool:
    if data[:4] == b"\0asm":
        return False
    if name.endswith(".wast"):
        return True
    try:
        e.module_load(data)
    except Malformed:
        return any(word in data for word in (b"(thread", b"(register", b"(invoke", b"(assert_"))
    return False
