"""Devices and hints."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import COUNT, NOTHING, TALLY
from conformance.writing import CPU, RESULT, SEQUENTIAL, Case, word

KINDS = ("sequential", "cpu", "discrete-gpu", "integrated-gpu")
NO_HANDLES = {"zero": 0, "minus-one": 0xFFFFFFFF, "unlikely": 0x7FFF1234}


def cases() -> Iterator[Case]:
    for hint, kind in enumerate(KINDS):
        case = Case(
            f"devices/hint-{kind}", f"get_device succeeds for the hint {kind}, and twice the same.", ["PAR-DEV-01"]
        )
        first = case.device(hint)
        case.succeed("get_device", hint, RESULT)
        case.expect(word(RESULT), first)
        yield case

        case = Case(f"devices/{kind}-runs", f"What the hint {kind} gives runs kernels.", ["PAR-DEV-01", "PAR-DEV-02"])
        device = case.device(hint)
        counted = case.written(device, 40)
        case.run(device, case.code(COUNT), 10, [counted])
        case.read(counted)
        case.all(counted.region, 10, 1)
        yield case

        case = Case(
            f"devices/{kind}-state-apart", "Asking again leaves buffers of the device as they are.", ["PAR-DEV-01"]
        )
        device = case.device(hint)
        buffer = case.buffer(device, 4)
        case.store(buffer.region, 77)
        case.write(buffer)
        again = case.device(hint)
        case.run(again, case.code(TALLY), 1, [buffer])
        case.read(buffer)
        case.words(buffer.region, [78])
        yield case

    yield from _handles()


def _handles() -> Iterator[Case]:
    case = Case(
        "devices/handles-apart", "No two of devices and buffers have the same handle; one device keeps its own.",
        ["PAR-DEV-03"],
    )  # fmt: skip
    device = case.device(CPU)
    buffers = [case.buffer(device, 4) for _ in range(6)]
    for index, buffer in enumerate(buffers):
        case.expect(f"(i32.eq {buffer.handle} {device})", 0)
        for other in buffers[:index]:
            case.expect(f"(i32.eq {buffer.handle} {other.handle})", 0)
    yield case

    for name, handle in NO_HANDLES.items():
        case = Case(
            f"devices/create-on-{name}", "create_buffer on what is no device is an error, and gives no handle.",
            ["PAR-DEV-04", "PAR-ARG-05"],
        )  # fmt: skip
        device = case.device()
        case.store(RESULT, 0x5A5A5A5A)
        case.fail("create_buffer", handle, 16, 2, RESULT)
        case.expect(word(RESULT), 0x5A5A5A5A)
        case.buffer(device, 16)
        yield case

        case = Case(f"devices/exec-on-{name}", "parallel_exec on what is no device is an error.", ["PAR-DEV-04"])
        device = case.device()
        total = case.written(device, 4)
        code = case.code(TALLY)
        case.refuse(f"(i32.const {handle})", code, 3, [total])
        case.read(total)
        case.words(total.region, [0])
        case.run(device, code, 3, [total])
        yield case

    for name, hint in (("sequential", SEQUENTIAL), ("cpu", CPU)):
        case = Case(
            f"devices/before-get-device-{name}", "A device that nobody asked for has no handle yet.", ["PAR-DEV-04"]
        )
        # Whatever the handle will be, small numbers are the likeliest guess.
        for guess in (1, 2, 3, 4):
            case.fail("create_buffer", guess, 16, 2, RESULT)
        case.buffer(case.device(hint), 16)
        yield case

    case = Case("devices/buffer-as-device", "A buffer's handle is no device's.", ["PAR-DEV-03", "PAR-DEV-04"])
    device = case.device()
    buffer = case.written(device, 16)
    case.fail("create_buffer", buffer.handle, 16, 2, RESULT)
    case.refuse(buffer.handle, case.code(NOTHING), 1)
    yield case
