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
    ``args``, and of another one all functions without parameters are called. Of a file of litmus tests (``.litmus``),
    ``threads`` names one test; it can be left out where there is one only.

    Raises Malformed, Invalid, Unlinkable, OSError.
    """
    if callable(source):
        from refwasm.concurrency.agents import PythonTest

        return PythonTest(source)
    name = source.name if isinstance(source, Path) else "program"
    data = source.read_bytes() if isinstance(source, Path) else source.encode() if isinstance(source, str) else source
    if name.endswith(".wast"):
        return Script(data, name)
    if name.endswith(".litmus"):
        return _litmus(data.decode("utf-8", "replace"), name, threads)
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


def _litmus(text: str, file: str, names: Sequence[str | tuple[Any, ...]] | None) -> Subject:
    """One litmus test of a file."""
    from refwasm.concurrency.litmus.modules import LitmusThreads
    from refwasm.concurrency.litmus.notation import parse

    tests = {test.name: test for test in parse(text, file)}
    wanted = [name if isinstance(name, str) else str(name[0]) for name in names or tests]
    if len(wanted) == 1 and wanted[0] in tests:
        return LitmusThreads(tests[wanted[0]])
    raise Malformed(f"name one test of the file, with --thread NAME: {', '.join(tests) or '(it has none)'}")
