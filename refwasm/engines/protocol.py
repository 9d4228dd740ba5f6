"""What an engine must be able to do: instantiate a shimmed module, call its functions with integers, show its memories,
and tell why something ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from refwasm.oracle.outcomes import Outcome, Value


class Ended(Exception):
    """A call or an instantiation ended otherwise than by returning: ``outcome`` says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(repr(outcome))
        self.outcome = outcome


class Died(Exception):
    """The engine crashed, or did not answer in time. That is a finding; it can be started again."""


class Failed(Died):
    """A fault of refwasm's, not of the engine's."""


class Unavailable(Exception):
    """The engine is not here; the message says how to get it."""


def each(instance: Instance, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
    """``call_all`` for engines in this process."""
    results: list[int | Outcome | None] = []
    for export, words in calls:
        try:
            results.append(instance.call(export, words))
        except Ended as ended:
            results.append(ended.outcome)
    return results


class Instance(Protocol):
    """An instance in an engine. All raise Died."""

    def call(self, export: str, words: Sequence[Value]) -> int | None:
        """Call an export with words (of type i32 or i64); the unsigned result, None if there is none. Raises Ended."""

    def call_all(self, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
        """Make calls one after the other, whatever comes of them; for each the result, or the outcome if it did not
        return."""

    def memory(self, export: str) -> bytes | None:
        """The contents of an exported memory; None if the engine shows no memories."""


class Engine(Protocol):
    """An engine. ``features`` are names of :mod:`refwasm.validation.features`; ``merges`` are kinds of traps that it
    does not tell apart. ``batch`` is whether many calls at once are much faster than one after the other."""

    name: str
    version: str
    features: frozenset[str]
    merges: tuple[frozenset[str], ...]
    batch: bool

    def instantiate(self, module: bytes) -> Instance:
        """A new instance of a module without imports. Raises Ended and Died."""

    def close(self) -> None:
        """End what the engine runs in."""
