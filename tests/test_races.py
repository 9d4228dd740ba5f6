"""Data races: none where there is none, each where there is one, with both sides."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

import refwasm
from refwasm import embedding as e
from refwasm.concurrency.cells import Cells
from refwasm.concurrency.exploration import Exploration, explore
from refwasm.concurrency.programs import Threads, WasiProgram
from refwasm.strategies import parallel_programs, threads
from refwasm.strategies.parallel import ParallelProgram
from refwasm.strategies.threads import SLOT, Access, ThreadProgram
from refwasm.text.printer import quote
from tests.support import EXAMPLES
from tests.support import refwasm as command

many = settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def found_in(functions: str, *names: str) -> Exploration:
    return refwasm.explore(f"(module (memory 1 3 shared) {functions})", list(names) or None, races=True)


@many
@given(threads(race_free=True))
def test_programs_without_races(program: ThreadProgram) -> None:
    names = [f"thread{i}" for i in range(len(program.threads))]
    assert not explore(Threads(program.wat(), names), races=True, executions=200).races, program


@settings(many, max_examples=30)
@given(parallel_programs(race_free=True, max_iterations=3, max_executions=2))
def test_parallel_programs_without_races(program: ParallelProgram) -> None:
    subject = WasiProgram(program.binary(), "program", policies=program.policies)
    assert not explore(subject, races=True, executions=30).races, program


@many
@given(threads(race_free=True))
def test_a_race_that_was_put_in_is_found(program: ThreadProgram) -> None:
    """The first thread may end before the second one begins, and nothing orders the two then."""
    free = program.slots
    ends = [*program.threads[0], Access("store", free, value=1)]
    begins = [Access("load", free), *program.threads[1]]
    racy = ThreadProgram([ends, begins, *program.threads[2:]], free + 1, False)
    names = [f"thread{i}" for i in range(len(racy.threads))]
    found = explore(Threads(racy.wat(), names), races=True, executions=500).races
    assert [race.start for race in found] == [SLOT * free], racy


RACY = """
  (func (export "write") (i32.store (i32.const 0) (i32.const 1)))
  (func (export "read") (drop (i32.load (i32.const 0))))
  (func (export "write-8") (i32.store8 (i32.const 3) (i32.const 1)))
  (func (export "read-beside") (drop (i32.load8_u (i32.const 4))))
  (func (export "atomic-write") (i32.atomic.store (i32.const 0) (i32.const 1)))
  (func (export "atomic-read") (drop (i32.atomic.load (i32.const 0))))
  (func (export "atomic-write-8") (i32.atomic.store8 (i32.const 0) (i32.const 1)))
  (func (export "add") (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))
  (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 8)))
  (func (export "copy") (memory.copy (i32.const 16) (i32.const 0) (i32.const 8)))
  (func (export "grow") (drop (memory.grow (i32.const 1))))
  (func (export "beyond") (i32.store (i32.const 70000) (i32.const 1)))
  (func (export "vector") (v128.store (i32.const 0) (v128.const i64x2 1 1)))
"""


@pytest.mark.parametrize(
    "a, b, races",
    [
        ("write", "read", 1), ("write", "write", 1), ("read", "read", 0), ("write", "write-8", 1),
        ("write-8", "read-beside", 0), ("write", "atomic-read", 1), ("atomic-write", "read", 1),
        ("atomic-write", "atomic-read", 0), ("atomic-write", "add", 0), ("add", "add", 0),
        ("atomic-write", "atomic-write-8", 1), ("add", "read", 1), ("fill", "read", 1), ("fill", "read-beside", 1),
        ("copy", "write", 1), ("copy", "read", 0), ("copy", "copy", 1), ("grow", "beyond", 1), ("grow", "write", 0),
        ("vector", "read-beside", 1), ("vector", "vector", 1),
    ],
)  # fmt: skip
def test_pairs_of_accesses(a: str, b: str, races: int) -> None:
    """At most one race is reported for each pair of places."""
    assert len(found_in(RACY, a, b).races) == races


@pytest.mark.parametrize(
    "functions, races",
    [
        ("""(func (export "a") (i32.store (i32.const 0) (i32.const 7)) (i32.atomic.store (i32.const 4) (i32.const 1)))
            (func (export "b") (if (i32.atomic.load (i32.const 4)) (then (drop (i32.load (i32.const 0))))))""", 0),
        ("""(func (export "a") (i32.store (i32.const 0) (i32.const 7)) (i32.store (i32.const 4) (i32.const 1)))
            (func (export "b") (if (i32.atomic.load (i32.const 4)) (then (drop (i32.load (i32.const 0))))))""", 2),
        ("""(func (export "a") (i32.store (i32.const 0) (i32.const 7)) (i32.atomic.store (i32.const 4) (i32.const 1)))
            (func (export "b") (if (i32.atomic.load8_u (i32.const 4)) (then (drop (i32.load (i32.const 0))))))""", 2),
        ("""(func (export "a") (i32.store (i32.const 0) (i32.const 7))
              (drop (memory.atomic.notify (i32.const 8) (i32.const 1))))
            (func (export "b")
              (if (i32.eqz (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const 1000)))
                (then (drop (i32.load (i32.const 0))))))""", 0),
        ("""(func (export "a") (i32.store (i32.const 0) (i32.const 7)) (drop (memory.grow (i32.const 1))))
            (func (export "b") (if (i32.eq (memory.size) (i32.const 2)) (then (drop (i32.load (i32.const 0))))))""", 0),
        ("""(func (export "a") (i32.store (i32.const 0) (i32.const 7))
              (drop (i32.atomic.rmw.cmpxchg (i32.const 4) (i32.const 9) (i32.const 1))))
            (func (export "b") (drop (i32.atomic.load (i32.const 4))) (drop (i32.load (i32.const 0))))""", 1),
    ],
)  # fmt: skip
def test_what_orders_accesses(functions: str, races: int) -> None:
    assert len(found_in(functions).races) == races


def test_both_sides_are_told() -> None:
    race = found_in(
        """(func $inner (i32.store (i32.const 8) (i32.const 1)))
           (func $outer (export "writes") (call $inner))
           (func (export "reads") (drop (i32.load (i32.const 8))))"""
    ).races[0]
    assert str(race) == "race between writes and reads on [8, +4)"
    assert [entry.name for entry in race.first.stack] == ["inner", "outer"]
    assert [(side.label, side.access.kind) for side in (race.first, race.second)] == [
        ("writes", "store"),
        ("reads", "load"),
    ]
    assert race.ordered == "nothing did" and race.witness.startswith("c1:")


# ---- kernels ---------------------------------------------------------------------------------------------------------


def squares_with(kernel: str, iterations: int) -> str:
    """The smallest example with another kernel."""
    binary = e.module_encode(e.module_parse(kernel))
    text = (EXAMPLES / "squares.wat").read_text(encoding="utf-8")
    before, _, rest = text.partition("    ;; kernel\n")
    after = rest.partition("    ;; end of kernel")[2]
    text = f"{before}{quote(binary)}\n{after}"
    return text.replace("(i32.const 121)) ;; kernel size", f"(i32.const {len(binary)}))").replace(
        "(i32.const 1000)", f"(i32.const {iterations})"
    )


KERNEL = """(module (import "env" "memory" (memory 1 16 shared))
  (func (export "kernel") (param $id i32) (param $n i32) (param $block i32) (param $out i32) (param $len i32)
    (i32.store (i32.add (local.get $out) (i32.shl (i32.rem_u (local.get $id) (i32.const 14)) (i32.const 2)))
      (local.get $id))))"""


def test_races_of_iterations(tmp_path: Path) -> None:
    file = tmp_path / "racy.wat"
    file.write_text(squares_with(KERNEL, 18))
    done = command("run", "--races", str(file))
    assert "refwasm: race between iteration 0 and iteration 14 on out[0]" in done.stderr.decode() and done.returncode
    done = command("check", "--only", "order", str(file))
    assert "race between iteration 0 and iteration 14 on out[0]" in done.stdout.decode() and done.returncode == 1
    found = refwasm.explore(file, races=True, executions=5)
    assert str(found.races[0]) == "race between iteration 0 and iteration 14 on out[0]"


@pytest.mark.parametrize("name", ["squares.wat", "histogram.wasm"])
def test_examples_have_no_races(name: str) -> None:
    done = command("run", "--races", str(EXAMPLES / name))
    assert done.returncode == 0 and "no races in this execution" in done.stderr.decode(), done


def test_scripts(tmp_path: Path) -> None:
    file = tmp_path / "script.wast"
    thread = """(thread $T{0} (shared (module $M)) (register "m" $M)
      (module (import "m" "memory" (memory 1 1 shared)) (func (export "f") (i32.store (i32.const 0) (i32.const {0}))))
      (invoke "f"))"""
    file.write_text('(module $M (memory (export "memory") 1 1 shared)) (register "m")'
                    + thread.format(1) + thread.format(2) + "(wait $T1) (wait $T2)")  # fmt: skip
    done = command("wast", "--races", str(file))
    assert "race between $T1 and $T2 on [0, +4)" in done.stdout.decode() and done.returncode == 1


# ---- shadow memory ---------------------------------------------------------------------------------------------------


def test_cells_cover_exactly_what_was_asked_for() -> None:
    """A law: whatever was accessed before, the cells of a range lie one behind the other and fill it."""
    random = Random(1)
    for _ in range(200):
        cells = Cells()
        for _ in range(30):
            start = random.randrange(4080, 4110)
            end = start + random.randrange(1, 20)
            found = list(cells.within(start, end))
            assert found[0].start == start and found[-1].end == end
            assert all(a.end == b.start for a, b in pairwise(found))
            for cell in found:
                cell.writes[start, end] = True
        everything = list(cells.within(4000, 4200))
        assert all(a.end == b.start for a, b in pairwise(everything))


def test_iterations_that_wait_for_ever_are_a_deadlock(tmp_path: Path) -> None:
    file = tmp_path / "waits.wat"
    waits = "(drop (memory.atomic.wait32 (i32.const 8) (i32.load (i32.const 8)) (i64.const -1)))"
    file.write_text(squares_with(KERNEL.replace("(i32.store (i32.add", f"{waits} (i32.store (i32.add"), 2))
    found = refwasm.explore(file)
    assert [state.failed for state in found.states.values()] == ["deadlock"] and found.complete
    assert "iteration 0 and iteration 1 wait and nobody can notify" in next(iter(found.states))
