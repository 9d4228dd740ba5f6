"""The process that a driver lives in: ``python -m refwasm.host.parallel.devices.opencl.server DESCRIPTOR NAME``, the
name being ``opencl`` or ``cuda``.

* ``("devices",)``: answers ``("devices", [DeviceFacts, …])`` or ``("unavailable", why)``;
* ``("use", platform, device)``: answers ``("ready", DeviceFacts)``, with what the probes say, or
  ``("unavailable", why)``;
* ``("memory", number, pages, limit, offset)``, followed by a descriptor, and ``("forget", numbers)``;
* ``("kernel", number, DeviceProgram, cache)``: build, keeping that in a folder; answers ``("ready",)`` or
  ``("refused", why)``;
* ``("run", kernel, memory, Launch)``: answers ``("done", told, begin, end)``, or ``("limit", why)``.

A kernel that does not end can't be stopped: the parent kills the process.
"""

from __future__ import annotations

import importlib
import mmap
import os
import sys
import time
from multiprocessing import connection
from multiprocessing.reduction import recv_handle
from typing import Any

from refwasm.host.parallel.devices.opencl import probes
from refwasm.host.parallel.devices.opencl.messages import DriverMissing, DriverRefused, Launch
from refwasm.host.parallel.devices.opencl.program import DeviceProgram
from refwasm.host.parallel.devices.serving import serve
from refwasm.syntax.types import PAGE_BITS

DRIVERS = {
    "opencl": "refwasm.host.parallel.devices.opencl.driver", "cuda": "refwasm.host.parallel.devices.cuda.driver",
}  # fmt: skip
#: Work-items of one launch: between launches a trap is noticed.
MAX_ITEMS = 1 << 22
#: What to do where the compiler in a driver is older than the processor.
OLD_COMPILER = "its compiler is older than this processor: install another driver, Debian's pocl-opencl-icd for one"


class DeviceMemory:
    """A memory of refwasm's: a mapping, and the buffer that the device has for it."""

    def __init__(self, fd: int, limit: int, offset: int) -> None:
        self.view = memoryview(mmap.mmap(fd, offset + (limit << PAGE_BITS)))[offset:] if limit else memoryview(b"")
        os.close(fd)
        self.buffer: Any = None
        self.pages = -1


class Server:
    """The state of the process."""

    def __init__(self, pipe: connection.Connection, name: str) -> None:
        self.pipe, self.language = pipe, name
        self.driver: Any = importlib.import_module(DRIVERS[name]).Driver()
        self.memories: dict[int, DeviceMemory] = {}
        self.kernels: dict[int, tuple[Any, Any]] = {}

    def do_devices(self) -> None:
        try:
            self.pipe.send(("devices", self.driver.devices()))
        except DriverMissing as error:
            self.pipe.send(("unavailable", str(error)))

    def do_use(self, platform: int, device: int) -> None:
        facts = self.driver.use(platform, device)
        try:
            inexact = self._inexact(facts.double)
        except DriverRefused as error:
            self.pipe.send(("unavailable", f"its driver can't build any kernel: {_why(error)}"))
            return
        self.in_place = facts.in_place
        self.pipe.send(("ready", facts._replace(inexact=inexact)))

    def _inexact(self, double: bool) -> tuple[str, ...]:
        """What is not exact on the device. Raises DriverRefused if its driver builds nothing at all."""
        try:
            program = self.driver.build(probes.text(self.language, double), None)
            return probes.wrong(lambda *probe: self.driver.probe(program, *probe), double)
        except DriverRefused as error:
            self.driver.build(probes.nothing(self.language), None)
            return (f"f32 anything: the driver refuses the probes: {_why(error)}",)

    def do_memory(self, number: int, pages: int, limit: int, offset: int) -> None:
        self.memories[number] = DeviceMemory(recv_handle(self.pipe), limit, offset)

    def do_forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self.memories.pop(number, None)
            self.kernels.pop(number, None)

    def do_kernel(self, number: int, program: DeviceProgram, cache: str | None) -> None:
        try:
            built = self.driver.build(program.text, cache)
            self.kernels[number] = self.driver.entry(built, "run_one"), self.driver.entry(built, "run_many")
        except DriverRefused as error:
            self.pipe.send(("refused", str(error)[:2000]))
        else:
            self.pipe.send(("ready",))

    def do_run(self, kernel: int, memory: int, launch: Launch) -> None:
        place = self.memories[memory]
        try:
            self._prepare(place, launch.pages)
            begin = time.perf_counter()
            trapped = self._launched(place, self.kernels[kernel], launch)
            end = time.perf_counter()
            if not self.in_place and launch.pages:
                self.driver.copy_out(place.buffer, place.view[: launch.pages << PAGE_BITS])
        except DriverRefused as error:
            self.pipe.send(("limit", f"the driver: {error}"))
        else:
            self.pipe.send(("done", trapped, begin, end))

    def _launched(self, place: DeviceMemory, entries: tuple[Any, Any], launch: Launch) -> bytes:
        """Run all work-items; what a trap told."""
        entry, extra = (entries[0], ()) if launch.many is None else (entries[1], launch.many)
        first, trapped = 0, b""
        while first < launch.items:
            items = min(launch.items - first, MAX_ITEMS)
            arguments = (
                (8, first), (8, launch.items), (4, launch.iterations), (4, launch.block),
                *((8, x) for x in extra[:-1]), *((4, x) for x in extra[-1:]), *((4, x) for x in launch.pairs),
            )  # fmt: skip
            trapped = self.driver.launch(entry, items, launch.local, place.buffer, launch.pages << PAGE_BITS, arguments)
            if trapped[0]:
                break
            first += items
        return trapped

    def _prepare(self, place: DeviceMemory, pages: int) -> None:
        """The device's buffer, with what the memory holds."""
        view = place.view[: pages << PAGE_BITS]
        if place.pages != pages:
            place.buffer = self.driver.buffer(view)
            place.pages = pages
        if not self.in_place and pages:
            self.driver.copy_in(place.buffer, view)


def _why(error: DriverRefused) -> str:
    """One line of what a driver says: the compiler's first error, if there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith("error:")), lines[0] if lines else "it does not say why")
    why = first.removeprefix("error:").strip()
    return f"{why} ({OLD_COMPILER})" if "unknown target CPU" in why else why


if __name__ == "__main__":
    serve(lambda pipe: Server(pipe, sys.argv[2]))
