"""A worker process: maps memories, keeps kernels, runs iterations. See :mod:`refwasm.host.parallel.pool`."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.reduction import recv_handle
from typing import Any

from refwasm.errors import Crash, ResourceLimit, WasmError
from refwasm.execution.domain import WORK, Domain, adopt_domain
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.kernels import ExecutionParameters, Kernel, KernelInstance
from refwasm.host.parallel.schedule import Schedule
from refwasm.host.parallel.types import Block, Violation
from refwasm.host.processes import begin, portable

#: Shared words, guarded by the domain's lock: the next position of the schedule to hand out, whether to stop.
NEXT, ABORT = 0, 1


class Worker:
    """The state of a worker."""

    def __init__(self, index: int, pipe: connection.Connection, domain: Domain) -> None:
        self.index = index
        self.pipe = pipe
        self.domain = domain
        self.work = domain.counters[WORK]
        self.memories: dict[int, SharedMemory | ResourceLimit] = {}
        self.kernels: dict[int, Kernel] = {}
        self.instances: dict[tuple[int, int], KernelInstance] = {}
        self.iteration: int | None = None  # the one that runs
        self.running: KernelInstance | None = None  # the instance of the execution in hand

    def serve(self) -> None:
        """Handle messages until the parent closes the pipe."""
        while True:
            try:
                what, *rest = self.pipe.recv()
            except (EOFError, OSError):
                for instance in self.instances.values():
                    instance.store.tier.save()
                return
            getattr(self, f"do_{what}")(*rest)

    def do_memory(self, number: int, t: Any) -> None:
        try:
            memory = SharedMemory(t, self.domain, fd=recv_handle(self.pipe))
            memory.close_fd()  # the mapping is enough, and a process has few descriptors
            self.memories[number] = memory
        except (ResourceLimit, OSError, RuntimeError) as error:
            self.memories[number] = ResourceLimit(f"a worker can't map the memory: {error}")

    def do_forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self.memories.pop(number, None)
            self.kernels.pop(number, None)
        for key in [key for key in self.instances if set(key) & set(numbers)]:
            del self.instances[key]
        gc.collect()  # instances are cycles, and hold mappings

    def do_kernel(self, number: int, data: bytes, function: int | None) -> None:
        self.kernels[number] = Kernel(data, function)

    def do_instantiate(self, kernel: int, memory: int, parameters: ExecutionParameters) -> None:
        def make() -> tuple[list[Block], list[Violation]]:
            self._instantiate(kernel, memory, parameters)
            return [], []

        self._answer(make)

    def _instantiate(self, kernel: int, memory: int, parameters: ExecutionParameters) -> KernelInstance:
        mapped = self.memories[memory]
        if isinstance(mapped, ResourceLimit):
            raise mapped
        instance = KernelInstance(self.kernels[kernel], mapped, parameters, self._stopped)
        self.instances[kernel, memory] = instance
        return instance

    def _instance(self, kernel: int, memory: int, parameters: ExecutionParameters) -> KernelInstance:
        """An instance made before, unless strict mode watches other places now, or another tier is wanted."""
        instance = self.instances.get((kernel, memory))
        if instance is not None and not instance.kernel.acts_on_instantiation:
            instance.forget_violations()
        if instance is None or (instance.watched, instance.tier) != (parameters.watched, parameters.tier):
            instance = self._instantiate(kernel, memory, parameters)
        return instance

    def do_run(self, kernel: int, memory: int, parameters: ExecutionParameters, workers: int) -> None:
        """Run blocks of iterations until there are no more."""

        def run() -> tuple[list[Block], list[Violation]]:
            instance = self._instance(kernel, memory, parameters)
            self.running = instance
            if not parameters.fresh:
                instance.reset()  # module state lasts for one execution
            blocks = []
            schedule = parameters.schedule()
            while share := self._next_share(schedule, workers):
                begin = time.perf_counter()
                done = instance.run(parameters, schedule.ids(share.start, share.stop), self._begin)
                blocks.append(Block(self.index, done, begin, time.perf_counter()))
            return blocks, instance.violations

        self._answer(run)

    def _begin(self, iteration: int) -> None:
        self.iteration = iteration

    def _answer(self, act: Callable[[], tuple[list[Block], list[Violation]]]) -> None:
        """Act and tell the parent: what ran, or which iteration failed and why."""
        self.iteration = None
        try:
            answer: tuple[Any, ...] = ("done", *act())
        except WasmError as error:
            answer = ("failed", self.iteration, portable(error), self._violations())
        except MemoryError:
            answer = ("failed", self.iteration, ResourceLimit("a worker ran out of memory"), [])
        if answer[0] == "failed":
            self.domain.acquire()
            self.work[ABORT] = 1
            self.domain.release()
        self.pipe.send(answer)

    def _violations(self) -> list[Violation]:
        return [] if self.running is None else self.running.violations

    def _stopped(self) -> bool:
        return bool(self.work[ABORT])

    def _next_share(self, schedule: Schedule, workers: int) -> range:
        """Positions in the schedule to run next; empty if nothing is left."""
        self.domain.acquire()
        try:
            start = self.work[NEXT]
            if self.work[ABORT]:
                return range(0)
            stop = min(start + schedule.share(schedule.units - start, workers), schedule.units)
            self.work[NEXT] = stop
            return range(start, stop)
        finally:
            self.domain.release()


def worker_main(index: int, pipe: connection.Connection, domain: Domain, inherited: list[Any]) -> None:
    """Entry point of the process. ``inherited`` are pipe ends that fork copied and that belong to the parent."""
    begin(inherited)
    adopt_domain(domain)
    gc.freeze()  # what is there now stays, so that looking for garbage is quick: see do_forget
    try:
        Worker(index, pipe, domain).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except Crash:
        sys.exit(1)
