"""Choices of an execution as values that shrink: to the first option everywhere, and so to the fewest switches."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import SearchStrategy

from refwasm.execution.choices import AGENT, ALL, KINDS, ORDER, WAIT, Choices, Kind

#: Choices in a row that take the first option between two that take another: mostly few, since most programs make few.
_GAPS = (*range(8), *range(8), *range(8, 16), *range(16, 48, 2))


class DrawnChoices(Choices):
    """Choices that take another option than the first one in some places: ``others`` are pairs of how many choices come
    in between, and the option. 1 is the first of the others; numbers that are too large count on from there. What was
    taken in an execution prints as a list that replays it (``refwasm run --choices``)."""

    def __init__(self, others: Iterable[tuple[int, int]], kinds: Iterable[Kind | str] = ALL) -> None:
        super().__init__(KINDS[kind] if isinstance(kind, str) else kind for kind in kinds)
        self.others = tuple(others)
        self._planned = [option for gap, other in self.others for option in (*[0] * gap, other)]

    def pick(self, kind: Kind, options: int) -> int:
        """The next option of the plan; the first one behind its end."""
        at = len(self.taken)
        planned = self._planned[at] if at < len(self._planned) else 0
        return 1 + (planned - 1) % (options - 1) if planned and options > 1 else 0

    def again(self) -> DrawnChoices:
        """The same choices for another execution."""
        return DrawnChoices(self.others, self.kinds)

    def __repr__(self) -> str:
        if self.taken:
            return str(self)
        names = [] if self.kinds == frozenset(ALL) else [sorted(kind.name for kind in self.kinds)]
        return f"DrawnChoices({', '.join(map(repr, [list(self.others), *names]))})"


def choices(kinds: Iterable[str] | None = None, max_others: int = 8) -> SearchStrategy[DrawnChoices]:
    """Choices of some kinds (names as in ``docs/choices.md``, all by default): up to so many are others than the first
    option. An object is for one execution."""
    known = [kind.name for kind in ALL]
    if isinstance(kinds, str) or not isinstance(kinds, (Iterable, type(None))):
        raise InvalidArgument(f"kinds={kinds!r}: expected names of kinds of choices")
    wanted = known if kinds is None else list(kinds)
    for name in wanted:
        if name not in KINDS:
            raise InvalidArgument(f"kinds: {name!r} is no kind of choice: expected some of {', '.join(known)}")
    return _drawn([KINDS[name] for name in wanted], max_others)


def schedules(max_switches: int = 8) -> SearchStrategy[DrawnChoices]:
    """Schedules: which agent goes on, how waits end, and the order of iterations. The simplest one lets the first agent
    run until it waits or ends, then the next one; what shrinks has the fewest switches."""
    return _drawn([AGENT, WAIT, ORDER], max_switches)


def _drawn(kinds: list[Kind], most: int) -> SearchStrategy[DrawnChoices]:
    others = st.lists(st.tuples(st.sampled_from(_GAPS), st.integers(1, 7)), max_size=most)
    return st.builds(DrawnChoices, others, st.just(kinds))
