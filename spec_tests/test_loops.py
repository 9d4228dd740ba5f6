"""Fast versions of loops against the interpreter: addresses that are sums, kept divided, and set behind the loop."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from refwasm import Instance, Module, Trap
from refwasm import embedding as e

OFFSETS = (0, 8, 24, 64, 1032, 65528, -8, -16)


def counted_loop(seed: int) -> str:
    """A loop that counts ``$n`` down and works with the addresses ``$p``, ``$q`` and ``$s``."""
    r = random.Random(seed)
    local = lambda: f"(local.get {r.choice(('$p', '$p', '$q', '$s'))})"
    body = []
    for _ in range(r.randrange(2, 9)):
        offset = r.choice((0, 0, 8, 2048))
        body.append(r.choice((
            f"(local.set {r.choice(('$q', '$s'))} (i32.{r.choice(('add', 'sub'))} {local()} "
            f"(i32.const {r.choice(OFFSETS)})))",
            f"(i64.store offset={offset} {local()} (i64.add (local.get $x) (i64.const 1)))",
            f"(local.set $x (i64.add (local.get $x) (i64.load offset={offset} {local()})))",
        )))  # fmt: skip
    for _ in range(r.choice((0, 1, 1, 1, 2))):
        step = (
            f"(local.set $p (i32.{r.choice(('add', 'add', 'sub'))} (local.get $p) (i32.const {r.choice((8, 16, 4))})))"
        )
        body.insert(r.randrange(len(body) + 1), step)
    return f"""(module (memory (export "memory") 1) (func (export "f") (param $p i32) (param $n i32)
      (result i32 i32 i32 i32 i64) (local $q i32) (local $s i32) (local $x i64)
      (local.set $q (local.get $p)) (local.set $s (local.get $p))
      (loop $l {" ".join(body)} (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $p) (local.get $n) (local.get $q) (local.get $s) (local.get $x)))"""


def array_loop(seed: int) -> str:
    """A loop whose counter ``$i`` goes up to ``$n``, with elements of arrays that begin at ``$a`` and ``$b``, and an
    address ``$c`` that moves along, or backwards."""
    r = random.Random(seed)
    elements = [
        (f"i64.store offset={r.choice((0, 8))}", "(i32.shl (local.get $i) (i32.const 3))", "(local.get $x)"),
        ("f64.store", "(i32.shl (local.get $i) (i32.const 3))", "(f64.convert_i64_s (local.get $x))"),
        ("i32.store8", "(local.get $i)", "(i32.wrap_i64 (local.get $x))"),
        ("i64.load", "(i32.shl (local.get $i) (i32.const 3))", ""),
        (f"i64.load32_s offset={r.choice((0, 4096))}", "(i32.shl (local.get $i) (i32.const 2))", ""),
        ("i64.load8_u", "(local.get $i)", ""),
    ]
    body = []
    for _ in range(r.randrange(1, 6)):
        name, index, value = r.choice(elements)
        base = r.choice(("$a", "$a", "$b", "$c"))
        operands = [f"(local.get {base})", index]
        address = f"(i32.add {' '.join(r.sample(operands, 2))})" if base != "$c" else f"(local.get {base})"
        access = f"({name} {address} {value})"
        body.append(access if value else f"(local.set $x (i64.add (local.get $x) {access}))")
    step = f"(local.set $c (i32.{r.choice(('add', 'add', 'sub'))} (local.get $c) (i32.const {r.choice((1, 4, 8))})))"
    body.insert(r.choice((0, len(body), len(body))), step)
    count = "(local.tee $i (i32.add (local.get $i) (i32.const 1)))"
    if r.random() < 0.5:
        loop = f"(loop $l {' '.join(body)} (br_if $l (i32.lt_u {count} (local.get $n))))"
    else:
        loop = f"""(block $end (loop $l (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
          {" ".join(body)} (drop {count}) (br $l)))"""
    return f"""(module (memory (export "memory") 1)
      (func (export "f") (param $a i32) (param $b i32) (param $i i32) (param $n i32)
      (result i32 i32 i64) (local $c i32) (local $x i64)
      (local.set $c (i32.add (local.get $a) (local.get $n))) (local.set $x (i64.const 0x1234567890abcdef))
      {loop} (local.get $c) (local.get $i) (local.get $x)))"""


def stepped_loop(seed: int) -> str:
    """Two loops inside each other that change locals in steps, from one constant until another one, or never."""
    r = random.Random(seed)
    add = lambda name, step: f"(i32.add (local.get {name}) (i32.const {step}))"
    steps = (1, 1, 2, 4, 8, -1, -1, -4, 12, 0x40000000)

    def body(depth: int) -> str:
        counter, others = ("$i", ("$p", "$q")) if depth else ("$j", ("$s", "$q"))
        step, turns = r.choice(steps), r.choice((1, 2, 5, 16))
        start = r.choice((0, 0, 1, 7, 16, 64, -16, r.randrange(-50, 50)))
        bound = (start + step * turns) % (1 << 32) if r.random() < 0.8 else r.choice((0, 10, 64, -1, start))
        lines = []
        for name in others:
            line = f"(local.set {name} {add(name, r.choice(steps))})"
            lines.append(f"(if (local.get $x) (then {line}))" if r.random() < 0.3 else line)
        for _ in range(r.randrange(4)):
            name = r.choice(("$p", "$q", "$s", "$i", "$j"))
            address = f"(i32.and (local.get {name}) (i32.const 0xfff8))"
            few = r.choice((3, -2))
            lines.append(r.choice((
                f"(local.set $x (i32.xor (i32.rotl (local.get $x) (i32.const 5)) (local.get {name})))",
                f"(local.set $x (i32.add (local.get $x) (i32.lt_s (local.get {name}) (i32.const {few}))))",
                f"(local.set $x (i32.add (local.get $x) (i32.shr_s (local.get {name}) (i32.const 1))))",
                f"(i32.store {address} (local.get $x))",
                f"(local.set $x (i32.add (local.get $x) (i32.load {address})))",
            )))  # fmt: skip
        if not depth:
            lines.append(body(1))
        r.shuffle(lines)
        lines.append(f"(local.set $turns {add('$turns', 1)})")
        lines.append("(br_if $end (i32.gt_u (local.get $turns) (i32.const 60)))")
        tee = f"(local.tee {counter} {add(counter, step)})"
        last = f"(br_if $l{depth} {tee if bound == 0 and r.random() < 0.7 else f'(i32.ne {tee} (i32.const {bound}))'})"
        first = f"(local.set {counter} (i32.const {start}))" if r.random() < 0.9 else ""
        starts = [f"(local.set {name} (i32.const {r.choice((0, 8, 60, -4))}))" for name in others if r.random() < 0.8]
        return f"{first} {' '.join(starts)} (loop $l{depth} {' '.join(lines)} {last})"

    return f"""(module (memory (export "memory") 1) (func (export "f") (param $x i32) (param $q i32)
      (result i32 i32 i32 i32 i32 i32) (local $i i32) (local $j i32) (local $p i32) (local $s i32) (local $turns i32)
      (block $end {body(0)})
      (local.get $x) (local.get $q) (local.get $i) (local.get $j) (local.get $p) (local.get $s)))"""


@pytest.mark.parametrize("part", range(10))
def test_constants_that_are_met_in_steps(part: int) -> None:
    for seed in range(part * 60, part * 60 + 60):
        text = stepped_loop(seed)
        for args in ((0, 0), (1, 8), (-5, -1)):
            assert outcome(text, "compile", *args) == outcome(text, "interpret", *args), (seed, args, text)


def outcome(text: str, tier: str, *args: int) -> Any:
    """Results, or the trap, and what the memory holds."""
    instance = Instance(Module(text), tier=tier)
    try:
        result: Any = instance.exports.f(*args)
    except Trap as trap:
        result = str(trap), list(map(str, trap.backtrace))
    return result, bytes(instance.exports.memory.read(0, 65536))


@pytest.mark.parametrize("part", range(10))
def test_sums_in_counted_loops(part: int) -> None:
    for seed in range(part * 40, part * 40 + 40):
        text = counted_loop(seed)
        for args in ((1024, 5), (0, 1), (8, 40), (65400, 30), (20, 3), (-64, 4), (64, 20)):
            assert outcome(text, "compile", *args) == outcome(text, "interpret", *args), (seed, args, text)


@pytest.mark.parametrize("part", range(10))
def test_arrays_in_counted_loops(part: int) -> None:
    for seed in range(part * 40, part * 40 + 40):
        text = array_loop(seed)
        for args in (
            (1024, 4096, 0, 9), (0, 8, 0, 0), (8, 0, 3, 3), (64, 65500, 0, 40), (65536, 0, 2, 4), (70000, 0, 0, 2),
            (1024, 1028, 5, 2), (-8, 0, 0, 3), (24, 16, -3, 4), (3, 1, 1, 30),
        ):  # fmt: skip
            assert outcome(text, "compile", *args) == outcome(text, "interpret", *args), (seed, args, text)


def fast_version(text: str) -> str:
    """The ``for`` statement of a loop and what stands before it, or nothing."""
    python = "\n".join(line for line, _ in e.func_explain(e.module_open(text), 0).lines)
    found = re.search(r"(?:\n *t\d+ = .*)*\n *for \w+ in range(?:.|\n)*?\n *else:", python)
    return found[0] if found else ""


def test_that_there_are_such_loops() -> None:
    versions = [(counted_loop(seed), fast_version(counted_loop(seed))) for seed in range(200)]
    assert sum(bool(fast) for _, fast in versions) > 100
    assert sum(bool(re.search(r"\[t\d+\]", fast)) for _, fast in versions) > 20, "kept divided"
    assert sum(bool(re.search(r"for (?!l1 )", fast)) for _, fast in versions) > 20, "an address in the counter's place"
    behind = [fast for text, fast in versions if fast and "local.set $q" in text and not re.search(r"\bl2 = ", fast)]
    assert len(behind) > 10, "set behind the loop"
    arrays = [fast_version(array_loop(seed)) for seed in range(200)]
    assert sum(bool(re.search(r"t\d+ = [UF]64_m0_\d+\[t\d+:\]", fast)) for fast in arrays) > 20, "views with a base"
    assert sum(bool(re.search(r"t\d+ = u8_m0_\d+\[l\d+:\]", fast)) for fast in arrays) > 20, "views of bytes"
