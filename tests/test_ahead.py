"""Compiling ahead, in forked processes: what a process before this one used and noted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from refwasm.errors import ResourceLimit
from refwasm.execution.compiler.linking import ahead

FUNCTIONS = 2 * ahead.MANY


def compiled_ahead(
    indices: Sequence[int], compiled: Callable[[int], Any], check: Callable[[], None] = lambda: None
) -> dict[int, Any]:
    return dict(ahead.compiled_ahead(indices, compiled, check))


forked: list[int] = []


@pytest.fixture(autouse=True)
def three_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them, on whichever machine; the processes that are forked are noted."""
    fork = ahead._forked
    forked.clear()

    def noting(*args: Any) -> tuple[int, int]:
        child, pipe = fork(*args)
        forked.append(child)
        return child, pipe

    monkeypatch.setattr(ahead, "processors", lambda: 3)
    monkeypatch.setattr(ahead, "_forked", noting)


def no_children() -> bool:
    """Whether all that were forked have ended and were waited for."""
    for child in forked:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    return bool(forked)


def test_every_index_is_compiled_once_and_by_several() -> None:
    found = compiled_ahead(range(100), lambda index: (index * index, os.getpid()) if index % 7 else None)
    assert {index: value for index, (value, _) in found.items()} == {i: i * i for i in range(100) if i % 7}
    assert len({process for _, process in found.values()}) == 3
    assert no_children()


def test_what_a_dying_process_does_not_deliver_is_left_out() -> None:
    def compiled(index: int) -> int:
        if index == 1:
            os.kill(os.getpid(), 9)
        if index == 2:
            raise MemoryError
        return index

    assert sorted(compiled_ahead(range(9), compiled)) == [0, 3, 6]
    assert no_children()


def test_a_process_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LEAST_PATIENCE", 0.2)
    parent, began = os.getpid(), time.monotonic()
    found = compiled_ahead(range(3), lambda index: index if os.getpid() == parent else time.sleep(60))
    assert found == {0: 0} and time.monotonic() - began < 30
    assert no_children()


def test_a_limit_ends_all_of_them() -> None:
    def check() -> None:
        raise ResourceLimit("time limit exceeded")

    parent = os.getpid()
    with pytest.raises(ResourceLimit):
        compiled_ahead(range(3), lambda index: index if os.getpid() == parent else time.sleep(60), check)
    assert no_children()


def test_processes_that_can_not_be_had_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    assert compiled_ahead(range(9), lambda index: index) == {0: 0, 3: 3, 6: 6}


def test_the_second_process_compiles_what_the_first_one_noted(tmp_path: Path) -> None:
    functions = "".join(
        f"(func $f{i} (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))" for i in range(FUNCTIONS)
    )
    calls = "".join(f"(call $f{i}" for i in range(FUNCTIONS)) + "(i32.const 0)" + ")" * FUNCTIONS
    file = tmp_path / "many.wat"
    file.write_text(f'(module {functions} (func (export "sum") (result i32) {calls}))')
    command = [sys.executable, "-m", "refwasm", "run", "--invoke", "sum", str(file)]
    environment = {**os.environ, "REFWASM_CACHE": str(tmp_path / "cache")}

    def kept() -> int:
        """Bytes in the cache after one more process."""
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        assert (done.stdout.strip(), done.stderr) == (str(sum(range(FUNCTIONS))), "")
        return sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.cache"))

    first, second = kept(), kept()
    assert second > 10 * first
    assert kept() == second
