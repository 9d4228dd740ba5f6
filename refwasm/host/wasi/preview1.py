"""WASI preview1 (``wasi_snapshot_preview1``): arguments, environment, clocks, random numbers, standard streams, exit.

Functions are documented like manual pages. All parameters are i32 unless noted; pointers go into the guest's memory;
the result is an error number. A pointer out of bounds traps.

Files and directories are not there yet: no directory is preopened, and importing a function that is missing is
reported when the module is linked.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from refwasm import embedding as e
from refwasm.errors import Exit
from refwasm.host.guest import Guest, host_functions
from refwasm.host.wasi import types as w
from refwasm.host.wasi.types import Clock, Errno

MODULE = "wasi_snapshot_preview1"

#: Buffers that one system call takes.
MAX_VECTORS = 1024
#: Longest sleep, in seconds: more than the system's clocks can hold is asked for by mistake.
MAX_SLEEP = 1e8

SIGNATURES: dict[str, str] = {
    "args_get": "i32 i32 -> i32",
    "args_sizes_get": "i32 i32 -> i32",
    "environ_get": "i32 i32 -> i32",
    "environ_sizes_get": "i32 i32 -> i32",
    "clock_res_get": "i32 i32 -> i32",
    "clock_time_get": "i32 i64 i32 -> i32",
    "fd_close": "i32 -> i32",
    "fd_fdstat_get": "i32 i32 -> i32",
    "fd_fdstat_set_flags": "i32 i32 -> i32",
    "fd_filestat_get": "i32 i32 -> i32",
    "fd_prestat_get": "i32 i32 -> i32",
    "fd_prestat_dir_name": "i32 i32 i32 -> i32",
    "fd_read": "i32 i32 i32 i32 -> i32",
    "fd_seek": "i32 i64 i32 i32 -> i32",
    "fd_tell": "i32 i32 -> i32",
    "fd_write": "i32 i32 i32 i32 -> i32",
    "poll_oneoff": "i32 i32 i32 i32 -> i32",
    "proc_exit": "i32 ->",
    "random_get": "i32 i32 -> i32",
    "sched_yield": "-> i32",
}


class Stream:
    """A descriptor of the guest's: a descriptor of the host's with rights. The host's is never closed."""

    __slots__ = ("fd", "rights", "flags")

    def __init__(self, fd: int, rights: int) -> None:
        self.fd = fd
        self.rights = rights
        self.flags = 0


def _standard_streams() -> dict[int, Stream]:
    read, write = w.RIGHT_FD_READ | w.RIGHT_POLL, w.RIGHT_FD_WRITE | w.RIGHT_POLL
    return {0: Stream(0, read), 1: Stream(1, write), 2: Stream(2, write)}


class Preview1:
    """The state behind the functions, for one guest.

    With ``deterministic``, clocks tick when they are looked at and random numbers come from a seed, so that two runs
    give the same.
    """

    def __init__(
        self, guest: Guest, args: Sequence[str], env: dict[str, str], deadline: float | None = None,
        deterministic: bool = False,
    ) -> None:  # fmt: skip
        self.guest = guest
        self.clocks = _CLOCKS
        self.random: Callable[[int], bytes] = os.urandom
        if deterministic:
            ticks = itertools.count(1_600_000_000 * 10**9, 10**6)  # every look at a clock finds it a millisecond later
            self.clocks = dict.fromkeys(_CLOCKS, lambda: next(ticks))
            self.random = random.Random(0).randbytes
        self.args = [arg.encode("utf-8", "surrogateescape") for arg in args]
        self.environ = [f"{key}={value}".encode("utf-8", "surrogateescape") for key, value in env.items()]
        self.streams = _standard_streams()
        self.deadline = deadline

    def exports(self) -> dict[str, e.Extern]:
        """The functions."""
        return host_functions({name: getattr(self, name) for name in SIGNATURES}, SIGNATURES)

    # ---- arguments and environment ---------------------------------------------------------------------------------

    def args_sizes_get(self, count_out: int, size_out: int) -> int:
        """Number of arguments (u32 at ``count_out``), bytes they take with their zeros (u32 at ``size_out``)."""
        return self._sizes(self.args, count_out, size_out)

    def args_get(self, pointers_out: int, buffer_out: int) -> int:
        """The arguments: pointers (u32 each) at ``pointers_out``, zero-terminated strings at ``buffer_out``::

        pointers_out: | p0 | p1 | …      buffer_out: | arg0 \\0 | arg1 \\0 | …
        """
        return self._strings(self.args, pointers_out, buffer_out)

    def environ_sizes_get(self, count_out: int, size_out: int) -> int:
        """As args_sizes_get, of the environment: strings ``KEY=value``."""
        return self._sizes(self.environ, count_out, size_out)

    def environ_get(self, pointers_out: int, buffer_out: int) -> int:
        """As args_get, of the environment."""
        return self._strings(self.environ, pointers_out, buffer_out)

    def _sizes(self, strings: list[bytes], count_out: int, size_out: int) -> int:
        self.guest.check(count_out, 4)
        self.guest.check(size_out, 4)
        self.guest.write_u32(count_out, len(strings))
        self.guest.write_u32(size_out, sum(len(s) + 1 for s in strings))
        return Errno.SUCCESS

    def _strings(self, strings: list[bytes], pointers_out: int, buffer_out: int) -> int:
        self.guest.check(pointers_out, 4 * len(strings))
        self.guest.check(buffer_out, sum(len(s) + 1 for s in strings))
        for string in strings:
            self.guest.write_u32(pointers_out, buffer_out)
            self.guest.memory.write(buffer_out, string + b"\0")
            pointers_out += 4
            buffer_out += len(string) + 1
        return Errno.SUCCESS

    # ---- clocks and random numbers -----------------------------------------------------------------------------------

    def clock_res_get(self, clock: int, resolution_out: int) -> int:
        """Resolution of a clock in nanoseconds (u64). INVAL: no such clock."""
        self.guest.check(resolution_out, 8)
        if clock not in _CLOCKS:
            return Errno.INVAL
        seconds = time.get_clock_info(_CLOCK_NAMES[Clock(clock)]).resolution
        self.guest.write_u64(resolution_out, max(int(seconds * 1e9), 1))
        return Errno.SUCCESS

    def clock_time_get(self, clock: int, precision: int, time_out: int) -> int:
        """Time of a clock in nanoseconds (u64); ``precision`` (i64) is ignored. INVAL: no such clock."""
        self.guest.check(time_out, 8)
        if clock not in _CLOCKS:
            return Errno.INVAL
        self.guest.write_u64(time_out, self.clocks[clock]())
        return Errno.SUCCESS

    def random_get(self, buffer: int, size: int) -> int:
        """``size`` random bytes at ``buffer``, from the system's secure source."""
        self.guest.check(buffer, size)
        self.guest.memory.write(buffer, self.random(size))
        return Errno.SUCCESS

    # ---- descriptors -------------------------------------------------------------------------------------------------

    def _stream(self, fd: int, right: int = 0) -> Stream | Errno:
        stream = self.streams.get(fd)
        if stream is None:
            return Errno.BADF
        return stream if stream.rights & right == right else Errno.NOTCAPABLE

    def fd_close(self, fd: int) -> int:
        """Forget a descriptor. BADF: not open."""
        return Errno.SUCCESS if self.streams.pop(fd, None) is not None else Errno.BADF

    def fd_fdstat_get(self, fd: int, stat_out: int) -> int:
        """File type (u8), flags (u16 at 2), rights (u64 at 8), inheriting rights (u64 at 16). BADF: not open."""
        self.guest.check(stat_out, 24)
        stream = self._stream(fd)
        if isinstance(stream, Errno):
            return stream
        kind = w.file_type(os.fstat(stream.fd).st_mode)
        raw = bytes([kind, 0]) + stream.flags.to_bytes(2, "little") + bytes(4) + stream.rights.to_bytes(8, "little")
        self.guest.memory.write(stat_out, raw + bytes(8))
        return Errno.SUCCESS

    def fd_fdstat_set_flags(self, fd: int, flags: int) -> int:
        """Remember flags; only APPEND, which changes nothing for a stream, is supported. NOTSUP: another flag."""
        stream = self._stream(fd)
        if isinstance(stream, Errno):
            return stream
        if flags & ~w.FDFLAG_APPEND:
            return Errno.NOTSUP
        stream.flags = flags
        return Errno.SUCCESS

    def fd_filestat_get(self, fd: int, stat_out: int) -> int:
        """Device, inode (u64 each), file type (u8), links, size, access, modification and change time (u64 each)."""
        self.guest.check(stat_out, 64)
        stream = self._stream(fd)
        if isinstance(stream, Errno):
            return stream
        found = os.fstat(stream.fd)
        words = (found.st_dev, found.st_ino, w.file_type(found.st_mode), found.st_nlink, found.st_size,
                 found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)  # fmt: skip
        self.guest.memory.write(stat_out, b"".join((word & (1 << 64) - 1).to_bytes(8, "little") for word in words))
        return Errno.SUCCESS

    def fd_prestat_get(self, fd: int, stat_out: int) -> int:
        """What kind of preopened thing a descriptor is. BADF: none, which ends the guest's search for them."""
        return Errno.BADF

    def fd_prestat_dir_name(self, fd: int, path: int, size: int) -> int:
        """Name of a preopened directory. BADF: none."""
        return Errno.BADF

    def _vectors(self, vectors: int, count: int) -> list[tuple[int, int]]:
        """Address and size of each buffer; all are checked before any is used."""
        flat = self.guest.read_u32s(vectors, 2 * count)
        buffers = list(zip(flat[::2], flat[1::2]))
        for address, size in buffers:
            self.guest.check(address, size)
        return buffers

    def fd_read(self, fd: int, vectors: int, count: int, size_out: int) -> int:
        """Read into buffers (pairs of u32: address, size); bytes read (u32) at ``size_out``, 0 at the end.

        BADF: not open; NOTCAPABLE: not readable; others as the host says.
        """
        self.guest.check(size_out, 4)
        stream = self._stream(fd, w.RIGHT_FD_READ)
        if isinstance(stream, Errno):
            return stream
        memory = self.guest.memory.u8
        buffers = [memory[address : address + size] for address, size in self._vectors(vectors, count)]
        total = 0
        try:
            if any(map(len, buffers)):
                total = os.readv(stream.fd, buffers[:MAX_VECTORS])
        except OSError as error:
            return w.from_os_error(error)
        self.guest.write_u32(size_out, total)
        return Errno.SUCCESS

    def fd_write(self, fd: int, vectors: int, count: int, size_out: int) -> int:
        """Write buffers (pairs of u32: address, size), all of them; bytes written (u32) at ``size_out``.

        BADF: not open; NOTCAPABLE: not writable; PIPE: nobody reads any more; others as the host says.
        """
        self.guest.check(size_out, 4)
        stream = self._stream(fd, w.RIGHT_FD_WRITE)
        if isinstance(stream, Errno):
            return stream
        buffers = self._vectors(vectors, count)
        flush_python_streams(stream.fd)
        memory = self.guest.memory.u8
        try:
            for address, size in buffers:
                write_all(stream.fd, memory[address : address + size])
        except OSError as error:
            return w.from_os_error(error)
        self.guest.write_u32(size_out, sum(size for _, size in buffers) & 0xFFFFFFFF)
        return Errno.SUCCESS

    def fd_seek(self, fd: int, offset: int, whence: int, position_out: int) -> int:
        """Streams can't seek. BADF: not open; SPIPE otherwise."""
        stream = self._stream(fd)
        return stream if isinstance(stream, Errno) else Errno.SPIPE

    def fd_tell(self, fd: int, position_out: int) -> int:
        """As fd_seek."""
        return self.fd_seek(fd, 0, 1, position_out)

    # ---- waiting and ending ------------------------------------------------------------------------------------------

    def poll_oneoff(self, subscriptions: int, events_out: int, count: int, count_out: int) -> int:
        """Wait for the first of ``count`` subscriptions; the events that happened, and their number (u32).

        A subscription has 48 bytes: user data (u64), type (u8 at 8), then for clocks the id (u32 at 16), time-out
        (u64 at 24), flags (u16 at 40), for descriptors the descriptor (u32 at 16). An event has 32: user data (u64),
        error (u16 at 8), type (u8 at 10). INVAL: no subscriptions.
        """
        if count == 0:
            return Errno.INVAL
        self.guest.check(subscriptions, 48 * count)
        self.guest.check(events_out, 32 * count)
        self.guest.check(count_out, 4)
        raw = self.guest.memory.read(subscriptions, 48 * count)
        events = self._poll([raw[i : i + 48] for i in range(0, len(raw), 48)])
        for user_data, error, kind in events:
            event = user_data + int(error).to_bytes(2, "little") + bytes([kind]) + bytes(21)
            self.guest.memory.write(events_out, event)
            events_out += 32
        self.guest.write_u32(count_out, len(events))
        return Errno.SUCCESS

    def _poll(self, subscriptions: list[bytes]) -> list[tuple[bytes, Errno, int]]:
        """User data, error and type of what happened first."""
        events: list[tuple[bytes, Errno, int]] = []
        clocks: list[tuple[float, bytes]] = []
        waiting: dict[int, list[tuple[int, bytes]]] = {w.EVENT_FD_READ: [], w.EVENT_FD_WRITE: []}
        for raw in subscriptions:
            user_data, kind, number = raw[:8], raw[8], int.from_bytes(raw[16:20], "little")
            if kind == w.EVENT_CLOCK:
                seconds = self._seconds_until(raw, number)
                clocks.append((seconds, user_data)) if seconds is not None else events.append(
                    (user_data, Errno.INVAL, kind)
                )
            elif kind not in waiting:
                events.append((user_data, Errno.INVAL, kind))
            elif (stream := self.streams.get(number)) is None or not _is_open(stream.fd):
                events.append((user_data, Errno.BADF, kind))
            else:
                waiting[kind].append((stream.fd, user_data))
        if events:
            return events
        timeout = min((seconds for seconds, _ in clocks), default=None)
        return self._select(waiting, clocks, timeout)

    def _select(
        self, waiting: dict[int, list[tuple[int, bytes]]], clocks: list[tuple[float, bytes]], timeout: float | None
    ) -> list[tuple[bytes, Errno, int]]:
        if self.deadline is not None:
            left = max(self.deadline - time.monotonic(), 0.0)
            timeout = left if timeout is None else min(timeout, left)
        readers, writers = ([fd for fd, _ in waiting[kind]] for kind in (w.EVENT_FD_READ, w.EVENT_FD_WRITE))
        if timeout is not None:
            timeout = min(timeout, MAX_SLEEP)
        readable, writable, _ = select.select(readers, writers, [], timeout)
        ready = {w.EVENT_FD_READ: readable, w.EVENT_FD_WRITE: writable}
        events = [
            (user_data, Errno.SUCCESS, kind)
            for kind, entries in waiting.items()
            for fd, user_data in entries
            if fd in ready[kind]
        ]
        if not events:
            events = [(user_data, Errno.SUCCESS, w.EVENT_CLOCK) for s, user_data in clocks if s <= (timeout or 0.0)]
        return events

    def _seconds_until(self, subscription: bytes, clock: int) -> float | None:
        """How long a clock subscription waits; None if there is no such clock."""
        if clock not in _CLOCKS:
            return None
        nanoseconds = int.from_bytes(subscription[24:32], "little")
        if int.from_bytes(subscription[40:42], "little") & w.SUBSCRIPTION_CLOCK_ABSTIME:
            nanoseconds -= self.clocks[clock]()
        return max(nanoseconds, 0) / 1e9

    def sched_yield(self) -> int:
        """Let others run."""
        time.sleep(0)
        return Errno.SUCCESS

    def proc_exit(self, code: int) -> None:
        """End the guest with an exit code; does not return."""
        raise Exit(code)


_CLOCK_NAMES: dict[Clock, Literal["time", "monotonic", "process_time", "thread_time"]] = {
    Clock.REALTIME: "time", Clock.MONOTONIC: "monotonic", Clock.PROCESS_CPUTIME: "process_time",
    Clock.THREAD_CPUTIME: "thread_time",
}  # fmt: skip
_CLOCKS: dict[int, Callable[[], int]] = {
    Clock.REALTIME: time.time_ns,
    Clock.MONOTONIC: time.monotonic_ns,
    Clock.PROCESS_CPUTIME: time.process_time_ns,
    Clock.THREAD_CPUTIME: time.thread_time_ns,
}


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def flush_python_streams(fd: int) -> None:
    """What Python has buffered for a standard stream comes before what the guest writes to it."""
    stream: Any = {1: sys.stdout, 2: sys.stderr}.get(fd)
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads: the guest's own write will tell
            stream.flush()


def write_all(fd: int, view: memoryview) -> None:
    """Write all bytes, however little the system takes at a time."""
    while view:
        view = view[os.write(fd, view) :]
