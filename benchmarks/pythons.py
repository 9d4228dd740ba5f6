"""refwasm on several Pythons: ``python -m benchmarks.pythons PYTHON…``, each an interpreter's path.

The wheel of this checkout is installed into a fresh environment of each, without anything else. Then a loop of 200,000
iterations runs on both tiers, and the official suite if ``REFWASM_TESTSUITE`` names it. Times are the least of three;
the first interpreter is what the others are compared with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.wheel import build_wheel

MEASURE = """
import sys, time
from refwasm import Instance, Module
source = '''(module (func (export "f") (param $n i32) (result i32) (local $s i32)
  (loop $each
    (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (local.get $n)))
    (br_if $each (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (local.get $s)))'''
for tier in ("interpret", "compile"):
    f = Instance(Module(source), tier=tier).exports.f
    f(1000)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        f(200_000)
        times.append(time.perf_counter() - start)
    print(min(times))
"""


def run(command: list[str]) -> str:
    """What a command prints; its errors are shown if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} …: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def measure(python: str, wheel: Path) -> tuple[str, list[float], str]:
    """The version of an interpreter, seconds on both tiers, and what the official suite says."""
    with tempfile.TemporaryDirectory() as folder:
        run([python, "-m", "venv", folder])
        inside = f"{folder}/bin/python"
        run([inside, "-m", "pip", "-q", "--disable-pip-version-check", "install", "--no-index", str(wheel)])
        told = "import platform, sys; print(platform.python_implementation(), platform.python_version(), end='')"
        version = run([inside, "-c", told])
        times = [float(line) for line in run([inside, "-c", MEASURE]).split()]
        suite = os.environ.get("REFWASM_TESTSUITE")
        said = run([inside, "-m", "refwasm", "wast", "-q", "--jobs", "2", suite]).splitlines()[-1] if suite else ""
    return version, times, said


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        results = [measure(python, wheel) for python in sys.argv[1:] or [sys.executable]]
    first = results[0][1]
    for version, times, said in results:
        ratios = ", ".join(
            f"{tier} {1e3 * time:.1f} ms ({time / base:.2f})"
            for tier, time, base in zip(("interpret", "compile"), times, first)
        )
        print(f"{version}: {ratios}; {said}")


if __name__ == "__main__":
    main()
