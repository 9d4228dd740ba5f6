"""Modules of the Hypothesis strategies (:mod:`refwasm.strategies`), by number."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from refwasm.campaign.source import Item
from refwasm.engines.protocol import Unavailable

#: Examples that one run of Hypothesis draws, from a seed of its own: what is drawn depends on what was before.
BATCH = 50


class Drawn:
    """Modules without end."""

    count: int | None = None

    def __init__(self, features: frozenset[str], seed: int = 0) -> None:
        if importlib.util.find_spec("hypothesis") is None:
            raise Unavailable("hypothesis is not installed: pip install 'refwasm[hypothesis]'")
        self.features, self.seed = features, seed

    def items(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        for batch in range(start // BATCH, (stop + BATCH - 1) // BATCH):
            first = batch * BATCH
            for number, module in enumerate(self._batch(batch), first):
                if start <= number < stop:
                    yield number, Item(f"strategies {self.seed + batch}.{number - first}", module, None, number)

    def _batch(self, batch: int) -> list[bytes]:
        """The examples of one seed."""
        from refwasm.strategies import modules
        from refwasm.strategies.sampling import sample

        return [module.bytes for module in sample(modules(self.features), BATCH, self.seed + batch)]

    def close(self) -> None:
        pass
