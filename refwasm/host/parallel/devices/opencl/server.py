"""The process that an OpenCL driver lives in: ``python -m refwasm.host.parallel.devices.opencl.server DESCRIPTOR``.

* ``("devices",)``: answers ``("devices", [DeviceFacts, …])`` or ``("unavailable", why)``;
* ``("use", platform, device)``: answers ``("ready", DeviceFacts)``, with what the probes say;
* ``("memory", number, pages, limit, offset)``, followed by a descriptor, and ``("forget", numbers)``;
* ``("kernel", number, DeviceProgram, cache)``: build, keeping that in a folder; answers ``("ready",)`` or
  ``("refused", why)``;
* ``("run", kernel, memory, Launch)``: answers ``("done", told, begin, end)``.

A kernel that does not end can't be stopped: the parent kills the process.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import traceback
import warnings
from multiprocessing import connection
from multiprocessing.reduction import recv_handle
from typing import Any

from refwasm.host.parallel.devices.opencl import probes
from refwasm.host.parallel.devices.opencl.messages import DeviceFacts, Launch
from refwasm.host.parallel.devices.opencl.program import TOLD_WORDS, DeviceProgram
from refwasm.host.processes import end_with_parent, start_thread
from refwasm.syntax.types import PAGE_BITS

#: What programs are built with: nothing that makes arithmetic faster and less exact.
OPTIONS = ["-cl-std=CL1.2", "-w"]
EXACT_DIVISION = "-cl-fp32-correctly-rounded-divide-sqrt"
#: Work-items of one launch: between launches a trap is noticed.
MAX_ITEMS = 1 << 22


class DeviceMemory:
    """A memory of refwasm's: a mapping, and the buffer that the device has for it."""

    def __init__(self, fd: int, limit: int, offset: int) -> None:
        self.view = memoryview(mmap.mmap(fd, offset + (limit << PAGE_BITS)))[offset:] if limit else memoryview(b"")
        os.close(fd)
        self.buffer: Any = None
        self.pages = -1


class Server:
    """The state of the process."""

    def __init__(self, pipe: connection.Connection) -> None:
        self.pipe = pipe
        self.memories: dict[int, DeviceMemory] = {}
        self.kernels: dict[int, tuple[Any, Any]] = {}

    def serve(self) -> None:
        """Handle messages until the parent closes the pipe."""
        while True:
            try:
                what, *rest = self.pipe.recv()
            except (EOFError, OSError):
                return
            getattr(self, f"do_{what}")(*rest)

    def do_devices(self) -> None:
        try:
            import pyopencl
        except ImportError:
            self.pipe.send(("unavailable", "pyopencl is not installed: pip install 'refwasm[opencl]'"))
            return
        self.cl: Any = pyopencl
        try:
            platforms = pyopencl.get_platforms()
        except pyopencl.Error as error:
            self.pipe.send(("unavailable", f"no OpenCL driver is installed ({error}): pip install 'refwasm[opencl]' "
                            "brings pocl; Debian's packages are pocl-opencl-icd and your vendor's"))  # fmt: skip
            return
        self.found = [
            (platform, device) for platform in platforms for device in _devices(pyopencl, platform)
        ]  # fmt: skip
        facts = [
            _facts(self.cl, platforms.index(platform), platform.get_devices().index(device), device)
            for platform, device in self.found
        ]
        self.pipe.send(("devices", facts))

    def do_use(self, platform: int, device: int) -> None:
        chosen = self.cl.get_platforms()[platform].get_devices()[device]
        self.facts = _facts(self.cl, platform, device, chosen)
        self.context = self.cl.Context([chosen])
        self.queue = self.cl.CommandQueue(self.context)
        self.device = chosen
        config = getattr(chosen, "single_fp_config", 0)
        exact = bool(config & self.cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT)
        self.options = [*OPTIONS, *([EXACT_DIVISION] if exact else [])]
        flags = self.cl.mem_flags
        self.told = self.cl.Buffer(self.context, flags.READ_WRITE | flags.ALLOC_HOST_PTR, 4 * TOLD_WORDS)
        self.zeros = bytearray(4 * TOLD_WORDS)
        self.result = bytearray(4 * TOLD_WORDS)
        self.cl.enqueue_copy(self.queue, self.told, self.zeros)
        inexact = probes.run(lambda text: self._build(text), self._probe, self.facts.double)
        self.facts = self.facts._replace(inexact=inexact)
        self.pipe.send(("ready", self.facts))

    def _build(self, text: str, cache: str | None = None) -> Any:
        """The program, kept on disk in a folder if there is one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = self.cl.Program(self.context, text)
            if cache is None:
                return program.build(self.options)
            return program.build(self.options, cache_dir=os.path.join(cache, "opencl"))

    def _probe(self, program: Any, name: str, operands: bytes, size: int) -> bytes:
        """What a probe's kernel makes of operands."""
        flags = self.cl.mem_flags
        given = self.cl.Buffer(self.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=operands)
        made = self.cl.Buffer(self.context, flags.WRITE_ONLY, size)
        getattr(program, name)(self.queue, (1,), None, given, made)
        result = bytearray(size)
        self.cl.enqueue_copy(self.queue, result, made)
        return bytes(result)

    def do_memory(self, number: int, pages: int, limit: int, offset: int) -> None:
        self.memories[number] = DeviceMemory(recv_handle(self.pipe), limit, offset)

    def do_forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self.memories.pop(number, None)
            self.kernels.pop(number, None)

    def do_kernel(self, number: int, program: DeviceProgram, cache: str | None) -> None:
        try:
            built = self._build(program.text, cache)
            self.kernels[number] = built.run_one, built.run_many
        except self.cl.Error as error:
            self.pipe.send(("refused", str(error)[:2000]))
        else:
            self.pipe.send(("ready",))

    def do_run(self, kernel: int, memory: int, launch: Launch) -> None:
        place = self.memories[memory]
        try:
            self._prepare(place, launch.pages)
        except self.cl.Error as error:
            self.pipe.send(("limit", f"the device has no room for the memory: {error}"))
            return
        one, many = self.kernels[kernel]
        chosen, extra = (one, ()) if launch.many is None else (many, launch.many)
        size = launch.pages << PAGE_BITS
        begin = time.perf_counter()
        first, trapped = 0, b""
        while first < launch.items:
            items = min(launch.items - first, MAX_ITEMS)
            local = launch.local
            rounded = items if local is None else -(-items // local) * local
            chosen.set_args(
                place.buffer, _u64(size), self.told, _u64(first), _u64(launch.items), _u32(launch.iterations),
                _u32(launch.block), *(_u64(x) for x in extra[:-1]), *(_u32(x) for x in extra[-1:]),
                *(_u32(x) for x in launch.pairs),
            )  # fmt: skip
            self.cl.enqueue_nd_range_kernel(self.queue, chosen, (rounded,), None if local is None else (local,))
            first += items
            trapped = self._trapped()
            if trapped[0]:
                break
        end = time.perf_counter()
        self._take_back(place, size)
        self.pipe.send(("done", trapped, begin, end))

    def _trapped(self) -> bytes:
        """What a trap told, which is then forgotten."""
        self.cl.enqueue_copy(self.queue, self.result, self.told)
        if self.result[0]:
            self.cl.enqueue_copy(self.queue, self.told, self.zeros)
        return bytes(self.result)

    def _prepare(self, place: DeviceMemory, pages: int) -> None:
        """The device's buffer, with what the memory holds."""
        flags, size = self.cl.mem_flags, max(pages << PAGE_BITS, 4)
        shared = self.facts.unified
        if place.pages != pages:
            view = place.view[: pages << PAGE_BITS] if pages else bytearray(4)
            how = flags.READ_WRITE | (flags.USE_HOST_PTR if shared else flags.ALLOC_HOST_PTR)
            place.buffer = self.cl.Buffer(self.context, how, **({"hostbuf": view} if shared else {"size": size}))
            place.pages = pages
        elif shared:
            return
        if not shared and pages:
            self.cl.enqueue_copy(self.queue, place.buffer, place.view[: pages << PAGE_BITS])

    def _take_back(self, place: DeviceMemory, size: int) -> None:
        if not self.facts.unified and size:
            self.cl.enqueue_copy(self.queue, place.view[:size], place.buffer)


def _devices(cl: Any, platform: Any) -> list[Any]:
    try:
        found: list[Any] = platform.get_devices()
    except cl.Error:
        return []
    return found


def _facts(cl: Any, platform: int, number: int, device: Any) -> DeviceFacts:
    kinds = {cl.device_type.CPU: "cpu", cl.device_type.GPU: "gpu", cl.device_type.ACCELERATOR: "accelerator"}
    kind = next((name for bit, name in kinds.items() if device.type & bit), "other")
    unified = kind == "cpu" or bool(getattr(device, "host_unified_memory", False))
    double = "cl_khr_fp64" in device.extensions.split()
    driver = f"{device.platform.name} {device.driver_version}"
    return DeviceFacts(
        platform, number, device.name.strip(), driver, kind, device.global_mem_size, unified, double
    )  # fmt: skip


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def main() -> None:
    """Serve the parent at the other end of a descriptor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    code = 1
    start_thread(end_with_parent, (os.getppid(),), "the watch of its parent")
    try:
        Server(connection.Connection(int(sys.argv[1]))).serve()
        code = 0
    except Exception:  # a fault of ours
        traceback.print_exc()
    finally:
        os._exit(code)  # drivers' threads may not end


if __name__ == "__main__":
    main()
