"""Buffers: sizes, contents, handles, the lists of an execution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from conformance.sources.common import COPY, COUNT, HINTS, MEMORIES, TALLY, works
from conformance.sources.devices import NO_HANDLES
from conformance.writing import CPU, PAGE, READ, READ_WRITE, SEQUENTIAL, WRITE, Case, const, kernel

SIZES = (0, 1, 2, 3, 5, 8, 63, 64, 65, 4095, 4097, 65535, 65536, 65537, 131073)
GUARD = 64


def cases() -> Iterator[Case]:
    yield from _sizes()
    yield from _contents()
    yield from _misuse()
    yield from _arguments()
    yield from _lives()


def _sizes() -> Iterator[Case]:
    for size in SIZES:
        memory = MEMORIES["private" if size % 2 else "shared"]
        case = Case(
            f"buffers/round-trip-{size}", f"{size} bytes come back as they were, and no byte beside them changes.",
            ["PAR-BUF-06", "PAR-BUF-07"], memory=memory.replace("4 ", "12 "),
        )  # fmt: skip
        buffer = case.buffer(case.device(), size)
        case.fill(buffer.region, size, 11)
        case.write(buffer)
        around = case.region(size + 2 * GUARD)
        untouched = case.region(size + 2 * GUARD)
        case.fill(around, size + 2 * GUARD, 5)
        case.fill(untouched, size + 2 * GUARD, 5)
        case.read(buffer, around + GUARD)
        case.same(around + GUARD, buffer.region, size)
        case.same(around, untouched, GUARD)
        case.same(around + GUARD + size, untouched + GUARD + size, GUARD)
        yield case

        case = Case(
            f"buffers/through-a-kernel-{size}", f"A kernel copies {size} bytes from one buffer to another.",
            ["PAR-BUF-06", "PAR-BUF-07", "PAR-BUF-03"], memory=memory.replace("4 ", "12 "),
        )  # fmt: skip
        device = case.device()
        source, target = case.buffer(device, size), case.buffer(device, size)
        case.fill(source.region - GUARD, size + 2 * GUARD, 23)
        case.write(source)
        case.write(target)
        case.run(device, case.code(COPY), 1, [target], [source])
        back = case.region(size)
        case.read(target, back)
        case.same(back, source.region, size)
        yield case


def _contents() -> Iterator[Case]:
    for hint_name, hint in HINTS.items():
        case = Case(
            f"buffers/unwritten-reads-zeros-{hint_name}", "A buffer never written reads as zeros.", ["PAR-BUF-02"]
        )
        buffer = case.buffer(case.device(hint), 100)
        case.fill(buffer.region, 100, 1)
        case.read(buffer)
        case.all(buffer.region, 25, 0)
        yield case
        for memory_name, memory in MEMORIES.items():
            case = Case(
                f"buffers/unwritten-is-zeros-in-a-kernel-{hint_name}-{memory_name}",
                "A kernel finds zeros in a buffer never written, and what it stores there can be read.",
                ["PAR-BUF-02", "PAR-MEM-03"], memory=memory,
            )  # fmt: skip
            device = case.device(hint)
            counted = case.buffer(device, 64)
            case.run(device, case.code(COUNT), 16, [counted])
            case.read(counted)
            case.all(counted.region, 16, 1)
            case.run(device, case.code(COUNT), 16, [counted])
            case.read(counted)
            case.all(counted.region, 16, 2)
            yield case

    case = Case(
        "buffers/unwritten-after-others",
        "A new buffer is zeros, whatever older buffers and kernels left.",
        ["PAR-BUF-02"],
    )
    device = case.device()
    dirty = kernel("(memory.fill (local.get $p0) (i32.const 255) (local.get $s0))")
    code = case.code(dirty)
    for _ in range(3):
        old = case.buffer(device, 4096)
        case.run(device, code, 1, [old])
    new = case.buffer(device, 4096)
    case.read(new)
    case.all(new.region, 1024, 0)
    yield case

    case = Case("buffers/written-again", "The last write counts.", ["PAR-BUF-07"])
    device = case.device()
    buffer = case.buffer(device, 8)
    elsewhere = case.region(8)
    for seed, region in ((1, buffer.region), (2, elsewhere)):
        case.fill(region, 8, seed)
        case.write(buffer, region)
    back = case.region(8)
    case.read(buffer, back)
    case.same(back, elsewhere, 8)
    yield case

    for name, shift in (("up", 3), ("down", -3), ("onto-itself", 0)):
        case = Case(
            f"buffers/read-{name}-over-its-source", "Reading over the region a buffer was written from moves it whole.",
            ["PAR-BUF-07"],
        )  # fmt: skip
        buffer = case.buffer(case.device(), 1000)
        copy = case.region(1000)
        case.fill(buffer.region, 1000, 7)
        case.fill(copy, 1000, 7)
        case.write(buffer)
        case.read(buffer, buffer.region + shift)
        case.same(buffer.region + shift, copy, 1000)
        yield case

    for name, address in (("start", 0), ("end", 4 * PAGE - 32)):
        case = Case(f"buffers/at-the-{name}-of-memory", "A region may touch either end of memory.", ["PAR-BUF-07"])
        device = case.device()
        buffer = case.buffer(device, 32)
        case.step(f"(i64.store {const(address)} (i64.const 0x1122334455667788))")
        case.step(f"(i64.store {const(address + 24)} (i64.const 0x2233445566778899))")
        case.write(buffer, address)
        case.read(buffer)
        case.same(buffer.region + 24, address + 24, 8)
        case.words(buffer.region, [0x55667788] if address else [])
        yield case

    case = Case(
        "buffers/overlapping-inputs",
        "Two buffers from overlapping regions, only read, both hold theirs.",
        ["PAR-MEM-06"],
    )
    device = case.device()
    whole = case.region(48)
    case.fill(whole, 48, 2)
    first, second, target = case.buffer(device, 32), case.buffer(device, 32), case.written(device, 64)
    case.write(first, whole)
    case.write(second, whole + 16)
    both = """(memory.copy (local.get $p2) (local.get $p0) (i32.const 32))
    (memory.copy (i32.add (local.get $p2) (i32.const 32)) (local.get $p1) (i32.const 32))"""
    case.run(device, case.code(kernel(both, 3)), 1, [target], [first, second])
    case.read(target)
    case.same(target.region, whole, 32)
    case.same(target.region + 32, whole + 16, 32)
    yield case


def _misuse() -> Iterator[Case]:
    for name, handle in NO_HANDLES.items():
        for function in ("write_buffer", "read_buffer"):
            case = Case(
                f"buffers/{function.replace('_', '-')}-{name}", f"{function} of no buffer is an error.", ["PAR-BUF-05"]
            )
            case.written(case.device(), 16)
            case.fail(function, *((0, 16, handle) if function == "write_buffer" else (handle, 0, 16)))
            yield case
        for place in ("in", "out"):
            case = Case(
                f"buffers/exec-{place}-{name}", f"parallel_exec with no buffer as {place} is an error.", ["PAR-BUF-05"]
            )
            device = case.device()
            total = case.written(device, 4)
            wrong = f"(i32.const {handle})"
            code = case.code(kernel("(drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))", 2))
            for n in (0, 2):
                case.refuse(
                    device, code, n, [wrong] if place == "out" else [total], [wrong] if place == "in" else [total]
                )
            case.read(total)
            case.words(total.region, [0])
            yield case
    case = Case(
        "buffers/one-too-many", "A list with one wrong handle is refused, also where the others are as many as the kernel "
        "takes.", ["PAR-BUF-05"],
    )  # fmt: skip
    device = case.device()
    total = case.written(device, 4)
    for n in (0, 2):
        case.refuse(device, case.code(TALLY), n, ["(i32.const 0)"], [total])
    case.read(total)
    case.words(total.region, [0])
    yield case

    case = Case("buffers/device-as-buffer", "A device's handle is no buffer's.", ["PAR-DEV-03", "PAR-BUF-05"])
    device = case.device()
    case.fail("write_buffer", 0, 16, device)
    case.fail("read_buffer", device, 0, 16)
    case.refuse(device, case.code(TALLY), 1, [device])
    yield case

    for size in (0, 1, 15, 17, 32, 65536):
        case = Case(
            f"buffers/wrong-size-{size}", f"{size} bytes for a buffer of 16 are refused, and the buffer stays as it was.",
            ["PAR-BUF-01", "PAR-ARG-05"],
        )  # fmt: skip
        buffer = case.buffer(case.device(), 16)
        case.fill(buffer.region, 16, 4)
        case.write(buffer)
        elsewhere = case.region(65536)
        case.fail("write_buffer", elsewhere, size, buffer.handle)
        case.fail("read_buffer", buffer.handle, elsewhere, size)
        case.read(buffer, elsewhere)
        case.same(elsewhere, buffer.region, 16)
        yield case

    for place in ("in", "out"):
        case = Case(
            f"buffers/of-another-device-{place}", "A buffer belongs to its device (unless two hints give the same one).",
            ["PAR-BUF-05"],
        )  # fmt: skip
        one, other = case.device(SEQUENTIAL), case.device(CPU)
        buffer = case.written(one, 4)
        outs, ins = ([buffer], []) if place == "out" else ([], [buffer])
        got = case.exec(other, case.code(TALLY), 1, outs, ins)
        case.expect(f"(i32.ne (i32.eqz {got}) (i32.eq {one} {other}))", 0)
        yield case


def _arguments() -> Iterator[Case]:
    tell = "(i32.store (i32.add (local.get $p{last}) (i32.const {at})) (local.get ${what}))"
    for ins, outs in ((0, 1), (1, 1), (2, 1), (1, 3), (0, 4), (3, 2)):
        count = ins + outs
        sizes = [8 * (i + 2) for i in range(count - 1)] + [4 * count]
        body = "\n    ".join(tell.format(last=count - 1, at=4 * i, what=f"s{i}") for i in range(count))
        case = Case(
            f"buffers/order-{ins}-in-{outs}-out", "A kernel is given the input buffers, then the output buffers, each "
            "with its size in bytes.", ["PAR-BUF-03", "PAR-KERN-02"],
        )  # fmt: skip
        device = case.device()
        made = [case.written(device, size) for size in sizes]
        case.run(device, case.code(kernel(body, count)), 1, made[ins:], made[:ins])
        case.read(made[-1])
        case.words(made[-1].region, sizes)
        yield case

    case = Case("buffers/only-inputs", "A kernel may write a buffer that is only passed as input.", ["PAR-BUF-03"])
    device = case.device()
    counted = case.written(device, 40)
    case.run(device, case.code(COUNT), 10, [], [counted])
    case.read(counted)
    case.all(counted.region, 10, 1)
    yield case

    for kind_name, kind in (("read", READ), ("write", WRITE), ("read-write", READ_WRITE)):
        for place, memory_name in itertools.product(("in", "out"), MEMORIES):
            case = Case(
                f"buffers/kind-{kind_name}-as-{place}-{memory_name}",
                f"The kind {kind_name} is a hint: a kernel reads and writes such a buffer passed as {place}put.",
                ["PAR-BUF-03"], memory=MEMORIES[memory_name],
            )  # fmt: skip
            device = case.device()
            buffer = case.buffer(device, 8, kind)
            case.store(buffer.region, 40)
            case.write(buffer)
            body = "(i32.store offset=4 (local.get $p0) (i32.add (i32.load (local.get $p0)) (i32.const 2)))"
            lists = ([buffer], []) if place == "out" else ([], [buffer])
            case.run(device, case.code(kernel(body)), 1, *lists)
            case.read(buffer)
            case.words(buffer.region, [40, 42])
            yield case

    for memory_name, memory in MEMORIES.items():
        case = Case(
            f"buffers/passed-twice-{memory_name}", "A buffer that is passed twice has one place.", ["PAR-BUF-03"],
            memory=memory,
        )  # fmt: skip
        device = case.device()
        buffer = case.written(device, 8)
        body = """(i32.store (local.get $p0) (i32.eq (local.get $p0) (local.get $p1)))
    (i32.store offset=4 (local.get $p1) (i32.load (local.get $p0)))"""
        case.run(device, case.code(kernel(body, 2)), 1, [buffer], [buffer])
        case.read(buffer)
        case.words(buffer.region, [1, 1])
        yield case

    for count in (8, 16, 64):
        case = Case(f"buffers/{count}-at-once", f"A kernel with {count} buffers.", ["PAR-BUF-03", "PAR-KERN-02"])
        device = case.device()
        body = "\n    ".join(f"(i32.store (local.get $p{i}) (i32.const {i + 1}))" for i in range(count))
        made = [case.buffer(device, 4) for i in range(count)]
        case.run(device, case.code(kernel(body, count)), 1, made[count // 2 :], made[: count // 2])
        for index, buffer in enumerate(made):
            case.read(buffer)
            case.words(buffer.region, [index + 1])
        yield case


def _lives() -> Iterator[Case]:
    case = Case(
        "buffers/live-on", "A buffer keeps what kernels left in it from one execution to the next.", ["PAR-BUF-04"]
    )
    device = case.device()
    total = case.written(device, 4)
    code = case.code(TALLY)
    for n in (1, 2, 3, 4, 5):
        case.run(device, code, n, [total])
    case.read(total)
    case.words(total.region, [15])
    yield case

    case = Case("buffers/of-two-devices", "Buffers of two devices do not mix.", ["PAR-BUF-04", "PAR-BUF-05"])
    devices = [case.device(SEQUENTIAL), case.device(CPU)]
    buffers = [case.written(device, 4) for device in devices]
    code = case.code(TALLY)
    for device, buffer, n in zip(devices, buffers, (3, 5)):
        case.run(device, code, n, [buffer])
    for buffer, n in zip(buffers, (3, 5)):
        case.read(buffer)
        case.words(buffer.region, [n])
    yield case

    case = Case("buffers/a-hundred", "A hundred buffers, each with its own contents.", ["PAR-BUF-04", "PAR-DEV-03"])
    device = case.device()
    for index in range(100):
        buffer = case.buffer(device, 4)
        case.store(buffer.region, index * 3)
        case.write(buffer)
    back = case.region(4)
    for index in range(0, 100, 7):
        case.succeed("read_buffer", f"(global.get $buffer{index})", back, 4)
        case.words(back, [index * 3])
    works(case, device)
    yield case
