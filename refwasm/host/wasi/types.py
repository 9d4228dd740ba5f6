"""Numbers of WASI preview1 (its ``typenames.witx``): error numbers, file types, flags, rights, clocks."""

from __future__ import annotations

import errno
import stat
from enum import IntEnum


class Errno(IntEnum):
    """Error numbers, those that the functions here return."""

    SUCCESS = 0
    TOOBIG = 1
    ACCES = 2
    AGAIN = 6
    BADF = 8
    FAULT = 21
    INVAL = 28
    IO = 29
    ISDIR = 31
    NOSPC = 51
    NOSYS = 52
    NOTSUP = 58
    PERM = 63
    PIPE = 64
    SPIPE = 70
    NOTCAPABLE = 76


_FROM_HOST = {
    errno.EACCES: Errno.ACCES, errno.EAGAIN: Errno.AGAIN, errno.EBADF: Errno.BADF, errno.EINVAL: Errno.INVAL,
    errno.EISDIR: Errno.ISDIR, errno.ENOSPC: Errno.NOSPC, errno.EPERM: Errno.PERM, errno.EPIPE: Errno.PIPE,
    errno.ESPIPE: Errno.SPIPE,
}  # fmt: skip


def from_os_error(error: OSError) -> Errno:
    """The error number for an error of the host's."""
    return _FROM_HOST.get(error.errno or 0, Errno.IO)


class FileType(IntEnum):
    """What a descriptor refers to."""

    UNKNOWN = 0
    CHARACTER_DEVICE = 2
    REGULAR_FILE = 4


def file_type(mode: int) -> FileType:
    """The file type for a mode as ``os.fstat`` gives it."""
    if stat.S_ISCHR(mode):
        return FileType.CHARACTER_DEVICE
    return FileType.REGULAR_FILE if stat.S_ISREG(mode) else FileType.UNKNOWN


class Clock(IntEnum):
    """Clock identifiers."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME = 2
    THREAD_CPUTIME = 3


# Rights of stream descriptors.
RIGHT_FD_READ = 1 << 1
RIGHT_FD_SEEK = 1 << 2
RIGHT_FD_TELL = 1 << 5
RIGHT_FD_WRITE = 1 << 6
RIGHT_POLL = 1 << 27

FDFLAG_APPEND = 1

#: Subscription and event types of poll_oneoff.
EVENT_CLOCK, EVENT_FD_READ, EVENT_FD_WRITE = 0, 1, 2
SUBSCRIPTION_CLOCK_ABSTIME = 1
