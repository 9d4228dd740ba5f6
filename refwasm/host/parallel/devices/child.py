"""A process that serves a device, as its parent sees it: started when first needed, asked one thing at a time, and
killed when it does not end."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.reduction import send_handle
from typing import Any

from refwasm.errors import Crash, ResourceLimit, WasmError
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.devices.device import Execution, Unsupported
from refwasm.host.parallel.types import Errno, ParallelError
from refwasm.host.processes import cause_of_death
from refwasm.host_system import HAS_PROCESSES
from refwasm.syntax.types import PAGE_BITS

#: Seconds for the process to leave when its pipe is closed; to start; and for other iterations to end after a trap.
GRACE, START, AFTER_A_TRAP = 0.5, 60.0, 0.3


class ChildProcess:
    """A process of ours that serves messages: ``module`` is what it runs, ``name`` what messages call it."""

    def __init__(self, module: str, name: str, what: str = "") -> None:
        self.name = name
        if not HAS_PROCESSES:
            raise ResourceLimit(f"{name} can't be started: this system has no processes")
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", module, str(theirs.fileno()), *([what] if what else [])]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            self.process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env
            )
        except OSError as error:
            ours.close()
            raise ResourceLimit(f"{name} can't be started: {error}") from None
        finally:
            theirs.close()
        self.pipe = connection.Connection(ours.detach())
        self.owner = os.getpid()
        self.busy = threading.Lock()
        self.dead: list[int] = []  # numbers of kernels and memories that are gone here
        self.numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.last_number = 0
        self.known: set[int] = set()

    @property
    def usable(self) -> bool:
        """Whether it may be asked."""
        return not self.pipe.closed and self.owner == os.getpid() and self.process.poll() is None

    def send(self, *message: Any, fd: int | None = None) -> None:
        """Send a message. Raises Crash if the process is gone."""
        try:
            self.pipe.send(message)
            if fd is not None:
                send_handle(self.pipe, fd, self.process.pid)
        except OSError:
            raise self._died() from None

    def receive(self, end: float | None = None) -> tuple[Any, ...] | None:
        """The next answer; None if the time (of ``time.monotonic``) runs out. Raises Crash if the process dies."""
        try:
            if end is not None and not self.pipe.poll(max(end - time.monotonic(), 0.0)):
                return None
            answer: tuple[Any, ...] = self.pipe.recv()
            return answer
        except (EOFError, OSError):
            raise self._died() from None

    def ask(self, *message: Any) -> tuple[Any, ...]:
        """The answer to a message that it answers soon. Raises Unsupported where that is why it is unavailable."""
        self.send(*message)
        answer = self.receive(time.monotonic() + START)
        if answer is None:
            self.kill()
            raise Crash(f"{self.name} does not answer")
        if answer[0] == "unavailable":
            self.kill()
            raise Unsupported(str(answer[1]))
        return answer

    def result(self, deadline: float | None) -> tuple[Any, ...]:
        """The answer about an execution. A process that is not done in time is killed, and the guest told."""
        answer = self.receive(deadline)
        if answer is None:
            self.kill()
            raise ParallelError(Errno.RESOURCE_LIMIT, "PAR-ARG-04", "time limit exceeded")
        return answer

    @contextmanager
    def working(self) -> Iterator[None]:
        """During an execution: nobody else asks it, and after an interruption, wherever that came, it is killed."""
        with self.busy:
            try:
                yield
            except (WasmError, ParallelError, Unsupported):
                raise
            except BaseException:
                self.kill()
                raise

    def _died(self) -> Crash:
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        reason = f"{self.name} (pid {self.process.pid}) died{cause_of_death(self.process.returncode)}"
        self.pipe.close()
        return Crash(reason)

    # ---- what it keeps -----------------------------------------------------------------------------------------------

    def number(self, item: Any) -> int:
        """A number for a kernel or a memory, forgotten with it."""
        number = self.numbers.get(item)
        if number is None:
            self.last_number += 1
            number = self.numbers[item] = self.last_number
            weakref.finalize(item, self.dead.append, number)
        return number

    def forget_the_dead(self) -> None:
        """Tell it what nobody here has any more."""
        count = len(self.dead)  # more may die meanwhile
        gone = self.known.intersection(self.dead[:count])
        del self.dead[:count]
        if gone:
            self.known -= gone
            self.send("forget", sorted(gone))

    def once(self, item: Any, share: Callable[[int], None]) -> int:
        """The number of an item; what it is, is told by ``share`` if the process does not know it yet."""
        number = self.number(item)
        if number not in self.known:
            share(number)
            self.known.add(number)
        return number

    def share(self, memory: SharedMemory) -> int:
        """The number of a memory, whose file it has then."""
        return self.once(
            memory,
            lambda number: self.send(
                "memory", number, memory.size(), memory.limit, memory.HEADER, fd=memory.fd
            ),
        )  # fmt: skip

    def forget(self, numbers: set[int]) -> None:
        """Tell it to give up kernels and memories of a guest that has ended, unless it works for another one."""
        if numbers & self.known and self.usable and self.busy.acquire(blocking=False):
            try:
                self.send("forget", sorted(numbers & self.known))
                self.known -= numbers
            except Crash:  # it is gone, and all with it
                pass
            finally:
                self.busy.release()

    # ---- ending ------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End it at once."""
        self.pipe.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Let it leave; kill it if it does not."""
        if self.owner != os.getpid():
            return
        if not self.pipe.closed:
            self.pipe.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def shared_memory(execution: Execution) -> SharedMemory:
    """The memory of an execution that is done in another process without refwasm's interpreter. Raises Unsupported."""
    if execution.parameters.watched:
        raise Unsupported("strict mode looks at every access")
    if execution.used_by_threads and execution.kernel.uses_atomics:
        raise Unsupported("threads of the program may use atomics in the same memory")
    if not isinstance(execution.memory, SharedMemory) or execution.memory.type.page_bits != PAGE_BITS:
        raise Unsupported("the memory's pages are not of 64 KiB")
    return execution.memory


_processes: dict[str, ChildProcess] = {}  # guarded by _starting
_starting = threading.Lock()


def shared_process(key: str, start: Callable[[], ChildProcess]) -> ChildProcess:
    """The process of this key, started or replaced where there is none to ask."""
    with _starting:
        process = _processes.get(key)
        if process is None or not process.usable:
            if process is not None and process.owner == os.getpid():
                process.close()
            process = _processes[key] = start()
        return process


def close_processes() -> None:
    """End them all."""
    with _starting:
        for process in _processes.values():
            process.close()
        _processes.clear()


atexit.register(close_processes)
