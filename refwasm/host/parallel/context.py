"""Devices and buffers of one guest, and what its calls do with them."""

from __future__ import annotations

from collections.abc import Sequence

from refwasm import embedding as e
from refwasm.execution.choices import Choices
from refwasm.host.parallel.buffers import Buffer
from refwasm.host.parallel.devices import Device, make_device, registry
from refwasm.host.parallel.devices.interleaved import Interleaved
from refwasm.host.parallel.execution import Executor
from refwasm.host.parallel.forms import Form
from refwasm.host.parallel.kernels import Kernel
from refwasm.host.parallel.policies import ParallelLimits, Policies
from refwasm.host.parallel.staging import Staging
from refwasm.host.parallel.types import AccessKind, DeviceKind, Errno, ExecutionRecord, Failure, ParallelError
from refwasm.host_system import HAS_PROCESSES

#: Handles: devices and buffers in disjoint ranges, 0 is never one.
FIRST_DEVICE, FIRST_BUFFER = 1, 1001


class Context:
    """All that wasi-parallel keeps for one guest. Memory is passed in, since the guest may export it late.

    ``force_device``, a kind or the name of a device (:mod:`refwasm.host.parallel.devices.registry`), is given for every
    hint but SEQUENTIAL, which asks for a way to debug; ``strict`` reports accesses
    that speak against the kind of a buffer; ``form`` is the one that the guest was written for, ``tier`` what executes
    kernels. ``runs`` and ``failures`` tell afterwards what happened.
    """

    def __init__(
        self, policies: Policies = Policies(), limits: ParallelLimits = ParallelLimits(),
        force_device: DeviceKind | str | None = None,
        settings: e.Settings | None = None,
        strict: bool = False,
        form: Form = Form.EXEC,
        tier: str = e.DEFAULT_TIER,
        choices: Choices | None = None,
    ) -> None:  # fmt: skip
        self.policies = policies
        self.limits = limits
        self.force_device = force_device
        self.settings = settings or e.Settings()
        self.strict = strict
        self.form = form
        self.tier, self.choices = tier, choices
        self.devices: dict[int, Device] = {}
        self.buffers: dict[int, Buffer] = {}
        self.kernels: dict[tuple[bytes, int | None], Kernel] = {}
        self.staging = Staging(self.settings)
        self.buffer_bytes = 0
        self.interruptible = False  # whether something may end the guest while a call of it runs in this process
        self.closed = False
        self.runs: list[ExecutionRecord] = []
        self.failures: list[Failure] = []

    # ---- devices and buffers -----------------------------------------------------------------------------------------

    def get_device(self, hint: DeviceKind) -> int:
        """The handle for a hint. Kinds that this host lacks give the CPU; without processes that is SEQUENTIAL."""
        kind = self._kind(hint)
        handle = FIRST_DEVICE + kind
        if handle not in self.devices:
            self.devices[handle] = self._make(kind)
        return handle

    def _kind(self, hint: DeviceKind) -> DeviceKind:
        kind = hint
        if self.force_device is not None and hint is not DeviceKind.SEQUENTIAL:
            kind = DeviceKind.CPU if isinstance(self.force_device, str) else self.force_device
        if self.choices is not None or not HAS_PROCESSES:  # choices are made in this process
            return DeviceKind.SEQUENTIAL
        return kind if kind in (DeviceKind.SEQUENTIAL, DeviceKind.CPU) else registry.best_kind(kind)

    def _make(self, kind: DeviceKind) -> Device:
        if self.choices is not None and self.choices.scheduler is not None:
            return Interleaved(self.choices.scheduler)
        if isinstance(self.force_device, str) and kind is not DeviceKind.SEQUENTIAL:
            return registry.named_device(self.force_device, self.limits)
        return make_device(kind, self.limits, self._is_closed if self.interruptible else None)

    def _is_closed(self) -> bool:
        return self.closed

    def device(self, handle: int) -> Device:
        if handle not in self.devices:
            raise ParallelError(Errno.INVALID_DEVICE, "PAR-DEV-04", f"{handle} is no device; get_device gives them")
        return self.devices[handle]

    def buffer(self, handle: int) -> Buffer:
        if handle not in self.buffers:
            raise ParallelError(Errno.INVALID_BUFFER, "PAR-BUF-05", f"{handle} is no buffer; create_buffer gives them")
        return self.buffers[handle]

    def create_buffer(self, device: int, size: int, kind: AccessKind = AccessKind.READ_WRITE) -> int:
        """The handle of a new buffer, all zeros."""
        self.device(device)
        total = self.buffer_bytes + size
        if len(self.buffers) >= self.limits.buffers or total > self.limits.buffer_bytes:
            raise ParallelError(
                Errno.RESOURCE_LIMIT, "PAR-ARG-04",
                f"{len(self.buffers) + 1} buffers of {total} bytes in all; "
                f"at most {self.limits.buffers} and {self.limits.buffer_bytes} bytes are allowed",
            )  # fmt: skip
        handle = FIRST_BUFFER + len(self.buffers)
        self.buffers[handle] = Buffer(handle, device, size, kind)
        self.buffer_bytes = total
        return handle

    def aliases(self, memory: e.Memory) -> bool:
        """Whether buffers are regions of the caller's memory, rather than storage of their own."""
        if self.form is Form.FOR_FUNCTION:  # its kernels work in the caller's memory, whatever that is
            return True
        return memory.shared and self.policies.memory in ("alias", "auto")

    def write_buffer(self, memory: e.Memory, pointer: int, size: int, handle: int) -> None:
        """Fill a buffer from the caller's memory; under alias, make it that region."""
        buffer = self.buffer(handle)
        self._check_size(buffer, size)
        if self.policies.memory == "alias" and not self.aliases(memory):
            raise ParallelError(
                Errno.UNSUPPORTED, "PAR-MEM-01", "policy memory=alias needs a caller with a shared memory"
            )
        buffer.region = pointer
        if not self.aliases(memory):
            buffer.content = memory.read(pointer, size)

    def read_buffer(self, memory: e.Memory, handle: int, pointer: int, size: int) -> None:
        """Copy a buffer to the caller's memory."""
        buffer = self.buffer(handle)
        self._check_size(buffer, size)
        memory.write(pointer, self.contents(memory, buffer))

    def _check_size(self, buffer: Buffer, size: int) -> None:
        if size != buffer.size:
            raise ParallelError(Errno.SIZE_MISMATCH, "PAR-BUF-01", f"{size} bytes for a buffer of {buffer.size}")

    def contents(self, memory: e.Memory, buffer: Buffer) -> bytes:
        """What a buffer holds."""
        if self.aliases(memory) and buffer.region is not None:
            return memory.read(buffer.region, buffer.size)
        return buffer.content

    def set_contents(self, memory: e.Memory, buffer: Buffer, content: bytes) -> None:
        """Take over what a kernel left in a device's memory."""
        if buffer.region is not None and self.policies.memory != "copy":
            memory.write(buffer.region, content)
        buffer.content = content

    # ---- running kernels ---------------------------------------------------------------------------------------------

    def parallel_exec(
        self, memory: e.Memory, device: int, code: bytes, iterations: int, block_size: int, handles: Sequence[int]
    ) -> None:
        """Run a kernel on buffers (inputs, then outputs) and wait until all iterations are done."""
        found = self.device(device)
        buffers = self._buffers(device, handles)
        kernel = self.kernel(code, len(buffers))
        Executor(self, memory, found, kernel, buffers).run(iterations, block_size)

    def parallel_for_module(
        self, memory: e.Memory, code: bytes, iterations: int, block_size: int, handles: Sequence[int]
    ) -> None:
        """The form of 2022: no device, and a kernel that is not told about the buffers."""
        device, buffers = self._device_and_buffers(handles)
        Executor(self, memory, device, self.kernel(code, 0), buffers, passed=False).run(iterations, block_size)

    def parallel_for_function(
        self, memory: e.Memory, code: bytes, function: int, iterations: int, block_size: int, handles: Sequence[int]
    ) -> None:
        """The form of 2021: ``code`` is the caller's module, the kernel one of its functions."""
        device, buffers = self._device_and_buffers(handles)
        for buffer in buffers:
            if buffer.region is None:
                raise ParallelError(
                    Errno.UNSUPPORTED, "PAR-FORM-06", f"buffer {buffer.handle} was never written and has no place"
                )
        kernel = self.kernel(code, len(buffers), function)
        Executor(self, memory, device, kernel, buffers).run(iterations, block_size)

    def _device_and_buffers(self, handles: Sequence[int]) -> tuple[Device, list[Buffer]]:
        """For forms that name no device: the one that the first buffer is on, otherwise the CPU (PAR-FORM-03), which
        gets no handle by that."""
        if handles:
            device = self.buffer(handles[0]).device
            return self.device(device), self._buffers(device, handles)
        return self._make(self._kind(DeviceKind.CPU)), []

    def _buffers(self, device: int, handles: Sequence[int]) -> list[Buffer]:
        buffers = [self.buffer(handle) for handle in handles]
        for position, buffer in enumerate(buffers):
            if buffer.device != device:
                raise ParallelError(
                    Errno.WRONG_DEVICE, "PAR-BUF-05",
                    f"buffer {buffer.handle} (number {position} of those passed) is on device {buffer.device}, "
                    f"not on {device}",
                )  # fmt: skip
        return buffers

    def kernel(self, data: bytes, buffers: int, function: int | None = None) -> Kernel:
        """The kernel in a binary module, checked; remembered by content."""
        kernel = self.kernels.get((data, function))
        if kernel is None:
            kernel = e.within(self.settings, lambda: Kernel(data, function))
            self.kernels[data, function] = kernel
        if kernel.buffers != buffers:
            raise ParallelError(
                Errno.INVALID_KERNEL, "PAR-KERN-02",
                f"'kernel' takes {kernel.buffers} buffers, {buffers} were passed",
            )  # fmt: skip
        return kernel

    # ---- afterwards --------------------------------------------------------------------------------------------------

    def note_failure(self, function: str, error: ParallelError) -> Failure:
        """Remember why a call failed."""
        failure = Failure(error.errno, function, error.rule, error.message, error.iteration, error.backtrace)
        self.failures.append(failure)
        return failure

    def close(self) -> None:
        """Forget devices, buffers and kernels; workers stay for the next guest (:mod:`refwasm.host.parallel.pool`)."""
        self.closed = True
        for device in self.devices.values():
            device.close()
        self.devices.clear()
        self.buffers.clear()
        self.kernels.clear()
        self.staging.close()
        self.buffer_bytes = 0
