"""Running cases and judging what comes out."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import signal
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from conformance.engines import Engine
from conformance.suite import Case, build

#: Exit code with which a case says that a check failed.
FAILED_CHECK = 99
#: Output of a case beyond which it is ended, and what is kept of it.
MAX_OUTPUT, MAX_KEPT = 1 << 24, 1 << 14
#: Ways in which a case can end; the last two make a run fail.
PASS, SKIP, EXPECTED_FAILURE, FAIL, UNEXPECTED_PASS = "pass", "skip", "expected failure", "fail", "unexpected pass"
BAD = (FAIL, UNEXPECTED_PASS)


@dataclass(frozen=True)
class Result:
    """What became of a case. ``problem`` is why it failed or was skipped, ``argv`` the command that was run."""

    case: str
    chapter: str
    about: str
    rules: tuple[str, ...]
    status: str
    seconds: float = 0.0
    problem: str = ""
    expected: str = ""
    argv: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""


def expectation(case: Case) -> str:
    """What a case should end in, in words."""
    exits = f"exit code {case.exit_code}"
    outcome = {"ok": exits, "trap": "a trap", "ok or trap": f"{exits} or a trap"}[case.outcome]
    return f"{outcome}, output {case.stdout!r}"


def judge(case: Case, code: int, stdout: str) -> str:
    """Why an outcome is wrong, or "". A trap is any end that is neither success nor a failed check of the case's own:
    engines do not agree on its exit code."""
    trapped = code not in (0, FAILED_CHECK)
    if case.outcome == "ok or trap" and trapped:
        return ""
    wanted = trapped if case.outcome == "trap" else code == case.exit_code
    if not wanted:
        return f"got exit code {code}, output {stdout!r:.300}"
    return "" if stdout == case.stdout else f"got output {stdout!r:.300}"


def run_case(case: Case, wasm: Path, engine: Engine, timeout: float) -> Result:
    """Run one case."""
    unrun = Result(case.name, case.chapter, case.about, case.rules, SKIP, expected=expectation(case))
    try:
        argv = engine.argv(case, wasm)
    except Exception as error:  # of somebody's adapter
        return replace(unrun, status=FAIL, problem=f"the adapter fails: {type(error).__name__}: {error}")
    if argv is None:
        needs = ",".join(f"{name}={value}" for name, value in case.needs.items())
        return replace(unrun, problem=f"the engine does not offer {needs}")
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code, ended = _run(argv, out, err, timeout)
        except (OSError, ValueError) as error:
            return replace(unrun, status=FAIL, problem=f"can't be started: {error}", argv=tuple(argv))
        stdout, stderr = _beginning(out), _beginning(err)
    problem = ended or judge(case, code, stdout)
    return replace(
        unrun, status=FAIL if problem else PASS, seconds=time.monotonic() - started, problem=problem, argv=tuple(argv),
        stdout=stdout, stderr=stderr,
    )  # fmt: skip


def _run(argv: Sequence[str], out: IO[bytes], err: IO[bytes], timeout: float) -> tuple[int, str]:
    """Exit code of a command, and why it had to be ended, if so: with all that it started."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
    end = time.monotonic() + timeout
    ended = ""
    try:
        while not ended:
            try:
                process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    ended = f"still running after {timeout:g} s"
                elif max(os.fstat(out.fileno()).st_size, os.fstat(err.fileno()).st_size) > MAX_OUTPUT:
                    ended = f"more than {MAX_OUTPUT} bytes of output"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, ended


def _beginning(file: IO[bytes]) -> str:
    file.seek(0)
    return _text(file.read(MAX_KEPT))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def expected_failures(path: Path | None) -> dict[str, str]:
    """Patterns of cases with the reason why they fail: the table ``failures`` of a TOML file."""
    if path is None or not path.exists():
        return {}
    found = tomllib.loads(path.read_text(encoding="utf-8")).get("failures", {})
    if not isinstance(found, dict):
        raise ValueError("'failures' must be a table of patterns and reasons")
    return {str(pattern): str(reason) for pattern, reason in found.items()}


def apply_expectations(result: Result, failures: dict[str, str]) -> Result:
    """A failure that is expected is none; a pass that is not expected is one."""
    reason = next((reason for pattern, reason in failures.items() if fnmatch.fnmatch(result.case, pattern)), None)
    if reason is None or result.status == SKIP:
        return result
    if result.status == FAIL:
        return replace(result, status=EXPECTED_FAILURE, problem=f"{result.problem} (expected: {reason})")
    return replace(result, status=UNEXPECTED_PASS, problem=f"passes, but is expected to fail: {reason}")


def run_all(
    cases: Sequence[Case], engine: Engine, *, jobs: int = os.cpu_count() or 1, timeout: float = 60,
    failures: dict[str, str] | None = None, seen: Callable[[Result], object] = lambda result: None,
) -> list[Result]:  # fmt: skip
    """Build and run cases; ``seen`` is told each result as it comes."""

    def results() -> Iterator[Result]:
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder, ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(lambda case: run_case(case, build(case, Path(folder)), engine, timeout), cases)

    collected = []
    for result in results():
        collected.append(apply_expectations(result, failures or {}))
        seen(collected[-1])
    return collected
