"""Translated kernels under oclgrind, an interpreter of OpenCL that nobody here wrote: it reports accesses out of bounds
and data races by work-item and line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import EXAMPLES

FOUND = shutil.which("oclgrind")
LIBRARY = Path(FOUND or "/").parent.parent / "lib" / "oclgrind" / "liboclgrind-rt-icd.so"

pytestmark = pytest.mark.skipif(not LIBRARY.is_file(), reason="oclgrind is not installed: Debian's package oclgrind")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """With oclgrind as the first OpenCL driver, looking for races."""
    (tmp_path / "oclgrind.icd").write_text(f"{LIBRARY}\n")
    return os.environ | {"OCL_ICD_VENDORS": str(tmp_path), "OCLGRIND_DATA_RACES": "1"}


def run(command: list[str], env: dict[str, str]) -> str:
    """What a command prints, on both streams."""
    done = subprocess.run(
        [sys.executable, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=True
    )
    return done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "words", ["sum 2000", "histogram 500", "mandelbrot 16 8", "matmul 6", "nstream 500 1"], ids=lambda w: w.split()[0]
)
def test_the_examples_are_clean(words: str, env: dict[str, str]) -> None:
    name, *args = words.split()
    command = ["-m", "refwasm", "run", "--device", "opencl:0:0", "--stats", str(EXAMPLES / f"{name}.wasm"), *args]
    told = run(command, env)
    assert "correct" in told and "OPENCL (Oclgrind" in told
    assert "race" not in told and "Invalid" not in told


def test_all_loads_and_stores_stay_in_bounds(env: dict[str, str]) -> None:
    """Operations are not tried: oclgrind lacks what LLVM makes of some."""
    script = """
from tools.device_operations import *
print("wrong:", wrong([*LOADS, *STORES], 4, "opencl:0:0"))"""
    told = run(["-c", script], env)
    assert "wrong: []" in told and "Invalid" not in told and "race" not in told


@pytest.mark.parametrize(("place", "races"), [("(local.get $p0)", True), (
    "(i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))", False)])  # fmt: skip
def test_it_names_races(place: str, races: bool, env: dict[str, str]) -> None:
    script = f"""
from tests.support import *
p = program(kernel_wat("(i32.store {place} (local.get $id))"))
device = p.device("opencl:0:0")
print(p.exec(device, 16, p.buffer(device, 64)), repr(p.context.runs[-1].instead))"""
    told = run(["-c", script], env)
    assert "0 ''" in told and ("data race" in told) == races
