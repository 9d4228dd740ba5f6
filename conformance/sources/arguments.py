"""Pointers, enumerations, and the order of checks: everything here but the last cases traps."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import COUNT, NOTHING, TALLY, works
from conformance.writing import LISTS, PAGE, RESULT, Case, const, kernel

END = 4 * PAGE  # of the memory of a case
WILD = {
    "at-the-end": END, "across-the-end": END - 2, "at-the-top": 0xFFFFFFFC, "wrapping": 0xFFFFFFFE, "half": 0x80000000,
}  # fmt: skip
ALIGNED_WILD = {name: address & ~3 for name, address in WILD.items() if address % 4 == 0}
CROOKED = {"by-one": 1, "by-two": 2, "by-three": 3}


def _trap(name: str, about: str) -> Case:
    return Case(f"arguments/{name}", f"{about} traps.", ["PAR-ARG-01"])


def cases() -> Iterator[Case]:
    for hint in (4, 255, 256, 0x80000000, 0xFFFFFFFF):
        case = _trap(f"get-device-hint-{hint:x}", f"get_device with the hint {hint:#x}")
        case.trap("get_device", hint, RESULT)
        yield case
    for kind in (3, 255, 256, 0xFFFFFFFF):
        case = _trap(f"create-buffer-kind-{kind:x}", f"create_buffer with the access kind {kind:#x}")
        case.trap("create_buffer", case.device(), 16, kind, RESULT)
        yield case
    for name, address in {**ALIGNED_WILD, **CROOKED}.items():
        case = _trap(f"get-device-out-{name}", f"get_device with its result at {address:#x}")
        case.trap("get_device", 1, address)
        yield case
        case = _trap(f"create-buffer-out-{name}", f"create_buffer with its result at {address:#x}")
        case.trap("create_buffer", case.device(), 16, 2, address)
        yield case
    yield from _data()
    yield from _lists()
    yield from _order()


def _data() -> Iterator[Case]:
    for name, address in WILD.items():
        case = _trap(f"write-buffer-{name}", f"write_buffer of 8 bytes at {address:#x}")
        buffer = case.buffer(case.device(), 8)
        case.trap("write_buffer", address, 8, buffer.handle)
        yield case
        case = _trap(f"read-buffer-{name}", f"read_buffer of 8 bytes to {address:#x}")
        buffer = case.buffer(case.device(), 8)
        case.trap("read_buffer", buffer.handle, address, 8)
        yield case
        case = _trap(f"kernel-{name}", f"A kernel of 8 bytes at {address:#x}")
        case.trap("parallel_exec", case.device(), address, 8, 1, 1, 0, 0, 0, 0)
        yield case
    for function in ("write_buffer", "read_buffer"):
        case = _trap(f"{function.replace('_', '-')}-size", f"{function} with a size that ends behind the memory")
        buffer = case.buffer(case.device(), 8)
        where = (RESULT, 0xFFFFFFFF, buffer.handle) if function == "write_buffer" else (buffer.handle, 0, 0xFFFFFFFF)
        case.trap(function, *where)
        yield case
        case = _trap(
            f"{function.replace('_', '-')}-unknown", f"{function} out of bounds for a buffer that does not exist"
        )
        nowhere = (END, 8, 12345) if function == "write_buffer" else (12345, END, 8)
        case.trap(function, *nowhere)
        yield case
    case = _trap("kernel-size", "A kernel that ends behind the memory")
    case.trap("parallel_exec", case.device(), 4096, 0xFFFFFFFF, 1, 1, 0, 0, 0, 0)
    yield case


def _lists() -> Iterator[Case]:
    for which in ("in", "out"):
        for name, address in {**ALIGNED_WILD, **CROOKED}.items():
            case = _trap(f"{which}-list-{name}", f"A list of {which} buffers at {address:#x}")
            code, device = case.code(TALLY), case.device()
            lists = (address, 1, LISTS, 0) if which == "in" else (LISTS, 0, address, 1)
            case.trap("parallel_exec", device, code.address, code.size, 1, 1, *lists)
            yield case
        for length in (0x40000000, 0x80000001, 0xFFFFFFFF):
            case = _trap(f"{which}-list-length-{length:x}", f"A list of {length:#x} {which} buffers")
            code, device = case.code(NOTHING), case.device()
            lists = (LISTS, length, LISTS, 0) if which == "in" else (LISTS, 0, LISTS, length)
            case.trap("parallel_exec", device, code.address, code.size, 1, 1, *lists)
            yield case


def _order() -> Iterator[Case]:
    case = _trap("trap-before-errno", "A misaligned result of create_buffer on no device")
    case.trap("create_buffer", 12345, 16, 2, 1)
    yield case
    case = _trap("list-before-device", "A list out of bounds for no device")
    case.trap("parallel_exec", 12345, 4096, 0, 1, 1, END, 1, 0, 0)
    yield case
    case = _trap("pointers-checked-for-nothing", "A kernel out of bounds for zero iterations")
    case.trap("parallel_exec", case.device(), END, 8, 0, 1, 0, 0, 0, 0)
    yield case

    case = Case(
        "arguments/kernel-copied-once", "A kernel that overwrites its own code in the caller's memory still runs, "
        "and what stands there afterwards is no kernel.", ["PAR-ARG-03"], "memory=alias",
    )  # fmt: skip
    device = case.device()
    code = case.code(kernel(f"(memory.fill {const(4096)} (i32.const 0) (i32.const 16))", 0))
    case.run(device, code, 20)
    case.refuse(device, code, 20)
    yield case

    case = Case(
        "arguments/lists-copied-once", "A kernel that overwrites the handle lists in the caller's memory changes nothing "
        "for the iterations that follow.", ["PAR-ARG-03"], "memory=alias",
    )  # fmt: skip
    device = case.device()
    counted = case.written(device, 80)
    overwrite = f"(memory.fill {const(LISTS)} (i32.const 255) (i32.const 8))"
    case.run(device, case.code(COUNT.replace("(drop", f"{overwrite}\n    (drop")), 20, [counted])
    case.read(counted)
    case.all(counted.region, 20, 1)
    yield case

    case = Case(
        "arguments/errors-have-no-effect", "Calls that return an error number leave results, buffers and memory alone.",
        ["PAR-ARG-02", "PAR-ARG-05"],
    )  # fmt: skip
    device = case.device()
    buffer = case.buffer(device, 16)
    case.fill(buffer.region, 16, 3)
    case.write(buffer)
    other = case.region(64)
    case.fill(other, 64, 9)
    copy = case.region(64)
    case.step(f"(memory.copy {const(copy)} {const(other)} (i32.const 64))")
    case.fail("read_buffer", buffer.handle, other, 15)
    case.fail("read_buffer", 0x7FFF1234, other, 16)
    case.fail("write_buffer", other, 17, buffer.handle)
    case.same(other, copy, 64)
    back = case.region(16)
    case.read(buffer, back)
    case.same(back, buffer.region, 16)
    yield case

    for name, first in (("device", "device"), ("buffer", "buffer"), ("kernel", "kernel")):
        case = Case(
            f"arguments/after-a-wrong-{name}", f"After a call with a wrong {first} everything works.", ["PAR-ARG-02"]
        )
        device = case.device()
        total = case.written(device, 4)
        code = case.code(TALLY)
        if name == "device":
            case.refuse("(i32.const 0)", code, 1, [total])
        elif name == "buffer":
            case.refuse(device, code, 1, ["(i32.const 0)"])
        else:
            case.refuse(device, case.code(b"\0asm\1\0\0"), 1, [total])
        works(case, device)
        yield case

    case = Case(
        "arguments/many-errors",
        "A thousand refused calls cost nothing that would be missed.",
        ["PAR-ARG-02", "PAR-ARG-04"],
    )
    device = case.device()
    left = case.variable("left")
    case.step("(global.set $left (i32.const 1000))")
    case.step(f"(loop $again (drop {case.call('create_buffer', 12345, 1 << 20, 2, RESULT)})")
    case.step(f"  (drop {case.call('write_buffer', 0, 8, 12345)})")
    case.step(f"  (global.set $left (i32.sub {left} (i32.const 1))) (br_if $again {left}))")
    works(case, device)
    yield case

    case = Case(
        "arguments/huge-buffer",
        "A buffer of nearly 4 GiB is made or refused, but ends nothing.",
        ["PAR-ARG-04", "PAR-BUF-06"],
    )
    device = case.device()
    case.step(f"(drop {case.call('create_buffer', device, 0xFFFFFFFF, 2, RESULT)})")
    works(case, device)
    yield case
