"""Values of a strategy from a seed, for whoever wants many and no test."""

from __future__ import annotations

import random
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

#: Random bytes for one value. One that needs more is left out; Hypothesis does not take more than 8 KiB.
_BYTES = 8 << 10


def sample(strategy: SearchStrategy[T], count: int, number: int = 0) -> list[T]:
    """So many values, the same ones for the same seed ``number`` and version of Hypothesis.

    Each is drawn on its own, from random bytes. A test would begin with simple values, and go on with variations of
    earlier ones, which are simpler than those, and repeat them."""
    found: list[T] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    draw, source = collect.hypothesis.fuzz_one_input, random.Random(number)  # type: ignore[attr-defined]
    while len(found) < count:
        draw(source.randbytes(_BYTES))
    return found
