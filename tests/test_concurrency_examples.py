"""Ten bugs of textbooks in small C programs: ``explore`` finds each, and says where."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import refwasm
from refwasm.concurrency.exploration import Exploration
from tests.support import EXAMPLES
from tests.support import refwasm as command

FOLDER = EXAMPLES / "concurrency"
#: What is wrong with each: how executions fail, and whether there are races.
BUGS = {
    "aba": ("exit code", False), "barrier_reuse": ("deadlock", False), "double_checked": ("exit code", True),
    "early_publication": ("exit code", True), "lock_inversion": ("deadlock", False),
    "lost_update": ("exit code", True), "lost_wake_up": ("deadlock", False), "missing_fence": ("", True),
    "overdraft": ("exit code", False), "stolen_wake_up": ("exit code", False),
}  # fmt: skip


def explored(name: str, mode: str, executions: int) -> Exploration:
    return refwasm.explore(FOLDER / f"{name}.wasm", mode=mode, executions=executions, races=True)


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", FOLDER / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_program_is_here() -> None:
    assert set(BUGS) == {path.stem for path in FOLDER.glob("*.c")} == {path.stem for path in FOLDER.glob("*.wasm")}


@pytest.mark.parametrize("name", BUGS)
@pytest.mark.parametrize("mode", ["random:1", "pct:3"])
def test_sampling_finds_it(name: str, mode: str) -> None:
    kind, races = BUGS[name]
    found = explored(name, mode, 1_500 if name == "aba" else 300)
    assert bool(found.races) == races
    assert kind in {state.failed for state in found.failures} | {""}


@pytest.mark.parametrize("name", ["lost_update", "lost_wake_up", "missing_fence", "overdraft", "early_publication"])
def test_all_schedules_show_it(name: str) -> None:
    kind, races = BUGS[name]
    found = explored(name, "all", 5_000)
    assert found.complete and bool(found.races) == races
    assert {state.failed for state in found.failures} == ({kind} if kind else set())


def test_the_report_names_source_lines() -> None:
    pytest.importorskip("elftools", reason="lines of DWARF need the extra debug")
    done = command("explore", "--races", "--mode", "random:1", "--executions", "20", str(FOLDER / "lost_update.wasm"))
    shown = done.stdout.decode()
    assert "race between thread 1 and thread 2" in shown and "lost_update.c:7:" in shown and done.returncode == 1


def test_programs_build(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="building needs the extra toolchain")
    file = builder().build("lost_update", tmp_path)
    assert file.read_bytes()[:4] == b"\0asm"
