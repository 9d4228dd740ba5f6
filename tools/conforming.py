"""The conformance suite in this process: much faster than a process for each case."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from typing import Any

from conformance.running import judge
from conformance.suite import Case, load
from conformance.writing import assemble
from refwasm import WasmError
from refwasm.host.parallel import ParallelLimits
from refwasm.program import Program

POLICIES = ("memory", "instance", "order", "grouping")


@cache
def assembled(name: str) -> tuple[Case, bytes]:
    """A case and its binary module."""
    case = _cases()[name]
    return case, assemble(case.path.read_text(encoding="utf-8"))


@cache
def _cases() -> dict[str, Case]:
    return {case.name: case for case in load()}


def run_here(case: Case, binary: bytes, **options: Any) -> tuple[int, bytes, Program]:
    """The exit code of a case's program, its output, and the program; traps are 134, other errors 1."""
    policies = ",".join(f"{name}={case.needs[name]}" for name in POLICIES if name in case.needs)
    limits = ParallelLimits(workers=int(case.needs.get("workers", 2)))
    with (
        tempfile.TemporaryFile() as out,
        open(os.devnull, "rb") as nothing,
        Program(
            binary, ["program", *case.args], case.env, stdin=nothing.fileno(), stdout=out.fileno(), policies=policies,
            limits=limits, **options,
        ) as program,
    ):  # fmt: skip
        try:
            code = program.run()
        except WasmError:
            code = 134
        out.seek(0)
        return code, out.read(), program


def problem_of(case: Case, binary: bytes, **options: Any) -> str:
    """Why a case fails here, or ""."""
    code, out, _ = run_here(case, binary, **options)
    return judge(case, code, out.decode("utf-8", "replace"))


__all__ = ["assembled", "problem_of", "run_here"]
