"""Compiled code on disk, one file for each module and way of compiling it.

Two processes that write at the same time may lose each other's functions; they will be compiled again.
"""

from __future__ import annotations

import marshal
import time
from types import CodeType
from typing import Any

from refwasm.cache import CacheFile

#: Seconds between two times that new code is written.
INTERVAL = 5.0


class CodeCache:
    """The code of one module, by the index of the function. ``options`` are what else it depends on."""

    def __init__(self, directory: str, module: bytes, options: Any) -> None:
        self.file = CacheFile(directory, ("code", module, options))
        self.entries = self._read()
        self.fresh = 0  # entries that are not on disk
        self.written_at = time.monotonic()

    def __contains__(self, index: int) -> bool:
        return index in self.entries

    def get(self, index: int) -> tuple[CodeType, dict[int, Any]] | None:
        """The code of a function, and the spans of its lines."""
        data = self.entries.get(index)
        return marshal.loads(data) if data else None

    def note(self, index: int) -> None:
        """A function is used that was not worth compiling: if it is needed again in another process, then it is."""
        if index not in self.entries:
            self.entries[index] = b""
            self.fresh += 1

    def put(self, index: int, code: CodeType, spans: dict[int, Any]) -> None:
        """Keep code; it is written now and then, and by :meth:`save`."""
        self.entries[index] = marshal.dumps((code, spans))
        self.fresh += 1
        if time.monotonic() - self.written_at > INTERVAL:
            self.save()

    def save(self) -> None:
        """Write what is new, with what others have written meanwhile."""
        if self.fresh:
            self.fresh, self.written_at = 0, time.monotonic()
            own = {key: data for key, data in self.entries.items() if data}
            self.file.write(marshal.dumps({**self.entries, **self._read(), **own}))

    def _read(self) -> dict[int, bytes]:
        content = self.file.read()
        return {} if content is None else marshal.loads(content)


__all__ = ["CodeCache"]
