"""Descriptors: reading, writing, seeking, their state, directories (``fd_*``).

All of them: BADF: not open; NOTCAPABLE: a right is missing; others as the host says.
"""

from __future__ import annotations

import os
import select
import stat

from refwasm.errors import NotYet
from refwasm.host.wasi import types as w
from refwasm.host.wasi.descriptors import Descriptor, flush_python_streams, read_entries
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Errno, FstFlags, Rights, WasiError, Whence

SIGNATURES = {
    "fd_advise": "i32 i64 i64 i32 -> i32",
    "fd_allocate": "i32 i64 i64 -> i32",
    "fd_close": "i32 -> i32",
    "fd_datasync": "i32 -> i32",
    "fd_fdstat_get": "i32 i32 -> i32",
    "fd_fdstat_set_flags": "i32 i32 -> i32",
    "fd_fdstat_set_rights": "i32 i64 i64 -> i32",
    "fd_filestat_get": "i32 i32 -> i32",
    "fd_filestat_set_size": "i32 i64 -> i32",
    "fd_filestat_set_times": "i32 i64 i64 i32 -> i32",
    "fd_pread": "i32 i32 i32 i64 i32 -> i32",
    "fd_prestat_dir_name": "i32 i32 i32 -> i32",
    "fd_prestat_get": "i32 i32 -> i32",
    "fd_pwrite": "i32 i32 i32 i64 i32 -> i32",
    "fd_read": "i32 i32 i32 i32 -> i32",
    "fd_readdir": "i32 i32 i32 i64 i32 -> i32",
    "fd_renumber": "i32 i32 -> i32",
    "fd_seek": "i32 i64 i32 i32 -> i32",
    "fd_sync": "i32 -> i32",
    "fd_tell": "i32 i32 -> i32",
    "fd_write": "i32 i32 i32 i32 -> i32",
}

#: Offsets and sizes of files are below this on the host.
MAX_OFFSET = 1 << 63
_ADVICE = (
    os.POSIX_FADV_NORMAL, os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_RANDOM, os.POSIX_FADV_WILLNEED,
    os.POSIX_FADV_DONTNEED, os.POSIX_FADV_NOREUSE,
)  # fmt: skip
_WHENCE = {Whence.SET: os.SEEK_SET, Whence.CUR: os.SEEK_CUR, Whence.END: os.SEEK_END}


def signed(value: int) -> int:
    """A u64 as i64."""
    return value - (1 << 64) if value >> 63 else value


def _offset(value: int) -> int:
    if value >= MAX_OFFSET:
        raise WasiError(Errno.INVAL)
    return value


def new_times(found: os.stat_result, atime: int, mtime: int, flags: int, now: int) -> tuple[int, int]:
    """Access and modification time that the fst flags ask for. INVAL: both a time and the present are asked for."""
    both_a, both_m = FstFlags.ATIM | FstFlags.ATIM_NOW, FstFlags.MTIM | FstFlags.MTIM_NOW
    if flags & both_a == both_a or flags & both_m == both_m:
        raise WasiError(Errno.INVAL)
    new_a = atime if flags & FstFlags.ATIM else now if flags & FstFlags.ATIM_NOW else found.st_atime_ns
    new_m = mtime if flags & FstFlags.MTIM else now if flags & FstFlags.MTIM_NOW else found.st_mtime_ns
    return _offset(new_a), _offset(new_m)


class Fd:
    """The functions."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.guest = system.guest
        self.descriptors = system.descriptors

    # ---- reading and writing -----------------------------------------------------------------------------------------

    def fd_read(self, fd: int, vectors: int, count: int, size_out: int) -> None:
        """Read into buffers (pairs of u32: address, size); bytes read (u32) at ``size_out``, 0 at the end.

        AGAIN: nonblocking, and nothing is there.
        """
        self.guest.check(size_out, 4)
        with self.descriptors.using(fd, Rights.FD_READ) as source:
            buffers = self.system.vectors(vectors, count)
            total = 0
            if buffers:
                source.wait(select.POLLIN, self.system.pause)
                total = os.readv(source.fd, buffers)
        self.guest.write_u32(size_out, total)

    def fd_pread(self, fd: int, vectors: int, count: int, offset: int, size_out: int) -> None:
        """As fd_read, from ``offset`` (u64), which leaves the position of the descriptor alone."""
        self.guest.check(size_out, 4)
        with self.descriptors.using(fd, Rights.FD_READ | Rights.FD_SEEK) as source:
            total = os.preadv(source.fd, self.system.vectors(vectors, count), _offset(offset))
        self.guest.write_u32(size_out, total)

    def fd_write(self, fd: int, vectors: int, count: int, size_out: int) -> None:
        """Write buffers (pairs of u32: address, size), all of them; bytes written (u32) at ``size_out``.

        PIPE: nobody reads any more; AGAIN: nonblocking, and there is no room.
        """
        self.guest.check(size_out, 4)
        with self.descriptors.using(fd, Rights.FD_WRITE) as target:
            buffers = self.system.vectors(vectors, count)
            if target.is_stream:
                flush_python_streams(target.fd)
            total = self._write(target, buffers)
        self.guest.write_u32(size_out, total & 0xFFFFFFFF)

    def _write(self, target: Descriptor, buffers: list[memoryview]) -> int:
        """Write all; if something goes wrong after a part, that part counts, and the next call will tell."""
        total = 0
        try:
            for view in buffers:
                while view:
                    total += (written := self._write_some(target, view))
                    view = view[written:]
        except (OSError, WasiError, NotYet):
            if not total:
                raise
        return total

    def _write_some(self, target: Descriptor, view: memoryview) -> int:
        """Write what can be written without waiting past the guest's end."""
        if stat.S_ISREG(os.fstat(target.fd).st_mode):
            return os.write(target.fd, view)
        target.wait(select.POLLOUT, self.system.pause)
        return os.write(target.fd, view[: select.PIPE_BUF])

    def fd_pwrite(self, fd: int, vectors: int, count: int, offset: int, size_out: int) -> None:
        """As fd_write, at ``offset`` (u64), which leaves the position of the descriptor alone."""
        self.guest.check(size_out, 4)
        with self.descriptors.using(fd, Rights.FD_WRITE | Rights.FD_SEEK) as target:
            total = os.pwritev(target.fd, self.system.vectors(vectors, count), _offset(offset))
        self.guest.write_u32(size_out, total)

    def fd_seek(self, fd: int, offset: int, whence: int, position_out: int) -> None:
        """Move the position by ``offset`` (i64) from the start, the position or the end; the new one (u64) at
        ``position_out``. INVAL: before the start, or no such whence; SPIPE: a stream."""
        self.guest.check(position_out, 8)
        tells_only = whence == Whence.CUR and offset == 0
        right = Rights.FD_TELL if tells_only else Rights.FD_SEEK | Rights.FD_TELL
        with self.descriptors.using(fd, right) as target:
            position = os.lseek(target.fd, signed(offset), _WHENCE[Whence(whence)])
        self.guest.write_u64(position_out, position)

    def fd_tell(self, fd: int, position_out: int) -> None:
        """The position (u64)."""
        self.fd_seek(fd, 0, Whence.CUR, position_out)

    # ---- descriptors themselves --------------------------------------------------------------------------------------

    def fd_close(self, fd: int) -> None:
        """Forget a descriptor."""
        self.descriptors.close(fd)

    def fd_renumber(self, old: int, new: int) -> None:
        """Give a descriptor the number of another open one, which is closed."""
        self.descriptors.renumber(old, new)

    def fd_fdstat_get(self, fd: int, stat_out: int) -> None:
        """File type (u8), flags (u16 at 2), rights (u64 at 8), rights of what is opened below it (u64 at 16)."""
        self.guest.check(stat_out, 24)
        found = self.descriptors.get(fd)
        raw = bytes([found.type, 0]) + int(found.flags).to_bytes(2, "little") + bytes(4)
        raw += int(found.rights).to_bytes(8, "little") + int(found.inheriting).to_bytes(8, "little")
        self.guest.memory.write(stat_out, raw)

    def fd_fdstat_set_flags(self, fd: int, flags: int) -> None:
        """Change append and nonblocking. INVAL: no such flag; NOTSUP: another one would change."""
        with self.descriptors.using(fd, Rights.FD_FDSTAT_SET_FLAGS) as found:
            found.set_flags(flags)

    def fd_fdstat_set_rights(self, fd: int, rights: int, inheriting: int) -> None:
        """Give up rights (two u64). NOTCAPABLE: one of them is not there."""
        found = self.descriptors.get(fd)
        if w.adds(rights, found.rights) or w.adds(inheriting, found.inheriting):
            raise WasiError(Errno.NOTCAPABLE)
        found.rights, found.inheriting = rights, inheriting

    def fd_prestat_get(self, fd: int, stat_out: int) -> None:
        """Tag 0 (u8) and length of the name (u32 at 4) of a preopened directory. BADF: none, which ends the guest's
        search for them."""
        self.guest.check(stat_out, 8)
        name = self._preopen(fd)
        self.guest.memory.write(stat_out, bytes(4) + len(name).to_bytes(4, "little"))

    def fd_prestat_dir_name(self, fd: int, path: int, size: int) -> None:
        """Name of a preopened directory. BADF: none; NAMETOOLONG: ``size`` is too small."""
        self.guest.check(path, size)
        name = self._preopen(fd)
        if size < len(name):
            raise WasiError(Errno.NAMETOOLONG)
        self.guest.memory.write(path, name)

    def _preopen(self, fd: int) -> bytes:
        name = self.descriptors.get(fd).preopen
        if name is None:
            raise WasiError(Errno.BADF)
        return name

    # ---- files -------------------------------------------------------------------------------------------------------

    def fd_filestat_get(self, fd: int, stat_out: int) -> None:
        """A filestat of 64 bytes: device, inode (u64 each), file type (u8), links, size, times (u64 each)."""
        self.guest.check(stat_out, 64)
        with self.descriptors.using(fd, Rights.FD_FILESTAT_GET) as found:
            raw = w.filestat(os.fstat(found.fd))
        self.guest.memory.write(stat_out, raw)

    def fd_filestat_set_size(self, fd: int, size: int) -> None:
        """Cut or extend with zeros to ``size`` (u64). INVAL: too large for the host."""
        with self.descriptors.using(fd, Rights.FD_FILESTAT_SET_SIZE) as target:
            os.ftruncate(target.fd, _offset(size))

    def fd_filestat_set_times(self, fd: int, atime: int, mtime: int, flags: int) -> None:
        """Set times (u64 nanoseconds), to those given or to the present, as flags say. INVAL: both at once."""
        with self.descriptors.using(fd, Rights.FD_FILESTAT_SET_TIMES) as target:
            times = new_times(os.fstat(target.fd), atime, mtime, flags, self.system.clocks[w.Clock.REALTIME]())
            os.utime(target.fd, ns=times)

    def fd_allocate(self, fd: int, offset: int, size: int) -> None:
        """Make sure that there is room for so many bytes (u64 each); extends the file."""
        with self.descriptors.using(fd, Rights.FD_ALLOCATE) as target:
            os.posix_fallocate(target.fd, _offset(offset), _offset(size))

    def fd_advise(self, fd: int, offset: int, size: int, advice: int) -> None:
        """Tell the host how a file will be used. INVAL: no such advice; SPIPE: a stream."""
        with self.descriptors.using(fd, Rights.FD_ADVISE) as target:
            os.posix_fadvise(target.fd, _offset(offset), _offset(size), _ADVICE[advice])

    def fd_sync(self, fd: int) -> None:
        """Write contents and state to the disk."""
        with self.descriptors.using(fd, Rights.FD_SYNC) as target:
            os.fsync(target.fd)

    def fd_datasync(self, fd: int) -> None:
        """Write contents to the disk."""
        with self.descriptors.using(fd, Rights.FD_DATASYNC) as target:
            os.fdatasync(target.fd)

    # ---- directories -------------------------------------------------------------------------------------------------

    def fd_readdir(self, fd: int, buffer: int, size: int, cookie: int, used_out: int) -> None:
        """Entries of a directory from ``cookie`` (u64) on, as many as fit, the last one cut; bytes used (u32)::

            | next cookie u64 | inode u64 | length u32 | type u8 + 3 | name | next cookie …

        Fewer bytes than ``size`` mean that there are no more. A reading from cookie 0 looks again; others go on in what
        that one found, so that entries that come and go shift nothing.
        """
        self.guest.check(buffer, size)
        self.guest.check(used_out, 4)
        with self.descriptors.directory(fd, Rights.FD_READDIR) as directory:
            if cookie == 0 or not directory.entries:
                directory.entries = read_entries(directory)
            entries = directory.entries
        raw = bytearray()
        for position in range(cookie, len(entries)):
            entry = entries[position]
            raw += (position + 1).to_bytes(8, "little") + entry.inode.to_bytes(8, "little")
            raw += len(entry.name).to_bytes(4, "little") + bytes([entry.type, 0, 0, 0]) + entry.name
            if len(raw) >= size:
                break
        self.guest.memory.write(buffer, bytes(raw[:size]))
        self.guest.write_u32(used_out, min(len(raw), size))
