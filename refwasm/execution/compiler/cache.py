"""Compiled code on disk, one file for each module and way of compiling it.

What is read is executed, so who can write counts: the directory and the files must belong to the user who runs this
process and be writable by nobody else, and a file must be a regular one, not a link. What is not so, or damaged, or of
another version, is ignored, and replaced where possible. A file begins with the digest of the rest; it is written
beside its place and moved there, so that readers see the old or the new one, never a part. Two processes that write at
the same time may lose each other's functions; they will be compiled again.

Nothing here fails for the caller: a cache that can't be used is a cache that is empty.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import stat
import sys
import tempfile
import time
from pathlib import Path
from types import CodeType
from typing import Any

#: All files together; the ones that were not used for longest go first. And one file.
MAX_BYTES, MAX_FILE = 256 << 20, 64 << 20
#: Seconds between two times that new code is written.
INTERVAL = 5.0
_SUFFIX = ".code"

#: Index of the function, index of the loop that it is entered at or -1.
Key = tuple[int, int]
#: What identifies the body, the code, the spans of its lines.
Entry = tuple[Any, CodeType, dict[int, Any]]


def default_directory() -> str | None:
    """``REFWASM_CACHE`` if set (nothing if empty), a folder of the user's otherwise."""
    chosen = os.environ.get("REFWASM_CACHE")
    if chosen is not None:
        return chosen or None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "refwasm") if os.path.isabs(base) else None


def fingerprint() -> str:
    """What the code depends on besides the module: Python's version, and this compiler's."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    return repr((sys.implementation.cache_tag, sys.hexversion, stats))


class CodeCache:
    """The code of one module. ``options`` are what else it depends on; ``directory`` is made if it is not there."""

    def __init__(self, directory: str, module: bytes, options: Any) -> None:
        name = hashlib.sha256(repr((module, options, fingerprint())).encode()).hexdigest()[:40]
        self.directory, self.path = directory, os.path.join(directory, name + _SUFFIX)
        self.entries: dict[Key, bytes] = self._read()
        self.fresh = 0  # entries that are not on disk
        self.written_at = time.monotonic()

    # ---- entries -----------------------------------------------------------------------------------------------------

    def __contains__(self, key: Key) -> bool:
        return key in self.entries

    def get(self, key: Key, identity: Any) -> tuple[CodeType, dict[int, Any]] | None:
        """The code and the spans of a function, if they are of that body."""
        data = self.entries.get(key)
        if data is None:
            return None
        try:
            found: Entry = marshal.loads(data)
            if found[0] == identity and isinstance(found[1], CodeType):
                return found[1], found[2]
        except (ValueError, EOFError, TypeError, IndexError):
            pass
        del self.entries[key]
        return None

    def put(self, key: Key, identity: Any, code: CodeType, spans: dict[int, Any]) -> None:
        """Keep code; it is written now and then, and by :meth:`save`."""
        self.entries[key] = marshal.dumps((identity, code, spans))
        self.fresh += 1
        if time.monotonic() - self.written_at > INTERVAL:
            self.save()

    # ---- the file ----------------------------------------------------------------------------------------------------

    def _read(self) -> dict[Key, bytes]:
        try:
            if not _is_ours(os.lstat(self.directory)):
                return {}
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
        except OSError:
            return {}
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or not _is_ours(status) or status.st_size > MAX_FILE:
                return {}
            try:
                data = file.read()
                os.utime(fd)
            except OSError:
                return {}
        return _unpacked(data)

    def save(self) -> None:
        """Write what is new, with what others have written meanwhile."""
        if not self.fresh:
            return
        self.fresh, self.written_at = 0, time.monotonic()
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if not _is_ours(os.lstat(self.directory)):
                return
            content = marshal.dumps({**self._read(), **self.entries})
            if len(content) < MAX_FILE:
                self._replace(hashlib.sha256(content).digest() + content)
                _shrink(self.directory)
        except (OSError, MemoryError):
            return

    def _replace(self, data: bytes) -> None:
        fd, name = tempfile.mkstemp(dir=self.directory, prefix=".new-")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody but this user can have written there."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022 and not stat.S_ISLNK(status.st_mode)


def _unpacked(data: bytes) -> dict[Key, bytes]:
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return {}
    try:
        found = marshal.loads(data[32:])
    except (ValueError, EOFError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _shrink(directory: str) -> None:
    """Remove the files that were not used for longest until the others are small enough, and old half-written ones."""
    files = []
    with os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if entry.name.endswith(_SUFFIX):
                files.append((status.st_mtime, status.st_size, entry.path))
            elif entry.name.startswith(".new-") and status.st_mtime < time.time() - 3600:
                os.unlink(entry.path)
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= MAX_BYTES:
            return
        os.unlink(path)
        total -= size


__all__ = ["CodeCache", "default_directory"]
