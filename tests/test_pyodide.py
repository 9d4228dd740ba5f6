"""Python in a browser: without processes, threads and signals, refwasm executes WebAssembly as it does elsewhere.

Pyodide runs in node here; the page of ``docs/playground`` is tested in a browser (``test_playground.py``). Both need
``npm ci --prefix docs/playground``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.wheel import build_wheel

ROOT = Path(__file__).parent.parent
PYODIDE = ROOT / "docs/playground/node_modules/pyodide"
SUITE = os.environ.get("REFWASM_TESTSUITE")
#: The newest release of Hypothesis that is nothing but Python.
HYPOTHESIS = "hypothesis==6.155.7"
#: Files that take ten times as long as the others; their like are among the others.
SLOW = frozenset({"return_call", "return_call_ref", "align", "align0", "align64", "memory_grow64", "memory_init64"})

pytestmark = [
    pytest.mark.skipif(
        not PYODIDE.exists() or shutil.which("node") is None,
        reason="needs node, and npm ci --prefix docs/playground",
    ),
    pytest.mark.xdist_group("pyodide"),  # one wheel for all
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as a wheel."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def pip(*args: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *args]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


def in_pyodide(tmp_path: Path, wheels: list[Path], program: str, *folders: Path | str) -> str:
    """What a program of Python's prints there."""
    file = tmp_path / "program.py"
    file.write_text(program, encoding="utf-8")
    command = ["node", str(ROOT / "tools/pyodide.mjs"), str(PYODIDE), ",".join(map(str, wheels)), str(file)]
    done = subprocess.run([*command, *map(str, folders)], capture_output=True, timeout=600, check=False, text=True)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-4000:]
    return done.stdout


COMMANDS = """
import os
from refwasm.cli import main
os.chdir({root!r})
for command in {commands!r}:
    print("=>", *command, flush=True)
    print("exit code", main(command), flush=True)
"""


def outputs(tmp_path: Path, wheel: Path, commands: list[list[str]], *folders: Path | str) -> list[str]:
    """What each command printed, with its exit code."""
    program = COMMANDS.format(root=str(ROOT), commands=commands)
    text = in_pyodide(tmp_path, [wheel], program, ROOT, *folders)
    return text.split("=> ")[1:]


@pytest.mark.skipif(not SUITE, reason="needs REFWASM_TESTSUITE, a checkout of the official suite")
@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_the_official_suite(wheel: Path, tmp_path: Path, tier: str) -> None:
    """The core's files, but for SLOW ones, and every tenth file of SIMD; of these, to save time, an eighth per tier.

    ``refwasm wast`` on the whole suite there takes a minute and a half, and passes."""
    assert SUITE is not None
    scalar = sorted(path for path in Path(SUITE).glob("*.wast") if not path.name.startswith("simd_"))
    vector = sorted(Path(SUITE).glob("simd_*.wast"))[::10]
    every = [path for path in (*scalar, *vector) if path.stem not in SLOW]
    paths = [*map(str, every[4 * (tier == "compile") :: 8]), f"{SUITE}/proposals/threads"]
    (output,) = outputs(tmp_path, wheel, [["wast", "-q", "--tier", tier, *paths]], SUITE)
    assert "0 failures in 0 files" in output and int(output.split(" files, ")[0].split()[-1]) > 15, output


def test_programs_litmus_tests_and_explorations(wheel: Path, tmp_path: Path) -> None:
    endless = tmp_path / "endless.wat"
    endless.write_text('(module (func (export "f") (loop (br 0))))')
    results = outputs(
        tmp_path, wheel,
        [
            ["run", "examples/squares.wat"],
            ["run", "--device", "cpu", "examples/nstream.wasm"],
            ["litmus", "-q", "conformance/litmus"],
            ["explore", "--races", "docs/playground/examples/lost-update.wat"],
            ["explore", "--executions", "5", "examples/concurrency/lost_update.wasm"],
            ["explain", "examples/squares_kernel.wat", "0"],
            ["run", "--timeout", "0.5", "--invoke", "f", str(endless)],
            ["doctor"],
        ],
        tmp_path,
    )  # fmt: skip
    squares, nstream, litmus, explore, program, explain, loop, doctor = results
    assert "squares: correct" in squares and "on SEQUENTIAL" in nstream
    assert "0 of them wrong" in litmus
    assert "2 final states, 0 of them failures, 2 races" in explore
    assert "exit code 0    (" in program
    assert "def " in explain
    assert "exit code 124" in loop
    assert "Emscripten" in doctor and "exit code 0" in doctor


STRATEGIES = """
from hypothesis import given, settings, HealthCheck
from refwasm import Module
from refwasm.strategies import modules

@settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck), deadline=None)
@given(modules())
def check(module):
    Module(module.bytes)

check()
print("drawn")
"""


def test_strategies(wheel: Path, tmp_path: Path) -> None:
    pip("download", "--no-deps", "--only-binary", ":all:", "--platform", "any", "-d", str(tmp_path), HYPOTHESIS,
        "sortedcontainers")  # fmt: skip
    assert in_pyodide(tmp_path, [wheel, *tmp_path.glob("*.whl")], STRATEGIES) == "drawn\n"
