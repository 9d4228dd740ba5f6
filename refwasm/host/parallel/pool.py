"""A pool of worker processes that run kernels over shared mappings.

Each worker has a pipe to its parent. Messages are tuples, first what to do:

* ``("memory", number, type)``, followed by a file descriptor: map a shared memory;
* ``("forget", numbers)``: unmap memories;
* ``("kernel", number, bytes)``: decode and validate a kernel;
* ``("instantiate", kernel, memory, task)``: make an instance that later runs use (kernels that act when instantiated);
* ``("run", kernel, memory, task)``: run iterations until there are no more.

Iteration ids are handed out through words that all processes share, guarded by the domain's lock, in blocks that
get smaller towards the end, so that uneven work balances. A worker answers ``("done", count)`` or
``("failed", iteration, error)``; the first failure sets a word that stops the others.

A worker that dies may have held the lock. Nobody waits for it then: the others are killed, the domain is marked
broken, and the caller gets a Crash.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
import weakref
from multiprocessing import connection
from multiprocessing.reduction import send_handle
from typing import Any, NamedTuple

from refwasm.errors import Crash, ResourceLimit, WasmError
from refwasm.execution.domain import WORK, Domain, current_domain
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.devices.device import Job, kernel_error
from refwasm.host.parallel.kernels import Kernel
from refwasm.host.parallel.types import Run
from refwasm.host.parallel.worker import ABORT, NEXT, worker_main

#: How long a worker gets to leave when asked, in seconds.
GRACE = 0.5


class Task(NamedTuple):
    """What workers need to know of a job beside kernel and memory."""

    iterations: int
    block_size: int
    pairs: tuple[int, ...]
    deadline: float | None
    fuel: int | None
    call_depth: int
    fresh: bool
    workers: int


class Pool:
    """``size`` workers of this process."""

    def __init__(self, size: int) -> None:
        self.domain: Domain = current_domain()
        self.work = self.domain.counters[WORK]
        self.owner = os.getpid()
        self.kernels: dict[Kernel, int] = {}
        self.memories: dict[int, int] = {}  # identity of a memory -> number
        self.dead_memories: list[int] = []
        self.numbers = 0
        self.processes: list[Any] = []
        self.pipes: list[connection.Connection] = []
        self.closed = False
        for index in range(size):
            self._start(index)

    def _start(self, index: int) -> None:
        context = self.domain.context
        ours, theirs = context.Pipe()
        process = context.Process(  # type: ignore[attr-defined]
            target=worker_main,
            args=(index, theirs, self.domain, [*self.pipes, ours] if context.get_start_method() == "fork" else []),
            name=f"refwasm-worker-{index}",
            daemon=True,
        )
        try:
            process.start()
        except OSError as error:
            self.close()
            raise ResourceLimit(f"worker process {index} can't be started: {error}") from None
        theirs.close()
        self.processes.append(process)
        self.pipes.append(ours)

    # ---- messages ----------------------------------------------------------------------------------------------------

    def _tell(self, message: tuple[Any, ...]) -> None:
        for index, pipe in enumerate(self.pipes):
            try:
                pipe.send(message)
            except OSError:
                self._worker_died(index)

    def _answers(self) -> list[tuple[Any, ...]]:
        """One answer of each worker; Crash if one dies before it answers."""
        answers: dict[int, tuple[Any, ...]] = {}
        while len(answers) < len(self.pipes):
            waiting = [i for i in range(len(self.pipes)) if i not in answers]
            ready = connection.wait([*(self.pipes[i] for i in waiting), *(self.processes[i].sentinel for i in waiting)])
            for index in waiting:
                if self.pipes[index] in ready:
                    try:
                        answers[index] = self.pipes[index].recv()
                    except (EOFError, OSError):
                        self._worker_died(index)
                elif self.processes[index].sentinel in ready and not self.pipes[index].poll():
                    self._worker_died(index)
        return [answers[index] for index in range(len(self.pipes))]

    def _worker_died(self, index: int) -> None:
        process = self.processes[index]
        process.join(GRACE)
        reason = f"worker process {index} (pid {process.pid}) died{_cause(process.exitcode)}"
        self.kill()
        self.domain.mark_broken(reason)
        raise Crash(reason)

    # ---- kernels and memories ----------------------------------------------------------------------------------------

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _share_memory(self, memory: SharedMemory) -> int:
        number = self.memories.get(memory.identity)
        if number is None:
            number = self.memories[memory.identity] = self._number()
            weakref.finalize(memory, self._note_dead, memory.identity)
            for index, pipe in enumerate(self.pipes):
                try:
                    pipe.send(("memory", number, memory.type))
                    send_handle(pipe, memory.fd, self.processes[index].pid)
                except OSError:
                    self._worker_died(index)
        return number

    def _note_dead(self, identity: int) -> None:
        number = self.memories.pop(identity, None)
        if number is not None:
            self.dead_memories.append(number)

    def _share_kernel(self, kernel: Kernel) -> int:
        number = self.kernels.get(kernel)
        if number is None:
            number = self.kernels[kernel] = self._number()
            self._tell(("kernel", number, kernel.data))
        return number

    # ---- running -----------------------------------------------------------------------------------------------------

    def run(self, job: Job, fresh: bool, run: Run) -> None:
        """Run a job on all workers."""
        if not isinstance(job.memory, SharedMemory) or job.memory.domain is not self.domain:
            raise Crash("the memory was shared with workers that are gone")
        if self.dead_memories:
            self._tell(("forget", self.dead_memories))
            self.dead_memories = []
        memory, kernel = self._share_memory(job.memory), self._share_kernel(job.kernel)
        task = Task(
            job.iterations, job.block_size, job.pairs, job.deadline, job.fuel, job.call_depth, fresh, len(self.pipes)
        )
        self.work[NEXT] = self.work[ABORT] = 0
        try:
            if job.kernel.acts_on_instantiation:
                # All instances are there before the first iteration runs, so that no segment overwrites results.
                self._tell(("instantiate", kernel, memory, task))
                self._check(self._answers(), run)
            self._tell(("run", kernel, memory, task))
            self._check(self._answers(), run)
        except BaseException as error:
            if not isinstance(error, (Crash, _Failed)):
                self.kill()  # Ctrl-C in the middle of a job: whatever they do, they stop
                self.domain.mark_broken("the workers were interrupted")
            if isinstance(error, _Failed):
                raise kernel_error(error.error, error.iteration) from error.error
            raise

    def _check(self, answers: list[tuple[Any, ...]], run: Run) -> None:
        """Note what was done; the failure that counts is the first real one, not what it interrupted in others."""
        failures = [answer for answer in answers if answer[0] == "failed"]
        for index, answer in enumerate(answers):
            if answer[0] == "done" and answer[1]:
                run.by_worker[index] = run.by_worker.get(index, 0) + answer[1]
        if failures:
            real = [f for f in failures if f[2].message != "interrupted"] or failures
            _, iteration, error = min(real, key=lambda f: -1 if f[1] is None else f[1])
            raise _Failed(iteration, error)

    # ---- ending ------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End all workers at once."""
        self.closed = True
        for process in self.processes:
            if process.is_alive():
                process.kill()
        self._reap()

    def close(self) -> None:
        """Let idle workers leave, and kill those that do not."""
        if self.closed or os.getpid() != self.owner:
            return
        self.closed = True
        for pipe in self.pipes:
            pipe.close()
        end = time.monotonic() + GRACE
        for process in self.processes:
            process.join(max(end - time.monotonic(), 0.0))
            if process.is_alive():
                process.kill()
        self._reap()

    def _reap(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join()
            process.close()
        self.processes, self.pipes = [], []


class _Failed(Exception):
    """An iteration failed (iteration None: making an instance)."""

    def __init__(self, iteration: int | None, error: WasmError) -> None:
        super().__init__(iteration)
        self.iteration = iteration
        self.error = error


def _cause(exitcode: int | None) -> str:
    if exitcode is None:
        return ""
    if exitcode >= 0:
        return f" with exit code {exitcode}"
    try:
        return f" of signal {-exitcode} ({signal.Signals(-exitcode).name})"
    except ValueError:
        return f" of signal {-exitcode}"


_pools: dict[int, Pool] = {}


def shared_pool(size: int) -> Pool:
    """The pool of that size of this process; started once, replaced if it broke or belongs to a parent process."""
    pool = _pools.get(size)
    if pool is None or pool.closed or pool.owner != os.getpid() or pool.domain is not current_domain():
        pool = _pools[size] = Pool(size)
    return pool


def close_pools() -> None:
    """End all workers of this process."""
    for pool in _pools.values():
        if pool.owner == os.getpid():
            pool.close()
    _pools.clear()


atexit.register(close_pools)
