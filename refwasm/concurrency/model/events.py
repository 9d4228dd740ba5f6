"""Events of candidate executions (threads proposal, "Runtime Structure": actions and events)."""

from __future__ import annotations

from typing import NamedTuple

#: Orderings of accesses.
INIT, UNORDERED, SEQCST = "init", "unordered", "seqcst"
#: Regions: the bytes of the memory, and its length (one location, in pages).
DATA, LENGTH = "data", "length"


class Event(NamedTuple):
    """One step of a thread: what it reads and writes (empty if nothing), from ``start`` on, and its place in the queue
    of waiting threads at ``start``: ``wait``, ``woken``, ``timeout``, ``notify`` (with how many it woke, of how many)
    or nothing. ``tearfree`` accesses do not mix the bytes of two writes of the same range."""

    thread: int
    order: str
    start: int
    read: bytes = b""
    written: bytes = b""
    tearfree: bool = False
    region: str = DATA
    queue: str = ""
    woken: int = 0
    most: int = 0

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return self.start + max(len(self.read), len(self.written))

    def __str__(self) -> str:
        if self.order == INIT:
            return "init"
        if self.queue and not self.read:
            return f"{self.queue} [{self.start}]" + (f" woke {self.woken}" if self.queue == "notify" else "")
        where = "length" if self.region == LENGTH else f"[{self.start}]"
        kind = "RMW" if self.read and self.written else "R" if self.read else "W"
        values = "→".join(str(int.from_bytes(v, "little")) for v in (self.read, self.written) if v)
        return f"{kind}{'sc' if self.order == SEQCST else ''} {where}={values}" + (" wait" if self.queue else "")


def overlap(a: Event, b: Event) -> bool:
    """Whether two events access a common byte."""
    return a.region == b.region and a.start < b.end and b.start < a.end


def same_range(a: Event, b: Event) -> bool:
    """Whether two events access the same bytes (``same``)."""
    return a.region == b.region and (a.start, a.end) == (b.start, b.end)


def synchronises(a: Event, b: Event) -> bool:
    """Whether two events are sequentially consistent accesses of the same bytes (``sync``)."""
    return a.order == b.order == SEQCST and same_range(a, b)
