"""What agents in several processes share besides memories: the lock of atomic operations, and the waiters.

A :class:`Domain` is made with the first shared memory of a process, or handed to a worker by its parent. Its lock
serializes all atomic read-modify-writes, and atomic stores with them (a store in the middle of another's
read-modify-write would be lost). Waiters are rows of a table in a shared mapping, each with a semaphore of its own.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from refwasm.errors import Crash, ResourceLimit
from refwasm.execution.memory import shared_file
from refwasm.host_system import HAS_PROCESSES

#: Agents that can wait at the same time.
WAITERS = 64

FREE, WAITING, WOKEN = 0, 1, 2
# Columns of a waiter's row; behind the last row stand the counters.
_STATE, _MEMORY, _ADDRESS, _TICKET, _COLUMNS = 0, 1, 2, 3, 4
_NEXT_TICKET, _NEXT_IDENTITY = 0, 1
#: Words of ``counters`` that a pool of workers uses for the work in hand, see :mod:`refwasm.host.parallel.pool`.
WORK = slice(2, 8)

OK, NOT_EQUAL, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3
#: How often, in seconds, a sleeping agent asks whether it has been interrupted.
POLL = 0.05


class Domain:
    """A lock and a waiter table for one family of processes.

    ``acquire`` and ``release`` are the bound methods of the underlying semaphore: calling them directly is several
    times cheaper than ``with lock``.

    On a system without processes the locks are those of threads, and ``fd`` is -1.
    """

    lock: Any
    semaphores: Sequence[Any]

    def __init__(self, start_method: str | None = None) -> None:
        self.fd = -1
        if HAS_PROCESSES:
            import multiprocessing

            self.context = multiprocessing.get_context(start_method or default_start_method())
            self.lock = self.context.Lock()
            self.semaphores = [self.context.Semaphore(0) for _ in range(WAITERS)]
            self.fd = shared_file(mmap.PAGESIZE)
        else:
            self.lock = threading.Lock()
            self.semaphores = [threading.Semaphore(0) for _ in range(WAITERS)]
        self._open()
        self.counters[_NEXT_IDENTITY] = 1

    def _open(self) -> None:
        lock = self.lock._semlock if HAS_PROCESSES else self.lock
        self.acquire: Callable[..., bool] = lock.acquire
        self.release: Callable[[], None] = lock.release
        self.table = memoryview(mmap.mmap(self.fd, mmap.PAGESIZE)).cast("Q")  # guarded by lock
        self.counters = self.table[WAITERS * _COLUMNS :]  # guarded by lock
        self.broken = ""

    def __getstate__(self) -> dict[str, Any]:
        from multiprocessing.reduction import DupFd

        return {"lock": self.lock, "semaphores": self.semaphores, "fd": DupFd(self.fd)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.lock, self.semaphores = state["lock"], state["semaphores"]
        self.fd = state["fd"].detach()
        self._open()

    def __del__(self, close: Callable[[int], object] = os.close) -> None:  # at the end of a process, os is gone
        if getattr(self, "fd", -1) >= 0:
            close(self.fd)
            self.fd = -1

    def new_identity(self) -> int:
        """A number for a new shared memory."""
        self.acquire()
        try:
            identity = self.counters[_NEXT_IDENTITY]
            self.counters[_NEXT_IDENTITY] = identity + 1
            return identity
        finally:
            self.release()

    def mark_broken(self, reason: str) -> None:
        """A process died that may have held the lock: whoever needs it gets ``reason`` as an error, not a hang."""
        self.broken = reason

        def refuse(*_: object) -> bool:
            raise Crash(reason)

        self.acquire = refuse

    def wait(
        self, memory: int, address: int, unchanged: Callable[[], bool], timeout: float | None,
        interrupted: Callable[[], bool] | None = None,
    ) -> int:  # fmt: skip
        """Sleep until notified (threads proposal, ``memory.atomic.wait``).

        ``unchanged`` is asked under the lock whether the expected value is still there; ``timeout`` is in seconds,
        None for ever; ``interrupted`` is asked every POLL seconds whether to give up. Returns OK, NOT_EQUAL, TIMED_OUT
        or INTERRUPTED.
        """
        if timeout is not None and timeout <= 0:  # nobody can come in between: sleeping for no time takes 60 us
            self.acquire()
            try:
                return TIMED_OUT if unchanged() else NOT_EQUAL
            finally:
                self.release()
        row = self._enlist(memory, address, unchanged)
        if row is None:
            return NOT_EQUAL
        base = row * _COLUMNS
        semaphore = self.semaphores[row]
        woken = False
        try:
            woken = _sleep_on(semaphore, timeout, interrupted)
        finally:
            self.acquire()
            if self.table[base + _STATE] == WOKEN and not woken:
                semaphore.acquire(False)  # notified between the time-out and here
                woken = True
            self.table[base + _STATE] = FREE
            self.release()
        if woken:
            return OK
        return INTERRUPTED if interrupted is not None and interrupted() else TIMED_OUT

    def _enlist(self, memory: int, address: int, unchanged: Callable[[], bool]) -> int | None:
        self.acquire()
        try:
            if not unchanged():
                return None
            for row in range(WAITERS):
                base = row * _COLUMNS
                if self.table[base + _STATE] == FREE:
                    break
            else:
                raise ResourceLimit(f"more than {WAITERS} agents wait at the same time")
            ticket = self.counters[_NEXT_TICKET]
            self.counters[_NEXT_TICKET] = ticket + 1
            self.table[base + _MEMORY], self.table[base + _ADDRESS] = memory, address
            self.table[base + _TICKET], self.table[base + _STATE] = ticket, WAITING
            return row
        finally:
            self.release()

    def notify(self, memory: int, address: int, count: int) -> int:
        """Wake up to ``count`` agents that wait at an address, the longest waiting first; how many were woken."""
        self.acquire()
        try:
            table = self.table
            rows = [
                row
                for row in range(WAITERS)
                if table[row * _COLUMNS + _STATE] == WAITING
                and table[row * _COLUMNS + _MEMORY] == memory
                and table[row * _COLUMNS + _ADDRESS] == address
            ]
            rows.sort(key=lambda row: table[row * _COLUMNS + _TICKET])
            for row in rows[:count]:
                table[row * _COLUMNS + _STATE] = WOKEN
                self.semaphores[row].release()
            return min(len(rows), count)
        finally:
            self.release()


def _sleep_on(semaphore: Any, timeout: float | None, interrupted: Callable[[], bool] | None) -> bool:
    if interrupted is None:
        return bool(semaphore.acquire(True, timeout))
    end = None if timeout is None else time.monotonic() + timeout
    while not interrupted():
        left = POLL if end is None else min(POLL, end - time.monotonic())
        if semaphore.acquire(True, max(left, 0.0)):
            return True
        if end is not None and time.monotonic() >= end:
            return False
    return False


def default_start_method() -> str:
    """``REFWASM_START_METHOD`` if set, else fork where the system has it: workers start in 3 ms instead of 80."""
    import multiprocessing

    chosen = os.environ.get("REFWASM_START_METHOD", "")
    methods = multiprocessing.get_all_start_methods()
    if chosen:
        if chosen not in methods:
            raise ResourceLimit(f"REFWASM_START_METHOD={chosen}: this system has {', '.join(methods)}")
        return chosen
    return "fork" if "fork" in methods else "spawn"


_domain: Domain | None = None  # guarded by _making
_owner = 0
_making = threading.Lock()


def current_domain() -> Domain:
    """The domain of this process, made when first needed. A forked child does not reuse its parent's."""
    global _domain, _owner
    with _making:
        if _domain is None or _owner != os.getpid() or _domain.broken:
            _domain, _owner = Domain(), os.getpid()
        return _domain


def adopt_domain(domain: Domain) -> None:
    """Use the domain that the parent handed over."""
    global _domain, _owner
    _domain, _owner = domain, os.getpid()
