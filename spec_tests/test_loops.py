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


def outcome(text: str, tier: str, *args: int) -> Any:
    """Results, or the trap, and what the memory holds."""
    instance = Instance(Module(text), tier=tier)
    try:
        result: Any = instance.exports.f(*args)
    except Trap as trap:
        result = str(trap)
    return result, bytes(instance.exports.memory.read(0, 65536))


@pytest.mark.parametrize("part", range(10))
def test_sums_in_counted_loops(part: int) -> None:
    for seed in range(part * 40, part * 40 + 40):
        text = counted_loop(seed)
        for args in ((1024, 5), (0, 1), (8, 40), (65400, 30), (20, 3), (-64, 4), (64, 20)):
            assert outcome(text, "compile", *args) == outcome(text, "interpret", *args), (seed, args, text)


def fast_version(seed: int) -> str:
    """The body of the ``for`` statement of a loop, or nothing."""
    validated = e.module_open(counted_loop(seed))
    python = "\n".join(line for line, _ in e.func_explain(validated, 0).lines)
    found = re.search(r"for l1 in range.*?\n *else:", python, re.DOTALL)
    return found[0] if found else ""


def test_that_there_are_such_loops() -> None:
    versions = [(counted_loop(seed), fast_version(seed)) for seed in range(200)]
    assert sum(bool(fast) for _, fast in versions) > 100
    assert sum(bool(re.search(r"\[\(t\d+\) *\]", fast)) for _, fast in versions) > 20, "kept divided"
    behind = [fast for text, fast in versions if fast and "local.set $q" in text and not re.search(r"\bl2 = ", fast)]
    assert len(behind) > 10, "set behind the loop"
