"""Bulk operations on tables, memories and arrays (specification 4.6.9 to 4.6.11): bounds first, then effects.

Addresses and lengths are unsigned integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from refwasm.errors import Trap
from refwasm.execution.memory import Memory
from refwasm.execution.store import DataInst, ElemInst, TableInst

#: Operations on more bytes or elements than this look at the limits first: they take long for one step.
LARGE = 1 << 16
#: So many bytes of a memory are done between two looks.
PIECE = 1 << 24

#: Raises ResourceLimit if a limit is reached.
Look = Callable[[], None]

OUT_OF_TABLE = "out of bounds table access"
OUT_OF_MEMORY = "out of bounds memory access"


def table_init(table: TableInst, elem: ElemInst, d: int, s: int, n: int) -> None:
    """Rule Step_read/table.init."""
    if s + n > len(elem.elements) or d + n > len(table.elements):
        raise Trap(OUT_OF_TABLE)
    table.elements[d : d + n] = elem.elements[s : s + n]


def table_copy(target: TableInst, source: TableInst, d: int, s: int, n: int) -> None:
    """Rule Step_read/table.copy; overlapping ranges behave as if copied through a buffer."""
    if s + n > len(source.elements) or d + n > len(target.elements):
        raise Trap(OUT_OF_TABLE)
    target.elements[d : d + n] = source.elements[s : s + n]


def table_fill(table: TableInst, d: int, value: Any, n: int) -> None:
    """Rule Step_read/table.fill."""
    if d + n > len(table.elements):
        raise Trap(OUT_OF_TABLE)
    table.elements[d : d + n] = [value] * n


def memory_init(memory: Memory, data: DataInst, d: int, s: int, n: int) -> None:
    """Rule Step_read/memory.init."""
    if s + n > len(data.content):
        raise Trap(OUT_OF_MEMORY)
    memory.write(d, data.content[s : s + n])


def memory_copy(look: Look, target: Memory, source: Memory, d: int, s: int, n: int) -> None:
    """Rule Step_read/memory.copy; overlapping ranges behave as if copied through a buffer."""
    source.check(s, n)
    target.check(d, n)
    for i, size in _pieces(look, n, upwards=target is not source or d <= s):
        piece = source.u8[s + i : s + i + size]
        target.u8[d + i : d + i + size] = piece if target is not source else bytes(piece)


def memory_fill(look: Look, memory: Memory, d: int, value: int, n: int) -> None:
    """Rule Step_read/memory.fill."""
    memory.check(d, n)
    for i, size in _pieces(look, n):
        memory.u8[d + i : d + i + size] = bytes([value & 0xFF]) * size


def _pieces(look: Look, n: int, upwards: bool = True) -> Iterable[tuple[int, int]]:
    """Where the pieces of a large operation begin, and their sizes, in the order in which they are done; ``look`` is
    called before each of them, and raises an error when a limit is reached. What was done by then stays done."""
    if n <= LARGE:
        return ((0, n),)
    return _large_pieces(look, n, upwards)


def _large_pieces(look: Look, n: int, upwards: bool) -> Iterator[tuple[int, int]]:
    starts = range(0, n, PIECE)
    for i in starts if upwards else reversed(starts):
        look()
        yield i, min(PIECE, n - i)
