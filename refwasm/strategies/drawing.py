"""What strategies are made of here: numbers below a bound, drawn so that the least one is the simplest choice.

A choice is an index into a table that does not depend on earlier choices wherever that can be had: when the shrinker
deletes something, what is left still means the same (Hypothesis' guide "strategies that shrink").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

T = TypeVar("T")


@lru_cache(maxsize=1024)
def below(n: int) -> SearchStrategy[int]:
    """Numbers from 0 to n - 1."""
    return st.integers(0, n - 1)


@lru_cache(maxsize=64)
def _chance(average: float, most: int) -> float:
    """The chance of another element with which lists of at most so many have that many on average."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        mean = sum(middle**n for n in range(1, most + 1))
        low, high = (middle, high) if mean < average else (low, middle)
    return high


class Drawing:
    """Draws for one value. ``draw`` is what a function under ``st.composite`` gets."""

    __slots__ = ("draw", "_integer", "_boolean")

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw
        # Most choices are small numbers. Hypothesis' test case gives one at a fifth of the cost of a strategy, which
        # keeps a span for each; where a version has it no more, the strategy does.
        self._integer: Any = getattr(getattr(draw, "__self__", None), "draw_integer", None) or self._drawn
        self._boolean: Any = getattr(getattr(draw, "__self__", None), "draw_boolean", None) or self._coin

    def _drawn(self, least: int, most: int) -> int:
        return self.draw(below(most + 1) if not least else st.integers(least, most))

    def _coin(self, p: float) -> bool:
        return bool(self.draw(below(1 << 16)) >= (1 - p) * (1 << 16))

    def below(self, n: int) -> int:
        """A number from 0 to n - 1; nothing is drawn if there is one only."""
        return self._integer(0, n - 1) if n > 1 else 0

    def between(self, least: int, most: int) -> int:
        """A number from ``least`` to ``most``; the least is the simplest."""
        return int(self._integer(least, most))

    def pick(self, items: Sequence[T]) -> T:
        """One of some items, the first one being the simplest."""
        return items[self._integer(0, len(items) - 1)] if len(items) > 1 else items[0]

    def choose(self, items: Sequence[T]) -> T:
        """As :meth:`pick`, but a choice is made even if there is one item only: so what is behind keeps its place when
        the other items are deleted."""
        return items[int(self._integer(0, len(items) - 1))]

    def downwards(self, items: Sequence[T]) -> Sequence[T]:
        """The items from one of them back to the first one: for whoever takes the next one that will do. The shrinker
        counts down, and so comes to the one that is taken."""
        return items[self.below(len(items)) :: -1]

    def rarely(self, n: int) -> bool:
        """True once in n times; False is simpler."""
        return bool(self._integer(0, n - 1) == n - 1)

    def none(self, n: int, made: int = 0) -> None:
        """Leave room for a choice among n that is not open here, since it is already ``made``: the shrinker can then
        put what was drawn into a place where that choice is open."""
        if self.can_follow:
            self._integer(0, n - 1, forced=made)

    @contextmanager
    def following(self, choices: Sequence[int]) -> Iterator[None]:
        """Make these choices, and then the simplest ones, whatever is drawn."""
        integer, boolean, rest = self._integer, self._boolean, iter(choices)

        def made(least: int, most: int, forced: int | None = None) -> int:
            return int(integer(least, most, forced=next(rest, least) if forced is None else forced))

        self._integer = made
        self._boolean = lambda p: boolean(p, forced=False)
        try:
            yield
        finally:
            self._integer, self._boolean = integer, boolean

    @property
    def can_follow(self) -> bool:
        """Whether choices can be made in advance: not with every version of Hypothesis."""
        return bool(self._integer != self._drawn)

    def several(self, most: int, average: float) -> Iterator[int]:
        """The numbers of the elements of a list: before each, one choice says whether there is another.

        So the shrinker deletes an element that is one choice by deleting two, as with ``st.lists``, which costs two
        spans more for each element, and another draw for the whole."""
        if not most:
            return
        chance = _chance(average, most)
        for number in range(most):
            if not self._boolean(chance):
                return
            yield number

    def bits(self, n: int) -> int:
        """A number of n bits."""
        return int(self._integer(0, (1 << n) - 1))
