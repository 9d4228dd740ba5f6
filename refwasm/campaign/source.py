"""What a campaign judges: items, each a module with the calls to make, from sources that have them by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from refwasm.engines.judging import Call

#: The source of parallel programs, which are run on real threads and judged by the memory model.
THREADS = "threads"
#: The kind of items that are about no instruction.
GENERATED = "generated"


class Item(NamedTuple):
    """A module in the binary format; its calls, None for those that ``seed`` chooses. ``label`` names it in reports,
    ``kind`` is what buckets are told apart by: the instruction, where it is about one. What is generated is about none;
    reducing tells what a difference is about."""

    label: str
    module: bytes
    calls: Sequence[Call] | None = None
    seed: int = 0
    kind: str = GENERATED


class Source(Protocol):
    """Items by number, the same ones whenever they are asked for."""

    @property
    def count(self) -> int | None:
        """How many items there are, None for any number."""

    def items(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        """The items with numbers from ``start`` to ``stop`` (exclusive), as far as there are such."""

    def close(self) -> None:
        """End what was begun for items to come."""


class Listed:
    """A source that has all its items at hand."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items, self.count = items, len(items)

    def items(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        yield from enumerate(self._items[start:stop], start)

    def close(self) -> None:
        pass
