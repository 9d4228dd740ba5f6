"""Shadow memory: runs of bytes that were accessed alike, each with who did. Accesses of other widths split them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

#: Cells are kept in lists of this many bytes' worth, so that a new one moves few others.
PAGE = 4096


class Cell:
    """The bytes from ``start`` to ``end`` (exclusive), and the accesses that later ones may race with, by thread."""

    __slots__ = ("end", "reads", "start", "writes")

    def __init__(self, start: int, end: int, reads: dict[Any, Any], writes: dict[Any, Any]) -> None:
        self.start, self.end, self.reads, self.writes = start, end, reads, writes

    def split(self, at: int) -> Cell:
        """End before ``at``; the rest as another cell."""
        rest = Cell(at, self.end, dict(self.reads), dict(self.writes))
        self.end = at
        return rest


class Cells:
    """The cells of one memory. ``released`` holds, for the bytes of an atomic write that nothing has overwritten, what
    happened before it."""

    def __init__(self) -> None:
        self.pages: dict[int, tuple[list[int], list[Cell]]] = {}
        self.released: dict[tuple[int, int], Any] = {}

    def within(self, start: int, end: int) -> Iterator[Cell]:
        """Cells that cover exactly these bytes, made where there are none."""
        while start < end:
            stop = min(end, (start // PAGE + 1) * PAGE)
            yield from self._within(start, stop)
            start = stop

    def _within(self, start: int, end: int) -> list[Cell]:
        starts, cells = self.pages.setdefault(start // PAGE, ([], []))
        at = bisect_right(starts, start) - 1
        if at >= 0 and cells[at].start == start and cells[at].end == end:
            return [cells[at]]
        if at >= 0 and cells[at].start < start < cells[at].end:
            self._insert(starts, cells, at + 1, cells[at].split(start))
        at += at < 0 or cells[at].end <= start or cells[at].start < start
        found = []
        while start < end:
            if at == len(cells) or cells[at].start > start:
                stop = end if at == len(cells) else min(end, cells[at].start)
                self._insert(starts, cells, at, Cell(start, stop, {}, {}))
            elif cells[at].end > end:
                self._insert(starts, cells, at + 1, cells[at].split(end))
            found.append(cells[at])
            start = cells[at].end
            at += 1
        return found

    @staticmethod
    def _insert(starts: list[int], cells: list[Cell], at: int, cell: Cell) -> None:
        starts.insert(at, cell.start)
        cells.insert(at, cell)

    def overwritten(self, start: int, end: int) -> None:
        """These bytes have another value now."""
        if not self.released:
            return
        for first, last in [key for key in self.released if key[0] < end and start < key[1]]:
            del self.released[first, last]
