"""Descriptors of a guest: what they stand for on the host, with which rights, under which numbers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from refwasm.host.wasi.types import (
    DIRECTORY_RIGHTS,
    FILE_RIGHTS,
    Errno,
    FdFlags,
    Rights,
    WasiError,
    adds,
    file_type,
)

#: Open descriptors that one guest may have.
MAX_DESCRIPTORS = 4096


class Entry(NamedTuple):
    """An entry of a directory."""

    name: bytes
    inode: int
    type: int


class Descriptor:
    """A descriptor: the host's ``fd`` with rights, those that it passes on to what is opened below it, and flags.

    ``preopen`` is the guest's name of a preopened directory. The host's standard streams are never closed, and never
    made nonblocking, since others use them too.
    """

    __slots__ = ("fd", "rights", "inheriting", "flags", "preopen", "is_stream", "type", "entries", "users")

    def __init__(
        self, fd: int, rights: int, inheriting: int = 0, flags: int = 0, preopen: bytes | None = None,
        is_stream: bool = False,
    ) -> None:  # fmt: skip
        self.fd = fd
        self.rights = rights
        self.inheriting = inheriting
        self.flags = flags
        self.preopen = preopen
        self.is_stream = is_stream
        self.type = _type(fd)
        self.users = 1  # the table, and calls in progress; guarded by the table's lock
        self.entries: list[Entry] = []  # of a directory, as the last reading from its start found them

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(os.fstat(self.fd).st_mode)

    def close(self) -> None:
        """Close the host's descriptor too, unless it is a standard stream."""
        if not self.is_stream:
            os.close(self.fd)

    def set_flags(self, flags: int) -> None:
        """Append and nonblocking can be changed; others are refused."""
        if (flags ^ self.flags) & ~(FdFlags.APPEND | FdFlags.NONBLOCK):
            raise WasiError(Errno.NOTSUP)
        if not self.is_stream:
            present = fcntl.fcntl(self.fd, fcntl.F_GETFL)
            wanted = present | os.O_APPEND if flags & FdFlags.APPEND else present & ~os.O_APPEND
            fcntl.fcntl(self.fd, fcntl.F_SETFL, wanted)
        self.flags = flags

    def wait(self, event: int, pause: Callable[[], float]) -> None:
        """Wait until a read or write would not; AGAIN if it would and the descriptor is nonblocking. ``pause`` tells
        how long to sleep at once (:meth:`refwasm.host.wasi.system.System.pause`)."""
        if stat.S_ISREG(os.fstat(self.fd).st_mode):
            return
        poller = select.poll()
        poller.register(self.fd, event)
        while not poller.poll(0):
            if self.flags & FdFlags.NONBLOCK:
                raise WasiError(Errno.AGAIN)
            if poller.poll(pause() * 1000):
                return


def _type(fd: int) -> int:
    try:
        return file_type(os.fstat(fd).st_mode)
    except OSError:
        return file_type(0)


class Descriptors:
    """The descriptors of a guest by number. Threads of the guest share them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table: dict[int, Descriptor] = {}  # guarded by lock where a number is chosen

    @contextlib.contextmanager
    def using(self, number: int, rights: int = 0) -> Iterator[Descriptor]:
        """The descriptor during a call; BADF if there is none, NOTCAPABLE if a right is missing.

        If another thread closes it meanwhile, the host's descriptor stays open until the call is over: its number must
        not become that of something else that the guest may not touch.
        """
        with self.lock:
            found = self.get(number, rights)
            found.users += 1
        try:
            yield found
        finally:
            self._release(found)

    @contextlib.contextmanager
    def directory(self, number: int, rights: int = 0) -> Iterator[Descriptor]:
        """As :meth:`using`; NOTDIR if it is no directory."""
        with self.using(number) as found:
            if not found.is_directory:
                raise WasiError(Errno.NOTDIR)
            self.get(number, rights)
            yield found

    def _release(self, descriptor: Descriptor) -> None:
        """The table or a call has done with a descriptor; the last one closes it."""
        with self.lock:
            descriptor.users -= 1
            last = descriptor.users == 0
        if last:
            descriptor.close()

    def get(self, number: int, rights: int = 0) -> Descriptor:
        """The descriptor, for a look at what we keep of it; errors as of :meth:`using`."""
        found = self.table.get(number)
        if found is None:
            raise WasiError(Errno.BADF)
        if adds(rights, found.rights):
            raise WasiError(Errno.NOTCAPABLE)
        return found

    def add(self, descriptor: Descriptor) -> int:
        """The lowest free number, from now on the descriptor's; NFILE if there are too many."""
        with self.lock:
            if len(self.table) >= MAX_DESCRIPTORS:
                descriptor.close()
                raise WasiError(Errno.NFILE)
            number = next(n for n in range(len(self.table) + 1) if n not in self.table)
            self.table[number] = descriptor
            return number

    def close(self, number: int) -> None:
        """Forget a descriptor."""
        with self.lock:
            self.get(number)
            closed = self.table.pop(number)
        self._release(closed)

    def renumber(self, old: int, new: int) -> None:
        """Give a descriptor the number of another one, which is closed."""
        with self.lock:
            self.get(old)
            replaced = self.get(new)
            if old == new:
                return
            self.table[new] = self.table.pop(old)
        self._release(replaced)

    def close_all(self) -> None:
        """At the end of a guest."""
        with self.lock:
            all_of_them = list(self.table.values())
            self.table.clear()
        for descriptor in all_of_them:
            with contextlib.suppress(OSError):
                self._release(descriptor)


def add_standard_streams(descriptors: Descriptors, stdin: int, stdout: int, stderr: int) -> None:
    """Numbers 0, 1 and 2."""
    common = Rights.POLL_FD_READWRITE | Rights.FD_FILESTAT_GET | Rights.FD_FDSTAT_SET_FLAGS
    for fd, rights in ((stdin, Rights.FD_READ), (stdout, Rights.FD_WRITE), (stderr, Rights.FD_WRITE)):
        made = Descriptor(fd, rights | common, is_stream=True)
        if stat.S_ISREG(_mode(fd)):
            made.rights |= Rights.FD_SEEK | Rights.FD_TELL
        descriptors.add(made)


def _mode(fd: int) -> int:
    try:
        return os.fstat(fd).st_mode
    except OSError:
        return 0


def add_directory(descriptors: Descriptors, path: str, guest: str) -> int:
    """Preopen a directory of the host's under a name; OSError if it can't be opened."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    name = guest.encode("utf-8", "surrogateescape")
    return descriptors.add(Descriptor(fd, DIRECTORY_RIGHTS, DIRECTORY_RIGHTS | FILE_RIGHTS, preopen=name))


def flush_python_streams(fd: int) -> None:
    """What Python has buffered for a standard stream comes before what the guest writes to it."""
    stream: Any = {1: sys.stdout, 2: sys.stderr}.get(fd)
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads: the guest's own write will tell
            stream.flush()


def read_entries(descriptor: Descriptor) -> list[Entry]:
    """What is in a directory: itself and its parent first. Names that are no UTF-8 can't be told to a guest."""
    here = os.fstat(descriptor.fd)
    found = [Entry(name, here.st_ino, file_type(stat.S_IFDIR)) for name in (b".", b"..")]
    return [*found, *_scan(descriptor.fd)]


def _scan(fd: int) -> Iterator[Entry]:
    with os.scandir(fd) as entries:
        for entry in entries:
            with contextlib.suppress(UnicodeEncodeError, OSError):
                mode = entry.stat(follow_symlinks=False).st_mode
                yield Entry(entry.name.encode("utf-8"), entry.inode(), file_type(mode))
