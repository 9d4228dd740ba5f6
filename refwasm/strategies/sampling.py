"""Values of a strategy from a seed, for whoever wants many and no test."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


def sample(strategy: SearchStrategy[T], count: int, number: int = 0) -> list[T]:
    """So many values, the same ones for the same seed ``number`` and version of Hypothesis."""
    found: list[T] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return found
