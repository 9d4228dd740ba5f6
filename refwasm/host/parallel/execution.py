"""What carries out one execution: where the kernel works, what is copied there and back, and who runs it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol, TypeVar

from refwasm import embedding as e
from refwasm.errors import Deadlock, ResourceLimit
from refwasm.execution.choices import Choices
from refwasm.host.parallel.buffers import Buffer
from refwasm.host.parallel.devices import Device, Execution
from refwasm.host.parallel.forms import Form
from refwasm.host.parallel.kernels import ExecutionParameters, Kernel
from refwasm.host.parallel.policies import ParallelLimits, Policies
from refwasm.host.parallel.staging import Staging
from refwasm.host.parallel.strict import Region
from refwasm.host.parallel.types import Errno, ExecutionRecord, ParallelError

#: Buffers in a device's memory start at multiples of this, so that every access type is aligned.
ALIGNMENT = 64


class Surroundings(Protocol):
    """What an execution needs of the guest's context (:class:`refwasm.host.parallel.Context`)."""

    policies: Policies
    limits: ParallelLimits
    settings: e.Settings
    form: Form
    tier: str
    strict: bool
    interruptible: bool
    choices: Choices | None
    runs: list[ExecutionRecord]
    staging: Staging

    def aliases(self, memory: e.Memory) -> bool:
        """Whether buffers are regions of the caller's memory."""

    def contents(self, memory: e.Memory, buffer: Buffer) -> bytes:
        """What a buffer holds."""

    def set_contents(self, memory: e.Memory, buffer: Buffer, content: bytes) -> None:
        """Take over what a kernel left in a device's memory."""


class Executor:
    """A checked call: a kernel, buffers in the order of its arguments, the caller's memory.

    With ``passed`` false the kernel is not told where the buffers are.
    """

    def __init__(
        self, context: Surroundings, memory: e.Memory, device: Device, kernel: Kernel, buffers: Sequence[Buffer],
        passed: bool = True,
    ) -> None:  # fmt: skip
        self.context = context
        self.memory = memory
        self.device = device
        self.kernel = kernel
        self.buffers = buffers
        self.passed = passed

    def run(self, iterations: int, block_size: int) -> None:
        """Run all iterations and wait for them."""
        in_place = self._works_in_place()
        self.done = ExecutionRecord(self.device.kind, iterations, time.perf_counter(), name=self.device.name)
        self.context.runs.append(self.done)
        self.parameters = self._parameters(iterations, block_size)
        try:
            if in_place:
                self._execute(self.memory, {b.handle: b.region or 0 for b in self.buffers})
            elif self.context.form is Form.FOR_FUNCTION:
                self._run_on_a_copy()
            else:
                self._run_staged()
        except Deadlock:  # of agents that take turns: nobody can go on, the guest neither
            raise
        except ResourceLimit as error:  # of the device's memory
            raise ParallelError(Errno.RESOURCE_LIMIT, "PAR-ARG-04", error.message) from error
        finally:
            self.done.end = time.perf_counter()

    def _parameters(self, iterations: int, block_size: int) -> ExecutionParameters:
        """Its parameters under the policies and limits; where the buffers lie comes later."""
        context = self.context
        settings, limits = context.settings, context.limits
        end = None if limits.seconds is None else time.monotonic() + limits.seconds
        return ExecutionParameters(
            iterations, block_size, (), _least(settings.deadline, end), _least(settings.fuel, limits.fuel),
            settings.call_depth, settings.memory_pages, context.policies, tier=context.tier, cache=settings.cache,
            choices=context.choices,
        )  # fmt: skip

    def _execute(self, memory: e.Memory, places: dict[int, int]) -> None:
        """Run in a memory that holds the buffers at ``places`` (by handle)."""
        pairs = tuple(word for b in self.buffers for word in (places[b.handle], b.size)) if self.passed else ()
        watched: tuple[Region, ...] = ()
        if self.context.strict:
            watched = tuple(Region(places[b.handle], b.size, b.handle, b.kind) for b in self._distinct())
        execution = Execution(
            self.kernel, memory, self.parameters._replace(pairs=pairs, watched=watched),
            self.context.interruptible and memory is self.memory,
        )  # fmt: skip
        self.device.run(execution, self.done)

    def _distinct(self) -> list[Buffer]:
        """Each buffer once, however often it is passed."""
        return list({buffer.handle: buffer for buffer in self.buffers}.values())

    def _works_in_place(self) -> bool:
        """Whether the kernel can work in the caller's memory (PAR-MEM-01 to PAR-MEM-03)."""
        if not self.context.aliases(self.memory) or not self.memory.shared:
            return False
        fits = e.match_extern_type(self.memory.current_type(), self.kernel.memory_type)
        if not fits and self.context.policies.memory == "alias":
            raise ParallelError(
                Errno.INVALID_KERNEL, "PAR-MEM-02", "the kernel's memory import does not fit the caller's memory"
            )
        return fits and all(buffer.region is not None for buffer in self.buffers)

    # ---- memories of the device's own --------------------------------------------------------------------------------

    def _run_staged(self) -> None:
        """Buffers in, run, buffers out (also after a trap: stores stay)."""
        places, pages = self._layout()
        maximum = self.kernel.memory_type.limits.maximum or 0
        if pages > maximum:
            raise ParallelError(
                Errno.RESOURCE_LIMIT, "PAR-MEM-04",
                f"the buffers need {pages} pages, the kernel's memory may have {maximum}",
            )  # fmt: skip
        own = self.context.staging.take(self.kernel, pages)
        for buffer in self._distinct():
            own.write(places[buffer.handle], self.context.contents(self.memory, buffer))
            self.done.bytes_copied += buffer.size
        try:
            self._execute(own, places)
        finally:
            for buffer in self._distinct():
                self.context.set_contents(self.memory, buffer, own.read(places[buffer.handle], buffer.size))
                self.done.bytes_copied += buffer.size
        self.context.staging.give_back(self.kernel, own)

    def _layout(self) -> tuple[dict[int, int], int]:
        """Where each buffer goes, and the pages needed: behind the memory that the kernel asks for itself, where its
        own data and stack may be."""
        places: dict[int, int] = {}
        end = self.kernel.memory_type.limits.minimum << self.kernel.memory_type.page_bits
        for buffer in self._distinct():
            places[buffer.handle] = end & 0xFFFFFFFF  # an empty one may lie behind all of memory
            end += (buffer.size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        return places, -(-end >> self.kernel.memory_type.page_bits)

    def _run_on_a_copy(self) -> None:
        """A private memory can't be shared with workers: all of it is copied, and copied back (PAR-FORM-06)."""
        own = self.context.staging.take(self.kernel, self.memory.size())
        own.write(0, self.memory.read(0, self.memory.size() * self.memory.page))
        self.done.bytes_copied += self.memory.size() * self.memory.page
        try:
            self._execute(own, {b.handle: b.region or 0 for b in self.buffers})
        finally:
            self.memory.grow(own.size() - self.memory.size())
            self.memory.write(0, own.read(0, self.memory.size() * self.memory.page))
            self.done.bytes_copied += self.memory.size() * self.memory.page
        self.context.staging.give_back(self.kernel, own)


Number = TypeVar("Number", int, float)


def _least(*limits: Number | None) -> Number | None:
    """The strictest of limits, None being no limit."""
    return min((limit for limit in limits if limit is not None), default=None)
