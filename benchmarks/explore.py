"""How fast schedules are explored, how far the reduction goes, what looking for races costs, and how soon bugs are
found: ``python -m benchmarks.explore [rate|reduction|races|bugs …]``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import refwasm
from refwasm.concurrency.exploration import Exploration, explore
from refwasm.concurrency.litmus.modules import LitmusThreads
from refwasm.concurrency.litmus.notation import parse
from refwasm.concurrency.opening import open_subject
from refwasm.concurrency.programs import Subject, Threads
from refwasm.concurrency.sampling import Bounded
from refwasm.concurrency.scheduler import ExploringScheduler

ROOT = Path(__file__).parent.parent
#: Interleavings that are counted at most.
MOST = 200_000

_LOCK = """(module (memory 1 1 shared) (func $lock (export "lock")
  (loop $again (br_if $again (i32.atomic.rmw.cmpxchg (i32.const 8) (i32.const 0) (i32.const 1))))
  (i32.store (i32.const 12) (i32.add (i32.load (i32.const 12)) (i32.const 1)))
  (i32.atomic.store (i32.const 8) (i32.const 0))))"""
_PHILOSOPHERS = "(module (memory 1 1 shared) " + "".join(
    f"""(func (export "p{n}")
      (loop $a (br_if $a (i32.atomic.rmw.xchg (i32.const {4 * min(n, (n + 1) % 3)}) (i32.const 1))))
      (loop $b (br_if $b (i32.atomic.rmw.xchg (i32.const {4 * max(n, (n + 1) % 3)}) (i32.const 1))))
      (i32.atomic.store (i32.const {4 * n}) (i32.const 0))
      (i32.atomic.store (i32.const {4 * ((n + 1) % 3)}) (i32.const 0)))"""
    for n in range(3)
) + ")"  # fmt: skip
_QUEUE = """(module (memory 1 1 shared)
  (func (export "put") (local $at i32)
    (local.set $at (i32.atomic.rmw.add (i32.const 0) (i32.const 4)))
    (i32.atomic.store offset=16 (local.get $at) (i32.const 7)))
  (func (export "take") (result i32) (i32.atomic.load offset=16 (i32.atomic.rmw.add (i32.const 4) (i32.const 4)))))"""


def _litmus(*threads: str) -> Threads:
    return LitmusThreads(parse("T: t\n" + "\n".join(f"{n}: {ops}" for n, ops in zip("abcd", threads)))[0])


PROGRAMS: dict[str, Threads] = {
    "SB": _litmus("x = 1; r0 = y", "y = 1; r1 = x"),
    "MP": _litmus("x = 1; y = 1", "r0 = y; r1 = x"),
    "IRIW": _litmus("x = 1", "y = 1", "r0 = x; r1 = y", "r2 = y; r3 = x"),
    "3 threads × 3 accesses": _litmus("x = 1; r0 = y; z = 1", "y = 1; r1 = z; x = 2", "z = 2; r2 = x; y = 2"),
    "3 threads × 3 of their own": _litmus("x = 1; x = 2; x = 3", "y = 1; y = 2; y = 3", "z = 1; z = 2; z = 3"),
    "a lock, 2 threads": Threads(_LOCK, ["lock", "lock"]),
    "a lock, 3 threads": Threads(_LOCK, ["lock", "lock", "lock"]),
    "3 dining philosophers": Threads(_PHILOSOPHERS),
    "a queue, 2 put, 1 takes": Threads(_QUEUE, ["put", "put", "take"]),
}


def rate() -> None:
    """Executions a second of a litmus test with four accesses."""
    subject = PROGRAMS["SB"]
    for races in (False, True):
        best, until = 0.0, time.perf_counter() + 6
        while time.perf_counter() < until:
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < 1:
                count += explore(subject, races=races).executions
            best = max(best, count / (time.perf_counter() - started))
        print(f"SB, four accesses{', looking for races' if races else ''}: {best:.0f} executions a second (best of 6)")


def reduction() -> None:
    """Interleavings and classes."""
    print(f"{'program':28} {'interleavings':>13} {'classes':>8} {'cut':>6} {'factor':>8}")
    for name, subject in PROGRAMS.items():
        found = explore(subject)
        count = _interleavings(subject)
        more = "" if count <= MOST else "> "
        shown = f"{more}{min(count, MOST)}"
        factor = min(count, MOST) / found.executions
        print(f"{name:28} {shown:>13} {found.classes:>8} {found.redundant:>6} {more}{factor:>7.1f}", flush=True)


def _interleavings(subject: Subject) -> int:
    count = 0
    for execution in Bounded(1 << 30):
        subject.execute(ExploringScheduler(execution.choose, [execution]))
        count += 1
        if count > MOST:
            break
    return count


def races() -> None:
    """What ``run --races`` costs, against the interpreter alone."""
    import subprocess
    import sys

    print(f"{'program':16} {'interpreter':>12} {'--races':>9} {'ratio':>6}")
    for name in ("sum", "nstream", "mandelbrot", "histogram", "matmul"):
        seconds = []
        for options in (["--tier", "interpret", "--device", "sequential"], ["--races"]):
            command = [sys.executable, "-m", "refwasm", "run", *options, str(ROOT / "examples" / f"{name}.wasm")]
            started = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            seconds.append(time.perf_counter() - started)
        print(f"{name:16} {seconds[0]:>10.2f} s {seconds[1]:>7.2f} s {seconds[1] / seconds[0]:>6.1f}", flush=True)


def bugs() -> None:
    """How many executions, and how long, until the bugs of the C programs are found."""
    modes = ("random:1", "pct:3", "all")
    print(f"{'program':18}" + "".join(f"{mode:>22}" for mode in modes))
    for file in sorted((ROOT / "examples" / "concurrency").glob("*.wasm")):
        row = []
        for mode in modes:
            found = _until_found(open_subject(file), mode)
            row.append(f"{found.executions} in {found.seconds:.2f} s" if _is_found(found) else "not in 120 s")
        print(f"{file.stem:18}" + "".join(f"{cell:>22}" for cell in row), flush=True)


class _Found(Exception):
    pass


def _is_found(found: Exploration) -> bool:
    return bool(found.failures or found.races)


def _until_found(subject: Subject, mode: str) -> Exploration:
    last: list[Exploration] = []

    def each(found: Exploration) -> None:
        last[:] = [found]
        if _is_found(found):
            raise _Found

    try:
        return explore(subject, mode, seconds=120, executions=1_000_000, races=True, each=each)
    except _Found:
        return last[0]


PARTS = {"rate": rate, "reduction": reduction, "races": races, "bugs": bugs}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    print(f"refwasm {refwasm.__version__}")
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()
