"""What the functions of WASI share: the guest, its descriptors, its clocks."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from refwasm.errors import NotYet, ResourceLimit
from refwasm.host.guest import Guest
from refwasm.host.wasi import types as w
from refwasm.host.wasi.descriptors import Descriptor, Descriptors, add_directory, add_standard_streams
from refwasm.host.wasi.types import Clock, Errno, WasiError

#: Between two looks at whether to stop, while a call waits; and between two tries of a call that does not wait.
POLL, YIELD = 0.1, 0.0002

_CLOCKS: dict[int, Callable[[], int]] = {
    Clock.REALTIME: time.time_ns,
    Clock.MONOTONIC: time.monotonic_ns,
    Clock.PROCESS_CPUTIME: time.process_time_ns,
    Clock.THREAD_CPUTIME: getattr(time, "thread_time_ns", time.process_time_ns),  # a browser has one thread
}


@dataclass(frozen=True)
class WasiOptions:
    """What a guest gets.

    Arguments (the program's name first), environment, directories (the host's path and the guest's name), listening
    sockets and standard streams (descriptors of the host's). With ``deterministic``, clocks tick when they are looked
    at and random numbers come from a seed, so that two runs give the same.
    """

    args: Sequence[str] = ("program",)
    env: Mapping[str, str] = field(default_factory=dict)
    dirs: Sequence[tuple[str, str]] = ()
    sockets: Sequence[int] = ()
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    deterministic: bool = False


#: Buffers that one call takes, as on the host.
IOV_MAX = 1024


class System:
    """The state behind the functions, for one guest.

    Calls that wait end at ``deadline`` (``time.monotonic``) or when ``ended`` is set. With ``yields`` they do not wait:
    they raise NotYet, and are made again (threads that take turns in one process).
    """

    def __init__(self, guest: Guest, options: WasiOptions, deadline: float | None = None) -> None:
        self.guest = guest
        self.deadline = deadline
        self.ended = False
        self.yields = False
        self.args = [arg.encode("utf-8", "surrogateescape") for arg in options.args]
        self.environ = [f"{key}={value}".encode("utf-8", "surrogateescape") for key, value in options.env.items()]
        self.clocks = _CLOCKS
        self.random: Callable[[int], bytes] = os.urandom
        if options.deterministic:
            ticks = itertools.count(1_600_000_000 * 10**9, 10**6)  # every look at a clock finds it a millisecond later
            self.clocks = dict.fromkeys(_CLOCKS, lambda: next(ticks))
            self.random = random.Random(0).randbytes
        self.descriptors = Descriptors()
        add_standard_streams(self.descriptors, options.stdin, options.stdout, options.stderr)
        self.open_directories(options.dirs)
        for fd in options.sockets:
            rights = w.SOCKET_RIGHTS | w.Rights.SOCK_ACCEPT
            self.descriptors.add(Descriptor(fd, rights, w.SOCKET_RIGHTS))

    def open_directories(self, dirs: Sequence[tuple[str, str]]) -> None:
        """Preopen directories: the host's path and the guest's name of each."""
        for host, name in dirs:
            add_directory(self.descriptors, host, name)

    def pause(self) -> float:
        """How long a call that waits may sleep before it looks again, in seconds. NotYet: not at all; ResourceLimit:
        there is nothing to wait for any more."""
        self.look()
        if self.yields:
            time.sleep(YIELD)
            raise NotYet
        return POLL

    def look(self) -> None:
        """Called by what takes long. ResourceLimit: the guest has ended, or its time is up."""
        if self.ended:
            raise ResourceLimit("interrupted")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise ResourceLimit("time limit exceeded")

    def vectors(self, pointer: int, count: int) -> list[memoryview]:
        """The guest's buffers (pairs of u32: address, size) that are not empty; all are checked before any is used.
        INVAL: more than IOV_MAX."""
        if count > IOV_MAX:
            raise WasiError(Errno.INVAL)
        flat = self.guest.read_u32s(pointer, 2 * count)
        pairs = list(zip(flat[::2], flat[1::2]))
        for address, size in pairs:
            self.guest.check(address, size)
        memory = self.guest.memory.u8
        return [memory[address : address + size] for address, size in pairs if size]

    def string(self, pointer: int, size: int) -> bytes:
        """Bytes of the guest's."""
        self.guest.check(pointer, size)
        return self.guest.memory.read(pointer, size)

    def clock(self, number: int) -> Callable[[], int]:
        """What tells a clock's nanoseconds; INVAL if there is no such clock."""
        if number not in self.clocks:
            raise WasiError(Errno.INVAL)
        return self.clocks[number]
