"""Kernels that several chapters use."""

from __future__ import annotations

from conformance.writing import Case, kernel

#: The word of this iteration in the first buffer.
MINE = "(i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))"
#: Adds one to the word of its id, atomically: twice is seen as well as never.
COUNT = kernel(f"(drop (i32.atomic.rmw.add {MINE} (i32.const 1)))")
#: Adds one to the first word.
TALLY = kernel("(drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))")
NOTHING = kernel(buffers=0)
#: Copies the first buffer to the second, byte by byte, from one iteration.
COPY = kernel("(memory.copy (local.get $p1) (local.get $p0) (local.get $s0))", 2)

MEMORIES = {"shared": "4 64 shared", "private": "4 64"}
HINTS = {"sequential": 0, "cpu": 1}


def store(value: str) -> str:
    """A kernel's store to the word of its iteration."""
    return f"(i32.store {MINE} {value})"


def works(case: Case, device: str) -> None:
    """The device still runs a kernel as it should."""
    tally = case.code(TALLY)
    total = case.written(device, 4)
    case.run(device, tally, 3, [total])
    case.read(total)
    case.words(total.region, [3])
