"""``refwasm run --engine wasmtime``: the whole program in wasmtime, wasi-parallel by refwasm."""

from __future__ import annotations

import argparse
import math
import struct
import sys
from typing import TYPE_CHECKING, Any

from refwasm import embedding as e
from refwasm.cli import UsageError
from refwasm.cli.files import read_file
from refwasm.cli.values import arguments, show
from refwasm.errors import did_you_mean
from refwasm.host.parallel import ParallelLimits
from refwasm.syntax.types import FuncType, FuncUse

if TYPE_CHECKING:
    from refwasm.native import NativeProgram

#: Options of refwasm's own engine, by attribute; and their values when they are not given.
OURS: dict[str, Any] = {
    "races": False, "choices": None, "deterministic": False, "listen": [], "threads": "processes",
    "unknown_imports": "refuse", "defer_validation": False, "tier": e.DEFAULT_TIER, "call_depth": 100_000,
}  # fmt: skip


def check_options(options: argparse.Namespace) -> None:
    """UsageError for an option that only refwasm's own engine has."""
    for name, value in OURS.items():
        if getattr(options, name) != value:
            raise UsageError(f"--{name.replace('_', '-')} does not go with --engine wasmtime")


def load(options: argparse.Namespace, policies: Any, settings: e.Settings, env: dict[str, str],
         dirs: list[tuple[str, str]], report: Any) -> NativeProgram:  # fmt: skip
    """The program, compiled and linked."""
    from refwasm.native import NativeProgram  # needs the extra

    check_options(options)
    binary = read_file(options.file)
    if not binary.startswith(b"\0asm"):
        binary = e.module_encode(e.module_open(binary).module)
    device = "native" if options.device is None else options.device
    return NativeProgram(
        binary, [options.file, *(options.args if options.invoke is None else [])], env, dirs=dirs, stdin=options.stdin,
        policies=policies, limits=ParallelLimits(workers=options.workers), device=device, strict=options.strict,
        report=report, settings=settings,
    )  # fmt: skip


def start(program: NativeProgram, options: argparse.Namespace, printed: list[str]) -> int:
    """Run it, or call one function and print its results, which are kept in ``printed``."""
    if options.invoke is None:
        return program.run()
    exported = {
        name: use for name, use in e.module_exports(program.validated) if isinstance(use, FuncUse)
    }  # fmt: skip
    if options.invoke not in exported:
        names = ", ".join(exported) or "(it exports no functions)"
        guess = did_you_mean(options.invoke, exported) or f"; --invoke one of: {names}"
        raise UsageError(f"{options.file} exports no function {options.invoke!r}{guess}")
    t: FuncType = exported[options.invoke].type.composite  # type: ignore[union-attr, assignment]
    if any(repr(p) not in _FORMATS for p in (*t.params, *t.results)):
        raise UsageError("--engine wasmtime calls functions of numbers only")
    program.instantiate()
    given = [_theirs(value, repr(p)) for value, p in zip(arguments(options.args, t.params), t.params)]
    result = program.call(options.invoke, given)
    results = [] if not t.results else [result] if len(t.results) == 1 else list(result)
    for value, r in zip(results, t.results):
        printed.append(show(_ours(value, repr(r)), r))
        print(printed[-1])
    sys.stdout.flush()
    return 0


#: How numbers look as bytes: the binding's, and ours, which are unsigned bit patterns.
_FORMATS = {"i32": ("<i", "<I"), "i64": ("<q", "<Q"), "f32": ("<f", "<I"), "f64": ("<d", "<Q")}


def _theirs(value: int, t: str) -> Any:
    theirs, ours = _FORMATS[t]
    (number,) = struct.unpack(theirs, struct.pack(ours, value))
    return number


def _ours(value: Any, t: str) -> int:
    theirs, ours = _FORMATS[t]
    if isinstance(value, float) and math.isnan(value):
        value = math.nan
    (number,) = struct.unpack(ours, struct.pack(theirs, value))
    return int(number)
