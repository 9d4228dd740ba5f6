"""The relaxed memory model: the litmus suite, laws on generated programs, and engines with real threads."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from refwasm.concurrency.exploration import explore
from refwasm.concurrency.litmus.judging import judge_engine, judge_model
from refwasm.concurrency.litmus.native import EngineFailed, NativeEngine, native_engine
from refwasm.concurrency.litmus.notation import LitmusTest, parse, read_tests, shown
from refwasm.concurrency.model.outcomes import allowed
from refwasm.concurrency.model.unfolding import TooLarge
from refwasm.concurrency.programs import Threads
from refwasm.errors import Malformed
from refwasm.strategies import threads
from refwasm.strategies.threads import ThreadProgram
from tests.support import refwasm as command

RUN = f"{shlex.quote(sys.executable)} -m refwasm run"
LITMUS = Path(__file__).parent.parent / "conformance" / "litmus"
TESTS = {test.name: test for file in sorted(LITMUS.glob("*.litmus")) for test in read_tests(file)}


@pytest.mark.parametrize("test", TESTS.values(), ids=lambda test: test.name)
def test_litmus(test: LitmusTest) -> None:
    verdict, _ = judge_model(test)
    assert not verdict.wrong


def test_there_are_enough_with_names_of_their_own() -> None:
    assert len(TESTS) == sum(len(read_tests(file)) for file in LITMUS.glob("*.litmus")) > 90


#: Known results: a state that is allowed, and by whom. (C. Watt and others: "Weakening WebAssembly", OOPSLA 2019;
#: ECMAScript's memory model, notes of section 29.11.)
@pytest.mark.parametrize(
    "name, state, how",
    [
        ("SB", "r0=0 r1=0", "relaxed"), ("SB+sc", "r0=0 r1=0", ""), ("MP", "r0=1 r1=0", "relaxed"),
        ("MP+sc-flag", "r0=1 r1=0", ""), ("LB", "r0=1 r1=1", "relaxed"), ("LB+sc", "r0=1 r1=1", ""),
        ("IRIW", "r0=1 r1=0 r2=1 r3=0", "relaxed"), ("IRIW+sc", "r0=1 r1=0 r2=1 r3=0", ""),
        ("CoRR", "r0=1 r1=0", "relaxed"), ("CoRR+sc", "r0=1 r1=0", ""), ("Tear+64", "r0=1", "relaxed"),
        ("Tear+32", "r0=258 x=514", ""), ("2+2W+sc", "x=1 y=1", ""), ("2+2W", "x=1 y=1", "relaxed"),
    ],
)  # fmt: skip
def test_known_results(name: str, state: str, how: str) -> None:
    _, found = judge_model(TESTS[name])
    state_found = found.states.get(state)
    assert ("" if state_found is None else "sc" if state_found.sc else "relaxed") == how


@settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(threads(max_threads=3, max_accesses=3))
def test_interleavings_are_allowed_and_without_races_nothing_else(program: ThreadProgram) -> None:
    """Sequential consistency is allowed; and it is all there is for programs without data races (SC-DRF)."""
    subject = Threads(program.wat(), [f"thread{i}" for i in range(len(program.threads))])
    try:
        states = set(allowed(subject).states)
    except TooLarge:
        return
    found = explore(subject, races=True)
    assert set(found.states) <= states
    if not found.races:
        assert set(found.states) == states


def test_what_is_too_large_is_said() -> None:
    text = """(module (memory 1 1 shared)
      (func (export "a") (loop $l (br_if $l (i32.eqz (i32.load (i32.const 0))))))
      (func (export "b") (i32.store (i32.const 0) (i32.const 1))))"""
    with pytest.raises(TooLarge, match="too large for the memory model"):
        allowed(Threads(text))


# ---- notation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", TESTS.values(), ids=lambda test: test.name)
def test_the_notation_survives_printing(test: LitmusTest) -> None:
    again = parse(shown(test))[0]
    assert (again.threads, again.states) == (test.threads, test.states)


@pytest.mark.parametrize(
    "text, message",
    [
        ("SB", "f:1: a test begins with NAME"),
        ("SB: x\na: x == 1", "f:2: 'x == 1' is no operation"),
        ("SB: x\nz: x = 1", "f:2: expected a thread"),
        ("SB: x\na: x = 1\nsc: r0", "f:3: 'r0' is no final state"),
        ("SB: x\na: r0 = x = 1", "f:2: a store gives nothing"),
    ],
)
def test_malformed_tests(text: str, message: str) -> None:
    with pytest.raises(Malformed) as error:
        parse(text, "f")
    assert str(error.value).startswith(message)


# ---- engines ---------------------------------------------------------------------------------------------------------


def engine(name: str) -> NativeEngine:
    try:
        return native_engine(name)
    except EngineFailed as error:
        pytest.skip(str(error))


def plain(test: LitmusTest) -> LitmusTest:
    """The test as an engine would run it that has no atomic accesses."""
    threads = {
        name: [o._replace(place=o.place._replace(atomic=False)) if o.place else o for o in operations]
        for name, operations in test.threads.items()
    }
    return LitmusTest(test.name, test.about, test.where, threads, test.states, test.forbidden)


@pytest.mark.parametrize("name", ["wasmtime", "node"])
def test_engines(name: str) -> None:
    """What is not allowed is never seen."""
    made = engine(name)
    try:
        for test in ("SB", "SB+sc", "MP+sc-flag", "RMW+add", "Wait+none"):
            verdict = judge_engine(TESTS[test], made, 20_000, 5)
            assert not verdict.wrong and verdict.seen
    finally:
        made.close()


@pytest.mark.parametrize("name", ["wasmtime", "node"])
def test_store_buffers_are_seen(name: str) -> None:
    """What is relaxed is seen on x86-64, and an engine whose atomic accesses are plain would be found out. Where the
    threads do not run at the same time, since the machine is busy, nothing can be seen."""
    made = engine(name)
    try:
        for _ in range(10):
            relaxed = judge_engine(TESTS["SB"], made, 50_000, 3)
            faulty = judge_engine(plain(TESTS["SB+sc"]), made, 50_000, 3)
            assert not relaxed.wrong
            if relaxed.relaxed and faulty.wrong:
                break
        else:
            pytest.skip("no relaxed outcome was seen: the machine is busy, or does not show any")
    finally:
        made.close()
    assert [line.partition(" (")[0] for line in faulty.wrong] == ["not allowed: r0=0 r1=0"]


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = command("litmus", str(LITMUS), "--only", "SB,MP+sc", "--json", str(out))
    assert done.returncode == 0 and b"2 tests, 0 of them wrong" in done.stdout
    assert {entry["name"] for entry in json.loads(out.read_text())["tests"]} == {"SB", "MP+sc"}
    wrong = tmp_path / "wrong.litmus"
    wrong.write_text("W: plain store buffering\na: x = 1; r0 = y\nb: y = 1; r1 = x\nsc: r0=0 r1=1 | r0=1 r1=0\n")
    done = command("litmus", str(wrong))
    assert done.returncode == 1 and b"the model allows r0=0 r1=0, the test does not" in done.stdout
    done = command("litmus", str(LITMUS), "--only", "SB", "--engine", "refwasm")
    assert done.returncode == 0 and b"r0=1 r1=1" in done.stdout
    for arguments, message in (
        (["--only", "nothing"], b"no tests in"),
        (["--engine", "no-such-engine"], b"no command"),
    ):
        done = command("litmus", str(LITMUS), *arguments)
        assert message in done.stderr and done.returncode in (1, 2) and b"Traceback" not in done.stderr


def test_a_command_that_runs_wasi_threads() -> None:
    done = command("litmus", str(LITMUS), "--only", "SB+sc", "--runs", "4000", "--engine", RUN)
    assert done.returncode == 0, done.stderr


def test_pages(tmp_path: Path) -> None:
    file, page, timeline = tmp_path / "sb.wat", tmp_path / "page.html", tmp_path / "timeline.json"
    file.write_text("""(module (memory 1 1 shared)
      (func (export "a") (result i32) (i32.store (i32.const 0) (i32.const 1)) (i32.load (i32.const 4)))
      (func (export "b") (result i32) (i32.store (i32.const 4) (i32.const 1)) (i32.load (i32.const 0))))""")
    done = command("explore", "--races", "--model", "--html", str(page), "--timeline", str(timeline), str(file))
    assert b"relaxed only  a: 0; b: 0" in done.stdout
    text = page.read_text()
    assert text.count("<svg") == 6 and "race between a and b" in text and "relaxed only" in text
    assert any(event["name"] == "write [0] = 1" for event in json.loads(timeline.read_text())["traceEvents"])
