"""The official suite and our own scripts, each on every tier; every module also survives both formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from refwasm.script.runner import Options, run_script
from refwasm.script.suite import find_scripts, options_for

#: "hot" is the tier auto without any patience: everything is compiled after its first call or turn.
TIERS = ["interpret", "compile", "hot"]
#: Scripts that may fail, with the reason; one that passes all the same is a failure here.
EXPECTED_FAILURES: dict[str, str] = {}
SEEDS = range(8)


def check(path: Path, options: Options) -> None:
    report = run_script(path, options_for(path, options))
    reason = EXPECTED_FAILURES.get(path.name)
    if reason is not None:
        assert not report.ok, f"{path.name} passes now; it was expected to fail: {reason}"
        pytest.xfail(reason)
    assert report.ok, "\n".join(map(str, report.failures[:20]))


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("refwasm.execution.life.ALLOWANCE", 0)
    return "auto" if request.param == "hot" else str(request.param)


def test_official(official_script: Path, tier: str) -> None:
    check(official_script, Options(tier=tier, round_trip=tier == "interpret"))


def test_newer_proposals(proposal_script: Path, tier: str) -> None:
    check(proposal_script, Options(tier=tier, round_trip=tier == "interpret"))


def test_own(own_script: Path, tier: str) -> None:
    check(own_script, Options(tier=tier, round_trip=tier == "interpret"))


@pytest.mark.parametrize("seed", SEEDS)
def test_threads_under_several_schedules(threaded_script: Path, seed: int) -> None:
    check(threaded_script, Options(seed=seed))


def test_the_suite_is_whole(official_suite: Path) -> None:
    files, left_out = find_scripts([official_suite])
    assert len(files) >= 277
    assert [Path(folder).name for folder in left_out] == ["legacy"]


def test_schedules_differ_and_are_reproducible(tmp_path: Path) -> None:
    """A race has both outcomes among the seeds, and each seed always has the same one."""
    script = tmp_path / "race.wast"
    script.write_text(
        """
        (module $M (memory (export "m") 1 1 shared))
        (thread $A (shared (module $M)) (register "m" $M)
          (module (memory (import "m" "m") 1 1 shared) (func (export "f") (i32.store (i32.const 0) (i32.const 1))))
          (invoke "f"))
        (thread $B (shared (module $M)) (register "m" $M)
          (module (memory (import "m" "m") 1 1 shared) (func (export "f") (i32.store (i32.const 0) (i32.const 2))))
          (invoke "f"))
        (wait $A) (wait $B)
        (register "m" $M)
        (module (memory (import "m" "m") 1 1 shared)
          (func (export "get") (result i32) (i32.load (i32.const 0))))
        (assert_return (invoke "get") (i32.const 1))
        """
    )
    outcomes = [[run_script(script, Options(seed=seed)).ok for seed in range(16)] for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {True, False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the script has no commands"),
        ('(module (func (export "f") (result i32) (i32.const 1))) (assert_return (invoke "f"))', "expected nothing"),
        (
            '(module (func (export "f") (result f32) (f32.const nan:0x200000)))'
            '(assert_return (invoke "f") (f32.const nan:arithmetic))',
            "expected f32 nan:arithmetic",
        ),
        (
            '(module (func (export "f") (result f32) (f32.const nan:0x400001)))'
            '(assert_return (invoke "f") (f32.const nan:canonical))',
            "expected f32 nan:canonical",
        ),
        (
            '(module (func (export "f") (result f64) (f64.const -0)))(assert_return (invoke "f") (f64.const 0))',
            "expected f64 0",
        ),
        ('(assert_invalid (module (func)) "type mismatch")', "got a valid module"),
        ('(assert_malformed (module quote "(func)") "unexpected token")', "got a well-formed module"),
        ('(module (func (export "f") unreachable)) (assert_trap (invoke "f") "integer")', "expected the message"),
        ('(module (func (export "f"))) (assert_trap (invoke "f") "unreachable")', "got the results nothing"),
        ('(assert_unlinkable (module) "unknown import")', "got an instance"),
        ("(frobnicate)", "unknown operator frobnicate"),
    ],
)
def test_the_runner_can_fail(tmp_path: Path, text: str, message: str) -> None:
    script = tmp_path / "bad.wast"
    script.write_text(text)
    report = run_script(script)
    assert not report.ok
    assert message in str(report.failures[0])


def test_either_accepts_each_of_its_patterns_and_nothing_else(tmp_path: Path) -> None:
    script = tmp_path / "either.wast"
    module = '(module (func (export "f") (param i32) (result i32) (local.get 0)))'
    lines = [f'(assert_return (invoke "f" (i32.const {n})) (either (i32.const 1) (i32.const 2)))' for n in (1, 2, 3)]
    script.write_text("\n".join([module, *lines]))
    report = run_script(script, replace(Options(), seed=1))
    assert [failure.location for failure in report.failures] == ["4:1"]
