"""Asyncify: a function that stops at each pause and goes on does what it does without pauses."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refwasm import Instance, Module
from refwasm import embedding as e
from refwasm.syntax.modules import Module as Syntax
from refwasm.text import parse_module
from refwasm.toolchain.asyncify import asyncify
from refwasm.toolchain.entry import REWINDING, RUNNING, Coroutine

#: Functions by name; those that can stop are the first three.
NAMES = ("pause", "helper", "f", "log")


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(
        st.sampled_from(["const", "local", "add", "helper", "if", "block", "indirect"] if depth else ["const", "local"])
    )
    if kind == "const":
        return f"(i32.const {draw(st.integers(0, 9))})"
    if kind == "local":
        return f"(local.get {draw(st.integers(0, 2))})"
    a, b = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    if kind == "add":
        return f"(i32.add {a} {b})"
    if kind == "helper":
        return f"(call $helper {a})"
    if kind == "indirect":
        return f"(call_indirect (param i32) (result i32) {a} (i32.const 0))"
    if kind == "if":
        return f"(if (result i32) {a} (then {b}) (else {draw(expressions(depth - 1))}))"
    return f"(block $v (result i32) (drop (br_if $v {a} {b})) {draw(expressions(depth - 1))})"


@st.composite
def statements(draw: st.DrawFn, depth: int = 2) -> str:
    simple = ["pause", "set", "log", "f64", "return"]
    kind = draw(st.sampled_from(simple + (["if", "loop", "block", "table"] if depth else [])))
    if kind == "pause":
        return "(call $pause)"
    x = draw(expressions())
    if kind == "set":
        return f"(local.set {draw(st.integers(0, 2))} {x})"
    if kind == "log":
        return f"(call $log {x})"
    if kind == "f64":
        return f"(local.set 3 (f64.add (local.get 3) (f64.convert_i32_s {x})))"
    if kind == "return":
        return f"(if (i32.eq {x} (i32.const 8)) (then (return (i32.const 77))))"
    inner = " ".join(draw(st.lists(statements(depth - 1), max_size=3)))
    if kind == "if":
        return f"(if {x} (then {inner}) (else {draw(statements(depth - 1))}))"
    if kind == "block":
        return f"(block $b (br_if $b {x}) {inner} (br $b) (call $pause))"
    if kind == "table":
        return f"(block $d (block $c (br_table $c $d {x})) {inner})"
    counter = 3 + depth  # of its own for each depth
    return (
        f"(local.set {counter} (i32.const {draw(st.integers(1, 3))})) (loop $l {inner} "
        f"(br_if $l (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))))"
    )


def module(body: str, pause: str) -> str:
    return f"""(module
  (memory (export "memory") 1) (table funcref (elem $helper))
  (global $state (export "state") (mut i32) (i32.const 0)) (global $saved (export "saved") (mut i32) (i32.const 4096))
  (global $limit (mut i32) (i32.const 65536)) (global $logged (mut i32) (i32.const 0))
  (func $pause {pause})
  (func $helper (param i32) (result i32) (local i32)
    (local.set 1 (i32.mul (local.get 0) (i32.const 3)))
    (if (i32.gt_s (local.get 0) (i32.const 4)) (then (call $pause)))
    (i32.add (local.get 1) (local.get 0)))
  (func $f (export "f") (param i32) (result i32) (local i32 i32 f64 i32 i32)
    {body}
    (i32.add (i32.trunc_sat_f64_s (local.get 3)) (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2)))))
  (func $log (param i32)
    (i32.store (global.get $logged) (local.get 0))
    (global.set $logged (i32.rem_u (i32.add (global.get $logged) (i32.const 4)) (i32.const 4096)))))"""


def stopping(text: str) -> Syntax:
    syntax = parse_module(text)
    index = {name: number for number, name in syntax.names.maps["func"].items()}
    return asyncify(syntax, {index[name] for name in NAMES[:3]}, {index["pause"]}, Coroutine(0, 1, 2))


PAUSE = """(if (i32.eq (global.get $state) (i32.const 2)) (then (global.set $state (i32.const 0)))
  (else (global.set $state (i32.const 1))))"""


def resumed(instance: Instance, argument: int) -> tuple[int, int]:
    """The result of f, called again until it no longer stops; and how often it stopped."""
    stops = 0
    while stops < 10_000:
        result = instance.exports.f(argument)
        if instance.exports.state.value == RUNNING:
            return result, stops
        stops += 1
        instance.exports.state.value = REWINDING
    raise AssertionError("it never ends")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(statements(), min_size=1, max_size=6), st.integers(0, 9))
def test_stopping_changes_nothing(body: list[str], argument: int) -> None:
    plain = Instance(Module(module("\n    ".join(body), "")))
    expected = plain.exports.f(argument)
    made = Instance(Module(e.module_encode(stopping(module("\n    ".join(body), PAUSE)))))
    result, _ = resumed(made, argument)
    assert result == expected
    assert bytes(made.exports.memory.buffer[:4096]) == bytes(plain.exports.memory.buffer[:4096])
    assert made.exports.saved.value == 4096


def test_it_does_stop() -> None:
    text = module("(call $pause) (local.set 0 (call $helper (i32.const 7))) (call $pause)", PAUSE)
    assert resumed(Instance(Module(e.module_encode(stopping(text)))), 1) == (28, 3)
