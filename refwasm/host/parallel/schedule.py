"""Which iterations run together, and in which order: everything here is left open by PAR-EXEC-03 and PAR-EXEC-05.

Iterations are handed out in *units*: consecutive ids that one worker runs one after the other, in ascending order. The
order policy permutes units; devices ask for ranges of positions in that order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import chain

from refwasm.execution import choices as choice
from refwasm.execution.choices import Choices
from refwasm.host.parallel.policies import GROUPING, ORDER, Policies

#: Up to so many units are shuffled as a list.
LARGE = 1 << 16
#: All orders of so many units are options of one choice.
FEW = 7
#: Most iterations handed out at once: an uneven tail stays short.
MAX_SHARE = 4096


class Schedule:
    """The units of ``count`` iterations under policies; ``units`` is their number. What the policies leave at their
    defaults, ``choices`` decide, if there are any."""

    def __init__(self, count: int, block_size: int, policies: Policies, choices: Choices | None = None) -> None:
        self.count = count
        self.block_size = block_size
        grouping = policies.grouping
        if choices is not None and grouping == GROUPING[0]:
            grouping = GROUPING[choices.choose(choice.GROUPING, len(GROUPING))]
        self.guided = grouping == "guided"
        self.unit = {"block": max(block_size, 1), "whole": max(count, 1)}.get(grouping, 1)
        self.units = -(-count // self.unit)
        chosen = choices is not None and policies.order == "ascending"
        self._order = _chosen(self.units, choices) if chosen and choices else _order(self.units, policies)

    def order(self) -> tuple[int, int, list[int] | None]:
        """The order for devices that follow it themselves: the unit at position p is (start + step * p) modulo
        ``units``, unless units are listed."""
        if isinstance(self._order, _Strided):
            return self._order.start, self._order.step, None
        if isinstance(self._order, range):
            return (0, 1, None) if self._order.step == 1 else (self.units - 1, self.units - 1, None)
        return 0, 1, self._order

    def ids(self, start: int, stop: int) -> Iterable[int]:
        """The iterations of the units at positions ``start`` to ``stop`` (exclusive)."""
        chosen = map(self._order.__getitem__, range(start, stop))
        if self.unit == 1:
            return chosen
        unit, count = self.unit, self.count
        return chain.from_iterable(range(u * unit, min((u + 1) * unit, count)) for u in chosen)

    def share(self, left: int, workers: int) -> int:
        """How many units to hand out when so many are left: fewer towards the end, so that uneven work balances.

        Guided shares are whole blocks of the guest's size where that is small.
        """
        if not self.guided:
            return 1
        size = min(max(left // (4 * workers), 1), MAX_SHARE)
        if 1 < self.block_size <= size:
            size -= size % self.block_size
        return size


def _order(count: int, policies: Policies) -> range | list[int] | _Strided:
    """The numbers below ``count`` in the order of the policy."""
    if policies.order == "ascending":
        return range(count)
    if policies.order == "descending":
        return range(count - 1, -1, -1)
    generator = random.Random(policies.seed)
    if count > LARGE:
        return _Strided(count, generator)
    shuffled = list(range(count))
    generator.shuffle(shuffled)
    return shuffled


def _chosen(count: int, choices: Choices) -> range | list[int] | _Strided:
    """The numbers below ``count``, ascending by default: few in any order, more ascending, descending or shuffled."""
    if count > FEW:
        option = choices.choose(choice.ORDER, LARGE)
        return _order(count, Policies(order=ORDER[min(option, 2)], seed=option))
    left, rank = list(range(count)), choices.choose(choice.ORDER, math.factorial(count))
    order = []
    for remaining in range(count, 0, -1):
        position, rank = divmod(rank, math.factorial(remaining - 1))
        order.append(left.pop(position))
    return order


class _Strided:
    """Very many numbers in the order of a constant step, which takes no memory."""

    def __init__(self, count: int, generator: random.Random) -> None:
        self.count = count
        self.start = generator.randrange(count)
        self.step = next(s for s in iter(lambda: generator.randrange(1, count), 0) if math.gcd(s, count) == 1)

    def __getitem__(self, position: int) -> int:
        return (self.start + self.step * position) % self.count
