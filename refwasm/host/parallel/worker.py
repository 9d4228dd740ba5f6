"""A worker process: maps memories, keeps kernels, runs iterations. See :mod:`refwasm.host.parallel.pool`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing import connection, parent_process
from multiprocessing.reduction import recv_handle
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Crash, WasmError
from refwasm.execution.domain import WORK, Domain, adopt_domain
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.kernels import Kernel, KernelInstance

#: Shared words, guarded by the domain's lock: the next iteration to hand out, whether to stop.
NEXT, ABORT = 0, 1
#: Most iterations handed out at once: an uneven tail stays short.
MAX_BLOCK = 4096


class Worker:
    """The state of a worker."""

    def __init__(self, index: int, pipe: connection.Connection, domain: Domain) -> None:
        self.index = index
        self.pipe = pipe
        self.domain = domain
        self.work = domain.counters[WORK]
        self.memories: dict[int, SharedMemory] = {}
        self.kernels: dict[int, Kernel] = {}
        self.instances: dict[tuple[int, int], tuple[KernelInstance, e.Settings]] = {}

    def serve(self) -> None:
        """Handle messages until the parent closes the pipe."""
        while True:
            try:
                what, *rest = self.pipe.recv()
            except (EOFError, OSError):
                return
            getattr(self, f"do_{what}")(*rest)

    def do_memory(self, number: int, t: Any) -> None:
        fd = recv_handle(self.pipe)
        self.memories[number] = SharedMemory(t, self.domain, fd=fd)

    def do_forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self.memories.pop(number, None)
        for key in [key for key in self.instances if key[1] in numbers]:
            del self.instances[key]

    def do_kernel(self, number: int, data: bytes) -> None:
        self.kernels[number] = Kernel(data)

    def do_instantiate(self, kernel: int, memory: int, task: Any) -> None:
        try:
            self._instantiate(kernel, memory, task)
            self.pipe.send(("done", 0))
        except WasmError as error:
            self._fail(None, error)

    def _instantiate(self, kernel: int, memory: int, task: Any) -> tuple[KernelInstance, e.Settings]:
        settings = e.Settings(call_depth=task.call_depth, fuel=task.fuel, deadline=task.deadline)
        settings.interrupted = self._stopped
        instance = KernelInstance(self.kernels[kernel], self.memories[memory], settings)
        self.instances[kernel, memory] = instance, settings
        return instance, settings

    def do_run(self, kernel: int, memory: int, task: Any) -> None:
        """Run blocks of iterations until there are no more."""
        iteration = None
        done = 0
        try:
            instance, settings = self.instances.get((kernel, memory)) or self._instantiate(kernel, memory, task)
            settings.call_depth, settings.deadline = task.call_depth, task.deadline
            if not task.fresh:
                instance.reset()  # module state lasts for one job
            while block := self._next_block(task):
                for iteration in block:
                    if task.fresh:
                        instance.reset()
                    settings.fuel = task.fuel
                    instance.run((iteration, task.iterations, task.block_size, *task.pairs))
                    done += 1
            self.pipe.send(("done", done))
        except WasmError as error:
            self._fail(iteration, error)

    def _stopped(self) -> bool:
        return bool(self.work[ABORT])

    def _next_block(self, task: Any) -> range:
        """Ids to run next: a share of what is left, in whole blocks of the guest's size where that is small."""
        self.domain.acquire()
        try:
            start = self.work[NEXT]
            if self.work[ABORT]:
                return range(0)
            left = task.iterations - start
            size = min(max(left // (4 * task.workers), 1), MAX_BLOCK)
            if 1 < task.block_size <= size:
                size -= size % task.block_size
            stop = min(start + size, task.iterations)
            self.work[NEXT] = stop
            return range(start, stop)
        finally:
            self.domain.release()

    def _fail(self, iteration: int | None, error: WasmError) -> None:
        self.domain.acquire()
        self.work[ABORT] = 1
        self.domain.release()
        error.__cause__ = error.__context__ = None
        self.pipe.send(("failed", iteration, _portable(error)))


def _portable(error: WasmError) -> WasmError:
    """An error without references into the store, which can't travel."""
    if not isinstance(error, WasmError) or not hasattr(error, "exception"):
        error.__traceback__ = None
        return error
    from refwasm.errors import Trap

    return Trap("uncaught exception")


def _leave_with_parent() -> None:
    """End this process as soon as its parent is gone, whatever it is doing."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def worker_main(index: int, pipe: connection.Connection, domain: Domain, inherited: list[Any]) -> None:
    """Entry point of the process. ``inherited`` are pipe ends that fork copied and that belong to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and decides
    for other in inherited:
        other.close()
    adopt_domain(domain)
    _leave_with_parent()
    try:
        Worker(index, pipe, domain).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except Crash:
        sys.exit(1)
