"""Bulk operations on tables, memories and arrays (specification 4.6.9 to 4.6.11): bounds first, then effects.

Addresses and lengths are unsigned integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from refwasm.errors import ResourceLimit, Trap
from refwasm.execution.memory import Memory
from refwasm.execution.store import DataInst, ElemInst, Settings, TableInst

#: Operations on more bytes or elements than this look at the limits first: they take long for one step.
LARGE = 1 << 16
#: So many bytes or elements take one unit of fuel, besides that of the instruction.
PER_FUEL = 64
#: So many bytes of a memory are done between two looks.
PIECE = 1 << 24

#: Told how many bytes or elements are about to be written, when it is sure that they will be: takes fuel for them and
#: looks at the limits, and raises ResourceLimit if there is not enough left.
Work = Callable[[int], None]

OUT_OF_TABLE = "out of bounds table access"
OUT_OF_MEMORY = "out of bounds memory access"


def table_init(work: Work, table: TableInst, elem: ElemInst, d: int, s: int, n: int) -> None:
    """Rule Step_read/table.init."""
    if s + n > len(elem.elements) or d + n > len(table.elements):
        raise Trap(OUT_OF_TABLE)
    work(n)
    table.elements[d : d + n] = elem.elements[s : s + n]


def table_copy(work: Work, target: TableInst, source: TableInst, d: int, s: int, n: int) -> None:
    """Rule Step_read/table.copy; overlapping ranges behave as if copied through a buffer."""
    if s + n > len(source.elements) or d + n > len(target.elements):
        raise Trap(OUT_OF_TABLE)
    work(n)
    target.elements[d : d + n] = source.elements[s : s + n]


def table_fill(work: Work, table: TableInst, d: int, value: Any, n: int) -> None:
    """Rule Step_read/table.fill."""
    if d + n > len(table.elements):
        raise Trap(OUT_OF_TABLE)
    work(n)
    table.elements[d : d + n] = [value] * n


def memory_init(work: Work, memory: Memory, data: DataInst, d: int, s: int, n: int) -> None:
    """Rule Step_read/memory.init."""
    if s + n > len(data.content):
        raise Trap(OUT_OF_MEMORY)
    memory.check(d, n)
    work(n)
    memory.write(d, data.content[s : s + n])


def memory_copy(work: Work, target: Memory, source: Memory, d: int, s: int, n: int) -> None:
    """Rule Step_read/memory.copy; overlapping ranges behave as if copied through a buffer."""
    source.check(s, n)
    target.check(d, n)
    for i, size in _pieces(work, n, upwards=target is not source or d <= s):
        piece = source.u8[s + i : s + i + size]
        target.u8[d + i : d + i + size] = piece if target is not source else bytes(piece)


def memory_fill(work: Work, memory: Memory, d: int, value: int, n: int) -> None:
    """Rule Step_read/memory.fill."""
    memory.check(d, n)
    for i, size in _pieces(work, n):
        memory.u8[d + i : d + i + size] = bytes([value & 0xFF]) * size


def _pieces(work: Work, n: int, upwards: bool = True) -> Iterable[tuple[int, int]]:
    """Where the pieces of a large operation begin, and their sizes, in the order in which they are done. Fuel is taken
    for all of them first. When time is up between two of them, what was done by then stays done."""
    work(n)
    return ((0, n),) if n <= PIECE else _large_pieces(work, n, upwards)


def _large_pieces(work: Work, n: int, upwards: bool) -> Iterator[tuple[int, int]]:
    starts = range(0, n, PIECE)
    for i in starts if upwards else reversed(starts):
        work(0)
        yield i, min(PIECE, n - i)


def look_at(settings: Settings, n: int) -> None:
    """Look at the limits before so much is done; between pieces (0), too."""
    if n > LARGE or n == 0:
        settings.check()


def working(settings: Settings) -> Work:
    """Takes fuel from the settings themselves: where compiled code calls."""

    def work(n: int) -> None:
        look_at(settings, n)
        if n >= PER_FUEL and settings.fuel is not None:
            settings.fuel -= n // PER_FUEL
            if settings.fuel < 0:
                raise ResourceLimit("all fuel consumed")

    return work
