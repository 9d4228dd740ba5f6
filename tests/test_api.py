"""The Python API."""

from __future__ import annotations

import doctest
import gc
import math
import os
import sys
import weakref

import pytest

import refwasm
from refwasm import Func, Global, Instance, Memory, Module, Table, Tag, Trap, UncaughtException, Unlinkable, api


def make(wat: str, imports: dict[str, object] | None = None) -> Instance:
    return Instance(Module(wat), imports)


def test_docstrings() -> None:
    failures, attempted = doctest.testmod(api)
    assert attempted > 5 and not failures


def test_public_names_exist() -> None:
    assert all(hasattr(refwasm, name) for name in refwasm.__all__)


def test_integers_come_back_signed_and_go_in_either_way() -> None:
    wat = '(module (func (export "f") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0)))'
    f = make(wat).exports.f
    assert f(0xFFFFFFFF, -1) == (-1, -1)
    assert f(-(2**31), 2**64 - 1) == (-1, -(2**31))
    for bad in (2**32, -(2**31) - 1):
        with pytest.raises(OverflowError):
            f(bad, 0)
    with pytest.raises(TypeError, match="2 arguments"):
        f(1)
    with pytest.raises(TypeError, match="i32 takes an int"):
        f(1.5, 0)


def test_floats_and_exact_bits() -> None:
    f = make('(module (func (export "f") (param f32) (result f32) (local.get 0)))').exports.f
    assert f(0.1) == pytest.approx(0.1, rel=1e-7) and f(0.1) != 0.1
    assert f(1e39) == math.inf and math.isnan(f(math.nan))
    assert f.bits(0x7F800001) == (0x7F800001,)
    with pytest.raises(TypeError):
        f.bits(1 << 32)


def test_references() -> None:
    wat = """(module (func (export "extern") (param externref) (result externref) (local.get 0))
      (func (export "self") (result funcref) (ref.func 0)) (func (export "i31") (param i32) (result i31ref)
      (ref.i31 (local.get 0))))"""
    exports = make(wat).exports
    thing = object()
    assert exports.extern(thing) is thing and exports.extern(None) is None
    assert exports.self() is exports.extern
    assert exports.i31(-5) == -5


def test_imports_of_every_kind() -> None:
    wat = """(module
      (import "m" "f" (func $f (param i32) (result i32))) (import "m" "memory" (memory 1))
      (import "m" "table" (table 1 funcref)) (import "m" "g" (global $g (mut i64))) (import "m" "k" (global $k i32))
      (import "m" "tag" (tag $t (param i32)))
      (func (export "run") (result i32)
        (global.set $g (i64.const -9)) (i32.store (i32.const 0) (i32.const 77))
        (i32.add (call $f (global.get $k)) (call_indirect (result i32) (i32.const 0))))
      (func (export "throw") (throw $t (i32.const 3))))"""
    memory, table, cell = Memory(1), Table("funcref", 1), Global("i64", 5, mutable=True)
    table[0] = Func(lambda: 1000, results=["i32"])
    provided = {"f": lambda x: x * 2, "memory": memory, "table": table, "g": cell, "k": 21, "tag": Tag(["i32"])}
    exports = make(wat, {"m": provided}).exports
    assert exports.run() == 1042
    assert cell.value == -9 and memory.read(0, 4) == b"M\0\0\0"
    with pytest.raises(UncaughtException):
        exports.throw()


def test_instances_link_to_each_other() -> None:
    one = make('(module (func (export "f") (result i32) (i32.const 7)) (memory (export "m") 1 2))')
    two = make('(module (import "one" "f" (func $f (result i32))) (export "g" (func $f)))', {"one": one.exports})
    assert two.exports.g() == 7 and two.exports.g is one.exports.f


@pytest.mark.parametrize(
    ("imports", "message"),
    [
        ({}, "unknown import 'm' 'x'"),
        ({"m": {}}, "unknown import 'm' 'x'"),
        ({"m": {"x": Memory(1)}}, "incompatible import type for 'm' 'x': expected func"),
        (
            {"m": {"x": Func(lambda: None)}},
            "incompatible import type for 'm' 'x': expected func [i32] -> [], found func",
        ),
        ({"m": {"x": 5}}, "incompatible import type"),
    ],
)
def test_what_does_not_link_says_so(imports: dict[str, object], message: str) -> None:
    with pytest.raises(Unlinkable) as caught:
        make('(module (import "m" "x" (func (param i32))))', imports)
    assert message in str(caught.value)


def test_descriptions_of_modules() -> None:
    module = Module(
        '(module (import "a" "b" (memory 1 2 shared)) (global (export "g") (mut f32) (f32.const 0)) '
        '(@custom "note" "hello"))'
    )
    assert module.imports == [("a", "b", "memory", "1 2 shared")]
    assert module.exports == [("g", "global", "mut f32")]
    assert module.custom_sections("note") == [b"hello"]


def test_memory_buffer_protocol_and_bounds() -> None:
    memory = Memory(1, 2, shared=True)
    memory.buffer[10:13] = b"abc"
    assert memory.read(10, 3) == b"abc" and len(memory) == 65536
    with pytest.raises(IndexError):
        memory.write(65534, b"abc")
    with pytest.raises(IndexError):
        memory.read(-1, 1)
    assert memory.grow(1) == 1 and memory.pages == 2
    with pytest.raises(ValueError, match="can't grow"):
        memory.grow(1)


def test_wrong_results_of_host_functions_are_python_errors() -> None:
    wat = '(module (import "m" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))'
    with pytest.raises(TypeError, match="i32 takes an int"):
        make(wat, {"m": {"f": lambda: "five"}}).exports.g()


def test_features_can_be_narrowed() -> None:
    with pytest.raises(refwasm.UnsupportedFeature, match="needs the feature simd"):
        Module("(module (func (drop (v128.const i64x2 0 0))))", features="1.0")
    with pytest.raises(refwasm.UnsupportedFeature, match="gc"):
        Module("(module (type (struct)))", features="3.0,-gc")
    Module("(module (type (struct)))", features="3.0")
    with pytest.raises(ValueError, match="unknown feature"):
        Module("(module)", features="4.0")


def test_traps_are_exceptions() -> None:
    with pytest.raises(Trap, match="integer divide by zero"):
        make('(module (func (export "f") (drop (i32.div_u (i32.const 1) (i32.const 0)))))').exports.f()
    with pytest.raises(AttributeError, match="nothing is exported as 'nope'"):
        make("(module)").exports.nope()


@pytest.mark.parametrize("tier", ["interpret", "compile", "auto"])
def test_an_instance_goes_when_nobody_has_it(tier: str) -> None:
    text = '(module (memory (export "m") 1) (func (export "f") (result i32) (i32.load (i32.const 0))))'
    instance = Instance(Module(text), tier=tier)
    assert instance.exports.f() == 0
    memory = weakref.ref(instance._instance.memories[0])
    del instance
    gc.collect()
    assert memory() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked")
def test_memories_do_not_keep_a_process_from_forking() -> None:
    """Reserved address space must not count: neighbours are one mapping for the system, larger than the machine."""
    memories = [Memory(1) for _ in range(12)]
    pid = os.fork()
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(memories) == 12
