"""Modules of the Hypothesis strategies (:mod:`refwasm.strategies`), by number."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import TypeVar

from refwasm.campaign.source import Item
from refwasm.engines.protocol import Unavailable

T = TypeVar("T")
#: Examples that one run of Hypothesis draws, from a seed of its own: what is drawn depends on what was before.
BATCH = 50


def in_batches(draw: Callable[[int], list[T]], start: int, stop: int) -> Iterator[tuple[int, T]]:
    """The examples with these numbers, of those that ``draw`` gives for each batch."""
    for batch in range(start // BATCH, (stop + BATCH - 1) // BATCH):
        for number, example in enumerate(draw(batch), batch * BATCH):
            if start <= number < stop:
                yield number, example


class Drawn:
    """Modules without end."""

    count: int | None = None

    def __init__(self, features: frozenset[str], seed: int = 0) -> None:
        if importlib.util.find_spec("hypothesis") is None:
            raise Unavailable("hypothesis is not installed: pip install 'refwasm[hypothesis]'")
        self.features, self.seed = features, seed

    def items(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        for number, module in in_batches(self._batch, start, stop):
            label = f"strategies {self.seed + number // BATCH}.{number % BATCH}"
            yield number, Item(label, module, None, number)

    def _batch(self, batch: int) -> list[bytes]:
        """The examples of one seed."""
        from refwasm.strategies import modules
        from refwasm.strategies.sampling import sample

        made = modules(self.features, traps=("rare", "allowed")[batch % 2])
        return [module.bytes for module in sample(made, BATCH, self.seed + batch)]

    def close(self) -> None:
        pass
