"""Devices and buffers of one guest, and the life of a ``parallel_exec``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from refwasm import embedding as e
from refwasm.errors import ResourceLimit
from refwasm.host.parallel.devices import Device, Job, make_device
from refwasm.host.parallel.kernels import Kernel, Task
from refwasm.host.parallel.policies import ParallelLimits, Policies
from refwasm.host.parallel.types import DeviceKind, Errno, Failure, ParallelError, Run
from refwasm.syntax.types import Limits, MemType

PAGE = 65536
#: Buffers in a device's memory start at multiples of this, so that every access type is aligned.
ALIGNMENT = 64
#: Handles: devices and buffers in disjoint ranges, 0 is never one.
FIRST_DEVICE, FIRST_BUFFER = 1, 1001


class Buffer:
    """A buffer. What it holds is in ``content``, or (policy alias) in ``region`` of the caller's memory.

    ``region`` is where the last ``write_buffer`` took it from. The access kind is a hint that nothing here depends on.
    """

    __slots__ = ("device", "size", "content", "region")

    def __init__(self, device: int, size: int) -> None:
        self.device = device
        self.size = size
        self.content = bytes(size)
        self.region: int | None = None


class Context:
    """All that wasi-parallel keeps for one guest. Memory is passed in, since the guest may export it late.

    ``force_device`` is given for every hint but SEQUENTIAL, which asks for a way to debug. ``runs`` and ``failures``
    tell afterwards what happened.
    """

    def __init__(
        self, policies: Policies = Policies(), limits: ParallelLimits = ParallelLimits(),
        force_device: DeviceKind | None = None,
        settings: e.Settings | None = None,
    ) -> None:  # fmt: skip
        self.policies = policies
        self.limits = limits
        self.force_device = force_device
        self.settings = settings or e.Settings()
        self.devices: dict[int, Device] = {}
        self.buffers: dict[int, Buffer] = {}
        self.kernels: dict[bytes, Kernel] = {}
        self.runs: list[Run] = []
        self.failures: list[Failure] = []

    # ---- devices and buffers -----------------------------------------------------------------------------------------

    def get_device(self, hint: DeviceKind) -> int:
        """The handle for a hint. Kinds that this host lacks give the CPU."""
        kind = hint
        if self.force_device is not None and hint is not DeviceKind.SEQUENTIAL:
            kind = self.force_device
        if kind not in (DeviceKind.SEQUENTIAL, DeviceKind.CPU):
            kind = DeviceKind.CPU
        handle = FIRST_DEVICE + kind
        if handle not in self.devices:
            self.devices[handle] = make_device(kind, self.limits, self.policies)
        return handle

    def device(self, handle: int) -> Device:
        if handle not in self.devices:
            raise ParallelError(Errno.INVALID_DEVICE, f"{handle} is no device; get_device gives them")
        return self.devices[handle]

    def buffer(self, handle: int) -> Buffer:
        if handle not in self.buffers:
            raise ParallelError(Errno.INVALID_BUFFER, f"{handle} is no buffer; create_buffer gives them")
        return self.buffers[handle]

    def create_buffer(self, device: int, size: int) -> int:
        """The handle of a new buffer, all zeros."""
        self.device(device)
        total = size + sum(buffer.size for buffer in self.buffers.values())
        if len(self.buffers) >= self.limits.buffers or total > self.limits.buffer_bytes:
            raise ParallelError(
                Errno.RESOURCE_LIMIT,
                f"{len(self.buffers) + 1} buffers of {total} bytes in all; "
                f"at most {self.limits.buffers} and {self.limits.buffer_bytes} bytes are allowed",
            )
        handle = FIRST_BUFFER + len(self.buffers)
        self.buffers[handle] = Buffer(device, size)
        return handle

    def _aliases(self, memory: e.Memory) -> bool:
        """Whether buffers are regions of the caller's memory, rather than storage of their own."""
        policy = self.policies.memory
        return memory.shared and policy in ("alias", "auto")

    def write_buffer(self, memory: e.Memory, pointer: int, size: int, handle: int) -> None:
        """Fill a buffer from the caller's memory; under alias, make it that region."""
        buffer = self.buffer(handle)
        self._check_size(buffer, size)
        if self.policies.memory == "alias" and not memory.shared:
            raise ParallelError(Errno.UNSUPPORTED, "policy memory=alias needs a caller with a shared memory")
        buffer.region = pointer
        if not self._aliases(memory):
            buffer.content = memory.read(pointer, size)

    def read_buffer(self, memory: e.Memory, handle: int, pointer: int, size: int) -> None:
        """Copy a buffer to the caller's memory."""
        buffer = self.buffer(handle)
        self._check_size(buffer, size)
        memory.write(pointer, self.contents(memory, buffer))

    def _check_size(self, buffer: Buffer, size: int) -> None:
        if size != buffer.size:
            raise ParallelError(Errno.SIZE_MISMATCH, f"{size} bytes for a buffer of {buffer.size}")

    def contents(self, memory: e.Memory, buffer: Buffer) -> bytes:
        """What a buffer holds."""
        if self._aliases(memory) and buffer.region is not None:
            return memory.read(buffer.region, buffer.size)
        return buffer.content

    def _set_contents(self, memory: e.Memory, buffer: Buffer, content: bytes) -> None:
        """Take over what a kernel left in a device's memory."""
        if buffer.region is not None and self.policies.memory != "copy":
            memory.write(buffer.region, content)
        buffer.content = content

    # ---- parallel_exec -----------------------------------------------------------------------------------------------

    def kernel(self, data: bytes, buffers: int) -> Kernel:
        """The kernel in a binary module, checked; remembered by content."""
        kernel = self.kernels.get(data)
        if kernel is None:
            kernel = self.kernels[data] = Kernel(data)
        if kernel.buffers != buffers:
            raise ParallelError(Errno.INVALID_KERNEL, f"'kernel' takes {kernel.buffers} buffers, {buffers} were passed")
        return kernel

    def parallel_exec(
        self, memory: e.Memory, device_handle: int, kernel_bytes: bytes, iterations: int, block_size: int,
        handles: tuple[int, ...],
    ) -> None:  # fmt: skip
        """Run a kernel on buffers (inputs, then outputs) and wait until all iterations are done."""
        started = time.perf_counter()
        device = self.device(device_handle)
        buffers = [self.buffer(handle) for handle in handles]
        for handle, buffer in zip(handles, buffers):
            if buffer.device != device_handle:
                raise ParallelError(Errno.WRONG_DEVICE, f"buffer {handle} belongs to device {buffer.device}")
        kernel = self.kernel(kernel_bytes, len(buffers))
        run = Run(device.kind, iterations, started)
        self.runs.append(run)
        task = self._task(iterations, block_size)

        def execute(where: e.Memory, places: list[tuple[int, int]]) -> None:
            pairs = tuple(word for place in places for word in place)
            device.run(Job(kernel, where, task._replace(pairs=pairs)), run)

        try:
            if self._runs_in_place(memory, kernel, buffers):
                execute(memory, [(buffer.region or 0, buffer.size) for buffer in buffers])
            else:
                self._run_staged(memory, kernel, handles, run, execute)
        except ResourceLimit as error:  # of the device's memory
            raise ParallelError(Errno.RESOURCE_LIMIT, error.message) from error
        finally:
            run.end = time.perf_counter()

    def _runs_in_place(self, memory: e.Memory, kernel: Kernel, buffers: list[Buffer]) -> bool:
        """Whether the kernel can work in the caller's memory."""
        if not self._aliases(memory):
            return False
        fits = e.match_extern_type(memory.current_type(), kernel.memory_type)
        if not fits and self.policies.memory == "alias":
            raise ParallelError(Errno.INVALID_KERNEL, "the kernel's memory import does not fit the caller's memory")
        return fits and all(buffer.region is not None for buffer in buffers)

    def _task(self, iterations: int, block_size: int) -> Task:
        """The task under our policies and limits, its buffers not placed yet."""
        deadline = self.settings.deadline
        if self.limits.seconds is not None:
            limit = time.monotonic() + self.limits.seconds
            deadline = limit if deadline is None else min(deadline, limit)
        fresh = self.policies.instance == "fresh"
        return Task(iterations, block_size, (), deadline, self.limits.fuel, self.settings.call_depth, fresh)

    def _run_staged(
        self, memory: e.Memory, kernel: Kernel, handles: tuple[int, ...], run: Run,
        execute: Callable[[e.Memory, list[tuple[int, int]]], None],
    ) -> None:  # fmt: skip
        """Run in a memory of the device's own: buffers in, run, buffers out (also after a trap: stores stay)."""
        used = {handle: self.buffers[handle] for handle in handles}
        places, pages = _layout(kernel, used)
        maximum = kernel.memory_type.limits.maximum or 0
        if pages > maximum:
            raise ParallelError(
                Errno.RESOURCE_LIMIT, f"the buffers need {pages} pages, the kernel's memory may have {maximum}"
            )
        own = self._device_memory(kernel, pages)
        for handle, buffer in used.items():
            own.write(places[handle], self.contents(memory, buffer))
            run.bytes_copied += buffer.size
        try:
            execute(own, [(places[handle], used[handle].size) for handle in handles])
        finally:
            for handle, buffer in used.items():
                self._set_contents(memory, buffer, own.read(places[handle], buffer.size))
                run.bytes_copied += buffer.size

    def _device_memory(self, kernel: Kernel, pages: int) -> e.Memory:
        t = kernel.memory_type
        maximum = t.limits.maximum
        return e.mem_alloc(
            e.store_init(self.settings), MemType(t.address, Limits(max(pages, t.limits.minimum), maximum), True)
        )

    def note_failure(self, function: str, error: ParallelError) -> Failure:
        """Remember why a call failed."""
        failure = Failure(error.errno, function, error.message, error.iteration, error.backtrace)
        self.failures.append(failure)
        return failure

    def close(self) -> None:
        """Forget devices, buffers and kernels; workers stay for the next guest (:mod:`refwasm.host.parallel.pool`)."""
        self.devices.clear()
        self.buffers.clear()
        self.kernels.clear()


def _layout(kernel: Kernel, buffers: dict[int, Any]) -> tuple[dict[int, int], int]:
    """Where each buffer goes, and the pages needed: behind the memory that the kernel asks for itself, where its own
    data and stack may be."""
    places: dict[int, int] = {}
    end = kernel.memory_type.limits.minimum * PAGE
    for handle, buffer in buffers.items():
        places[handle] = end
        end += (buffer.size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    return places, -(-end // PAGE)
