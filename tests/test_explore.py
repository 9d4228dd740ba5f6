"""Every schedule: against all interleavings, on the official scripts, and from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import refwasm
from refwasm.concurrency.accesses import Access, dependent
from refwasm.concurrency.exploration import Exploration, explore, replay
from refwasm.concurrency.programs import Threads, lines
from refwasm.concurrency.sampling import Bounded
from refwasm.concurrency.scheduler import ExploringScheduler, Observer
from refwasm.strategies import threads
from refwasm.strategies.threads import ThreadProgram
from tests.support import refwasm as command

SB = """(module (memory 1 1 shared)
  (func (export "a") (result i32) (i32.store (i32.const 0) (i32.const 1)) (i32.load (i32.const 4)))
  (func (export "b") (result i32) (i32.store (i32.const 4) (i32.const 1)) (i32.load (i32.const 0))))"""
#: Interleavings of a program at most, to compare with.
MOST = 3_000


class Trace(Observer):
    """What tells classes of schedules apart: the steps, and the order of those that depend on each other."""

    def __init__(self) -> None:
        self.steps: list[tuple[tuple[Any, int], Access]] = []

    def made(self, thread: Any, access: Access) -> None:
        place = sum(name[0] == thread for name, _ in self.steps)
        self.steps.append(((thread, place), access))

    def key(self) -> object:
        pairs = {
            (name, later)
            for at, (name, access) in enumerate(self.steps)
            for later, other in self.steps[at + 1 :]
            if name[0] != later[0] and dependent(other, access)
        }
        return frozenset((name, access.kind) for name, access in self.steps), frozenset(pairs)


def of(program: ThreadProgram) -> Threads:
    return Threads(program.wat(), [f"thread{i}" for i in range(len(program.threads))])


def interleavings(subject: Threads) -> tuple[set[str], set[object]] | None:
    """The final states and the classes of all interleavings; None if there are too many."""
    states: set[str] = set()
    classes: set[object] = set()
    for number, execution in enumerate(Bounded(1 << 30)):
        if number == MOST:
            return None
        trace = Trace()
        states.add(subject.execute(ExploringScheduler(execution.choose, [execution, trace])).text)
        classes.add(trace.key())
    return states, classes


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(threads(race_free=False, max_threads=3, max_accesses=3))
def test_one_execution_of_each_class(program: ThreadProgram) -> None:
    subject = of(program)
    expected = interleavings(subject)
    if expected is not None:
        found = explore(subject)
        assert (set(found.states), found.classes) == (expected[0], len(expected[1]))
        assert found.complete


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(threads(race_free=False, max_threads=3, max_accesses=3))
def test_witnesses_replay(program: ThreadProgram) -> None:
    subject = of(program)
    for state in explore(subject, executions=50).states.values():
        ending, scheduler, _ = replay(subject, state.witness)
        assert (ending.text, str(scheduler.choices)) == (state.text, state.witness)


def states(text: str, *calls: str, **options: Any) -> Exploration:
    return refwasm.explore(text, list(calls) or None, **options)


def test_store_buffering() -> None:
    found = states(SB)
    results = {text.partition("; [")[0] for text in found.states}
    assert results == {"a: 0; b: 1", "a: 1; b: 0", "a: 1; b: 1"} and found.classes == 3 and found.complete


WAITS = """(module (memory 1 2 shared)
  (func (export "forever") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
  (func (export "awhile") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1000)))
  (func (export "notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1)))
  (func (export "lock")
    (loop $again (br_if $again (i32.atomic.rmw.cmpxchg (i32.const 8) (i32.const 0) (i32.const 1))))
    (i32.store (i32.const 12) (i32.add (i32.load (i32.const 12)) (i32.const 1)))
    (i32.atomic.store (i32.const 8) (i32.const 0)))
  (func (export "spins") (loop $again (br_if $again (i32.eqz (i32.load (i32.const 16))))))
  (func (export "sets") (i32.store (i32.const 16) (i32.const 1)))
  (func (export "grows") (result i32) (memory.grow (i32.const 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "beyond") (result i32) (i32.load (i32.const 70000)))
  (func (export "traps") (drop (i32.load (i32.const 200000))))
  (func (export "without-end") (loop $again
    (i32.store (i32.const 20) (i32.add (i32.load (i32.const 20)) (i32.const 1))) (br $again))))"""


def test_lost_wake_ups_are_deadlocks() -> None:
    found = states(WAITS, "forever", "notify")
    assert [state.failed for state in found.states.values()].count("deadlock") == 1 and len(found.states) == 2


def test_time_outs_are_choices() -> None:
    found = states(WAITS, "awhile", "notify")
    assert set(found.states) == {"awhile: 0; notify: 1", "awhile: 2; notify: 0"} and found.complete


def test_spinning_ends() -> None:
    assert set(states(WAITS, "lock", "lock", "lock").states) == {"[12]=3"}
    found = states(WAITS, "spins", "sets")
    assert set(found.states) == {"[16]=1"} and found.classes == 2
    assert [s.text for s in states(WAITS, "spins").deadlocks] == ["deadlock: spins spins on what nobody changes"]


def test_growing_is_seen_or_not() -> None:
    assert {text.partition("; [")[0] for text in states(WAITS, "grows", "size").states} == {
        "grows: 1; size: 1",
        "grows: 1; size: 2",
    }
    found = states(WAITS, "grows", "beyond")
    assert "trap" in {state.failed for state in found.states.values()} and len(found.states) == 2


def test_bounds_are_said() -> None:
    found = states(WAITS, "without-end", "sets", steps=100, executions=3)
    assert not found.complete and found.incomplete == "an execution has more than 100 steps"
    assert "preemptions" in states(SB, bound=0).incomplete and len(states(SB, bound=0).states) == 2
    assert states(SB, bound=2).states.keys() == states(SB).states.keys()
    assert "executions" in states(SB, executions=1).incomplete


@pytest.mark.parametrize("mode", ["random:1", "pct:2"])
def test_sampling_finds_the_same(mode: str) -> None:
    found = states(SB, mode=mode, executions=200)
    assert found.states.keys() == states(SB).states.keys() and not found.complete


@pytest.mark.parametrize("mode", ["some", "random:x", "pct:0", "pct:", "replay:x"])
def test_modes_that_do_not_exist(mode: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        states(SB, mode=mode)


# ---- Python tests ----------------------------------------------------------------------------------------------------

COUNTER = refwasm.Module("""(module (import "m" "memory" (memory 1 1 shared))
  (func (export "add") (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))
  (func (export "add-atomically") (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))))""")


def counted(agents: refwasm.Agents, name: str) -> int:
    memory = agents.memory()
    instance = agents.instance(COUNTER, {"m": {"memory": memory}})
    for thread in [agents.start(instance.exports[name]) for _ in range(3)]:
        thread.join()
    return int.from_bytes(memory.read(0, 4), "little")


def test_python_tests() -> None:
    def lost_update(agents: refwasm.Agents) -> None:
        assert counted(agents, "add") == 3, "an update was lost"

    found = refwasm.explore(lost_update, races=True)
    assert [s.text for s in found.failures] == ["assertion failed: an update was lost"] and found.races
    found = refwasm.explore(lambda agents: counted(agents, "add-atomically"), races=True)
    assert set(found.states) == {"3"} and not found.races and found.complete


# ---- command line ----------------------------------------------------------------------------------------------------


def test_command(tmp_path: Path) -> None:
    file, out = tmp_path / "sb.wat", tmp_path / "out.json"
    file.write_text(SB)
    done = command("explore", "--races", "--json", str(out), str(file))
    shown = done.stdout.decode()
    assert done.returncode == 1 and "3 classes of schedules" in shown and "race between a and b on [4, +4)" in shown
    data = json.loads(out.read_text())
    assert len(data["states"]) == 3 and len(data["races"]) == 2 and data["complete"]
    witness = data["states"][2]["witness"]
    done = command("explore", "--mode", f"replay:{witness}", str(file))
    assert data["states"][2]["text"] in done.stdout.decode() and done.returncode == 0


@pytest.mark.parametrize(
    "args, message",
    [
        (["--thread", "c", "FILE"], "the module exports no function 'c'"),
        (["--thread", "a,1", "FILE"], "'a' takes 0 arguments"),
        (["--thread", "a,x", "FILE"], "the arguments must be numbers"),
        (["--mode", "some", "FILE"], "--mode: mode 'some': expected all"),
        (["--bound", "-1", "FILE"], "--bound: a number of preemptions"),
        (["--mode", "replay:c1:9a7", "FILE"], "the list"),
        (["missing.wat"], "No such file"),
    ],
)
def test_wrong_usage(tmp_path: Path, args: list[str], message: str) -> None:
    file = tmp_path / "sb.wat"
    file.write_text(SB)
    done = command("explore", *[str(file) if arg == "FILE" else arg for arg in args])
    said = done.stderr.decode()
    assert message in said and done.returncode in (1, 2) and "Traceback" not in said, said


def test_modules_without_shared_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.wat"
    file.write_text('(module (memory 1) (func (export "a")))')
    done = command("explore", str(file))
    assert "the module's memory is not shared" in done.stderr.decode() and done.returncode == 1


@pytest.mark.parametrize(
    "calls", [("forever", "notify"), ("awhile", "forever", "notify"), ("spins",), ("lock", "lock")]
)
def test_deadlocks_and_spinning_replay(calls: tuple[str, ...]) -> None:
    for state in states(WAITS, *calls).states.values():
        found = states(WAITS, *calls, mode=f"replay:{state.witness}")
        assert [(s.text, s.failed) for s in found.states.values()] == [(state.text, state.failed)]


UNJOINED = """(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  (data (i32.const 0) "\\10\\00\\00\\00\\03\\00\\00\\00")
  (data (i32.const 16) "hi\\0a")
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.atomic.store (i32.const 64) (i32.const 1))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (drop (call $spawn (i32.const 0)))
    (i32.atomic.store (i32.const 128) (i32.const 1))))"""


@pytest.mark.parametrize("last", ["", "    (i32.atomic.store (i32.const 128) (i32.const 1))"])
def test_the_end_of_a_program_ends_its_threads(last: str) -> None:
    """What a thread does comes before the end of the program, or not at all."""
    found = refwasm.explore(UNJOINED.replace("    (i32.atomic.store (i32.const 128) (i32.const 1))", last))
    assert set(found.states) == {"exit code 0", "hi"} and found.complete


@pytest.mark.parametrize(
    "one, other",
    [(b"\n", b"\r"), (b"\v", b"\f"), (b"a\n\nb", b"a\nb"), (b"a; b", b"a\nb"), (b"\xf8", b"\\xf8"), (b"", b"\n"),
     (b"\xc3", b"\xc3\xa9"), (b"a\\; b", b"a; b")],
)  # fmt: skip
def test_different_outputs_are_different_states(one: bytes, other: bytes) -> None:
    assert lines(one) != lines(other)
    assert "; ".join(lines(one)) != "; ".join(lines(other))
