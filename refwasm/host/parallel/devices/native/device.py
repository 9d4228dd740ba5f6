"""NATIVE: the parent's side."""

from __future__ import annotations

import os
import struct
import time
import weakref

from refwasm.errors import Crash, ResourceLimit, Trap, WasmError
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.devices.child import AFTER_A_TRAP, ChildProcess, shared_memory, shared_process
from refwasm.host.parallel.devices.device import Execution, Unsupported, kernel_error
from refwasm.host.parallel.devices.native.binding import NativeTrap
from refwasm.host.parallel.devices.native.driver import Word
from refwasm.host.parallel.devices.native.kernel import NativeKernel
from refwasm.host.parallel.devices.native.messages import NativeAnswer, NativeExecution
from refwasm.host.parallel.devices.registry import Found, NoSuchDevice
from refwasm.host.parallel.kernels import ExecutionParameters, Kernel
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.schedule import Schedule
from refwasm.host.parallel.types import Block, DeviceKind, ExecutionRecord, ParallelError

SERVER = "refwasm.host.parallel.devices.native.server"
#: Kernels made ready, and why others can't be; for all guests.
_ready: weakref.WeakKeyDictionary[Kernel, NativeKernel] = weakref.WeakKeyDictionary()
_refused: weakref.WeakKeyDictionary[Kernel, str] = weakref.WeakKeyDictionary()
#: Messages of traps that are limits.
LIMITS = ("all fuel consumed",)


class Native:
    """Runs jobs on threads of the native process, which all guests share."""

    kind, name = DeviceKind.CPU, "NATIVE"

    def __init__(self, limits: ParallelLimits) -> None:
        self.workers = limits.workers
        self.used: set[int] = set()  # numbers of what the process keeps for the guest
        _process()  # so that what is missing is told at once

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        """As any device. Raises Unsupported for what wasmtime can't do, and for strict mode."""
        schedule = execution.parameters.schedule()
        if not schedule.units:
            return
        memory, process = shared_memory(execution), _process()
        with process.working():
            self._run(process, execution, memory, schedule, record)

    def _run(
        self,
        process: ChildProcess,
        execution: Execution,
        memory: SharedMemory,
        schedule: Schedule,
        record: ExecutionRecord,
    ) -> None:
        kernel = _kernel(execution.kernel)
        process.forget_the_dead()
        number = process.once(execution.kernel, lambda number: _compile(process, number, execution.kernel, kernel))
        place = process.share(memory)
        self.used |= {number, place}
        workers = 1 if execution.parameters.policies.instance == "single" else min(self.workers, schedule.units)
        process.send("run", number, place, _native_execution(execution.parameters, schedule, workers, memory.size()))
        answer = _answer(process, execution.parameters.deadline)
        record.blocks += [Block(*block) for block in answer.blocks]
        if answer.pages > memory.size():
            memory.grow(answer.pages - memory.size())
        if answer.failures:
            raise _failure(kernel, answer.failures)

    def close(self) -> None:
        """Have the process give up the guest's kernels and memories."""
        if self.used:
            _process().forget(self.used)


class NativeBackend:
    """The one device of this sort."""

    def found(self) -> list[Found]:
        try:
            version, shares = _told(_process())
        except (Unsupported, WasmError) as error:
            return [Found("native", "NATIVE", DeviceKind.CPU, (), str(error))]
        way = "over refwasm's memory" if shares else "on copies of refwasm's memory"
        return [Found("native", "NATIVE", DeviceKind.CPU, (f"wasmtime {version}", f"{os.cpu_count()} cores", way))]

    def make(self, rest: str, limits: ParallelLimits) -> Native:
        if rest:
            raise NoSuchDevice(f"device native:{rest}: there is only one, native")
        return Native(limits)


BACKEND = NativeBackend()
_about: weakref.WeakKeyDictionary[ChildProcess, tuple[str, bool]] = weakref.WeakKeyDictionary()


def _told(process: ChildProcess) -> tuple[str, bool]:
    """The version of wasmtime, and whether memories are shared."""
    return _about[process]


def _process() -> ChildProcess:
    return shared_process("native", _started)


def _started() -> ChildProcess:
    process = ChildProcess(SERVER, "the native process")
    answer = process.ask("hello")
    _about[process] = answer[1], answer[2]
    return process


def _kernel(kernel: Kernel) -> NativeKernel:
    if kernel in _refused:
        raise Unsupported(_refused[kernel])
    if kernel not in _ready:
        _ready[kernel] = NativeKernel(kernel)
    return _ready[kernel]


def _compile(process: ChildProcess, number: int, key: Kernel, kernel: NativeKernel) -> None:
    process.send("kernel", number, kernel.modules)
    answer = process.receive()
    if answer is None or answer[0] == "refused":
        _refused[key] = f"wasmtime refuses the kernel: {answer and answer[1]}"
        raise Unsupported(_refused[key])


def _native_execution(parameters: ExecutionParameters, schedule: Schedule, workers: int, pages: int) -> NativeExecution:
    start, step, listed = schedule.order()
    words = (
        0, 0, schedule.units, schedule.unit, schedule.count, schedule.block_size, start, step, listed is not None,
        4 * workers if schedule.guided else 0, parameters.fresh,
    )  # fmt: skip
    return NativeExecution(
        workers, struct.pack(f"<{len(Word)}Q", *words), struct.pack(f"<{len(parameters.pairs)}I", *parameters.pairs),
        b"" if listed is None else struct.pack(f"<{len(listed)}I", *listed), parameters.fresh, parameters.fuel, pages,
    )  # fmt: skip


def _answer(process: ChildProcess, deadline: float | None) -> NativeAnswer:
    """What came of an execution. A process whose iterations do not end, in time or after a trap, is killed."""
    answer = NativeAnswer(*process.result(deadline))
    while answer.what == "failing":
        later = process.receive(time.monotonic() + AFTER_A_TRAP)
        if later is None:
            process.kill()
            break
        answer = NativeAnswer(*later)
    return answer


def _failure(kernel: NativeKernel, failures: list[tuple[int | None, NativeTrap]]) -> ParallelError:
    """The failure of the first iteration (None: while an instance was made)."""
    iteration, trap = min(failures, key=lambda failure: -1 if failure[0] is None else failure[0])
    if trap.message.startswith("internal: "):
        raise Crash(f"the native process: {trap.message}")
    if trap.message in LIMITS or trap.message.startswith("limit: "):
        return kernel_error(ResourceLimit(trap.message.removeprefix("limit: ")), iteration)
    error = Trap(kernel.message(trap))
    error.backtrace = list(kernel.backtrace(trap.frames))
    return kernel_error(error, iteration)
