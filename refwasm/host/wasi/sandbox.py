"""Paths of a guest, resolved inside the directory that they start from.

A path is walked component by component with descriptors, never by name: each step opens one component of the directory
reached so far without following links, so that nothing a second process does to the tree in between leads outside.
Links are read through the descriptor that was opened, and walked in turn. ``..`` goes back to a directory that the walk
came through, and never above its start.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from refwasm.host.wasi.types import Errno, WasiError

#: Links on the way of one path.
MAX_LINKS = 40
#: Bytes of one path.
MAX_PATH = 4096

_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(NamedTuple):
    """Where a path leads: a name in an open directory.

    The name is "." where the path ends in a directory it has already walked; ``is_directory`` tells that the path
    demands one (it ends in a slash).
    """

    directory: int
    name: bytes
    is_directory: bool


@contextmanager
def resolved(directory: int, path: bytes, follow: bool, changes_name: bool = False) -> Iterator[Place]:
    """The place of a path below a directory; with ``follow`` a link at its end is followed too.

    With ``changes_name`` it is for making, removing or renaming what has the name: then a link at the end is never
    followed, not even before a slash, and a final ``.`` is a name like others.

    NOENT, NOTDIR, LOOP, NAMETOOLONG, ILSEQ, INVAL as usual; PERM for absolute paths and for ``..`` that leads outside,
    also by way of links.
    """
    walk = _Walk(directory, follow, changes_name)
    try:
        yield walk.run(_decoded(path))
    finally:
        walk.close()


def _decoded(path: bytes) -> str:
    if not path:
        raise WasiError(Errno.NOENT)
    if len(path) > MAX_PATH:
        raise WasiError(Errno.NAMETOOLONG)
    if b"\0" in path:
        raise WasiError(Errno.INVAL)
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        raise WasiError(Errno.ILSEQ) from None


class _Walk:
    """A walk: ``trail`` are the directories come through, ``ahead`` the components still to go, the next one last."""

    def __init__(self, start: int, follow: bool, changes_name: bool) -> None:
        self.start = start
        self.follow = follow
        self.changes_name = changes_name
        self.trail: list[int] = []
        self.ahead: list[str] = []
        self.links = 0
        self.demands_directory = False

    @property
    def here(self) -> int:
        return self.trail[-1] if self.trail else self.start

    def run(self, path: str) -> Place:
        self._push(path)
        while self.ahead:
            name = self.ahead.pop()
            is_last = not self.ahead
            if name == ".":
                continue  # a final one, which ends the walk
            if name == "..":
                self._go_back()
            elif is_last and not (self.follow or (self.demands_directory and not self.changes_name)):
                return Place(self.here, name.encode(), self.demands_directory)
            else:
                found = self._step(name, is_last)
                if found is not None:
                    return Place(self.here, found.encode(), self.demands_directory)
        return Place(self.here, b".", True)

    def _push(self, path: str) -> None:
        """Put a path ahead. If it is the last thing ahead, it may demand that it ends in a directory."""
        if path.startswith("/"):
            raise WasiError(Errno.PERM)
        if not self.ahead:
            self.demands_directory |= path.endswith(("/", "/."))
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if self.changes_name and not self.ahead and path.endswith("/."):
            parts.append(".")
        self.ahead += reversed(parts)

    def _go_back(self) -> None:
        if not self.trail:
            raise WasiError(Errno.PERM)
        os.close(self.trail.pop())

    def _step(self, name: str, is_last: bool) -> str | None:
        """Go into a directory, or along a link; the name if the walk ends there with something else."""
        try:
            fd = os.open(name.encode(), _STEP, dir_fd=self.here)
        except FileNotFoundError:
            if is_last:
                return name  # may be about to be created
            raise
        mode = os.fstat(fd).st_mode
        if stat.S_ISLNK(mode):
            self._follow(fd)
            return None
        if is_last:
            os.close(fd)
            return name
        if not stat.S_ISDIR(mode):
            os.close(fd)
            raise WasiError(Errno.NOTDIR)
        self.trail.append(fd)
        return None

    def _follow(self, fd: int) -> None:
        try:
            target = _decoded(os.readlink(b"", dir_fd=fd) or b"")
        finally:
            os.close(fd)
        self.links += 1
        if self.links > MAX_LINKS:
            raise WasiError(Errno.LOOP)
        self._push(target)

    def close(self) -> None:
        for fd in self.trail:
            os.close(fd)
        self.trail.clear()
