"""The memory of kernels: what is copied, what is shared, what grows."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import COUNT, HINTS, MEMORIES, MINE, TALLY, store
from conformance.writing import CPU, PAGE, Case, const, kernel, word

BUMP = kernel("(i32.store (local.get $p0) (i32.add (i32.load (local.get $p0)) (i32.const 1)))")


def cases() -> Iterator[Case]:
    yield from _default()
    yield from _by_policy()
    yield from _guards()
    yield from _growth()


def _default() -> Iterator[Case]:
    for hint_name, hint in HINTS.items():
        for memory_name, memory in MEMORIES.items():
            case = Case(
                f"memory/without-read-buffer-{hint_name}-{memory_name}",
                "Results are in the region of the last write_buffer when parallel_exec returns, without read_buffer "
                "(the proposal's nstream relies on it).", ["PAR-MEM-02"], "memory=auto", memory=memory,
            )  # fmt: skip
            device = case.device(hint)
            counted = case.written(device, 400)
            case.run(device, case.code(COUNT), 100, [counted])
            case.all(counted.region, 100, 1)
            yield case

        case = Case(
            f"memory/last-region-{hint_name}", "With several writes, it is the last one's region.", ["PAR-MEM-02"],
            "memory=auto",
        )  # fmt: skip
        device = case.device(hint)
        buffer = case.buffer(device, 4)
        first, last = case.region(4), case.region(4)
        case.store(first, 5)
        case.store(last, 7)
        case.write(buffer, first)
        case.write(buffer, last)
        case.run(device, case.code(BUMP), 1, [buffer])
        case.words(first, [5])
        case.words(last, [8])
        yield case

    for name, memory in (("larger", "1 65536 shared"), ("exact", "4 64 shared"), ("smaller-start", "0 64 shared")):
        case = Case(
            f"memory/import-{name}", f"A kernel may import a memory of {memory.split(' s')[0]} pages.", ["PAR-MEM-02"]
        )
        device = case.device()
        buffer = case.written(device, 4)
        case.run(device, case.code(kernel("(i32.store (local.get $p0) (i32.const 6))", memory=memory)), 1, [buffer])
        case.read(buffer)
        case.words(buffer.region, [6])
        yield case
    for name, memory in (("narrower", "1 20 shared"), ("larger-than-the-callers", "8 64 shared")):
        case = Case(
            f"memory/import-{name}", f"A kernel whose import ({memory}) the caller's memory does not fit works in a "
            "memory of its own.", ["PAR-MEM-02"], "memory=auto",
        )  # fmt: skip
        device = case.device()
        buffer = case.written(device, 4)
        case.run(device, case.code(kernel("(i32.store (local.get $p0) (i32.const 6))", memory=memory)), 1, [buffer])
        case.words(buffer.region, [6])
        yield case


def _by_policy() -> Iterator[Case]:
    """A program that stores to a region after write_buffer, runs a kernel that adds one, and looks everywhere."""
    outcomes = {"alias": (9, 9), "copy": (8, 4), "copy-back": (4, 4)}
    for policy, (region, read) in outcomes.items():
        for hint_name, hint in HINTS.items():
            case = Case(
                f"memory/{policy}-stores-{hint_name}",
                f"Under {policy}, what the kernel sees of a store after write_buffer, and what the caller sees of the "
                "kernel's, before and after read_buffer.", ["PAR-MEM-01"], f"memory={policy}",
            )  # fmt: skip
            device = case.device(hint)
            buffer = case.buffer(device, 4)
            case.store(buffer.region, 3)
            case.write(buffer)
            case.store(buffer.region, 8)
            case.run(device, case.code(BUMP), 1, [buffer])
            case.words(buffer.region, [region])
            back = case.region(4)
            case.read(buffer, back)
            case.words(back, [read])
            yield case

    for hint_name, hint in HINTS.items():
        case = Case(
            f"memory/demands-alias-{hint_name}", "A program demands the policy alias in a custom section; its kernel follows a "
            "pointer into the caller's memory, as kernels made from C do.", ["PAR-DEMAND-01"], "memory=alias",
        )  # fmt: skip
        case.extra = '  (@custom "wasi-parallel" "memory=alias")'
        device = case.device(hint)
        place, pointer = case.region(4), case.written(device, 4)
        case.store(pointer.region, place)
        case.run(device, case.code(kernel("(i32.store (i32.load (local.get $p0)) (i32.const 77))")), 1, [pointer])
        case.words(place, [77])
        yield case

    for policy in ("copy", "copy-back"):
        case = Case(
            f"memory/{policy}-reaches-nothing-else", "A kernel can neither read nor write the caller's memory beside its "
            "buffers.", ["PAR-MEM-04"], f"memory={policy}",
        )  # fmt: skip
        device = case.device()
        found = case.written(device, 4)
        case.store(1024, 0x51EC2E7)
        body = f"""(if (i32.eq (i32.load (i32.const 1024)) (i32.const 0x51EC2E7)) (then (i32.store (local.get $p0) (i32.const 1))))
    (memory.fill (i32.const 0) (i32.const 255) (i32.const {PAGE}))"""
        case.run(device, case.code(kernel(body)), 1, [found])
        case.read(found)
        case.words(found.region, [0])
        case.words(1024, [0x51EC2E7])
        yield case

        case = Case(
            f"memory/{policy}-starts-as-zeros", "What is in the kernel's memory beside the buffers is zero in every "
            "execution, also after one that stored there.", ["PAR-MEM-04"], f"memory={policy}",
        )  # fmt: skip
        device = case.device()
        found = case.written(device, 4)
        code = case.code(
            kernel("""(i32.store (local.get $p0) (i32.add (i32.load (local.get $p0))
      (i32.or (i32.load (i32.const 64)) (i32.load offset=1024 (local.get $p0)))))
    (i32.store (i32.const 64) (i32.const 5))
    (i32.store offset=1024 (local.get $p0) (i32.const 7))""")
        )
        for _ in range(3):
            case.run(device, code, 1, [found])
        case.read(found)
        case.words(found.region, [0])
        yield case

        case = Case(
            f"memory/{policy}-own-data-apart", "Buffers lie behind the memory that the kernel asks for itself: its data "
            "and stack are not in their way.", ["PAR-MEM-04"], f"memory={policy}",
        )  # fmt: skip
        device = case.device()
        kept = case.buffer(device, 64)
        case.fill(kept.region, 64, 6)
        case.write(kept)
        body = f"(memory.fill (i32.const 0) (i32.const 170) (i32.const {2 * PAGE}))"
        case.run(device, case.code(kernel(body, memory="2 64 shared")), 1, [kept])
        back = case.region(64)
        case.read(kept, back)
        case.same(back, kept.region, 64)
        yield case

        case = Case(
            f"memory/{policy}-no-room", "Where the import's maximum leaves no room for the buffers, the call is refused.",
            ["PAR-MEM-04", "PAR-ARG-04"], f"memory={policy}",
        )  # fmt: skip
        device = case.device()
        case.refuse(device, case.code(kernel(memory="2 2 shared")), 1, [case.written(device, 4)])
        yield case

    for policy, want in (("alias", 1), ("copy", 0), ("copy-back", 0)):
        case = Case(
            f"memory/{policy}-overlapping-outputs",
            f"Two buffers of one region are {'one thing' if want else 'two things'} under {policy}.", ["PAR-MEM-06"],
            f"memory={policy}",
        )  # fmt: skip
        device = case.device()
        one, other, result = case.buffer(device, 4), case.buffer(device, 4), case.written(device, 4)
        case.write(one)
        case.write(other, one.region)
        body = "(i32.store (local.get $p0) (i32.const 1)) (i32.store (local.get $p2) (i32.load (local.get $p1)))"
        case.run(device, case.code(kernel(body, 3)), 1, [result], [one, other])
        case.read(result)
        case.words(result.region, [want])
        yield case

    case = Case(
        "memory/alias-with-one-unwritten", "Under alias one buffer that was never written makes the whole execution work "
        "on copies, which return.", ["PAR-MEM-03"], "memory=alias",
    )  # fmt: skip
    device = case.device()
    written, fresh = case.written(device, 4), case.buffer(device, 4)
    body = "(i32.store (local.get $p0) (i32.const 5)) (i32.store (local.get $p1) (i32.const 6))"
    case.run(device, case.code(kernel(body, 2)), 1, [written, fresh])
    case.words(written.region, [5])
    case.read(fresh)
    case.words(fresh.region, [6])
    yield case


def _guards() -> Iterator[Case]:
    for size in (1, 3, 4, 63, 65, 4097, 65537):
        case = Case(
            f"memory/guards-{size}", f"A kernel that fills its {size} bytes changes no byte of its neighbours.",
            ["PAR-MEM-07", "PAR-BUF-07"], memory="12 64 shared",
        )  # fmt: skip
        device = case.device()
        before, mine, after = case.buffer(device, 64), case.buffer(device, size), case.buffer(device, 64)
        for buffer, seed in ((before, 1), (mine, 2), (after, 3)):
            case.fill(buffer.region, buffer.size, seed)
            case.write(buffer)
        fill = "(memory.fill (local.get $p1) (i32.const 238) (local.get $s1))"
        case.run(device, case.code(kernel(fill, 3)), 1, [before, mine, after])
        for buffer, seed in ((before, 1), (after, 3)):
            copy, back = case.region(64), case.region(64)
            case.fill(copy, 64, seed)
            case.read(buffer, back)
            case.same(back, copy, 64)
        filled = case.region(size)
        case.read(mine, filled)
        case.step(f"(memory.fill {const(mine.region)} (i32.const 238) {const(size)})")
        case.same(filled, mine.region, size)
        yield case

    for memory_name, memory in MEMORIES.items():
        case = Case(
            f"memory/aligned-{memory_name}", "A buffer from an aligned region can be used with atomics of every width.",
            ["PAR-MEM-07"], memory=memory,
        )  # fmt: skip
        device = case.device()
        body = "\n    ".join(
            f"(drop (i64.atomic.rmw.add (local.get $p{i}) (i64.const {i + 1})))" for i in range(3)
        )  # an atomic access that is not aligned traps
        made = [case.written(device, size) for size in (8, 13, 8)]
        case.run(device, case.code(kernel(body, 3)), 2, made)
        for index, buffer in enumerate(made):
            case.read(buffer)
            case.words(buffer.region, [2 * (index + 1)])
        yield case


def _growth() -> Iterator[Case]:
    grow = kernel(store("(memory.grow (i32.const 1))"))
    for hint_name, hint in HINTS.items():
        case = Case(
            f"memory/growth-seen-{hint_name}", "Under alias the caller's memory grows when a kernel grows it, and what "
            "the kernel stores there is seen.", ["PAR-MEM-05"], "memory=alias",
        )  # fmt: skip
        device = case.device(hint)
        old = case.written(device, 4)
        body = """(i32.store (local.get $p0) (memory.grow (i32.const 2)))
    (i32.store (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)) (i32.const 4711))"""
        case.run(device, case.code(kernel(body)), 1, [old])
        case.words(old.region, [4])
        case.expect("(memory.size)", 6)
        case.words(6 * PAGE - 4, [4711])
        yield case

    case = Case("memory/growth-each-once", "Iterations that grow memory each get sizes of their own.", ["PAR-MEM-05"])
    device = case.device()
    sizes = case.written(device, 4 * 8)
    case.run(device, case.code(grow), 8, [sizes], block=3)
    case.read(sizes)
    for index in range(8):
        for other in range(index):
            case.expect(f"(i32.eq {word(sizes.region + 4 * index)} {word(sizes.region + 4 * other)})", 0)
    yield case

    case = Case("memory/growth-beyond", "Growing beyond the maximum gives -1 and changes nothing.", ["PAR-MEM-05"])
    device = case.device()
    result = case.written(device, 12)
    body = """(i32.store (local.get $p0) (memory.grow (i32.const 1000)))
    (i32.store offset=4 (local.get $p0) (memory.grow (i32.const 0)))
    (i32.store offset=8 (local.get $p0) (memory.size))"""
    case.run(device, case.code(kernel(body)), 1, [result])
    case.read(result)
    case.words(result.region, [0xFFFFFFFF])
    case.expect(word(result.region + 4), word(result.region + 8))
    yield case

    case = Case(
        "memory/caller-grew", "A memory that the caller has grown since write_buffer serves as before.", ["PAR-MEM-05"]
    )
    device = case.device(CPU)
    counted = case.written(device, 40)
    code = case.code(COUNT)
    case.run(device, code, 10, [counted])
    case.expect("(memory.grow (i32.const 3))", 4)
    case.run(device, code, 10, [counted])
    high = 6 * PAGE + 64
    case.read(counted, high)
    case.all(high, 10, 2)
    case.run(device, case.code(TALLY), 1, [counted])
    case.read(counted)
    case.words(counted.region, [3, 2])
    yield case

    case = Case(
        "memory/written-from-grown", "A region in memory that was grown after the device had run can be written from.",
        ["PAR-MEM-05", "PAR-SHARE-03"],
    )  # fmt: skip
    device = case.device(CPU)
    code = case.code(kernel(f"(i32.store {MINE} (i32.add (i32.load {MINE}) (local.get $id)))"))
    case.run(device, code, 4, [case.written(device, 16)])
    case.expect("(memory.grow (i32.const 2))", 4)
    buffer = case.buffer(device, 16)
    at = 5 * PAGE
    for index in range(4):
        case.store(at + 4 * index, 100)
    case.write(buffer, at)
    case.run(device, code, 4, [buffer])
    case.read(buffer)
    case.words(buffer.region, [100, 101, 102, 103])
    yield case
