"""Bulk operations on tables, memories and arrays (specification 4.6.9 to 4.6.11): bounds first, then effects.

Addresses and lengths are unsigned integers.
"""

from __future__ import annotations

from typing import Any

from refwasm.errors import Trap
from refwasm.execution.memory import Memory
from refwasm.execution.store import DataInst, ElemInst, TableInst

#: Operations on more bytes than this look at the limits first: they take long for one step.
LARGE = 1 << 16

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


def memory_copy(target: Memory, source: Memory, d: int, s: int, n: int) -> None:
    """Rule Step_read/memory.copy; overlapping ranges behave as if copied through a buffer."""
    source.check(s, n)
    target.check(d, n)
    target.u8[d : d + n] = source.u8[s : s + n] if target is not source else bytes(source.u8[s : s + n])


def memory_fill(memory: Memory, d: int, value: int, n: int) -> None:
    """Rule Step_read/memory.fill."""
    memory.check(d, n)
    memory.u8[d : d + n] = bytes([value & 0xFF]) * n
