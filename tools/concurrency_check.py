"""A quick judge of the explorer, the race detector and the memory model: ``python -m tools.concurrency_check``
prints the first thing that is wrong, and ends with 1 then.

It is what deliberate faults (:mod:`tools.concurrency_faults`) must not pass, so it uses no random numbers of its
own, and compares with figures and lists that stand here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import refwasm
from refwasm.concurrency.exploration import explore, replay
from refwasm.concurrency.litmus.judging import judge_model
from refwasm.concurrency.litmus.modules import LitmusThreads
from refwasm.concurrency.litmus.notation import parse, read_tests
from refwasm.concurrency.programs import Script, Threads
from refwasm.concurrency.sampling import Bounded
from refwasm.concurrency.scheduler import ExploringScheduler
from refwasm.strategies.threads import RMW, WIDTHS, Access, ThreadProgram

LITMUS = Path(__file__).parent.parent / "conformance" / "litmus"
#: How many classes of schedules tests have, counted from all their interleavings.
CLASSES = {
    "SB": 3, "SB+sc": 3, "MP": 3, "LB": 3, "IRIW": 15, "CoRR": 3, "2+2W": 3, "WRC": 7, "ISA2": 7, "RMW+add": 2,
    "RMW+three": 6, "Wait+lost": 2, "Wait+two": 24, "Mixed+halves": 3, "Mixed+bytes": 3, "Grow+twice": 2,
}  # fmt: skip
#: Functions of a module with a shared memory, and how many races they have: pairs of places.
RACES = (
    ("(func {a} (i32.store {0} {1})) (func {b} (drop (i32.load {0})))", 1),
    ("(func {a} (i32.store8 {3} {1})) (func {b} (drop (i32.load {0})))", 1),
    ("(func {a} (i32.store8 {4} {1})) (func {b} (drop (i32.load {0})))", 0),
    ("(func {a} (i32.atomic.store {0} {1})) (func {b} (drop (i32.load {0})))", 1),
    ("(func {a} (i32.atomic.store {0} {1})) (func {b} (drop (i32.atomic.load {0})))", 0),
    ("(func {a} (i32.atomic.store {0} {1})) (func {b} (drop (i32.atomic.load8_u {0})))", 1),
    ("(func {a} (drop (i32.load {0}))) (func {b} (drop (i32.load {0})))", 0),
    ("(func {a} (memory.fill {0} {1} {8})) (func {b} (drop (i32.load {4})))", 1),
    ("(func {a} (memory.copy {16} {0} {8})) (func {b} (i32.store {0} {1}))", 1),
    ("(func {a} (memory.copy {16} {0} {8})) (func {b} (drop (i32.load {20})))", 1),
    ("(func {a} (drop (memory.grow {1}))) (func {b} (i32.store {70000} {1}))", 1),
    ("(func {a} (drop (memory.grow {1}))) (func {b} (i32.store {0} {1}))", 0),
    ("(func {a} (i32.store {0} {1}) (i32.atomic.store {4} {1}))"
     "(func {b} (if (i32.atomic.load {4}) (then (drop (i32.load {0})))))", 0),
    ("(func {a} (i32.store {0} {1}) (i32.atomic.store {4} {1}))"
     "(func {b} (if (i32.load {4}) (then (drop (i32.load {0})))))", 2),
    ("(func {a} (i32.store {0} {1}) (i32.atomic.store {4} {1}))"
     "(func {b} (if (i32.atomic.load8_u {4}) (then (drop (i32.load {0})))))", 2),
    ("(func {a} (i32.store {0} {1}) (drop (i32.atomic.rmw.add {4} {1})))"
     "(func {b} (if (i32.atomic.load {4}) (then (drop (i32.load {0})))))", 0),
    ("(func {a} (i32.store {0} {1}) (drop (i32.atomic.rmw.cmpxchg {4} {9} {1})))"
     "(func {b} (drop (i32.atomic.load {4})) (drop (i32.load {0})))", 1),
    ("(func {a} (i32.store {0} {1}) (drop (memory.atomic.notify {8} {1})))"
     "(func {b} (if (i32.eqz (memory.atomic.wait32 {8} {0} (i64.const 1000))) (then (drop (i32.load {0})))))", 0),
    ("(func {a} (i32.store {0} {1}) (drop (memory.grow {1})))"
     "(func {b} (if (i32.eq (memory.size) {2}) (then (drop (i32.load {0})))))", 0),
    ("(func {a} (i32.atomic.store {4} {1}) (i32.store {0} {1}))"
     "(func {b} (if (i32.atomic.load {4}) (then (drop (i32.load {0})))))", 1),
    ("(func {a} (i32.store {0} {1}) (i32.atomic.store {4} {1})) (func {b} (i32.store {4} {2}))"
     "(func {c} (if (i32.eq (i32.atomic.load {4}) {2}) (then (drop (i32.load {0})))))", 3),
    ("(func {a} (i32.store {0} {1})) (func {b} (i32.store {0} {1})) (func {c} (drop (i32.load {0})))", 3),
    ("(func {a} (drop (i32.load {0})) (drop (i32.atomic.load {0}))) (func {b} (i32.atomic.store {0} {1}))", 1),
)  # fmt: skip
#: The same in the first execution, in which the threads run one after the other.
FIRST_RACES = (
    ("(func {a} (drop (i32.load {0}))) (func {b} (i32.store {0} {1}))", 1),
    ("(func {a} (i32.store {0} {1}) (i32.store {4} {1}))"
     "(func {b} (drop (i32.atomic.load {4})) (drop (i32.load {0})))", 2),
    ("(func {a} (i32.store {0} {1}) (i32.atomic.store {4} {1})) (func {b} (i32.store {4} {2}))"
     "(func {c} (drop (i32.atomic.load {4})) (drop (i32.load {0})))", 3),
    ("(func {a} (i32.store {0} {1}) (drop (i32.atomic.rmw.cmpxchg {4} {9} {1})))"
     "(func {b} (drop (i32.atomic.load {4})) (drop (i32.load {0})))", 1),
    ("(func {a} (i32.atomic.store {4} {1}) (i32.store {0} {1}))"
     "(func {b} (drop (i32.atomic.load {4})) (drop (i32.load {0})))", 1),
    ("(func {a} (i32.store {0} {1})) (func {b} (i32.store {0} {1})) (func {c} (drop (i32.load {0})))", 3),
    ("(func {a} (drop (i32.load {0})) (drop (i32.atomic.load {0}))) (func {b} (i32.atomic.store {0} {1}))", 1),
)  # fmt: skip
#: Executions of the litmus tests that were cut since they would have repeated others.
REDUNDANT = 0
#: A script whose threads start threads: final states and classes.
NESTED = """(module $M (memory (export "memory") 1 1 shared)) (register "m")
(thread $A (shared (module $M)) (register "m" $M)
  (thread $B (shared (module $M)) (register "m" $M)
    (module (memory (import "m" "memory") 1 1 shared) (func (export "f") (i32.store (i32.const 0) (i32.const 1))))
    (invoke "f"))
  (wait $B))
(thread $C (shared (module $M)) (register "m" $M)
  (thread $D (shared (module $M)) (register "m" $M)
    (module (memory (import "m" "memory") 1 1 shared)
      (func (export "f") (i32.store (i32.const 4) (i32.load (i32.const 0)))))
    (invoke "f"))
  (wait $D))
(wait $A) (wait $C)"""
#: Threads that wait, spin or lock, the final states, and how many of them are deadlocks.
ENDINGS = (
    (["a: r0 = wait x 0", "b: r1 = notify x 1"], {"r0=0 r1=1", "deadlock r1=0"}),
    (["a: r0 = wait x 0 1", "b: r1 = notify x 1"], {"r0=0 r1=1", "r0=2 r1=0"}),
    (["a: r0 = wait x 0", "b: r1 = wait x 0", "c: r2 = notify x 1"],
     {"deadlock r0=0 r2=1", "deadlock r1=0 r2=1", "deadlock r2=0"}),
    (["a: r0 = wait x 0 1", "b: r1 = notify x 1", "c: r2 = notify x 1"],
     {"r0=0 r1=1 r2=0", "r0=0 r1=0 r2=1", "r0=2 r1=0 r2=0"}),
    (["a: r0 = wait x 1", "b: x! = 1"], {"r0=1", "deadlock"}),
    (["a: r0 = add x8 1", "b: r1 = add x8 255"], {"r0=0 r1=1", "r0=255 r1=0"}),
    (["a: r0 = cas x8 256 1", "b: r1 = y", "forbidden: x8=9"], {"r0=0 r1=0 x8=1"}),
    (["a: x64! = 4294967297", "b: r0 = x64!"], {"r0=0", "r0=4294967297"}),
)  # fmt: skip


def check() -> Iterator[str]:
    """What is wrong, one after the other."""
    redundant = 0
    for file in sorted(LITMUS.glob("*.litmus")):
        for test in read_tests(file):
            verdict, found = judge_model(test)
            yield from (f"{test.name}: {line}" for line in verdict.wrong)
            classes = found.exploration.classes if found.exploration is not None else 0
            redundant += found.exploration.redundant if found.exploration is not None else 0
            if CLASSES.get(test.name, classes) != classes:
                yield f"{test.name}: {classes} classes, expected {CLASSES[test.name]}"
    if redundant != REDUNDANT:
        yield f"{redundant} redundant executions, expected {REDUNDANT}"
    yield from _races(RACES)
    yield from _races(FIRST_RACES, executions=1)
    yield from _endings()
    yield from _interleavings()
    yield from _nested()
    yield from _spinning()
    yield from _sampling()


def _races(cases: tuple[tuple[str, int], ...], **options: int) -> Iterator[str]:
    for text, expected in cases:
        functions = text
        for name in "abc":
            functions = functions.replace(f"{{{name}}}", f'(export "{name}")')
        for number in ("70000", "0", "1", "2", "3", "4", "8", "9", "16", "20"):
            functions = functions.replace(f"{{{number}}}", f"(i32.const {number})")
        found = refwasm.explore(f"(module (memory 1 3 shared) {functions})", races=True, **options)  # type: ignore[arg-type]
        if len(found.races) != expected:
            yield f"{len(found.races)} races, expected {expected}: {text}"


def _endings() -> Iterator[str]:
    for lines, expected in ENDINGS:
        found = set(explore(LitmusThreads(parse("T: t\n" + "\n".join(lines))[0])).states)
        if found != expected:
            yield f"{lines}: {found}, expected {expected}"


def _interleavings() -> Iterator[str]:
    """Generated programs: the final states of all interleavings, and replays of the witnesses."""
    random = Random(7)
    for _ in range(60):
        program = _program(random)
        subject = Threads(program.wat(), [f"thread{i}" for i in range(len(program.threads))])
        expected = set()
        for number, execution in enumerate(Bounded(1 << 30)):
            expected.add(subject.execute(ExploringScheduler(execution.choose, [execution])).text)
            if number == 2_000:
                break
        else:
            found = explore(subject)
            if set(found.states) != expected:
                yield f"{set(found.states) ^ expected} of\n{program}"
            for state in found.states.values():
                if replay(subject, state.witness)[0].text != state.text:
                    yield f"{state.witness} does not replay {state.text} of\n{program}"


def _program(random: Random) -> ThreadProgram:
    def access() -> Access:
        kind = random.choice(("store", "load", "load", *RMW[:2], "cmpxchg", "wait", "notify", "grow"))
        width = 32 if kind in ("wait", "notify") else random.choice(WIDTHS)
        is_atomic = random.random() < 0.5 if kind in ("load", "store") else kind != "grow"
        only_if = random.randrange(2) if random.random() < 0.2 else None
        return Access(kind, random.randrange(2), is_atomic, width, random.randrange(3), only_if)

    count = random.choice((2, 2, 3))
    return ThreadProgram([[access() for _ in range(random.randint(1, 5 - count))] for _ in range(count)], 2, False)


SPINS = """(module (memory 1 1 shared)
  (func (export "lock") (local $i i32)
    (loop $again (br_if $again (i32.atomic.rmw.cmpxchg (i32.const 8) (i32.const 0) (i32.const 1))))
    (i32.store (i32.const 12) (i32.add (i32.load (i32.const 12)) (i32.const 1)))
    (i32.atomic.store (i32.const 8) (i32.const 0)))
  (func (export "flag") (loop $again (br_if $again (i32.eqz (i32.atomic.load (i32.const 16))))))
  (func (export "sets") (i32.store (i32.const 24) (i32.const 1)) (i32.atomic.store (i32.const 16) (i32.const 1)))
  (func (export "counts") (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.and (i32.eqz (i32.load (i32.const 32))) (i32.lt_u (local.get $i) (i32.const 3)))))
    (i32.store (i32.const 36) (local.get $i)))
  (func (export "notifies") (loop $again
    (br_if $again (i32.eqz (memory.atomic.notify (i32.const 40) (i32.const 1))))))
  (func (export "waits") (drop (memory.atomic.wait32 (i32.const 40) (i32.const 0) (i64.const -1)))))"""


def _nested() -> Iterator[str]:
    found = explore(Script(NESTED.encode(), "nested"))
    if (set(found.states), found.classes) != ({"[0]=1", "[0]=1 [4]=1"}, 2):
        yield f"threads that start threads: {list(found.states)}, {found.classes} classes"


def _spinning() -> Iterator[str]:
    for calls, states, classes in (
        (["lock", "lock"], {"[12]=2"}, 6),
        (["flag", "sets"], {"[16]=1 [24]=1"}, 2),
        (["flag"], {"deadlock: flag spins on what nobody changes"}, 1),
        (["counts"], {"[36]=3"}, 1),
        (["notifies", "waits"], {"nothing"}, 2),
    ):
        found = refwasm.explore(SPINS, calls, executions=2_000, steps=200)
        if set(found.states) != states or not found.complete or found.classes != classes:
            yield f"{calls}: {list(found.states)}, {found.classes} classes, {found.incomplete or 'complete'}"
    if refwasm.explore(SPINS, ["lock", "lock", "lock"], races=True).races:
        yield "a lock that races"


def _sampling() -> Iterator[str]:
    sb = LitmusThreads(parse("SB: t\na: x = 1; r0 = y\nb: y = 1; r1 = x")[0])
    for mode in ("random:1", "pct:2"):
        found = explore(sb, mode, executions=100)
        if len(found.states) != 3 or found.classes != 100:
            yield f"{mode}: {len(found.states)} final states of {found.classes}"
    counts = [len(explore(sb, bound=bound).states) for bound in (0, 1, 2)]
    if counts != [2, 3, 3]:
        yield f"final states with 0, 1 and 2 preemptions: {counts}"


if __name__ == "__main__":
    for wrong in check():
        print(wrong)
        sys.exit(1)
