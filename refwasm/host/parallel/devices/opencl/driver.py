"""OpenCL devices through pyopencl (extra ``opencl``), in the process that :mod:`.server` is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from refwasm.host.parallel.devices.opencl.messages import DeviceFacts, DriverMissing, DriverRefused
from refwasm.host.parallel.devices.opencl.program import TOLD_WORDS

#: What programs are built with: nothing that makes arithmetic faster and less exact.
OPTIONS = ["-cl-std=CL1.2", "-w"]
EXACT_DIVISION = "-cl-fp32-correctly-rounded-divide-sqrt"


class Driver:
    """What the server asks of OpenCL. After :meth:`use` there is one device."""

    def devices(self) -> list[DeviceFacts]:
        """All devices of all platforms. Raises DriverMissing."""
        try:
            import pyopencl
        except ImportError:
            raise DriverMissing("pyopencl is not installed: pip install 'refwasm[opencl]'") from None
        self.cl: Any = pyopencl
        try:
            platforms = pyopencl.get_platforms()
        except pyopencl.Error as error:
            raise DriverMissing(
                f"no OpenCL driver is installed ({error}): pip install 'refwasm[opencl]' brings pocl for CPUs; for "
                "others, install your vendor's"
            ) from None
        return [
            self._facts(number, index, device)
            for number, platform in enumerate(platforms)
            for index, device in enumerate(self._of(platform))
        ]

    def _of(self, platform: Any) -> list[Any]:
        try:
            found: list[Any] = platform.get_devices()
        except self.cl.Error:
            return []
        return found

    def _facts(self, platform: int, number: int, device: Any) -> DeviceFacts:
        kinds = {
            self.cl.device_type.CPU: "cpu", self.cl.device_type.GPU: "gpu",
            self.cl.device_type.ACCELERATOR: "accelerator",
        }  # fmt: skip
        kind = next((name for bit, name in kinds.items() if device.type & bit), "other")
        unified = kind == "cpu" or bool(getattr(device, "host_unified_memory", False))
        double = "cl_khr_fp64" in device.extensions.split()
        driver = f"{device.platform.name} {device.driver_version}"
        return DeviceFacts(
            platform, number, device.name.strip(), driver, kind, device.global_mem_size, unified, double
        )  # fmt: skip

    def use(self, platform: int, device: int) -> DeviceFacts:
        """Take this device."""
        chosen = self.cl.get_platforms()[platform].get_devices()[device]
        self.context = self.cl.Context([chosen])
        self.queue = self.cl.CommandQueue(self.context)
        config = getattr(chosen, "single_fp_config", 0)
        exact = bool(config & self.cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT)
        self.options = [*OPTIONS, *([EXACT_DIVISION] if exact else [])]
        self.told = self._made(self.cl.mem_flags.ALLOC_HOST_PTR, size=4 * TOLD_WORDS)
        self.zeros, self.result = bytearray(4 * TOLD_WORDS), bytearray(4 * TOLD_WORDS)
        self.cl.enqueue_copy(self.queue, self.told, self.zeros)
        facts = self._facts(platform, device, chosen)
        self.in_place = facts.in_place
        return facts

    def build(self, text: str, cache: str | None) -> Any:
        """A program, kept on disk in a folder if there is one. Raises DriverRefused."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = self.cl.Program(self.context, text)
                if cache is None:
                    return program.build(self.options)
                return program.build(self.options, cache_dir=os.path.join(cache, "opencl"))
        except self.cl.Error as error:
            raise DriverRefused(str(error)) from None

    def entry(self, program: Any, name: str) -> Any:
        """A kernel of a program; the same object each time it is launched, so that its arguments are kept."""
        try:
            return self.cl.Kernel(program, name)
        except self.cl.Error as error:
            raise DriverRefused(str(error)) from None

    def probe(self, program: Any, name: str, operands: bytes, size: int) -> bytes:
        """What a probe's kernel makes of operands."""
        flags = self.cl.mem_flags
        given = self._made(flags.COPY_HOST_PTR, hostbuf=operands)
        made, result = self._made(0, size=size), bytearray(size)
        self.cl.Kernel(program, name)(self.queue, (1,), None, given, made)
        self.cl.enqueue_copy(self.queue, result, made)
        return bytes(result)

    def _made(self, flags: int, **how: Any) -> Any:
        try:
            return self.cl.Buffer(self.context, self.cl.mem_flags.READ_WRITE | flags, **how)
        except self.cl.Error as error:
            raise DriverRefused(str(error)) from None

    def buffer(self, view: memoryview) -> Any:
        """A buffer for a memory: its very bytes where kernels work in place."""
        if not view:
            return self._made(0, size=4)
        if self.in_place:
            return self._made(self.cl.mem_flags.USE_HOST_PTR, hostbuf=view)
        return self._made(self.cl.mem_flags.ALLOC_HOST_PTR, size=len(view))

    def copy_in(self, buffer: Any, view: memoryview) -> None:
        """Give the device what a memory holds."""
        self.cl.enqueue_copy(self.queue, buffer, view)

    def copy_out(self, buffer: Any, view: memoryview) -> None:
        """Take what the device made of it."""
        self.cl.enqueue_copy(self.queue, view, buffer)

    def launch(
        self, entry: Any, items: int, local: int | None, buffer: Any, size: int, arguments: Sequence[tuple[int, int]]
    ) -> bytes:
        """Run work-items and wait for them; what a trap told. ``arguments`` are (bytes, value), after the memory, its
        size and the words at ``told``."""
        values = (value.to_bytes(width, "little") for width, value in arguments)
        rounded = items if local is None else -(-items // local) * local
        try:
            entry.set_args(buffer, size.to_bytes(8, "little"), self.told, *values)
            self.cl.enqueue_nd_range_kernel(self.queue, entry, (rounded,), None if local is None else (local,))
            self.cl.enqueue_copy(self.queue, self.result, self.told)
            if self.result[0]:
                self.cl.enqueue_copy(self.queue, self.told, self.zeros)
        except self.cl.Error as error:
            raise DriverRefused(str(error)) from None
        return bytes(self.result)
