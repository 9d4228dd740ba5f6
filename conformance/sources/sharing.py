"""What iterations share: atomics, wait and notify, and what happens before what."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import HINTS, MINE
from conformance.writing import CPU, Case, kernel

#: Operation, initial word, operand, and the word after 100 iterations.
MODIFY = {
    "add": (0, "(i32.const 3)", 300),
    "sub": (1000, "(i32.const 3)", 700),
    "and": (0xFFFFFFFF, "(i32.rotl (i32.const -2) (local.get $id))", 0),
    "or": (0, "(i32.shl (i32.const 1) (i32.and (local.get $id) (i32.const 31)))", 0xFFFFFFFF),
    "xor": (5, "(i32.const 0xF0F0)", 5),
}
TIMES = 100


def cases() -> Iterator[Case]:
    for hint_name, hint in HINTS.items():
        for operation, (start, operand, want) in MODIFY.items():
            case = _counted(f"{operation}-{hint_name}", f"i32.atomic.rmw.{operation} loses nothing.", hint)
            device, word = case
            word.store(word.next_region, start)
            buffer = word.written(device, 4)
            word.run(
                device,
                word.code(kernel(f"(drop (i32.atomic.rmw.{operation} (local.get $p0) {operand}))")),
                TIMES,
                [buffer],
            )
            word.read(buffer)
            word.words(buffer.region, [want])
            yield word
        yield from _widths(hint_name, hint)
        yield from _loops(hint_name, hint)
        yield from _waiting(hint_name, hint)
    yield from _together()
    yield from _happens_before()


def _counted(name: str, about: str, hint: int) -> tuple[str, Case]:
    case = Case(f"sharing/{name}", about, ["PAR-SHARE-01"])
    return case.device(hint), case


def _widths(hint_name: str, hint: int) -> Iterator[Case]:
    for bits in (8, 16, 64):
        name = f"i64.atomic.rmw{'' if bits == 64 else bits}.add{'' if bits == 64 else '_u'}"
        device, case = _counted(f"add-{bits}-{hint_name}", f"{name} wraps in its width and touches no neighbour.", hint)
        case.store(case.next_region, 0)
        case.store(case.next_region + 4, 0)
        case.store(case.next_region + 8, 0x77777777)
        buffer = case.written(device, 12)
        start = (1 << bits) - TIMES
        body = f"(drop ({name} (local.get $p0) (i64.const 1)))"
        case.run(device, case.code(kernel(f"(drop ({name} (local.get $p0) (i64.const {start}))) ")), 1, [buffer])
        case.run(device, case.code(kernel(body)), TIMES + 5, [buffer])
        case.read(buffer)
        case.words(buffer.region, [5, 0, 0x77777777])
        yield case


def _loops(hint_name: str, hint: int) -> Iterator[Case]:
    device, case = _counted(f"exchange-{hint_name}", "Values passed on with xchg are neither lost nor doubled.", hint)
    buffer = case.written(device, 8)
    # Each iteration leaves its id + 1 and adds what it found to a total; what is left at the end is missing there.
    body = """(drop (i32.atomic.rmw.add offset=4 (local.get $p0)
      (i32.atomic.rmw.xchg (local.get $p0) (i32.add (local.get $id) (i32.const 1)))))"""
    case.run(device, case.code(kernel(body)), TIMES, [buffer])
    case.read(buffer)
    case.expect(f"(i32.add (i32.load (i32.const {buffer.region})) (i32.load (i32.const {buffer.region + 4})))", 5050)
    yield case

    device, case = _counted(f"compare-exchange-{hint_name}", "A maximum kept with cmpxchg.", hint)
    buffer = case.written(device, 4)
    body = """(local $old i32) (local $mine i32)
    (local.set $mine (i32.rem_u (i32.mul (local.get $id) (i32.const 37)) (i32.const 101)))
    (block $done (loop $again
      (local.set $old (i32.atomic.load (local.get $p0)))
      (br_if $done (i32.ge_u (local.get $old) (local.get $mine)))
      (br_if $again (i32.ne (local.get $old)
        (i32.atomic.rmw.cmpxchg (local.get $p0) (local.get $old) (local.get $mine))))))"""
    case.run(device, case.code(kernel(body)), 101, [buffer])
    case.read(buffer)
    case.words(buffer.region, [100])
    yield case

    device, case = _counted(
        f"compare-and-leave-{hint_name}", "cmpxchg stores only where it finds the expected value.", hint
    )
    buffer = case.written(device, 8)
    body = """(i32.store offset=4 (local.get $p0) (i32.atomic.rmw.cmpxchg (local.get $p0) (i32.const 1) (i32.const 5)))
    (drop (i32.atomic.rmw.cmpxchg (local.get $p0) (i32.const 0) (i32.const 7)))
    (drop (i32.atomic.rmw.cmpxchg (local.get $p0) (i32.const 0) (i32.const 9)))"""
    case.run(device, case.code(kernel(body)), 1, [buffer])
    case.read(buffer)
    case.words(buffer.region, [7, 0])
    yield case

    device, case = _counted(
        f"spin-lock-{hint_name}", "A lock of cmpxchg and an atomic store guards plain accesses.", hint
    )
    case.needs = "workers=2"  # waiting for a lock counts on the progress of who has it
    buffer = case.written(device, 8)
    body = """(loop $again (br_if $again (i32.atomic.rmw.cmpxchg (local.get $p0) (i32.const 0) (i32.const 1))))
    (i32.store offset=4 (local.get $p0) (i32.add (i32.load offset=4 (local.get $p0)) (i32.const 1)))
    (i32.atomic.store (local.get $p0) (i32.const 0))"""
    case.run(device, case.code(kernel(body)), 200, [buffer])
    case.read(buffer)
    case.words(buffer.region, [0, 200])
    yield case

    device, case = _counted(f"histogram-{hint_name}", "A histogram with one atomic counter for each value.", hint)
    buffer = case.written(device, 64)
    body = """(drop (i32.atomic.rmw.add (i32.add (local.get $p0) (i32.shl (i32.and (local.get $id) (i32.const 15)) (i32.const 2)))
      (i32.const 1)))"""
    case.run(device, case.code(kernel(body)), 160, [buffer], block=16)
    case.read(buffer)
    case.all(buffer.region, 16, 10)
    yield case

    device, case = _counted(f"fence-{hint_name}", "A fence is an instruction like any other.", hint)
    buffer = case.written(device, 4)
    case.run(device, case.code(kernel("(i32.store (local.get $p0) (i32.const 2)) (atomic.fence)")), 1, [buffer])
    case.read(buffer)
    case.words(buffer.region, [2])
    yield case


def _waiting(hint_name: str, hint: int) -> Iterator[Case]:
    for name, about, instruction, want in (
        ("wait-not-equal", "wait returns 1 at once where the value is another.",
         "(memory.atomic.wait32 (local.get $p0) (i32.const 7) (i64.const -1))", 1),
        ("wait-times-out", "wait returns 2 when nobody notifies in time.",
         "(memory.atomic.wait32 (local.get $p0) (i32.const 0) (i64.const 1000000))", 2),
        ("wait64-times-out", "wait64 likewise.",
         "(memory.atomic.wait64 offset=8 (local.get $p0) (i64.const 0) (i64.const 0))", 2),
        ("notify-nobody", "notify returns 0 where nobody waits.",
         "(memory.atomic.notify (local.get $p0) (i32.const -1))", 0),
    ):  # fmt: skip
        case = Case(f"sharing/{name}-{hint_name}", about, ["PAR-SHARE-01", "PAR-SHARE-02"])
        device = case.device(hint)
        buffer = case.written(device, 16)
        case.run(device, case.code(kernel(f"(i32.store offset=4 (local.get $p0) {instruction})")), 1, [buffer])
        case.read(buffer)
        case.words(buffer.region, [0, want])
        yield case

    case = Case(
        f"sharing/one-after-the-other-{hint_name}", "A notify that comes before the wait, or after it: the waiter goes on "
        "in any order of iterations, since it looks at the value first and waits with a limit.",
        ["PAR-SHARE-02", "PAR-EXEC-05"],
    )  # fmt: skip
    device = case.device(hint)
    buffer = case.written(device, 8)
    body = """(if (local.get $id)
      (then (i32.atomic.store (local.get $p0) (i32.const 1)) (drop (memory.atomic.notify (local.get $p0) (i32.const 1))))
      (else (drop (memory.atomic.wait32 (local.get $p0) (i32.const 0) (i64.const 50000000)))))
    (drop (i32.atomic.rmw.add offset=4 (local.get $p0) (i32.const 1)))"""
    case.run(device, case.code(kernel(body)), 2, [buffer])
    case.read(buffer)
    case.words(buffer.region, [1, 2])
    yield case


def _together() -> Iterator[Case]:
    """What needs two iterations that run at the same time; no engine promises that."""
    case = Case(
        "sharing/ping-pong", "Two iterations hand a token to and fro with wait and notify.", ["PAR-SHARE-02", "PAR-EXEC-04"],
        "workers=2",
    )  # fmt: skip
    device = case.device(CPU)
    buffer = case.written(device, 4)
    body = """(local $turn i32)
    (loop $again
      (local.set $turn (i32.atomic.load (local.get $p0)))
      (if (i32.lt_u (local.get $turn) (i32.const 40)) (then
        (if (i32.eq (i32.and (local.get $turn) (i32.const 1)) (local.get $id))
          (then
            (i32.atomic.store (local.get $p0) (i32.add (local.get $turn) (i32.const 1)))
            (drop (memory.atomic.notify (local.get $p0) (i32.const 1))))
          (else (drop (memory.atomic.wait32 (local.get $p0) (local.get $turn) (i64.const 1000000000)))))
        (br $again))))"""
    case.run(device, case.code(kernel(body)), 2, [buffer])
    case.read(buffer)
    case.words(buffer.region, [40])
    yield case

    case = Case(
        "sharing/barrier", "Two iterations meet, again and again.", ["PAR-SHARE-02", "PAR-EXEC-04"], "workers=2"
    )
    device = case.device(CPU)
    buffer = case.written(device, 12)
    # Words: arrivals, turns that were wrong, unused. In each turn both must have arrived before either goes on.
    body = """(local $turn i32)
    (loop $next
      (local.set $turn (i32.add (local.get $turn) (i32.const 2)))
      (drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))
      (loop $wait (br_if $wait (i32.lt_u (i32.atomic.load (local.get $p0)) (local.get $turn))))
      (br_if $next (i32.lt_u (local.get $turn) (i32.const 60))))"""
    case.run(device, case.code(kernel(body)), 2, [buffer])
    case.read(buffer)
    case.words(buffer.region, [60])
    yield case


def _happens_before() -> Iterator[Case]:
    for hint_name, hint in HINTS.items():
        case = Case(
            f"sharing/caller-then-kernel-{hint_name}", "Plain stores of the caller, and writes of buffers, are seen by "
            "every iteration; plain stores of every iteration are seen by the caller.", ["PAR-SHARE-03", "PAR-EXEC-06"],
        )  # fmt: skip
        device = case.device(hint)
        factors, products = case.written(device, 256), case.written(device, 256)
        code = case.code(
            kernel(
                f"""(i32.store (i32.add (local.get $p1) (i32.shl (local.get $id) (i32.const 2)))
      (i32.mul (i32.load {MINE}) (i32.const 3)))""",
                2,
            )
        )
        for turn in range(4):
            for index in range(0, 64, 21):
                case.store(factors.region + 4 * index, 100 * turn + index)
            case.write(factors)
            case.run(device, code, 64, [products], [factors], block=5)
            case.read(products)
            for index in range(0, 64, 21):
                case.words(products.region + 4 * index, [3 * (100 * turn + index)])
        yield case
