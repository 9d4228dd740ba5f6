"""Iterations: how often, with which arguments, in which order."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import COUNT, HINTS, MEMORIES, MINE, NOTHING, TALLY, store, works
from conformance.writing import CPU, SEQUENTIAL, Case, const, kernel, word

#: Iteration counts with block sizes.
SHAPES = (
    (1, 0), (1, 1), (1, 0xFFFFFFFF), (2, 1), (2, 3), (3, 2), (7, 3), (8, 8), (16, 5), (31, 32), (33, 32), (64, 7),
    (100, 100), (101, 10), (255, 16), (257, 16), (1000, 0), (1000, 64), (1009, 0x80000000), (3000, 17),
)  # fmt: skip


def cases() -> Iterator[Case]:
    for n, block in SHAPES:
        for hint_name, hint in HINTS.items():
            if hint == SEQUENTIAL and n > 101:
                continue
            memory = MEMORIES["private" if (n + hint) % 2 else "shared"]
            case = Case(
                f"execution/every-id-{n}-by-{block:x}-{hint_name}",
                f"Every id of {n} iterations in blocks of {block:#x} runs exactly once.",
                ["PAR-EXEC-01", "PAR-EXEC-03"], memory=memory,
            )  # fmt: skip
            device = case.device(hint)
            counted = case.written(device, 4 * n + 4)
            case.run(device, case.code(COUNT), n, [counted], block=block)
            case.read(counted)
            case.all(counted.region, n, 1)
            case.words(counted.region + 4 * n, [0])
            yield case
    yield from _arguments()
    yield from _zero()
    yield from _many()
    yield from _sequences()


def _arguments() -> Iterator[Case]:
    for n, block in ((1, 1), (5, 0), (9, 4), (6, 0xFFFFFFFF), (12, 0x80000001)):
        case = Case(
            f"execution/arguments-{n}-{block:x}", "Each iteration is told its id, the number of iterations and the block "
            "size as the caller gave them.", ["PAR-KERN-02", "PAR-EXEC-03"],
        )  # fmt: skip
        device = case.device()
        size = 12 * n
        told = case.written(device, size)
        body = """(local.set $p0 (i32.add (local.get $p0) (i32.mul (local.get $id) (i32.const 12))))
    (i32.store (local.get $p0) (local.get $id))
    (i32.store offset=4 (local.get $p0) (local.get $n))
    (i32.store offset=8 (local.get $p0) (local.get $block))"""
        case.run(device, case.code(kernel(body)), n, [told], block=block)
        case.read(told)
        for iteration in range(n):
            case.words(told.region + 12 * iteration, [iteration, n, block])
        yield case


def _zero() -> Iterator[Case]:
    for hint_name, hint in HINTS.items():
        case = Case(
            f"execution/zero-{hint_name}", "Zero iterations succeed, run nothing and leave the buffers alone.",
            ["PAR-EXEC-02"],
        )  # fmt: skip
        device = case.device(hint)
        buffer = case.buffer(device, 64)
        case.fill(buffer.region, 64, 8)
        case.write(buffer)
        case.run(
            device,
            case.code(kernel("(memory.fill (local.get $p0) (i32.const 1) (local.get $s0)) (unreachable)")),
            0,
            [buffer],
        )
        back = case.region(64)
        case.read(buffer, back)
        case.same(back, buffer.region, 64)
        yield case

        case = Case(
            f"execution/zero-no-buffers-{hint_name}", "Nothing at all: no iterations, no buffers, any block size.",
            ["PAR-EXEC-02", "PAR-EXEC-03"],
        )  # fmt: skip
        device = case.device(hint)
        for block in (0, 1, 0xFFFFFFFF):
            case.run(device, case.code(NOTHING), 0, block=block)
        yield case

    case = Case(
        "execution/zero-checks-everything", "Zero iterations check device, buffers and kernel as any number does.",
        ["PAR-EXEC-02", "PAR-KERN-03"],
    )  # fmt: skip
    device = case.device()
    code = case.code(TALLY)
    total = case.written(device, 4)
    case.refuse("(i32.const 0)", code, 0, [total])
    case.refuse(device, code, 0, ["(i32.const 0)"])
    case.refuse(device, code, 0)
    case.refuse(device, case.code(b"nothing"), 0, [total])
    case.run(device, code, 0, [total])
    yield case


def _many() -> Iterator[Case]:
    for n in (10_007, 65_536):
        case = Case(f"execution/{n}", f"{n} iterations are counted.", ["PAR-EXEC-01", "PAR-EXEC-09"])
        device = case.device(CPU)
        total = case.written(device, 4)
        case.run(device, case.code(TALLY), n, [total], block=64)
        case.read(total)
        case.words(total.region, [n])
        yield case

    # With the argument "full" it really runs 2^32-1 iterations; without, as many as anybody has time for.
    case = Case(
        "execution/nearly-four-billion", "The number of iterations is unsigned: 2^32-1 of them are counted, or 20,011 "
        "unless the program is given an argument (see --full of the runner).", ["PAR-EXEC-09"],
    )  # fmt: skip
    case.wasi = {"args_sizes_get": "(param i32 i32) (result i32)"}
    device = case.device(CPU)
    total = case.written(device, 8)
    many = case.variable("many")
    case.step(f"(drop (call $args_sizes_get {const(32)} {const(36)}))")
    case.step(
        f"(global.set $many (select (i32.const 0xffffffff) (i32.const 20011) (i32.gt_u {word(32)} (i32.const 1))))"
    )
    case.run(
        device,
        case.code(kernel("(drop (i64.atomic.rmw.add (local.get $p0) (i64.const 1)))")),
        many,
        [total],
        block=4096,
    )
    case.read(total)
    case.expect(word(total.region), many)
    case.words(total.region + 4, [0])
    yield case

    for name, n in (("2-31", 0x80000000), ("2-32-less-1", 0xFFFFFFFF)):
        for hint_name, hint in HINTS.items():
            case = Case(
                f"execution/starts-{name}-{hint_name}", f"{n:#x} iterations do start: a kernel that traps at once is not "
                "passed over as if there were none.", ["PAR-EXEC-09", "PAR-EXEC-07"], outcome="ok or trap",
            )  # fmt: skip
            device = case.device(hint)
            result = case.written(device, 8)
            body = f"""(i32.store (local.get $p0) (local.get $n))
    (i32.store offset=4 (local.get $p0) (i32.lt_u (local.get $id) {const(n)}))
    (unreachable)"""
            case.refuse(device, case.code(kernel(body)), n, [result])
            case.read(result)
            case.words(result.region, [n, 1])
            yield case


def _sequences() -> Iterator[Case]:
    for memory_name, memory in MEMORIES.items():
        case = Case(
            f"execution/results-before-return-{memory_name}", "All iterations have happened when parallel_exec returns: "
            "the next execution builds on them.", ["PAR-EXEC-06", "PAR-SHARE-03"], memory=memory,
        )  # fmt: skip
        device = case.device()
        values, next_values = case.written(device, 128), case.written(device, 128)
        # Each round adds a neighbour's value of the round before.
        body = """(i32.store (i32.add (local.get $p1) (i32.shl (local.get $id) (i32.const 2)))
      (i32.add (i32.const 1) (i32.load (i32.add (local.get $p0)
        (i32.shl (i32.and (i32.add (local.get $id) (i32.const 1)) (i32.const 31)) (i32.const 2))))))"""
        code = case.code(kernel(body, 2))
        for turn in range(6):
            pair = (values, next_values) if turn % 2 == 0 else (next_values, values)
            case.run(device, code, 32, [pair[1]], [pair[0]])
        case.read(values)
        case.all(values.region, 32, 6)
        yield case

    case = Case("execution/fifty-in-a-row", "Fifty executions, each seen by the next.", ["PAR-EXEC-06"])
    device = case.device()
    total = case.written(device, 4)
    code = case.code(TALLY)
    left = case.variable("left")
    case.step("(global.set $left (i32.const 50))")
    case.step("(loop $again")
    case.run(device, code, left, [total])
    case.step(f"  (global.set $left (i32.sub {left} (i32.const 1))) (br_if $again {left}))")
    case.read(total)
    case.words(total.region, [50 * 51 // 2])
    yield case

    case = Case(
        "execution/same-again",
        "The same execution gives the same, however often it runs.",
        ["PAR-EXEC-04", "PAR-EXEC-05"],
    )
    device = case.device()
    hashes = case.written(device, 4 * 200)
    body = store(f"(i32.mul (i32.xor (local.get $id) (i32.load {MINE})) (i32.const 0x9E3779B1))")
    code = case.code(kernel(body))
    first = case.region(800)
    for turn in range(3):
        case.step(f"(memory.fill {const(hashes.region)} (i32.const 0) (i32.const 800))")
        case.write(hashes)
        case.run(device, code, 200, [hashes], block=turn * 9)
        if turn == 0:
            case.read(hashes, first)
        else:
            back = case.region(800)
            case.read(hashes, back)
            case.same(first, back, 800)
    yield case

    case = Case("execution/devices-agree", "SEQUENTIAL and CPU compute the same.", ["PAR-DEV-02", "PAR-EXEC-04"])
    regions = []
    for hint in HINTS.values():
        device = case.device(hint)
        out = case.written(device, 4 * 100)
        root = "(i32.trunc_f32_u (f32.mul (f32.sqrt (f32.convert_i32_u (local.get $id))) (f32.const 1000)))"
        case.run(device, case.code(kernel(store(root))), 100, [out])
        case.read(out)
        regions.append(out.region)
    case.same(regions[0], regions[1], 400)
    yield case

    case = Case(
        "execution/uneven-work", "Iterations of very different length are all finished.", ["PAR-EXEC-04", "PAR-EXEC-06"]
    )
    device = case.device()
    done = case.written(device, 4 * 64)
    body = f"""(local $i i32)
    (local.set $i (i32.add (i32.const 1) (i32.mul (i32.and (local.get $id) (i32.const 7)) (i32.const 500))))
    (loop $spin (br_if $spin (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    {store("(i32.const 1)")}"""
    case.run(device, case.code(kernel(body)), 64, [done], block=8)
    case.read(done)
    case.all(done.region, 64, 1)
    works(case, device)
    yield case
