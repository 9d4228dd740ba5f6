"""The interpreter tier: depth, limits, backtraces, agents that can be paused."""

from __future__ import annotations

import resource
import sys
import time

import pytest

from refwasm import Exhaustion, Memory, Module, ResourceLimit, Trap, UncaughtException
from refwasm import embedding as e
from refwasm.execution.interpreter.agent import Paused
from spec_tests.support import instance

RECURSION = '(module (func $f (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))'
COUNTDOWN = """(module (func $f (export "f") (param i32) (result i32)
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
    (else (i32.const 0)))))"""


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def test_runaway_recursion_exhausts_the_call_stack() -> None:
    with pytest.raises(Exhaustion, match="call stack exhausted"):
        instance(RECURSION).exports.f(0)


def test_the_call_depth_is_adjustable_up_to_a_million() -> None:
    assert instance(COUNTDOWN, tier="interpret", call_depth=1_000_001).exports.f(999_999) == 999_999
    with pytest.raises(Exhaustion):
        instance(COUNTDOWN, tier="interpret", call_depth=100).exports.f(100)
    assert instance(COUNTDOWN, tier="interpret", call_depth=100).exports.f(99) == 99


def test_steps_take_constant_time_whatever_the_nesting() -> None:
    """18 nested blocks times 1,000 recursive calls take the OCaml interpreter 80 s."""
    opened, closed = "(block " * 18, ")" * 18
    wat = f"""(module (func $f (export "f") (param i32)
      {opened} (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))) {closed}))"""
    module = instance(wat)
    start = time.perf_counter()
    module.exports.f(1000)
    assert time.perf_counter() - start < 5  # a step that walks the nesting takes minutes


def test_a_hundred_thousand_nested_blocks() -> None:
    depth = 100_000
    flat = "block " * depth + f"br {depth - 1} " + "end " * depth
    folded = "(block " * depth + ")" * depth
    for body in (flat, folded):
        exported = instance(f'(module (func (export "f") (result i32) {body} i32.const 5))')
        assert exported.exports.f() == 5


def test_a_trap_tells_where() -> None:
    wat = '(module (func $inner unreachable) (func $outer (export "f") nop call $inner))'
    with pytest.raises(Trap) as caught:
        instance(wat).exports.f()
    assert [(entry.func, entry.name, entry.location) for entry in caught.value.backtrace] == [
        (0, "inner", "1:22"),
        (1, "outer", "1:65"),
    ]


def test_fuel_is_counted_exactly() -> None:
    wat = '(module (func (export "f") (loop (nop) (block) (i32.const 1) (drop))))'
    assert_fuel = instance(wat, fuel=100)
    assert_fuel.exports.f()
    assert assert_fuel.fuel == 97  # const, drop, and the return
    with pytest.raises(ResourceLimit, match="all fuel consumed"):
        instance('(module (func (export "f") (loop (br 0))))', fuel=10_000).exports.f()


def test_a_timeout_ends_an_endless_loop() -> None:
    start = time.monotonic()
    with pytest.raises(ResourceLimit, match="time limit"):
        instance('(module (func (export "f") (loop (br 0))))', timeout=0.2).exports.f()
    assert time.monotonic() - start < 5


def test_a_timeout_ends_a_wait() -> None:
    wat = """(module (memory 1 1 shared)
      (func (export "f") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"""
    with pytest.raises(ResourceLimit, match="time limit"):
        instance(wat, timeout=0.2).exports.f()


def test_many_tail_calls_take_constant_space() -> None:
    wat = """(module (func $f (export "f") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
        (else (return_call $f (i32.sub (local.get 0) (i32.const 1)))))))"""
    exported = instance(wat).exports
    exported.f(10)
    before = peak_memory()
    assert exported.f(10_000_000) == 7
    assert peak_memory() - before < 10_000_000


def test_garbage_is_collected() -> None:
    wat = """(module (type $s (struct (field i64) (field (ref null $s))))
      (func (export "f") (param i32) (local $keep (ref null $s))
        (loop $again
          (local.set $keep (struct.new $s (i64.const 1) (ref.null $s)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br_if $again (local.get 0)))))"""
    exported = instance(wat).exports
    exported.f(10)
    before = peak_memory()
    exported.f(10_000_000)
    assert peak_memory() - before < 10_000_000


def test_exceptions_pass_through_the_host() -> None:
    wat = """(module (import "h" "call" (func $call)) (tag $e (export "tag") (param i32))
      (func (export "throws") (throw $e (i32.const 42)))
      (func (export "catches") (result i32)
        (block $h (result i32) (try_table (catch $e $h) (call $call)) (i32.const 0))))"""
    exports: dict[str, object] = {}
    made = instance(wat, {"h": {"call": lambda: exports["throws"]()}})  # type: ignore[operator]
    exports["throws"] = made.exports.throws
    assert made.exports.catches() == 42
    with pytest.raises(UncaughtException) as caught:
        made.exports.throws()
    assert caught.value.payload == (42,)


def test_python_exceptions_pass_through_the_guest() -> None:
    def fail() -> None:
        raise KeyError("from the host")

    wat = '(module (import "h" "f" (func $f)) (func (export "g") (call $f)))'
    with pytest.raises(KeyError, match="from the host"):
        instance(wat, {"h": {"f": fail}}).exports.g()


def test_host_and_guest_calling_each_other_for_ever_is_exhaustion() -> None:
    cell: dict[str, object] = {}
    wat = '(module (import "h" "f" (func $f)) (func (export "g") (call $f)))'
    made = instance(wat, {"h": {"f": lambda: cell["g"]()}})  # type: ignore[operator]
    cell["g"] = made.exports.g
    with pytest.raises(Exhaustion):
        made.exports.g()


def test_an_agent_stops_before_each_shared_access() -> None:
    wat = """(module (memory (export "m") 1 1 shared) (func (export "f") (result i32)
      (i32.store (i32.const 8) (i32.const 3)) (i32.atomic.rmw.add (i32.const 8) (i32.const 4)) (drop)
      (i32.load (i32.const 8))))"""
    store = e.store_init(seed=0)
    made = e.module_instantiate(store, e.module_validate(e.module_parse(wat)), [])
    agent = store.tier.agent(made.exports["f"], [])  # type: ignore[attr-defined]
    seen, memory = [], made.exports["m"]
    assert isinstance(memory, e.Memory)
    for _ in range(3):
        with pytest.raises(Paused):
            agent.run(1000)
        seen.append((agent.pending.instr.form.mnemonic, agent.pending.address, memory.load(4, 8)))
    assert agent.run(1000) is None or agent.stack == [7]
    assert seen == [("i32.store", 8, 0), ("i32.atomic.rmw.add", 8, 3), ("i32.load", 8, 7)]


def test_limits_of_memory_and_tables() -> None:
    with pytest.raises(ResourceLimit, match="memory of 10 pages"):
        instance("(module (memory 10))", memory_pages=4)
    grown = instance('(module (memory 1) (func (export "g") (result i32) (memory.grow (i32.const 9))))', memory_pages=4)
    assert grown.exports.g() == -1
    with pytest.raises(ResourceLimit, match="table of"):
        instance("(module (table 0xffff_ffff funcref))")
    with pytest.raises(ResourceLimit, match="array of"):
        instance(
            '(module (type $a (array i8)) (func (export "f") (drop (array.new_default $a (i32.const -1)))))'
        ).exports.f()


def test_old_views_stay_valid_when_a_memory_grows() -> None:
    memory = Memory(1, 3)
    old = memory.buffer
    assert memory.grow(1) == 1
    old[0] = 77
    assert memory.buffer[0] == 77 and len(memory.buffer) == 2 * 65536 and len(old) == 65536


def test_validation_messages_say_what_was_expected_and_found() -> None:
    from refwasm import Invalid

    with pytest.raises(Invalid) as caught:
        Module("(module\n  (func $f (result i32)\n    i64.const 1\n    i32.eqz))")
    assert str(caught.value) == (
        "4:5: type mismatch: instruction requires [i32] but stack has [i64] (in func[0] $f, instruction 1: i32.eqz)"
    )
