"""The NVIDIA driver, ``libcuda.so.1``, in the process that :mod:`refwasm.host.parallel.devices.opencl.server` is."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from refwasm.host.parallel.devices.cuda import compiler
from refwasm.host.parallel.devices.opencl.messages import DeviceFacts, DriverMissing, DriverRefused
from refwasm.host.parallel.devices.opencl.program import TOLD_WORDS

#: Attributes of devices.
_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18
#: Threads of a block where nobody says.
BLOCK = 256


class DeviceBuffer:
    """Memory of the device, given back with the object."""

    def __init__(self, driver: Driver, size: int) -> None:
        self.driver, self.pointer, self.size = driver, ctypes.c_uint64(), size
        driver.call("cuMemAlloc_v2", ctypes.byref(self.pointer), ctypes.c_size_t(max(size, 4)))

    def __del__(self) -> None:
        if self.pointer.value:
            self.driver.cuda.cuMemFree_v2(self.pointer)


class Driver:
    """What the server asks of CUDA. After :meth:`use` there is one device."""

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver. Raises DriverRefused."""
        code = getattr(self.cuda, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self.cuda.cuGetErrorString(code, ctypes.byref(text))
            raise DriverRefused(f"{name}: {(text.value or b'?').decode()} ({code})")

    def devices(self) -> list[DeviceFacts]:
        """All devices. Raises DriverMissing."""
        try:
            self.cuda = ctypes.CDLL("libcuda.so.1")
        except OSError:
            raise DriverMissing("there is no NVIDIA driver (libcuda.so.1): install NVIDIA's for your GPU") from None
        compiler.library()
        count, version = ctypes.c_int(), ctypes.c_int()
        try:
            self.call("cuInit", 0)
            self.call("cuDeviceGetCount", ctypes.byref(count))
            self.call("cuDriverGetVersion", ctypes.byref(version))
            return [self._facts(number, version.value) for number in range(count.value)]
        except DriverRefused as error:
            raise DriverMissing(f"the NVIDIA driver can't be used: {error}") from None

    def _attribute(self, device: ctypes.c_int, attribute: int) -> int:
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        return value.value

    def _facts(self, number: int, version: int) -> DeviceFacts:
        device, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
        self.call("cuDeviceGet", ctypes.byref(device), number)
        self.call("cuDeviceGetName", name, 256, device)
        self.call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        driver = f"CUDA {version // 1000}.{version % 1000 // 10}"
        return DeviceFacts(0, number, name.value.decode(), driver, "gpu", memory.value, False, True)

    def use(self, platform: int, device: int) -> DeviceFacts:
        """Take this device."""
        facts = self.devices()[device]
        chosen, self.context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(chosen), device)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), chosen)
        self.call("cuCtxSetCurrent", self.context)
        self.architecture = f"compute_{self._attribute(chosen, _MAJOR)}{self._attribute(chosen, _MINOR)}"
        self.told = DeviceBuffer(self, 4 * TOLD_WORDS)
        self.result = ctypes.create_string_buffer(4 * TOLD_WORDS)
        self._forget_trap()
        return facts

    def _forget_trap(self) -> None:
        self.call("cuMemsetD8_v2", self.told.pointer, ctypes.c_ubyte(0), ctypes.c_size_t(self.told.size))

    def build(self, text: str, cache: str | None) -> Any:
        """A program. Raises DriverRefused."""
        module = ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), compiler.ptx(text, self.architecture, cache))
        return module

    def entry(self, program: Any, name: str) -> Any:
        """A kernel of a program."""
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), program, name.encode())
        return function

    def probe(self, program: Any, name: str, operands: bytes, size: int) -> bytes:
        """What a probe's kernel makes of operands."""
        given, made = DeviceBuffer(self, len(operands)), DeviceBuffer(self, size)
        self.call("cuMemcpyHtoD_v2", given.pointer, operands, ctypes.c_size_t(len(operands)))
        self._launch(self.entry(program, name), 1, 1, [given.pointer, made.pointer])
        result = ctypes.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", result, made.pointer, ctypes.c_size_t(size))
        return result.raw

    def buffer(self, view: memoryview) -> DeviceBuffer:
        """A buffer for a memory."""
        return DeviceBuffer(self, len(view))

    def copy_in(self, buffer: DeviceBuffer, view: memoryview) -> None:
        """Give the device what a memory holds."""
        place = (ctypes.c_char * len(view)).from_buffer(view)
        self.call("cuMemcpyHtoD_v2", buffer.pointer, place, ctypes.c_size_t(len(view)))

    def copy_out(self, buffer: DeviceBuffer, view: memoryview) -> None:
        """Take what the device made of it."""
        place = (ctypes.c_char * len(view)).from_buffer(view)
        self.call("cuMemcpyDtoH_v2", place, buffer.pointer, ctypes.c_size_t(len(view)))

    def launch(
        self, entry: Any, items: int, local: int | None, buffer: DeviceBuffer, size: int,
        arguments: Sequence[tuple[int, int]],
    ) -> bytes:  # fmt: skip
        """Run work-items and wait for them; what a trap told. ``arguments`` are (bytes, value), after the memory, its
        size and the words at ``told``."""
        kinds = {4: ctypes.c_uint32, 8: ctypes.c_uint64}
        values = [kinds[width](value) for width, value in arguments]
        self._launch(entry, items, local or BLOCK, [buffer.pointer, ctypes.c_uint64(size), self.told.pointer, *values])
        self.call("cuMemcpyDtoH_v2", self.result, self.told.pointer, ctypes.c_size_t(self.told.size))
        if self.result.raw[0]:
            self._forget_trap()
        return self.result.raw

    def _launch(self, entry: Any, items: int, local: int, arguments: Sequence[Any]) -> None:
        """Launch and wait. The entry leaves out work-items beyond the last."""
        pointers = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(value) for value in arguments))
        blocks = -(-items // local)
        self.call("cuLaunchKernel", entry, blocks, 1, 1, local, 1, 1, 0, None, pointers, None)
        self.call("cuCtxSynchronize")
