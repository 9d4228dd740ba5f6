"""A pool of worker processes that run kernels over shared mappings.

Each worker has a pipe to its parent. Messages are tuples, first what to do:

* ``("memory", number, type)``, followed by a file descriptor: map a shared memory;
* ``("forget", numbers)``: of memories and kernels;
* ``("kernel", number, bytes, function)``: decode and validate a kernel;
* ``("instantiate", kernel, memory, parameters)``: make an instance that later runs use (kernels that act when
  instantiated);
* ``("run", kernel, memory, parameters, workers)``: run iterations until there are no more.

Iteration ids are handed out through words that all processes share, guarded by the domain's lock, in blocks that
get smaller towards the end, so that uneven work balances. A worker answers ``("done", blocks, violations)`` or
``("failed", iteration, error, violations)``; the first failure sets a word that stops the others.

A worker that dies may have held the lock. Nobody waits for it then: the others are killed, the domain is marked
broken, and the caller gets a Crash.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from multiprocessing import connection
from multiprocessing.reduction import send_handle
from typing import Any, NoReturn

from refwasm.errors import Crash, ResourceLimit, WasmError
from refwasm.execution.domain import WORK, Domain, current_domain
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.devices.device import Execution, kernel_error
from refwasm.host.parallel.kernels import Kernel
from refwasm.host.parallel.types import ExecutionRecord
from refwasm.host.parallel.worker import ABORT, NEXT, worker_main
from refwasm.host.processes import cause_of_death, pipe_of, start

#: How long a worker gets to leave when asked, in seconds.
GRACE = 0.5


class Pool:
    """Workers of this process: as many as the largest execution so far asked for; an execution uses the first of them.

    Jobs run one at a time: they share the words that iterations are handed out through.
    """

    def __init__(self) -> None:
        self.domain: Domain = current_domain()
        self.work = self.domain.counters[WORK]
        self.owner = os.getpid()
        self.busy = threading.Lock()
        self.ending = threading.Lock()
        self.numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # of kernels and memories
        self.last_number = 0
        self.dead: list[int] = []
        self.processes: list[Any] = []
        self.pipes: list[connection.Connection] = []
        self.known: list[set[int]] = []  # by worker: the numbers of what it has
        self.closed = False

    def _start(self) -> None:
        context, index = self.domain.context, len(self.processes)
        ours, theirs = pipe_of(context)
        process = context.Process(  # type: ignore[attr-defined]
            target=worker_main,
            args=(index, theirs, self.domain, [*self.pipes, ours] if context.get_start_method() == "fork" else []),
            name=f"refwasm-worker-{index}",
            daemon=True,
        )
        try:
            start(process, f"worker process {index}")
        except ResourceLimit:
            ours.close()
            theirs.close()
            raise
        theirs.close()
        self.processes.append(process)
        self.pipes.append(ours)
        self.known.append(set())

    # ---- messages ----------------------------------------------------------------------------------------------------

    def _send(self, index: int, message: tuple[Any, ...], fd: int | None = None) -> None:
        try:
            self.pipes[index].send(message)
            if fd is not None:
                send_handle(self.pipes[index], fd, self.processes[index].pid)
        except OSError:
            self._worker_died(index)

    def _answers(self, workers: int, timeout: float | None = None) -> list[tuple[Any, ...]]:
        """One answer of each worker (fewer if the time runs out); Crash if one dies before it answers."""
        answers: dict[int, tuple[Any, ...]] = {}
        while len(answers) < workers:
            waiting = [i for i in range(workers) if i not in answers]
            sources = [*(self.pipes[i] for i in waiting), *(self.processes[i].sentinel for i in waiting)]
            ready = connection.wait(sources, timeout)
            if not ready:
                break
            for index in waiting:
                if self.pipes[index] in ready:
                    try:
                        answers[index] = self.pipes[index].recv()
                    except (EOFError, OSError):
                        self._worker_died(index)
                elif self.processes[index].sentinel in ready and not self.pipes[index].poll():
                    self._worker_died(index)
        return [answers[index] for index in sorted(answers)]

    def _worker_died(self, index: int) -> NoReturn:
        process = self.processes[index]
        process.join(GRACE)
        reason = f"worker process {index} (pid {process.pid}) died{cause_of_death(process.exitcode)}"
        self.kill()
        self.domain.mark_broken(reason)
        raise Crash(reason)

    # ---- kernels and memories ----------------------------------------------------------------------------------------

    def _number(self, item: Kernel | SharedMemory) -> int:
        number = self.numbers.get(item)
        if number is None:
            self.last_number += 1
            number = self.numbers[item] = self.last_number
            weakref.finalize(item, self.dead.append, number)
        return number

    def _forget_the_dead(self) -> None:
        count = len(self.dead)  # more may die meanwhile
        numbers = self.dead[:count]
        del self.dead[:count]
        for index, known in enumerate(self.known):
            if gone := known.intersection(numbers):
                known -= gone
                self._send(index, ("forget", sorted(gone)))

    def _share(self, index: int, execution: Execution, kernel: int, memory: int) -> None:
        known = self.known[index]
        if memory not in known:
            assert isinstance(execution.memory, SharedMemory)
            self._send(index, ("memory", memory, execution.memory.type), execution.memory.fd)
        if kernel not in known:
            self._send(index, ("kernel", kernel, execution.kernel.data, execution.kernel.function))
        known |= {kernel, memory}

    # ---- running -----------------------------------------------------------------------------------------------------

    def run(self, execution: Execution, workers: int, record: ExecutionRecord) -> None:
        """Run an execution on so many workers."""
        with self.busy:
            assert isinstance(execution.memory, SharedMemory), "kernels import shared memories only"
            if execution.memory.domain is not self.domain:
                raise Crash(execution.memory.domain.broken or "the memory was made before a fork, by another process")
            kernel, memory = self._number(execution.kernel), self._number(execution.memory)
            self._prepare(execution, workers, kernel, memory)
            self.work[NEXT] = self.work[ABORT] = 0
            try:
                if execution.kernel.acts_on_instantiation:
                    # All instances are there before the first iteration runs, so that no segment overwrites results.
                    self._ask(workers, ("instantiate", kernel, memory, execution.parameters), record)
                self._ask(workers, ("run", kernel, memory, execution.parameters, workers), record)
            except _Failed as failure:
                raise kernel_error(failure.error, failure.iteration) from failure.error

    def _prepare(self, execution: Execution, workers: int, kernel: int, memory: int) -> None:
        """Have so many workers, each with the kernel and the memory."""
        try:
            self._forget_the_dead()
            while len(self.processes) < workers:
                self._start()
            for index in range(workers):
                self._share(index, execution, kernel, memory)
        except (Crash, ResourceLimit):
            raise
        except BaseException:  # Ctrl-C: a message may have been cut in two
            self._give_up()
            raise

    def _give_up(self) -> None:
        self.kill()
        self.domain.mark_broken("the workers were interrupted")

    def _ask(self, workers: int, message: tuple[Any, ...], record: ExecutionRecord) -> None:
        """Send a message to workers and take in their answers."""
        try:
            for index in range(workers):
                self._send(index, message)
            self._check(self._answers(workers), record)
        except (Crash, _Failed):
            raise
        except BaseException:  # Ctrl-C in the middle of an execution: they stop, or are stopped
            self.work[ABORT] = 1
            with contextlib.suppress(Crash):
                if len(self._answers(workers, GRACE)) < workers:
                    self._give_up()
            raise

    def _check(self, answers: list[tuple[Any, ...]], record: ExecutionRecord) -> None:
        """Note what was done; the failure that counts is the first real one, not what it interrupted in others."""
        failures = [answer for answer in answers if answer[0] == "failed"]
        for answer in answers:
            if answer[0] == "done":
                record.blocks += answer[1]
                record.violations += answer[2]
            else:
                record.violations += answer[3]
        if failures:
            real = [f for f in failures if f[2].message != "interrupted"] or failures
            _, iteration, error, _ = min(real, key=lambda f: -1 if f[1] is None else f[1])
            raise _Failed(iteration, error)

    # ---- ending ------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End all workers at once."""
        self.closed = True
        self._reap(grace=0.0)

    def close(self) -> None:
        """Let idle workers leave, and kill those that do not."""
        if self.closed or os.getpid() != self.owner:
            return
        self.closed = True
        for pipe in self.pipes:
            pipe.close()
        self._reap(GRACE)

    def _reap(self, grace: float) -> None:
        """Wait so long for workers to leave, then end them. Several threads may want that at once: one does it."""
        with self.ending:
            processes, self.processes = self.processes, []
            pipes, self.pipes, self.known = self.pipes, [], []
        end = time.monotonic() + grace
        for process in processes:
            process.join(max(end - time.monotonic(), 0.0))
            if process.is_alive():
                process.kill()
        for process in processes:
            process.join()
            process.close()
        for pipe in pipes:
            pipe.close()


class _Failed(Exception):
    """An iteration failed (iteration None: making an instance)."""

    def __init__(self, iteration: int | None, error: WasmError) -> None:
        super().__init__(iteration)
        self.iteration = iteration
        self.error = error


_pool: Pool | None = None  # guarded by _starting
_starting = threading.Lock()


def shared_pool() -> Pool:
    """The pool of this process; replaced if it broke or belongs to a parent process."""
    global _pool
    with _starting:
        if _pool is None or _pool.closed or _pool.owner != os.getpid() or _pool.domain is not current_domain():
            kill_broken_pool()
            _pool = Pool()
        return _pool


def kill_broken_pool() -> None:
    """End the workers of this process if their domain is broken, so that nobody can use them any more."""
    if _pool is not None and not _pool.closed and _pool.owner == os.getpid() and _pool.domain.broken:
        _pool.kill()


def close_pool() -> None:
    """End all workers of this process."""
    global _pool
    if _pool is not None and _pool.owner == os.getpid():
        _pool.close()
    _pool = None


atexit.register(close_pool)
