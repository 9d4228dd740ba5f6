"""Compiled code on disk, one file for each module and way of compiling it.

Two processes that write at the same time may lose each other's functions; they will be compiled again.
"""

from __future__ import annotations

import marshal
import time
from collections.abc import Callable
from operator import and_
from types import CodeType
from typing import Any, NamedTuple
from weakref import WeakMethod

from refwasm.cache import CacheFile
from refwasm.execution.compiler.conventions import Spans

#: Seconds between two times that new code is written.
INTERVAL = 5.0


class Kept(NamedTuple):
    """The code of a function, the spans of its lines, and what was left out of it."""

    code: CodeType
    spans: Spans
    absent: bytes


class CodeCache:
    """The code of one module, by the index of the function. ``options`` are what else it depends on.

    ``entries`` are compiled functions; ``absent`` has all functions that were used, with a byte for each instruction
    that says whether nobody has got there (none if that is not known). Compiled code may leave more out, if it was left
    for the rest: then it is compiled again in another process."""

    def __init__(self, directory: str, module: bytes, options: Any) -> None:
        self.file = CacheFile(directory, ("code", module, options))
        self.entries, self.absent = self._read()
        self.noted: dict[int, Callable[[], Callable[[], bytes] | None]] = {}
        self.ahead = bool(self.absent)  # what was noted and has no code may be compiled ahead
        self.fresh = False  # something is not on disk
        self.written_at = time.monotonic()

    def __contains__(self, index: int) -> bool:
        return index in self.absent

    def get(self, index: int) -> Kept | None:
        """The code of a function; None if it leaves out too much."""
        data = self.entries.get(index)
        found = _kept(_loaded(data)) if data else None
        return found if found is not None and found.absent == self.absent.get(index) else None

    def note(self, index: int, absent: Callable[[], bytes]) -> None:
        """A function is interpreted. It was not worth compiling so far: if it is needed again in another process, then
        it is. ``absent``, a method, is asked when this is written, if there is still somebody to ask."""
        self.noted[index] = WeakMethod(absent)

    def put(self, index: int, kept: Kept) -> None:
        """Keep code; it is written now and then, and by :meth:`save`."""
        self.entries[index], self.absent[index] = marshal.dumps(tuple(kept)), kept.absent
        self.fresh = True
        if time.monotonic() - self.written_at > INTERVAL:
            self.save()

    def save(self) -> None:
        """Write what is new, with what others have written meanwhile."""
        noted = self._new_notes()
        if not self.fresh and not noted:
            return
        self.fresh, self.written_at = False, time.monotonic()
        entries, absent = self._read()
        self.absent = {**absent, **self.absent}
        for index, missing in noted.items():
            self.absent[index] = still_absent(self.absent.get(index), missing)
        self.file.write(marshal.dumps(({**entries, **self.entries}, self.absent)))

    def _new_notes(self) -> dict[int, bytes | None]:
        """What is absent from functions of which more was executed than was known."""
        asked = {index: absent() if (absent := method()) else None for index, method in self.noted.items()}
        return {index: missing for index, missing in asked.items()
                if still_absent(before := self.absent.get(index), missing) != before}  # fmt: skip

    def _read(self) -> tuple[dict[int, bytes], dict[int, bytes]]:
        content = self.file.read()
        found = None if content is None else _loaded(content)
        if type(found) is not tuple or len(found) != 2 or not all(map(_by_index, found)):
            return {}, {}
        return found


def _loaded(data: bytes) -> Any:
    """What was marshalled; None if it is anything else, as where another version of Python wrote it."""
    try:
        return marshal.loads(data)
    except (EOFError, ValueError, TypeError, MemoryError):
        return None


def _by_index(found: Any) -> bool:
    """Whether it has bytes by the indices of functions."""
    return type(found) is dict and all(type(k) is int and type(v) is bytes for k, v in found.items())


def _kept(found: Any) -> Kept | None:
    """A compiled function, if it is one."""
    if type(found) is not tuple or list(map(type, found)) != [CodeType, dict, bytes]:
        return None
    return Kept(*found)


def still_absent(before: bytes | None, now: bytes | None) -> bytes:
    """What of a function was absent before, and now; None means that nothing is known."""
    if before is None or now is None:
        return before or now or b""
    return bytes(map(and_, before, now))


__all__ = ["CodeCache", "Kept", "still_absent"]
