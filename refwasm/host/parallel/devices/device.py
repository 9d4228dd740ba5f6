"""What devices have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from refwasm import embedding as e
from refwasm.errors import Crash, ResourceLimit, Trap, UncaughtException, WasmError
from refwasm.host.parallel.kernels import ExecutionParameters, Kernel
from refwasm.host.parallel.types import DeviceKind, Errno, ExecutionRecord, ParallelError


@dataclass(frozen=True)
class Execution:
    """One ``parallel_exec``: everything is checked, the buffers are in ``memory``. ``used_by_threads`` tells that other
    threads of the guest may work in that memory meanwhile."""

    kernel: Kernel
    memory: e.Memory
    parameters: ExecutionParameters
    used_by_threads: bool = False


class Unsupported(Exception):
    """Raised by a device, before anything happened, for an execution that it can't do exactly, or at all. The CPU does
    it then."""


class Device(Protocol):
    """Runs executions."""

    kind: DeviceKind
    name: str

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        """Run all iterations and return when none is running any more; fills ``record``.

        Raises ParallelError (kernel_trap, resource_limit, invalid_kernel), or Crash if a worker died.
        """

    def close(self) -> None:
        """The guest has ended: give back what is kept for it."""


def kernel_error(error: WasmError, iteration: int | None) -> ParallelError:
    """What the guest is told when a kernel fails; ``iteration`` None means while it was instantiated."""
    if isinstance(error, Crash):
        raise error
    if isinstance(error, ResourceLimit):
        return ParallelError(Errno.RESOURCE_LIMIT, "PAR-ARG-04", str(error), iteration)
    if isinstance(error, (Trap, UncaughtException)):
        backtrace = tuple(error.backtrace) if isinstance(error, Trap) else ()
        return ParallelError(Errno.KERNEL_TRAP, "PAR-EXEC-07", error.message, iteration, backtrace)
    return ParallelError(Errno.INVALID_KERNEL, "PAR-KERN-03", str(error), iteration)
