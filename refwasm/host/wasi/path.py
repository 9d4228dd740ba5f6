"""Files by path (``path_*``). Paths are UTF-8, relative to a directory's descriptor, and never lead outside it.

All of them: BADF, NOTDIR: no directory's descriptor; NOTCAPABLE: a right is missing; ILSEQ, INVAL, NAMETOOLONG: no
path; PERM: a path that leads outside; others as the host says.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from refwasm.host.wasi import types as w
from refwasm.host.wasi.descriptors import Descriptor
from refwasm.host.wasi.fd import new_times
from refwasm.host.wasi.sandbox import Place, resolved
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Errno, FdFlags, LookupFlags, OFlags, Rights, WasiError

SIGNATURES = {
    "path_create_directory": "i32 i32 i32 -> i32",
    "path_filestat_get": "i32 i32 i32 i32 i32 -> i32",
    "path_filestat_set_times": "i32 i32 i32 i32 i64 i64 i32 -> i32",
    "path_link": "i32 i32 i32 i32 i32 i32 i32 -> i32",
    "path_open": "i32 i32 i32 i32 i32 i64 i64 i32 i32 -> i32",
    "path_readlink": "i32 i32 i32 i32 i32 i32 -> i32",
    "path_remove_directory": "i32 i32 i32 -> i32",
    "path_rename": "i32 i32 i32 i32 i32 i32 -> i32",
    "path_symlink": "i32 i32 i32 i32 i32 -> i32",
    "path_unlink_file": "i32 i32 i32 -> i32",
}

_READING = Rights.FD_READ | Rights.FD_READDIR
_SYNCHRONOUS = FdFlags.DSYNC | FdFlags.RSYNC | FdFlags.SYNC
_WRITING = Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE | Rights.FD_DATASYNC


class Path:
    """The functions."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.guest = system.guest
        self.descriptors = system.descriptors

    @contextmanager
    def _place(self, fd: int, path: int, size: int, right: int, follow: bool = False) -> Iterator[Place]:
        """Where a path of the guest's leads."""
        name = self.system.string(path, size)
        with self.descriptors.directory(fd, right) as directory, resolved(directory.fd, name, follow) as place:
            yield place

    @contextmanager
    def _name(self, fd: int, path: int, size: int, right: int) -> Iterator[Place]:
        """The same, of a name that is about to be made, removed or changed."""
        name = self.system.string(path, size)
        with self.descriptors.directory(fd, right) as directory, resolved(directory.fd, name, False, True) as place:
            yield place

    # ---- opening -----------------------------------------------------------------------------------------------------

    def path_open(
        self, fd: int, lookup: int, path: int, size: int, oflags: int, rights: int, inheriting: int, flags: int,
        fd_out: int,
    ) -> None:  # fmt: skip
        """Open or create a file or directory; its descriptor (u32) at ``fd_out``.

        The descriptor has those of the rights (u64) asked for that the directory passes on. LOOP: a link, which was not
        to be followed; EXIST, ISDIR, NOTDIR, NOENT as the oflags (create, directory, exclusive, truncate) ask.
        """
        self.guest.check(fd_out, 4)
        directory = self.descriptors.get(fd)
        if oflags & OFlags.CREAT:
            self.descriptors.get(fd, Rights.PATH_CREATE_FILE)
        if oflags & OFlags.TRUNC:
            self.descriptors.get(fd, Rights.PATH_FILESTAT_SET_SIZE)
        if flags & _SYNCHRONOUS and not (directory.rights | directory.inheriting) & _synchronizing(flags):
            raise WasiError(Errno.NOTCAPABLE)
        if oflags & OFlags.DIRECTORY and oflags & (OFlags.CREAT | OFlags.EXCL | OFlags.TRUNC):
            raise WasiError(Errno.INVAL)
        granted, passed_on = rights & directory.inheriting, inheriting & directory.inheriting
        follow = bool(lookup & LookupFlags.SYMLINK_FOLLOW) and not (oflags & OFlags.EXCL and oflags & OFlags.CREAT)
        with self._place(fd, path, size, Rights.PATH_OPEN, follow) as place:
            opened = _open(place, oflags, granted, flags)
        os.set_blocking(opened, True)
        made = Descriptor(opened, granted, passed_on, flags)
        if made.is_directory:
            made.rights &= w.DIRECTORY_RIGHTS
        else:
            made.rights &= w.FILE_RIGHTS
            made.inheriting = 0
        self.guest.write_u32(fd_out, self.descriptors.add(made))

    # ---- directories and links ---------------------------------------------------------------------------------------

    def path_create_directory(self, fd: int, path: int, size: int) -> None:
        """Make a directory. EXIST: something has the name."""
        with self._name(fd, path, size, Rights.PATH_CREATE_DIRECTORY) as place:
            os.mkdir(place.name, dir_fd=place.directory)

    def path_remove_directory(self, fd: int, path: int, size: int) -> None:
        """Remove an empty directory. NOTEMPTY; NOTDIR; INVAL: the path ends in "."."""
        with self._name(fd, path, size, Rights.PATH_REMOVE_DIRECTORY) as place:
            os.rmdir(place.name, dir_fd=place.directory)

    def path_unlink_file(self, fd: int, path: int, size: int) -> None:
        """Remove a name of a file or link. ISDIR: a directory; NOTDIR: a slash behind a file's name."""
        with self._name(fd, path, size, Rights.PATH_UNLINK_FILE) as place:
            if place.is_directory:
                found = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
                raise WasiError(Errno.ISDIR if stat.S_ISDIR(found.st_mode) else Errno.NOTDIR)
            os.unlink(place.name, dir_fd=place.directory)

    def path_rename(self, old_fd: int, old: int, old_size: int, new_fd: int, new: int, new_size: int) -> None:
        """Give a file or directory another name, here or below another directory's descriptor."""
        with (
            self._name(old_fd, old, old_size, Rights.PATH_RENAME_SOURCE) as source,
            self._name(new_fd, new, new_size, Rights.PATH_RENAME_TARGET) as target,
        ):
            _check_slashes(source, target)
            os.rename(source.name, target.name, src_dir_fd=source.directory, dst_dir_fd=target.directory)

    def path_link(
        self, old_fd: int, lookup: int, old: int, old_size: int, new_fd: int, new: int, new_size: int
    ) -> None:
        """Give a file one name more. INVAL: following a link at the end, which hosts do not agree on; PERM: a
        directory; NOENT: a slash behind the new name."""
        if lookup & LookupFlags.SYMLINK_FOLLOW:
            raise WasiError(Errno.INVAL)
        with (
            self._place(old_fd, old, old_size, Rights.PATH_LINK_SOURCE) as source,
            self._place(new_fd, new, new_size, Rights.PATH_LINK_TARGET) as target,
        ):
            if source.is_directory:
                os.close(os.open(source.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source.directory))
            if target.is_directory:
                raise WasiError(Errno.NOENT)
            os.link(source.name, target.name, src_dir_fd=source.directory, dst_dir_fd=target.directory,
                    follow_symlinks=False)  # fmt: skip

    def path_symlink(self, old: int, old_size: int, fd: int, new: int, new_size: int) -> None:
        """Make a link that holds a path. NOENT: it holds nothing; PERM: an absolute path, which could not be followed;
        NOENT, NOTDIR: a slash behind the name."""
        target = self.system.string(old, old_size)
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM)
        if not target:
            raise WasiError(Errno.NOENT)
        if b"\0" in target:
            raise WasiError(Errno.INVAL)
        with self._place(fd, new, new_size, Rights.PATH_SYMLINK) as place:
            if place.is_directory:
                found = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)  # FileNotFoundError: NOENT
                raise WasiError(Errno.EXIST if stat.S_ISDIR(found.st_mode) else Errno.NOTDIR)
            os.symlink(_checked(target), place.name, dir_fd=place.directory)

    def path_readlink(self, fd: int, path: int, size: int, buffer: int, room: int, used_out: int) -> None:
        """What a link holds, cut to ``room`` bytes; bytes used (u32) at ``used_out``. INVAL: no link."""
        self.guest.check(buffer, room)
        self.guest.check(used_out, 4)
        with self._place(fd, path, size, Rights.PATH_READLINK) as place:
            held = os.readlink(place.name, dir_fd=place.directory)[:room]
        self.guest.memory.write(buffer, held)
        self.guest.write_u32(used_out, len(held))

    # ---- state -------------------------------------------------------------------------------------------------------

    def path_filestat_get(self, fd: int, lookup: int, path: int, size: int, stat_out: int) -> None:
        """As fd_filestat_get; of a link itself, unless lookup flags say to follow it."""
        self.guest.check(stat_out, 64)
        self.guest.memory.write(stat_out, w.filestat(self.stat(fd, lookup, path, size)))

    def stat(self, fd: int, lookup: int, path: int, size: int) -> os.stat_result:
        """The host's state of what a path leads to."""
        follow = bool(lookup & LookupFlags.SYMLINK_FOLLOW)
        with self._place(fd, path, size, Rights.PATH_FILESTAT_GET, follow) as place:
            found = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        if place.is_directory and not stat.S_ISDIR(found.st_mode):
            raise WasiError(Errno.NOTDIR)
        return found

    def path_filestat_set_times(
        self, fd: int, lookup: int, path: int, size: int, atime: int, mtime: int, flags: int
    ) -> None:
        """As fd_filestat_set_times."""
        follow = bool(lookup & LookupFlags.SYMLINK_FOLLOW)
        with self._place(fd, path, size, Rights.PATH_FILESTAT_SET_TIMES, follow) as place:
            found = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
            times = new_times(found, atime, mtime, flags, self.system.clocks[w.Clock.REALTIME]())
            os.utime(place.name, ns=times, dir_fd=place.directory, follow_symlinks=False)


def _checked(path: bytes) -> bytes:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        raise WasiError(Errno.ILSEQ) from None
    return path


def _synchronizing(flags: int) -> int:
    """Any of these rights lets a file be opened with such flags (witx, ``fd_datasync`` and ``fd_sync``)."""
    return Rights.FD_SYNC if flags & (FdFlags.RSYNC | FdFlags.SYNC) else Rights.FD_SYNC | Rights.FD_DATASYNC


def _open(place: Place, oflags: int, rights: int, flags: int) -> int:
    """A host descriptor. A link at the end is refused by the host: the walk has followed what was to be followed."""
    mode = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a FIFO must not make us wait
    for flag, host in ((OFlags.CREAT, os.O_CREAT), (OFlags.EXCL, os.O_EXCL), (OFlags.TRUNC, os.O_TRUNC)):
        mode |= host if oflags & flag else 0
    for state, host in ((FdFlags.APPEND, os.O_APPEND), (FdFlags.DSYNC, os.O_DSYNC), (FdFlags.SYNC, os.O_SYNC),
                        (FdFlags.RSYNC, os.O_RSYNC)):  # fmt: skip
        mode |= host if flags & state else 0
    if oflags & OFlags.DIRECTORY or place.is_directory:
        if oflags & OFlags.CREAT:
            raise WasiError(Errno.ISDIR)
        opened = os.open(place.name, mode | os.O_DIRECTORY, dir_fd=place.directory)
        if rights & Rights.FD_WRITE:
            os.close(opened)
            raise WasiError(Errno.ISDIR)
        return opened
    writing = bool(rights & _WRITING) or bool(oflags & OFlags.TRUNC)
    access = (os.O_RDWR if rights & _READING else os.O_WRONLY) if writing else os.O_RDONLY
    try:
        return os.open(place.name, mode | access, 0o666, dir_fd=place.directory)
    except IsADirectoryError:
        if oflags & (OFlags.CREAT | OFlags.TRUNC) or rights & Rights.FD_WRITE:
            raise
        # Libraries ask for rights that they may come to need; a directory is opened with those that it can have.
        return os.open(place.name, mode, dir_fd=place.directory)


def _check_slashes(source: Place, target: Place) -> None:
    """A slash behind a name demands that a directory is renamed."""
    if source.is_directory or target.is_directory:
        found = os.stat(source.name, dir_fd=source.directory, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            raise WasiError(Errno.NOTDIR)
