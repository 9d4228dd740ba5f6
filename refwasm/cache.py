"""A directory of files that are found again by what their content was made from.

What is read is trusted, even executed, so who can write counts: the directory and the files must belong to the user who
runs this process and be writable by nobody else, and a file must be a regular one, not a link. What is not so, or
damaged, or another file's content, is ignored, and replaced where possible. A file begins with a digest of its name and
the rest; it is written beside its place and moved there, so that readers see the old or the new one, never a part.

Nothing here fails for the caller: a cache that can't be used is a cache that is empty.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import suppress
from functools import cache
from typing import Any

try:
    from _blake2 import blake2b  # hashlib has the same, but loads OpenSSL first: 3 ms of every start
except ImportError:
    from hashlib import blake2b

#: All files together; the ones that were not used for longest go first. And one file.
MAX_BYTES, MAX_FILE = 256 << 20, 64 << 20
SUFFIX = ".cache"


def default_directory() -> str | None:
    """``REFWASM_CACHE`` if set (nothing if empty), a folder of the user's otherwise."""
    chosen = os.environ.get("REFWASM_CACHE")
    if chosen is not None:
        return chosen or None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "refwasm") if os.path.isabs(base) else None


def digest(*parts: bytes) -> bytes:
    """What some content is known by, 32 bytes."""
    found = blake2b(digest_size=32)
    for part in parts:
        found.update(part)
    return found.digest()


@cache
def _fingerprint() -> str:
    """What every content depends on: Python's version, and all of refwasm."""
    sources, folders = [], [os.path.dirname(__file__)]
    for folder in folders:  # which gets longer
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    sources.append((entry.path, status.st_size, status.st_mtime_ns))
                elif entry.is_dir() and entry.name != "__pycache__":
                    folders.append(entry.path)
    return repr((sys.implementation.cache_tag, sys.hexversion, sorted(sources)))


class CacheFile:
    """The file in a directory, made if it is not there, for content that was made from ``source``: anything whose
    ``repr`` says it all."""

    def __init__(self, directory: str, source: Any) -> None:
        name = digest(repr((source, _fingerprint())).encode()).hex()[:40]
        self.directory = os.path.abspath(directory)  # without a slash at the end, which would follow a link
        self.path = os.path.join(self.directory, name + SUFFIX)

    def read(self) -> bytes | None:
        """The content, if it is there and as it was written."""
        try:
            if not _is_ours(os.lstat(self.directory)):
                return None
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or not _is_ours(status) or status.st_size > MAX_FILE:
                return None
            with open(fd, "rb", closefd=False) as file:
                data = file.read()
            os.utime(fd)
        except (OSError, MemoryError):
            return None
        finally:
            os.close(fd)
        content = data[32:]
        return content if self._seal(content) == data[:32] else None

    def write(self, content: bytes) -> None:
        """Replace the content, if there is a place for it."""
        if len(content) >= MAX_FILE - 32:
            return
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if _is_ours(os.lstat(self.directory)):
                self._replace(self._seal(content) + content)
                _shrink(self.directory)
        except (OSError, MemoryError):
            return

    def _seal(self, content: bytes) -> bytes:
        return digest(os.path.basename(self.path).encode(), content)

    def _replace(self, data: bytes) -> None:
        import tempfile  # not when everything is there

        fd, name = tempfile.mkstemp(dir=self.directory, prefix=".new-")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise


_user = getattr(os, "geteuid", os.getuid)  # a browser knows one kind of user


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody but this user can have written there."""
    return status.st_uid == _user() and not status.st_mode & 0o022 and not stat.S_ISLNK(status.st_mode)


def _shrink(directory: str) -> None:
    """Remove the files that were not used for longest until the others are small enough, and old half-written ones."""
    files = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
            if entry.name.endswith(SUFFIX):
                files.append((status.st_mtime, status.st_size, entry.path))
            elif entry.name.startswith(".new-") and status.st_mtime < time.time() - 3600:
                _remove(entry.path)
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= MAX_BYTES:
            return
        _remove(path)
        total -= size


def _remove(path: str) -> None:
    """Another process may have done it, and one file that stays must not keep the others."""
    with suppress(OSError):
        os.unlink(path)


__all__ = ["CacheFile", "default_directory", "digest"]
