"""Numbers of the interface: the witx's enumerations, and the error numbers that it leaves open (those are ours)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from refwasm.errors import StackEntry


class DeviceKind(IntEnum):
    """``$device_kind`` of the proposal's present form."""

    SEQUENTIAL = 0
    CPU = 1
    DISCRETE_GPU = 2
    INTEGRATED_GPU = 3


class OldDeviceKind(IntEnum):
    """The device kinds of the proposal's older forms."""

    CPU = 0
    DISCRETE_GPU = 1
    INTEGRATED_GPU = 2


class AccessKind(IntEnum):
    """``$buffer_access_kind``: hints about who reads and writes a buffer."""

    READ = 0
    WRITE = 1
    READ_WRITE = 2


class Errno(IntEnum):
    """``$par_errno``. Guests may rely on zero and non-zero only."""

    SUCCESS = 0
    INVALID_DEVICE = 1
    INVALID_BUFFER = 2
    WRONG_DEVICE = 3
    SIZE_MISMATCH = 4
    INVALID_KERNEL = 5
    KERNEL_TRAP = 6
    RESOURCE_LIMIT = 7
    UNSUPPORTED = 8


@dataclass(frozen=True)
class Failure:
    """Why a call returned an error number: ``rule`` is the one of docs/semantics.md that says so.

    For a trap ``iteration`` is the id of the iteration, ``backtrace`` the kernel's calls, innermost first.
    """

    errno: Errno
    function: str
    rule: str
    message: str
    iteration: int | None = None
    backtrace: tuple[StackEntry, ...] = ()

    def __str__(self) -> str:
        where = "" if self.iteration is None else f" in iteration {self.iteration}"
        calls = "".join(f"\n    at {entry}" for entry in self.backtrace)
        return f"{self.function}: {self.errno.name.lower()}{where}: {self.message} ({self.rule}){calls}"


class ParallelError(Exception):
    """Raised inside the host functions for what becomes an error number; ``rule`` says so."""

    def __init__(
        self, errno: Errno, rule: str, message: str, iteration: int | None = None,
        backtrace: tuple[StackEntry, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.errno = errno
        self.rule = rule
        self.message = message
        self.iteration = iteration
        self.backtrace = backtrace


class Block(NamedTuple):
    """Iterations that a worker ran one after the other; times are ``time.perf_counter`` values. ``iteration`` is its id
    where it is a single one."""

    worker: int
    iterations: int
    begin: float
    end: float
    iteration: int | None = None


class Violation(NamedTuple):
    """In strict mode, the first access of its sort: which iteration did what to which buffer, and where."""

    iteration: int
    action: str
    handle: int
    kind: AccessKind
    place: StackEntry

    def __str__(self) -> str:
        return (
            f"iteration {self.iteration} {self.action} buffer {self.handle}, which was created with kind "
            f"{self.kind.name.lower()} (PAR-BUF-03)\n    at {self.place}"
        )


@dataclass
class ExecutionRecord:
    """What one execution did: the device that ran it, who ran how much when, the bytes copied, and in strict
    mode the accesses that the kinds of the buffers speak against. ``name`` is that device's own; ``instead`` says why
    it is not the one that was asked."""

    device: DeviceKind
    iterations: int
    begin: float
    end: float = 0.0
    blocks: list[Block] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    bytes_copied: int = 0
    name: str = ""
    instead: str = ""

    @property
    def by_worker(self) -> dict[int, int]:
        """Iterations by worker."""
        counts: dict[int, int] = {}
        for block in self.blocks:
            counts[block.worker] = counts.get(block.worker, 0) + block.iterations
        return counts

    @property
    def kernel_seconds(self) -> float:
        """Time from the first iteration's begin to the last one's end; the rest is checking, copying and dispatch."""
        if not self.blocks:
            return 0.0
        return max(block.end for block in self.blocks) - min(block.begin for block in self.blocks)
