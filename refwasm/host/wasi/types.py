"""The tables of WASI preview1 (its ``typenames.witx``): error numbers, file types, rights, flags, clocks, signals.

Members are in the order of the witx, which gives them their values; host numbers are found by name.
"""

from __future__ import annotations

import errno as host_errno
import os
import signal as host_signal
import stat
from enum import IntEnum, IntFlag


class Errno(IntEnum):
    """Error numbers."""

    (
        SUCCESS, TOOBIG, ACCES, ADDRINUSE, ADDRNOTAVAIL, AFNOSUPPORT, AGAIN, ALREADY, BADF, BADMSG, BUSY,
        CANCELED, CHILD, CONNABORTED, CONNREFUSED, CONNRESET, DEADLK, DESTADDRREQ, DOM, DQUOT, EXIST, FAULT,
        FBIG, HOSTUNREACH, IDRM, ILSEQ, INPROGRESS, INTR, INVAL, IO, ISCONN, ISDIR, LOOP, MFILE, MLINK, MSGSIZE,
        MULTIHOP, NAMETOOLONG, NETDOWN, NETRESET, NETUNREACH, NFILE, NOBUFS, NODEV, NOENT, NOEXEC, NOLCK,
        NOLINK, NOMEM, NOMSG, NOPROTOOPT, NOSPC, NOSYS, NOTCONN, NOTDIR, NOTEMPTY, NOTRECOVERABLE, NOTSOCK,
        NOTSUP, NOTTY, NXIO, OVERFLOW, OWNERDEAD, PERM, PIPE, PROTO, PROTONOSUPPORT, PROTOTYPE, RANGE, ROFS,
        SPIPE, SRCH, STALE, TIMEDOUT, TXTBSY, XDEV, NOTCAPABLE,
    ) = range(77)  # fmt: skip


class FileType(IntEnum):
    """What a descriptor or a name refers to."""

    (
        UNKNOWN, BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, REGULAR_FILE, SOCKET_DGRAM, SOCKET_STREAM,
        SYMBOLIC_LINK,
    ) = range(8)  # fmt: skip


class Clock(IntEnum):
    """Clocks."""

    (
        REALTIME, MONOTONIC, PROCESS_CPUTIME, THREAD_CPUTIME,
    ) = range(4)  # fmt: skip


class Whence(IntEnum):
    """Where a seek starts."""

    (
        SET, CUR, END,
    ) = range(3)  # fmt: skip


class Advice(IntEnum):
    """How a file will be used."""

    (
        NORMAL, SEQUENTIAL, RANDOM, WILLNEED, DONTNEED, NOREUSE,
    ) = range(6)  # fmt: skip


class EventType(IntEnum):
    """What poll_oneoff waits for."""

    (
        CLOCK, FD_READ, FD_WRITE,
    ) = range(3)  # fmt: skip


class Signal(IntEnum):
    """Signals."""

    (
        NONE, HUP, INT, QUIT, ILL, TRAP, ABRT, BUS, FPE, KILL, USR1, SEGV, USR2, PIPE, ALRM, TERM, CHLD, CONT,
        STOP, TSTP, TTIN, TTOU, URG, XCPU, XFSZ, VTALRM, PROF, WINCH, POLL, PWR, SYS,
    ) = range(31)  # fmt: skip


class Rights(IntFlag):
    """What may be done with a descriptor."""

    (
        FD_DATASYNC, FD_READ, FD_SEEK, FD_FDSTAT_SET_FLAGS, FD_SYNC, FD_TELL, FD_WRITE, FD_ADVISE, FD_ALLOCATE,
        PATH_CREATE_DIRECTORY, PATH_CREATE_FILE, PATH_LINK_SOURCE, PATH_LINK_TARGET, PATH_OPEN, FD_READDIR,
        PATH_READLINK, PATH_RENAME_SOURCE, PATH_RENAME_TARGET, PATH_FILESTAT_GET, PATH_FILESTAT_SET_SIZE,
        PATH_FILESTAT_SET_TIMES, FD_FILESTAT_GET, FD_FILESTAT_SET_SIZE, FD_FILESTAT_SET_TIMES, PATH_SYMLINK,
        PATH_REMOVE_DIRECTORY, PATH_UNLINK_FILE, POLL_FD_READWRITE, SOCK_SHUTDOWN, SOCK_ACCEPT,
    ) = (1 << bit for bit in range(30))  # fmt: skip


class FdFlags(IntFlag):
    """State of a descriptor."""

    (
        APPEND, DSYNC, NONBLOCK, RSYNC, SYNC,
    ) = (1 << bit for bit in range(5))  # fmt: skip


class OFlags(IntFlag):
    """How path_open opens."""

    (
        CREAT, DIRECTORY, EXCL, TRUNC,
    ) = (1 << bit for bit in range(4))  # fmt: skip


class FstFlags(IntFlag):
    """Which times are set."""

    (
        ATIM, ATIM_NOW, MTIM, MTIM_NOW,
    ) = (1 << bit for bit in range(4))  # fmt: skip


class LookupFlags(IntFlag):
    """How a path is resolved."""

    (SYMLINK_FOLLOW,) = (1 << bit for bit in range(1))


class RiFlags(IntFlag):
    """How sock_recv receives."""

    (
        PEEK, WAITALL,
    ) = (1 << bit for bit in range(2))  # fmt: skip


class SdFlags(IntFlag):
    """What sock_shutdown ends."""

    (
        RD, WR,
    ) = (1 << bit for bit in range(2))  # fmt: skip


class SubClockFlags(IntFlag):
    """How a clock subscription of poll_oneoff gives its time-out."""

    (ABSTIME,) = (1 << bit for bit in range(1))


class SiFlags(IntFlag):
    """How sock_send sends: there are none."""


#: A bit of an event of poll_oneoff.
READWRITE_HANGUP = 1

R = Rights
#: What can be done with a directory, and with what is not one.
DIRECTORY_RIGHTS = (
    R.FD_FDSTAT_SET_FLAGS | R.FD_SYNC | R.FD_ADVISE | R.PATH_CREATE_DIRECTORY | R.PATH_CREATE_FILE | R.PATH_LINK_SOURCE
    | R.PATH_LINK_TARGET | R.PATH_OPEN | R.FD_READDIR | R.PATH_READLINK | R.PATH_RENAME_SOURCE | R.PATH_RENAME_TARGET
    | R.PATH_FILESTAT_GET | R.PATH_FILESTAT_SET_SIZE | R.PATH_FILESTAT_SET_TIMES | R.FD_FILESTAT_GET
    | R.FD_FILESTAT_SET_TIMES | R.PATH_SYMLINK | R.PATH_REMOVE_DIRECTORY | R.PATH_UNLINK_FILE | R.POLL_FD_READWRITE
)  # fmt: skip
FILE_RIGHTS = (
    R.FD_DATASYNC | R.FD_READ | R.FD_SEEK | R.FD_FDSTAT_SET_FLAGS | R.FD_SYNC | R.FD_TELL | R.FD_WRITE | R.FD_ADVISE
    | R.FD_ALLOCATE | R.FD_FILESTAT_GET | R.FD_FILESTAT_SET_SIZE | R.FD_FILESTAT_SET_TIMES | R.POLL_FD_READWRITE
)  # fmt: skip
SOCKET_RIGHTS = (
    R.FD_READ | R.FD_WRITE | R.FD_FDSTAT_SET_FLAGS | R.FD_FILESTAT_GET | R.POLL_FD_READWRITE | R.SOCK_SHUTDOWN
)


def with_implied(rights: int) -> int:
    """Rights with those that they imply: who may seek may tell."""
    return int(rights | R.FD_TELL if rights & R.FD_SEEK else rights)


def adds(rights: int, to: int) -> bool:
    """Whether there are rights that are not among others, known ones or not. (``~`` of an IntFlag has known bits
    only.)"""
    return bool(rights & ~int(with_implied(to)))


#: The types of parameters that are flags or enumerations, by function and name of the parameter. What such a type does
#: not have is INVAL, before anything else is looked at. (fd_fdstat_set_rights has its own error: NOTCAPABLE.)
PARAMETER_TYPES: dict[str, dict[str, type[IntEnum] | type[IntFlag]]] = {
    "clock_res_get": {"clock": Clock},
    "clock_time_get": {"clock": Clock},
    "fd_advise": {"advice": Advice},
    "fd_fdstat_set_flags": {"flags": FdFlags},
    "fd_filestat_set_times": {"flags": FstFlags},
    "fd_seek": {"whence": Whence},
    "path_filestat_get": {"lookup": LookupFlags},
    "path_filestat_set_times": {"lookup": LookupFlags, "flags": FstFlags},
    "path_link": {"lookup": LookupFlags},
    "path_open": {
        "lookup": LookupFlags, "oflags": OFlags, "rights": Rights, "inheriting": Rights, "flags": FdFlags,
    },
    "proc_raise": {"signal": Signal},
    "sock_accept": {"flags": FdFlags},
    "sock_recv": {"flags": RiFlags},
    "sock_send": {"flags": SiFlags},
    "sock_shutdown": {"how": SdFlags},
}  # fmt: skip


def is_member(kind: type[IntEnum] | type[IntFlag], value: int) -> bool:
    """Whether a flag word or number has only what its type knows."""
    if issubclass(kind, IntFlag):
        return value >> len(kind) == 0  # members are the bits from 0 on
    return value < len(kind)


class WasiError(Exception):
    """Raised inside the functions for what becomes an error number."""

    def __init__(self, errno: int) -> None:
        super().__init__(Errno(errno).name)
        self.errno = errno


_FROM_HOST: dict[int, int] = {
    number: getattr(Errno, name[1:], Errno.TOOBIG if name == "E2BIG" else Errno.IO)
    for number, name in host_errno.errorcode.items()
} | {host_errno.EOPNOTSUPP: Errno.NOTSUP}


def from_os_error(error: OSError) -> int:
    """The error number for an error of the host's."""
    return _FROM_HOST.get(error.errno or 0, Errno.IO)


_FILE_TYPES = {
    stat.S_IFBLK: FileType.BLOCK_DEVICE, stat.S_IFCHR: FileType.CHARACTER_DEVICE, stat.S_IFDIR: FileType.DIRECTORY,
    stat.S_IFREG: FileType.REGULAR_FILE, stat.S_IFSOCK: FileType.SOCKET_STREAM, stat.S_IFLNK: FileType.SYMBOLIC_LINK,
}  # fmt: skip


def file_type(mode: int) -> int:
    """The file type in a host's mode."""
    return _FILE_TYPES.get(stat.S_IFMT(mode), FileType.UNKNOWN)


_HARMLESS = (
    Signal.NONE, Signal.CHLD, Signal.CONT, Signal.URG, Signal.WINCH, Signal.STOP, Signal.TSTP, Signal.TTIN, Signal.TTOU,
)  # fmt: skip


def exit_code_of_signal(number: int) -> int | None:
    """The exit code of a program that a signal ends (128 and the host's number); None if it goes on."""
    if number in _HARMLESS:
        return None
    found = getattr(host_signal, f"SIG{Signal(number).name}", None)
    return 128 + (int(found) if found is not None else number)


def filestat(found: os.stat_result) -> bytes:
    """A filestat: device, inode (u64 each), file type (u8 at 16), links, size, times (u64 each from 24 on)."""
    words = (found.st_dev, found.st_ino, file_type(found.st_mode), found.st_nlink, found.st_size,
             found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)  # fmt: skip
    return b"".join((word & (1 << 64) - 1).to_bytes(8, "little") for word in words)
