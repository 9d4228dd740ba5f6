"""The module beside a kernel that hands out its iterations, so that Python's cost is per worker and not per iteration.

All workers share one control memory, whose words say what is to be run. A driver takes positions of the schedule from
it (see :mod:`refwasm.host.parallel.schedule`), turns them into ids, puts the kernel's globals back where each iteration
starts fresh, and calls the kernel. It imports the function ``kernel`` and the mutable globals ``global0``, ``global1``
and so on. It exports:

* ``save``: note the present values of the globals, which ``reset`` puts back;
* ``run``: run iterations until there are no more; how many it ran;
* ``advance``: the next id, or -1 if there is none; ``call``: run the iteration with an id;
* ``current``: the id of the iteration that runs, which can be read after a trap.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Word(IntEnum):
    """Words of the control memory, 8 bytes each: addresses."""

    NEXT = 0  #: the next position to hand out
    STOP = 8  #: whether to begin no further iteration
    UNITS = 16  #: how many positions there are
    UNIT = 24  #: ids of a unit
    COUNT = 32  #: the number of iterations
    BLOCK = 40  #: the block size, passed through
    START = 48  #: the unit at position p is (START + STEP * p) modulo UNITS,
    STEP = 56
    LISTED = 64  #: unless they are listed at ORDER
    SHARES = 72  #: 4 times the number of workers if shares get smaller towards the end, 0 if each is one unit
    FRESH = 80  #: whether each iteration finds the globals as they were saved


#: Where the kernel's arguments lie, after the first three, as 32-bit words; and where units are listed.
PAIRS, ORDER = 256, 65536
#: Pages of the control memory: one for words and arguments, four for 65,536 listed units.
PAGES = 5
#: The name of the module, by which its frames are told from the kernel's.
DRIVER = "refwasm-driver"
#: Most units handed out at once.
MAX_SHARE = 4096


def driver(parameters: int, global_types: Sequence[str]) -> str:
    """The text of the driver for a kernel with so many parameters, whose mutable globals have these types."""
    imports = "".join(
        f'(import "" "global{k}" (global $g{k} (mut {t})))\n' for k, t in enumerate(global_types)
    )  # fmt: skip
    saved = "".join(f"(global $s{k} (mut {t}) ({t}.const {_zero(t)}))\n" for k, t in enumerate(global_types))
    save = " ".join(f"(global.set $s{k} (global.get $g{k}))" for k in range(len(global_types)))
    reset = " ".join(f"(global.set $g{k} (global.get $s{k}))" for k in range(len(global_types)))
    pairs = range(parameters - 3)
    locals_ = "".join(f"(local $p{k} i32) " for k in pairs)
    load = "\n    ".join(f"(local.set $p{k} (i32.load offset={PAIRS + 4 * k} (i32.const 0)))" for k in pairs)
    given = " ".join(f"(local.get $p{k})" for k in pairs)
    return f"""(module ${DRIVER}
  (import "" "kernel" (func $kernel (param {"i32 " * parameters})))
  {imports}(import "" "control" (memory {PAGES} {PAGES} shared))
  {saved}(global $current (export "current") (mut i64) (i64.const -1))
  (global $position (mut i64) (i64.const 0)) (global $positions (mut i64) (i64.const 0))
  (global $id (mut i64) (i64.const 0)) (global $ids (mut i64) (i64.const 0))
  (func (export "save") {save})
  (func $reset {reset})
  (func (export "begin")
    (global.set $current (i64.const -1))
    (global.set $position (i64.const 0)) (global.set $positions (i64.const 0))
    (global.set $id (i64.const 0)) (global.set $ids (i64.const 0)){" (call $reset)" if global_types else ""})
{_TAKE}
{_ADVANCE}
  (func (export "advance") (result i64) (call $advance))
  (func (export "call") (param $id i64) {locals_}
    {load}
    (if (i32.load {_at(Word.FRESH)}) (then (call $reset)))
    (call $kernel (i32.wrap_i64 (local.get $id)) (i32.load {_at(Word.COUNT)}) (i32.load {_at(Word.BLOCK)}) {given}))
  (func (export "run") (result i64)
    (local $done i64) (local $count i32) (local $block i32) (local $fresh i32) (local $id i64) {locals_}
    (local.set $count (i32.load {_at(Word.COUNT)}))
    (local.set $block (i32.load {_at(Word.BLOCK)}))
    (local.set $fresh (i32.load {_at(Word.FRESH)}))
    {load}
    (loop $more
      (if (i64.ge_s (local.tee $id (call $advance)) (i64.const 0))
        (then
          (if (local.get $fresh) (then (call $reset)))
          (call $kernel (i32.wrap_i64 (local.get $id)) (local.get $count) (local.get $block) {given})
          (local.set $done (i64.add (local.get $done) (i64.const 1)))
          (br $more))))
    (local.get $done)))"""


def _zero(t: str) -> str:
    return "i64x2 0 0" if t == "v128" else "0"


def _at(word: Word) -> str:
    return f"offset={int(word)} (i32.const 0)"


#: Takes positions: some of them, fewer towards the end, or one. Whether there were any.
_TAKE = f"""
  (func $take (result i32)
    (local $first i64) (local $share i64) (local $units i64) (local $shares i64)
    (local.set $units (i64.load {_at(Word.UNITS)}))
    (local.set $shares (i64.load {_at(Word.SHARES)}))
    (loop $again
      (local.set $first (i64.atomic.load {_at(Word.NEXT)}))
      (if (i64.ge_u (local.get $first) (local.get $units)) (then (return (i32.const 0))))
      (local.set $share (i64.const 1))
      (if (i64.ne (local.get $shares) (i64.const 0))
        (then
          (local.set $share (i64.div_u (i64.sub (local.get $units) (local.get $first)) (local.get $shares)))
          (if (i64.gt_u (local.get $share) (i64.const {MAX_SHARE})) (then (local.set $share (i64.const {MAX_SHARE}))))
          (if (i64.eqz (local.get $share)) (then (local.set $share (i64.const 1))))))
      (br_if $again
        (i64.ne (local.get $first)
          (i64.atomic.rmw.cmpxchg {_at(Word.NEXT)}
            (local.get $first) (i64.add (local.get $first) (local.get $share))))))
    (global.set $position (local.get $first))
    (global.set $positions (i64.add (local.get $first) (local.get $share)))
    (i32.const 1))"""

#: The next id in what was taken; takes more when that is used up. -1: there is none, or workers are to stop.
_ADVANCE = f"""
  (func $advance (result i64)
    (local $id i64) (local $unit i64)
    (if (i32.load {_at(Word.STOP)}) (then (return (i64.const -1))))
    (if (i64.ge_u (global.get $id) (global.get $ids))
      (then
        (if (i64.ge_u (global.get $position) (global.get $positions))
          (then (if (i32.eqz (call $take)) (then (return (i64.const -1))))))
        (local.set $unit (global.get $position))
        (global.set $position (i64.add (local.get $unit) (i64.const 1)))
        (if (i32.load {_at(Word.LISTED)})
          (then
            (local.set $unit
              (i64.load32_u offset={ORDER} (i32.shl (i32.wrap_i64 (local.get $unit)) (i32.const 2)))))
          (else
            (if (i64.ne (i64.load {_at(Word.STEP)}) (i64.const 1))
              (then
                (local.set $unit
                  (i64.rem_u
                    (i64.add (i64.load {_at(Word.START)}) (i64.mul (i64.load {_at(Word.STEP)}) (local.get $unit)))
                    (i64.load {_at(Word.UNITS)})))))))
        (global.set $id (i64.mul (local.get $unit) (i64.load {_at(Word.UNIT)})))
        (global.set $ids (i64.add (global.get $id) (i64.load {_at(Word.UNIT)})))
        (if (i64.gt_u (global.get $ids) (i64.load {_at(Word.COUNT)}))
          (then (global.set $ids (i64.load {_at(Word.COUNT)}))))))
    (local.set $id (global.get $id))
    (global.set $id (i64.add (local.get $id) (i64.const 1)))
    (global.set $current (local.get $id))
    (local.get $id))"""
