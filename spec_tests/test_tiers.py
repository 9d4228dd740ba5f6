"""The compiled tiers give what the interpreter gives; ``python -m tools.tiers`` tries as many modules as asked."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from refwasm import Exhaustion, Instance, Memory, Module, ResourceLimit, Tag, Trap, UncaughtException
from refwasm import embedding as e
from refwasm.execution.auto import Auto
from refwasm.execution.compiler import Compiler
from refwasm.execution.compiler.conventions import Untranslatable
from refwasm.execution.compiler.linking.runtime import SideExit
from refwasm.execution.compiler.translation import python
from refwasm.execution.compiler.translation.printer import text_of
from refwasm.execution.compiler.translation.python import Structured
from refwasm.execution.compiler.translation.state_machine import StateMachine
from refwasm.execution.values import ExnInst
from tools.guests import shipped as guest
from tools.tiers import compared, drawn, main, smith

TEXT = """(module (memory (export "memory") 1)
  (func $inner (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func (export "outer") (param i32) (result i32)
    (i32.add (i32.const 1) (call $inner (i32.mul (local.get 0) (i32.const 4)))))
  (func (export "twin") (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func $forever (export "forever") (call $forever))
  (func (export "spin") (loop (br 0)))
  (func (export "order") (param i32) (result i32)
    (i32.add (i32.load (i32.const -1)) (i32.div_u (i32.const 1) (local.get 0))))
  (func (export "count") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
    (local.get 1)))"""
TIERS = ["interpret", "compile", "auto"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tier auto compiles everything at once."""
    monkeypatch.setattr("refwasm.execution.life.ALLOWANCE", 0)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Fills with the calls of functions that compiled code leaves in the middle."""
    found: list[Any] = []
    resume = Auto.resume
    monkeypatch.setattr(Auto, "resume", lambda *args: found.append(args) or resume(*args))
    return found


def test_traps_have_the_same_places_and_calls(impatient: None) -> None:
    seen: dict[str, list[Any]] = {tier: [] for tier in TIERS}
    for tier, found in seen.items():
        exports = Instance(Module(TEXT), tier=tier).exports
        for name, argument in (("outer", 40000), ("outer", 40001), ("twin", 70000), ("order", 0)):
            with pytest.raises(Trap) as caught:
                exports[name](argument)
            found.append((name, caught.value.message, [str(entry) for entry in caught.value.backtrace]))
    assert seen["interpret"] == seen["compile"] == seen["auto"]
    assert seen["compile"][0][2] == ["func[0] $inner 2:42", "func[1] 4:29"]


@pytest.mark.parametrize("tier", TIERS)
def test_limits(tier: str, impatient: None) -> None:
    with pytest.raises(Exhaustion, match="call stack exhausted"):
        Instance(Module(TEXT), tier=tier).exports.forever()
    with pytest.raises(ResourceLimit, match="time"):
        Instance(Module(TEXT), tier=tier, timeout=0.3).exports.spin()
    with pytest.raises(ResourceLimit, match="fuel"):
        Instance(Module(TEXT), tier=tier, fuel=10_000).exports.spin()


def test_a_long_counted_loop_looks_at_the_clock() -> None:
    start = time.monotonic()
    with pytest.raises(ResourceLimit, match="time"):
        Instance(Module(TEXT), tier="compile", timeout=0.3).exports.count(2_000_000_000)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("tier", TIERS)
def test_fuel_is_the_same(tier: str) -> None:
    instance = Instance(Module(TEXT), tier=tier, fuel=10_000)
    instance.exports.count(100)
    assert instance.fuel == 10_000 - (8 * 100 + 1 + 1)


@pytest.mark.parametrize("tier", ["compile", "auto"])
def test_control_c_stops_a_hot_loop(tier: str, tmp_path: Path) -> None:
    path = tmp_path / "spin.wat"
    path.write_text(TEXT)
    command = [sys.executable, "-m", "refwasm", "run", "--tier", tier, "--invoke", "spin", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(3, os.kill, (process.pid, signal.SIGINT))
    timer.start()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors


def test_a_loop_that_runs_is_entered_in_the_middle() -> None:
    text = """(module (func (export "f") (param i32) (result i32) (local i32 i32 f64)
      (loop $outer
        (local.set 2 (i32.const 0))
        (if (i32.and (local.get 1) (i32.const 1)) (then (local.set 3 (f64.add (local.get 3) (f64.const 0.5))))
          (else (loop $inner
            (local.set 2 (i32.add (local.get 2) (i32.const 1)))
            (br_if $inner (i32.lt_u (local.get 2) (i32.const 300))))))
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if $outer (i32.lt_u (local.get 1) (local.get 0))))
      (i32.add (local.get 2) (i32.trunc_f64_s (f64.mul (local.get 3) (f64.const 10))))))"""
    results = {tier: [Instance(Module(text), tier=tier).exports.f(n) for n in (7, 100, 101)] for tier in TIERS}
    assert results["interpret"] == results["compile"] == results["auto"]


def test_the_main_loop_of_an_interpreter_is_entered_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called once, and has more arms than blocks may nest."""
    compiled = []
    loop_of = Compiler.loop_of
    monkeypatch.setattr(Compiler, "loop_of", lambda *args: compiled.append(loop_of(*args)) or compiled[-1])
    arms, lines = 30, "(local.set 2 (i32.add (i32.mul (local.get 2) (i32.const 3)) (i32.const {})))"
    switch = f"(br_table {' '.join(map(str, range(arms)))} (i32.rem_u (local.get 1) (i32.const {arms})))"
    for arm in range(arms):
        switch = (
            f"(block {switch}) {lines.format(arm)} (br {arms - 2 - arm})" if arm < arms - 1 else f"(block {switch})"
        )
    text = f"""(module (func (export "f") (param i32) (result i32) (local i32 i32)
      (loop $main {switch}
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if $main (i32.lt_u (local.get 1) (local.get 0))))
      (local.get 2)))"""
    results = {tier: Instance(Module(text), tier=tier).exports.f(5000) for tier in TIERS}
    assert results["interpret"] == results["compile"] == results["auto"]
    assert any(compiled)


ARMS = """(module
  (func $none) (table 1 funcref) (elem declare func $none)
  (func (export "f") (param i32 i32) (result i64)
    (local $i i32) (local $sum i64) (local $x f32) (local $y f64) (local $v v128) (local $r funcref)
    (local.set $x (f32.reinterpret_i32 (i32.const 0x7fa00001)))
    (local.set $y (f64.reinterpret_i64 (i64.const 0xfff0000000000123)))
    (loop $l
      (call $none)
      (select (result funcref) (ref.func $none) (local.get $r) (i32.and (local.get $i) (i32.const 1)))
      (local.get $x) (v128.const i64x2 1 -2) (local.get $y) (i64.const -3) (i32.const 7)
      (if (result i32) (i32.eq (i32.rem_u (local.get $i) (i32.const 100)) (local.get 1))
        (then
          (local.set $v (i64x2.splat (i64.const 5)))
          (local.set $r (ref.null func))
          (i32.add (local.get $i) (i32.const 1)))
        (else (i32.const 11)))
      i32.mul i64.extend_i32_s i64.add
      (local.set $sum (i64.add (local.get $sum) (i64.mul (i64.const 31))))
      (local.set $y)
      (local.set $v (i64x2.add (local.get $v)))
      (local.set $x)
      (local.set $r)
      (local.set $sum (i64.xor (local.get $sum) (i64.extend_i32_u (i32.reinterpret_f32 (local.get $x)))))
      (local.set $sum (i64.xor (local.get $sum) (i64.reinterpret_f64 (local.get $y))))
      (local.set $sum (i64.add (local.get $sum) (i64x2.extract_lane 0 (local.get $v))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get 0))))
    (i64.add (local.get $sum) (i64.extend_i32_u (ref.is_null (local.get $r))))))"""


@pytest.mark.parametrize("arm", [0, 10, 80, 99, 100])
def test_compiled_loops_leave_to_the_interpreter_what_was_never_executed(
    monkeypatch: pytest.MonkeyPatch, arm: int
) -> None:
    """An arm that is entered for the first time, with operands of every type waiting, and then again and again."""
    places, compiled, loop_of, leave = [], [], Compiler.loop_of, SideExit.__init__
    monkeypatch.setattr(SideExit, "__init__", lambda *args: places.append(args[1]) or leave(*args))
    monkeypatch.setattr(Compiler, "loop_of", lambda *args: compiled.append(args) or loop_of(*args))
    wanted = Instance(Module(ARMS), tier="interpret").exports.f(30_000, arm)
    assert Instance(Module(ARMS), tier="auto").exports.f(30_000, arm) == wanted
    assert set(places) <= {25}
    first_time_in_compiled_code = 70 < arm < 100
    assert bool(places) == first_time_in_compiled_code
    assert len(compiled) == 1 + first_time_in_compiled_code, "it is compiled again, then with the arm"
    assert len(places) < 100


PARTS = """(module
  (func $none) (table 1 funcref) (elem declare func $none)
  (func $part (export "part") (param $i i32) (param $f f32) (param $arm i32) (result i64)
    (local $sum i64) (local $x f32) (local $y f64) (local $z f64) (local $v v128) (local $r funcref)
    (local.set $x (f32.reinterpret_i32 (i32.const 0x7fa00001)))
    (local.set $y (f64.reinterpret_i64 (i64.const 0xfff0000000000123)))
    (local.set $z (f64.div (f64.promote_f32 (local.get $f)) (f64.const -0)))
    (local.set $v (v128.const i64x2 3 4))
    (local.set $r (ref.func $none))
    (local.get $r) (local.get $f) (v128.const i64x2 1 -2) (local.get $z) (i64.const -3)
    (i32.lt_u (local.get $i) (i32.const 9))
    (if (result i32) (i32.eq (local.get $i) (local.get $arm))
      (then (local.set $v (i64x2.splat (i64.const 5))) (i32.add (local.get $i) (i32.const 1)))
      (else (i32.const 11)))
    i32.mul i64.extend_i32_s i64.add
    (local.set $sum)
    (local.set $z)
    (local.set $v (i64x2.add (local.get $v)))
    (local.set $f)
    (local.set $r)
    (local.set $sum (i64.mul (local.get $sum) (i64.extend_i32_u (i32.reinterpret_f32 (local.get $f)))))
    (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (i32.reinterpret_f32 (local.get $x)))))
    (local.set $sum (i64.xor (i64.reinterpret_f64 (local.get $y)) (i64.rotl (local.get $sum) (i64.const 7))))
    (local.set $sum (i64.xor (i64.reinterpret_f64 (local.get $z)) (i64.rotl (local.get $sum) (i64.const 7))))
    (local.set $sum (i64.add (local.get $sum) (i64x2.extract_lane 0 (local.get $v))))
    (i64.add (local.get $sum) (i64.extend_i32_u (ref.is_null (local.get $r)))))
  (func (export "many") (param $n i32) (param $arm i32) (result i64) (local $sum i64)
    (loop
      (local.get $n) (f32.reinterpret_i32 (i32.mul (local.get $n) (i32.const 0x1007ff01))) (local.get $arm)
      (local.set $sum (i64.xor (call $part) (i64.rotl (local.get $sum) (i64.const 5))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""


@pytest.mark.parametrize("arm", [1, 600, 850])
def test_compiled_functions_leave_to_the_interpreter_what_was_never_executed(left: list[Any], arm: int) -> None:
    """An arm that is entered late for the first time, with operands of every type waiting; then very often."""
    for tier in ("auto", "parts"):
        exports, wanted = (Instance(Module(PARTS), tier=t).exports for t in (tier, "interpret"))
        assert exports.many(1000, arm) == wanted.many(1000, arm)
        assert left
        for bits in (0, 0x80000000, 0x7F800001, 0xFFC00000):
            f = struct.unpack("<f", struct.pack("<I", bits))[0]
            assert [exports.part(7, f, 7) for _ in range(100)] == [wanted.part(7, f, 7)] * 100
        assert len(left) < 60, "more of it is compiled if that happens often"
        left.clear()


def chain(length: int) -> str:
    """Functions that call each other in a row, in an arm of an ``if`` that is not entered at first."""
    functions = "".join(
        f"""(func $f{i} (param i32) (result i32) (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) {f"(call $f{i + 1} (local.get 0))" if i < length - 1 else "(i32.const 0)"}))
          (else (i32.const 0))))"""
        for i in range(length)
    )
    calls = "".join(f"(drop (call $f{i} (i32.const 0)))" for i in range(length))
    return f"""(module {functions} (func (export "warm") {calls})
      (func (export "go") (result i32) (call $f0 (i32.const 1))))"""


@pytest.mark.parametrize("tier", [*TIERS, "parts"])
def test_many_functions_that_are_left_inside_of_each_other(tier: str) -> None:
    exports = Instance(Module(chain(600)), tier=tier).exports
    for _ in range(200):
        exports.warm()
    assert exports.go() == 600


def test_functions_of_which_only_the_executed_part_can_be_compiled() -> None:
    """The interpreter gets them back, and does not nest."""
    nested = "(nop)"
    for _ in range(30):
        nested = f"(loop (try_table (catch_all 0) {nested}))"
    text = f"""(module (func $f (export "f") (param i32 i32) (result i32)
      (if (result i32) (local.get 1)
        (then {nested} (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))
          (else (i32.const 0))))
        (else (i32.const 5)))))"""
    for tier in (*TIERS, "parts"):
        exports = Instance(Module(text), tier=tier).exports
        assert {exports.f(0, 0) for _ in range(3000)} == {5}
        assert exports.f(1000, 1) == 1000


@pytest.mark.parametrize("loop", ["(loop (param i32) (result i32) {})", "(block (try_table (catch_all 0) (loop {})))"])
def test_functions_with_loops_that_cannot_be_entered_are_never_left(left: list[Any], loop: str) -> None:
    turn = """(local.set 2 (i32.add (local.get 2) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))"""
    before, after = ("(i32.const 7)", "drop") if "param" in loop else ("", "")
    text = f"""(module (func (export "f") (param i32 i32) (result i32) (local i32)
      (if (local.get 1) (then (local.set 2 (i32.const 5)))) {before} {loop.format(turn)} {after} (local.get 2)))"""
    exports = Instance(Module(text), tier="auto").exports
    assert {exports.f(2, 0) for _ in range(300)} == {3}
    assert exports.f(10, 1) == 60
    assert not left


def test_an_arm_that_always_throws_is_compiled_at_last(left: list[Any]) -> None:
    text = """(module (tag $e)
      (func $g (param i32) (result i32) (if (local.get 0) (then (throw $e))) (i32.const 1))
      (func (export "f") (param i32) (result i32)
        (block $h (result i32) (block (try_table (catch_all 0) (br $h (call $g (local.get 0))))) (i32.const 2))))"""
    exports = Instance(Module(text), tier="auto").exports
    assert {exports.f(0) for _ in range(500)} == {1}
    assert {exports.f(1) for _ in range(500)} == {2}
    assert 0 < len(left) < 50


@pytest.mark.parametrize("tier", [*TIERS, "parts"])
def test_fuel_that_a_host_function_gives_is_for_later_calls(tier: str) -> None:
    text = """(module (import "h" "h" (func $h))
      (func (export "f") (param i32) (result i32) (local i32)
        (call $h)
        (if (result i32) (local.get 0)
          (then (loop (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 1000))))
            (i32.const 2))
          (else (i32.const 1)))))"""
    given: list[int] = []
    give = lambda: setattr(instance, "fuel", given.pop() if given else None)
    instance = Instance(Module(text), {"h": {"h": give}}, tier=tier)
    assert {instance.exports.f(0) for _ in range(300)} == {1}
    given.append(50)
    assert instance.exports.f(1) == 2
    assert instance.fuel == 50


DEEP = """(module
  (func $f (export "f") (param i32 i32) (result i32)
    (if (result i32) (local.get 1)
      (then (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))
        (else (i32.div_u (i32.const 1) (i32.sub (local.get 1) (i32.const 1))))))
      (else (local.get 0)))))"""


def test_functions_that_are_left_again_and_again_inside_of_each_other() -> None:
    """More often than the C stack has room for."""
    traces = []
    for tier in (*TIERS, "parts"):
        exports = Instance(Module(DEEP), tier=tier).exports
        assert [exports.f(n, 0) for n in range(2000)] == list(range(2000))
        with pytest.raises(Trap, match="integer divide by zero") as caught:
            exports.f(5000, 1)
        traces.append([str(entry) for entry in caught.value.backtrace])
        assert exports.f(5000, 2) == 5001
        with pytest.raises(Exhaustion):
            exports.f(-1, 2)
    assert traces[0][0] == "func[0] $f 6:16"
    assert all(trace == traces[0] for trace in traces)


def test_loops_whose_arms_warm_up_one_after_another_are_compiled_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, loop_of, arms = [], Compiler.loop_of, 100
    monkeypatch.setattr(Compiler, "loop_of", lambda *args: compiled.append(args[-1]) or loop_of(*args))
    switch = f"(br_table {' '.join(map(str, range(arms)))} (i32.div_u (local.get 1) (i32.const 300)))"
    for arm in range(arms):
        switch = f"(block {switch}) (local.set 2 (i32.add (call $f (i32.const {arm})) (local.get 2))) (br $next)"
    text = f"""(module (func $f (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
      (func (export "f") (param i32) (result i32) (local i32 i32)
        (loop $main
          (block $next {switch})
          (local.set 1 (i32.add (local.get 1) (i32.const 1)))
          (br_if $main (i32.lt_u (local.get 1) (local.get 0))))
        (local.get 2)))"""
    results = {tier: Instance(Module(text), tier=tier).exports.f(arms * 300) for tier in TIERS}
    assert results["interpret"] == results["compile"] == results["auto"]
    assert [bool(absent) for absent in compiled] == [True, True, False]


@pytest.mark.parametrize(
    "use",
    [
        "(i32.reinterpret_f32)",
        "(local.set $x) (i32.reinterpret_f32 (local.get $x))",
        "(local.set $x) (f32.store (i32.const 16) (local.get $x)) (i32.load (i32.const 16))",
        "(call $same) (i32.reinterpret_f32)",
        "(global.set $g) (i32.reinterpret_f32 (global.get $g))",
        "(f32.store (i32.const 0) (f32.const 0)) (i32.reinterpret_f32)",
        "(block (param f32) (result f32)) (i32.reinterpret_f32)",
        "(if (param f32) (result f32) (i32.const 1) (then) (else f32.neg)) (i32.reinterpret_f32)",
        "(br 0 (i32.reinterpret_f32))",
        "(f32.const 1) (select (i32.const 1)) (i32.reinterpret_f32)",
        "f32.neg i32.reinterpret_f32",
        "f32.abs i32.reinterpret_f32",
        "(f32.copysign (f32.const -1)) i32.reinterpret_f32",
        "(f32.add (f32.const 1)) i32.reinterpret_f32",
        "f64.promote_f32 i64.reinterpret_f64 i32.wrap_i64",
    ],
)
def test_payloads_of_nans_that_wait_while_others_are_calculated_with(use: str) -> None:
    text = f"""(module (memory 1) (data (i32.const 0) "\\01\\00\\a0\\7f\\00\\00\\80\\3f\\07\\00\\a0\\ff")
      (global $g (mut f32) (f32.const 0))
      (func $same (param f32) (result f32) (local.get 0))
      (func (export "f") (param $a i32) (result i32) (local $x f32) (local $y f32)
        (f32.load (local.get $a))
        (f32.add (f32.load offset=4 (local.get $a)) (f32.load offset=8 (local.get $a)))
        (local.set $y (f32.mul (f32.load offset=4 (local.get $a))))
        {use}))"""
    results = [Instance(Module(text), tier=tier).exports.f(0) for tier in TIERS]
    assert results[0] == results[1] == results[2]


def test_the_interpreter_builds_what_is_executed() -> None:
    instance = Instance(Module(ARMS), tier="interpret")
    function = instance.exports.f
    function(10, 50)
    ops = instance._instance.funcs[1].code.ops
    assert ops.count(None) == 9, "the arm that was not taken"
    function(60, 50)
    assert ops.count(None) == 0


def test_where_calls_at_the_ends_of_both_arms_were_made(impatient: None) -> None:
    """They go on at the same place."""
    text = """(module
      (func $check (param i32) (br_if 0 (local.get 0)) unreachable)
      (func (export "f") (param i32 i32)
        (if (local.get 0)
          (then (call $check (local.get 1)))
          (else (call $check (local.get 1))))
        (drop (i32.const 3))))"""
    for tier in TIERS:
        function = Instance(Module(text), tier=tier).exports.f
        function(1, 1)
        function(0, 1)
        for arm, line in ((1, 5), (0, 6), (1, 5)):
            with pytest.raises(Trap) as caught:
                function(arm, 0)
            assert [entry.location.partition(":")[0] for entry in caught.value.backtrace] == ["2", str(line)], tier


def test_everything_of_real_programs_is_translated() -> None:
    for name in ("quickjs", "micropython"):
        validated = e.module_validate(e.module_load(guest(name)))
        imports = [e.func_alloc(t.type.composite, lambda *args: []) for _, _, t in e.module_imports(validated)]  # type: ignore[union-attr, arg-type]
        instance = e.module_instantiate(e.store_init(), validated, imports)
        functions = [func for func in instance.funcs if isinstance(func, e.FuncInst)]
        for func in sorted(functions, key=lambda func: -len(func.func.body))[:60]:
            try:
                lines = Structured(func, False, False, b"").function()
            except Untranslatable:
                lines = StateMachine(func, False, False).function()
            compile(text_of(lines), "f", "exec")


@pytest.mark.parametrize("part", range(1))
@pytest.mark.parametrize("tier", ["compile", "auto", "loops", "parts"])
def test_random_modules(tmp_path: Path, tier: str, part: int, impatient: None) -> None:
    if smith(bytes(range(256)) * 8, tmp_path, set()) is None:
        pytest.skip("wasm-tools is not installed")
    assert main(150, 1000 + part, tier) == 0


def test_random_programs_as_state_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "Structured", lambda *args: StateMachine(*args[:3]))
    assert not [text for number, text in enumerate(drawn(80, 0)) if compared(text, number)]


def test_a_difference_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from refwasm.execution.compiler.translation import integers

    monkeypatch.setitem(integers.BINARY, "add", integers.BINARY["sub"])
    text = '(module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))'
    assert compared(text, 1)


def test_deep_nesting_is_a_state_machine() -> None:
    depth = 40
    body = "(local.set 0 (i32.add (local.get 0) (i32.const 1)))"
    for level in range(depth):
        body = f"(loop {body} (br_if 0 (i32.lt_u (local.get 0) (i32.const {level * 2}))))"
    text = f'(module (func (export "f") (param i32) (result i32) {body} (local.get 0)))'
    assert len({Instance(Module(text), tier=tier).exports.f(3) for tier in TIERS}) == 1
    assert not compared(text, 3)


def test_only_the_branch_back_tells_that_a_counter_is_below_its_bound() -> None:
    """Elsewhere "not equal" means just that, in a counted loop, too."""
    text = """(module (memory 1) (func (export "f") (param i32 i32 i32) (result i32) (local i32 i32)
      (loop
        (local.set 4 (i32.and (i32.load (i32.shl (local.get 3) (i32.const 2))) (i32.const 0)))
        (local.set 2 (i32.add (local.get 2) (i32.const 7)))
        (if (i32.ne (local.get 2) (i32.const 5)) (then
          (local.set 4 (i32.add (local.get 4) (i32.shl (i32.const 1) (local.get 2))))))
        (local.set 3 (i32.add (local.get 3) (i32.const 1)))
        (br_if 0 (i32.ne (local.get 3) (local.get 0))))
      (i32.add (local.get 4) (local.get 2))))"""
    for arguments in ((3, 0, 0), (9, 0, 20), (40, 1, 31), (5, 0, -3)):
        assert len({Instance(Module(text), tier=tier).exports.f(*arguments) for tier in TIERS}) == 1


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        # a local that the program divides by more than it is a multiple of
        ("""(memory 1) (func (export "f") (param i32 i32) (result i32) (local i32) (loop $l
          (local.set 2 (i32.add (local.get 2) (i32.load (i32.shr_u (local.get 0) (i32.const 5)))))
          (local.set 1 (i32.sub (local.get 1) (i32.const 1))) (br_if $l (local.get 1))
          (local.set 0 (i32.add (local.get 0) (i32.const 32)))) (local.get 0))""", [(4, 3)]),
        # the way out of a counted loop has an else
        ("""(func (export "f") (param i32 i32) (result i32) (local i32) (block $out (loop $l
          (if (i32.ge_u (local.get 0) (local.get 1)) (then (br $out))
            (else (local.set 2 (i32.xor (local.get 2) (local.get 0)))))
          (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br $l))) (local.get 2))""", [(2, 9)]),
        # an argument is rounded after the index was computed from a rounded number
        ("""(table funcref (elem $a $b)) (type $t (func (param f32) (result f32)))
          (func $a (type $t) (f32.const 100)) (func $b (type $t) (local.get 0))
          (func (export "f") (param f32 f32) (result f32)
            (call_indirect (type $t) (f32.add (local.get 0) (local.get 1))
              (f32.lt (f32.mul (local.get 0) (local.get 1)) (f32.const 2.5))))""", [(1.0, 2.0)]),
        # … and a parameter of an if
        ("""(func (export "f") (param f32 f32) (result f32) (f32.add (local.get 0) (local.get 1))
          (f32.lt (f32.mul (local.get 0) (local.get 1)) (f32.const 2.5))
          (if (param f32) (result f32) (then) (else drop (f32.const 100))))""", [(1.0, 2.0)]),
        # a loop that leaves an arm of a switch
        ("""(func (export "f") (param i32) (result i32) (local i32 i32)
          (block $c (block $b (block $a (br_table $a $c $a $c $a $c (local.get 0)))
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (loop $l (local.set 2 (i32.add (local.get 2) (i32.const 1)))
              (br_if $b (i32.gt_u (local.get 2) (i32.const 3)))
              (br_if $l (i32.lt_u (local.get 2) (i32.const 20)))))
            (local.set 1 (i32.add (local.get 1) (i32.const 100))))
          (i32.add (i32.mul (local.get 2) (i32.const 1000)) (local.get 1)))""", [(0,), (1,), (9,)]),
        # loads in addresses of loads that are compared as signed, or whose bits are wanted
        ("""(memory 1) (data (i32.const 0) "\\fc\\ff\\ff\\ff\\00\\00\\c0\\7f")
          (func (export "f") (param i32) (result i32)
            (i32.lt_s (i32.load (i32.load (local.get 0))) (i32.const 5)))""", [(8,)]),
        ("""(memory 1) (data (i32.const 4) "\\00\\00\\80\\bf") (func (export "f") (param i32) (result i32)
          (i32.reinterpret_f32 (f32.load (f32.lt (f32.load (local.get 0)) (f32.const 0)))))""", [(4,), (8,)]),
        # a counter that stands still
        ("""(func (export "f") (param i32 i32) (result i32) (local i32) (loop $l
          (local.set 2 (i32.add (local.get 2) (i32.const 1)))
          (local.set 0 (i32.add (local.get 0) (i32.const 0)))
          (br_if $l (i32.ne (local.get 0) (local.get 1)))) (local.get 2))""", [(3, 3)]),
    ],
)  # fmt: skip
def test_what_a_review_found(text: str, calls: list[tuple[Any, ...]]) -> None:
    for arguments in calls:
        results = {
            tier: Instance(Module(f"(module {text})"), tier=tier, timeout=20).exports.f(*arguments) for tier in TIERS
        }
        assert len(set(results.values())) == 1, results
        assert Instance(Module(f"(module {text})"), tier="compile").exports.f(*arguments) == results["interpret"]


UNDER_A_LOOP = [
    # Below the loop stands what belongs to the caller's expression, or to this one.
    """(func $f (param i32) (result i32) (local i32) (i32.const 7)
         (loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1)))
           (if (i32.eq (local.get 1) (local.get 0)) (then (return (local.get 1)))) (br $l)) (unreachable))
       (func (export "f") (param i32) (result i32) (i32.sub (i32.const 1) (call $f (local.get 0))))""",
    """(func (export "f") (param i32) (result i32) (local i32) (i32.const 7)
         (loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get 1) (local.get 0)))) (i32.add (local.get 1)))""",
    """(func (export "f") (param i32) (result i32) (local i32) (i32.const 7)
         (loop $l (param i32) (result i32) (local.set 1 (i32.add (local.get 1) (i32.const 1)))
           (i32.const 1) (i32.add) (br_if $l (i32.lt_u (local.get 1) (local.get 0)))))""",
    """(func $g (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
       (func (export "f") (param i32) (result i32) (local i32)
         (call $g (i32.const 7) (block (result i32)
           (loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1)))
             (br_if $l (i32.lt_u (local.get 1) (local.get 0)))) (local.get 1))))""",
]


@pytest.mark.parametrize("text", UNDER_A_LOOP)
def test_loops_over_operands_are_not_entered(text: str) -> None:
    results = {
        tier: Instance(Module(f"(module {text})"), tier=tier).exports.f(5000) for tier in (*TIERS, "loops", "parts")
    }
    assert len(set(results.values())) == 1, results


VECTORS_OF_SUMS = [
    "(f32x4.replace_lane 1 (f32x4.splat (f32.add (local.get 0) (local.get 1))) (f32.add (local.get 2) (local.get 3)))",
    """(f32x4.replace_lane 1 (i32x4.splat (i32.reinterpret_f32 (f32.add (local.get 0) (local.get 1))))
         (f32.add (local.get 2) (local.get 3)))""",
    """(f32x4.replace_lane 1 (f32x4.replace_lane 0 (v128.const i64x2 0 0) (f32.add (local.get 0) (local.get 1)))
         (f32.sub (local.get 2) (local.get 1)))""",
    "(v128.or (f32x4.splat (f32.sqrt (local.get 0))) (f32x4.splat (f32.mul (local.get 2) (local.get 3))))",
]


@pytest.mark.parametrize("body", VECTORS_OF_SUMS)
def test_vectors_of_numbers_that_are_to_be_rounded(body: str) -> None:
    text = f'(module (func (export "f") (param f32 f32 f32 f32) (result v128) {body}))'
    results = {tier: Instance(Module(text), tier=tier).exports.f(1.0, 1.0, 5.0, 5.0) for tier in TIERS}
    assert len(set(results.values())) == 1, results


@pytest.mark.parametrize("fuel", [500, 1200, 5000])
def test_fuel_under_a_function_that_cannot_be_translated(fuel: int) -> None:
    loops = "(loop " * 25 + "(block (try_table (catch_all 0) (nop)))" + ")" * 25
    text = f"""(module (global $g (export "g") (mut i32) (i32.const 0))
      (func $leaf (param i32) (loop (global.set $g (i32.add (global.get $g) (i32.const 1)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
      (func (export "f") (param i32) {loops} (call $leaf (local.get 0))
        (loop (global.set $g (i32.add (global.get $g) (i32.const 1)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    seen = []
    for tier in (*TIERS, "loops", "parts"):
        instance = Instance(Module(text), tier=tier, fuel=fuel)
        try:
            instance.exports.f(90)
            outcome = "returned"
        except ResourceLimit as error:
            outcome = str(error)
        seen.append((outcome, instance.fuel, instance.exports.g.value))
    assert len(set(seen)) == 1, seen


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("trapping", ["", "sat_"])
def test_an_f32_is_loaded_from_where_it_said_before(tier: str, trapping: str) -> None:
    text = f"""(module (memory 1) (data (i32.const 0) "\\11\\22\\33\\44\\01\\00\\a0\\7f")
      (func (export "f") (param f32) (result f32)
        (local.set 0 (f32.load (i32.trunc_{trapping}f32_u (local.get 0)))) (local.get 0)))"""
    assert Instance(Module(text), tier=tier).exports.f.bits(0x40800000) == (0x7FA00001,)


@pytest.mark.parametrize("tier", TIERS)
def test_errors_of_host_functions_come_out_as_they_are(tier: str, impatient: None) -> None:
    text = """(module (import "h" "h" (func $h (param i32) (result i32))) (memory 1)
      (func $f (export "f") (param i32) (result i32) (call $h (local.get 0)))
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))"""

    def host(x: int) -> int:
        return [1, 2][x]

    exports = Instance(Module(text), {"h": {"h": host}}, tier=tier).exports
    assert exports.g(1) == 2
    for name in ("f", "g"):
        with pytest.raises(IndexError, match="list index out of range"):
            exports[name](5)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('(module (func (export "f") (block unreachable)))', ["func[0] 1:35"]),
        ('(module (func (export "f") nop (loop unreachable)))', ["func[0] 1:38"]),
        (
            '(module (func $t unreachable) (func (export "f") (call $t) (loop $l (br_if $l (i32.const 0)))))',
            ["func[0] $t 1:18", "func[1] 1:51"],
        ),
    ],
)
@pytest.mark.parametrize("tier", [*TIERS, "loops", "parts"])
def test_places_at_the_first_call(text: str, places: list[str], tier: str) -> None:
    exports = Instance(Module(text), tier=tier).exports
    for _ in range(3):
        with pytest.raises(Trap) as caught:
            exports.f()
        assert [str(entry) for entry in caught.value.backtrace] == places


@pytest.mark.parametrize("allowance", [0, 1, 10, 40])
def test_limits_that_come_later_hold_for_what_was_compiled_before(
    monkeypatch: pytest.MonkeyPatch, allowance: int
) -> None:
    monkeypatch.setattr("refwasm.execution.life.ALLOWANCE", allowance)
    text = """(module
      (func $hot (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
      (func (export "f") (param i32) (call $hot (local.get 0)))
      (func (export "g") (param i32) (call $hot (local.get 0))))"""
    instance = Instance(Module(text))
    instance.exports.f(1000)
    instance.exports.f(1000)
    instance._store.settings.deadline = time.monotonic() + 0.2
    with pytest.raises(ResourceLimit, match="time"):
        instance.exports.g(-1)
    instance._store.settings.deadline = None
    instance.fuel = 10_000
    instance.exports.g(1000)
    other = Instance(Module(text), tier="interpret", fuel=10_000)
    other.exports.g(1000)
    assert instance.fuel == other.fuel


def test_an_address_from_memory_that_is_out_of_bounds_traps() -> None:
    text = """(module (memory 1) (data (i32.const 0) "\\fc\\ff\\ff\\ff")
      (func (export "f") (result i32) (i32.lt_s (i32.load (i32.load (i32.const 0))) (i32.const 5))))"""
    for tier in TIERS:
        with pytest.raises(Trap, match="out of bounds"):
            Instance(Module(text), tier=tier).exports.f()


CALLS_HOST = """(module (import "h" "h" (func $h (param i32) (result i32)))
  (func $r (param i32) (result i32) (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $r (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))
  (func (export "f") (param i32) (result i32) (drop (call $h (local.get 0))) (call $r (i32.const 3000))))"""


def test_what_is_interpreted_leaves_pythons_limit_of_recursion_alone() -> None:
    """Only generated code needs a higher one, and C code below it would have no limit."""
    limits = []
    instance = Instance(Module(CALLS_HOST), {"h": {"h": lambda x: limits.append(sys.getrecursionlimit()) or 0}})
    instance.exports.f(1)
    assert limits == [sys.getrecursionlimit()]


@pytest.mark.parametrize("tier", ["compile", "auto"])
def test_threads_share_pythons_limit_of_recursion(tier: str, impatient: None) -> None:
    before, found = sys.getrecursionlimit(), []
    events = [threading.Event() for _ in range(3)]

    def host(number: int) -> int:
        events[number].set()
        events[number + 1].wait(10)
        return 0

    def run(number: int) -> None:
        found.append(Instance(Module(CALLS_HOST), {"h": {"h": host}}, tier=tier).exports.f(number))
        events[2].set()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    threads[1].start()  # waits until the other one is done, which begins later and ends earlier
    events[1].wait(10)
    threads[0].start()
    for thread in threads:
        thread.join()
    assert found == [3000, 3000]
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("tier", TIERS)
def test_memories_that_grew_during_a_host_call_that_throws(tier: str, impatient: None) -> None:
    text = """(module (import "h" "m" (memory 1 4 shared)) (import "h" "t" (tag $t)) (import "h" "h" (func $h))
      (func (export "f") (result i32) (block $c (try_table (catch $t $c) (call $h))) (i32.load (i32.const 70000))))"""
    memory, tag = Memory(1, 4, shared=True), Tag([])

    def grows_elsewhere() -> None:
        memory._item.header[0] = 2  # as another process does it
        raise UncaughtException(ExnInst(tag._item, ()), tag._item, ())

    instance = Instance(Module(text), {"h": {"m": memory, "t": tag, "h": grows_elsewhere}}, tier=tier)
    assert instance.exports.f() == 0
