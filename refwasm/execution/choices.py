"""Choices: one account of what the specification leaves open (``docs/choices.md``).

Wherever an execution may go more than one way, it asks one object, and nothing else. An execution is its module, its
inputs and its list of choices. Option 0 is the deterministic profile's wherever there is one, so a list is short:
``c1:`` and then, for each choice, the letter of its kind and the option, or the number of choices in a row that are 0.
What is left out at the end is 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from refwasm.errors import WasmError


class Kind(NamedTuple):
    """A kind of choice: its name, its letter in a list, and how seldom seeded executions take another option than the
    first: once in so many choices."""

    name: str
    letter: str
    seldom: int = 1


NAN = Kind("nan", "n")
RELAXED = Kind("relaxed", "r")
GROW = Kind("grow", "g", seldom=16)
EXHAUSTION = Kind("exhaustion", "x", seldom=1 << 16)
AGENT = Kind("agent", "a")
WAIT = Kind("wait", "w", seldom=16)
HOST = Kind("host", "h")
ORDER = Kind("order", "o")
GROUPING = Kind("grouping", "p")

ALL = (NAN, RELAXED, GROW, EXHAUSTION, AGENT, WAIT, HOST, ORDER, GROUPING)
KINDS = {kind.name: kind for kind in ALL}
_BY_LETTER = {kind.letter: kind for kind in KINDS.values()}

#: The version of the lists; it changes when an execution asks otherwise than before.
VERSION = "c1:"
_TOKEN = r"([a-z])([0-9]+)(?:\*([0-9]+))?|([0-9]+)|\."


class Taken(NamedTuple):
    """A choice that was made: which of how many options."""

    kind: Kind
    option: int
    options: int


class OtherExecution(WasmError):
    """A list of choices belongs to another execution than this one."""


class Choices:
    """Always the first option. What was chosen is in ``taken``; as text, it is a list that replays it. Of other kinds
    than ``kinds`` nothing is chosen: the first option holds. ``scheduler`` is None or what takes the place of the
    usual scheduler in an interleaved store."""

    def __init__(self, kinds: Iterable[Kind] = ALL) -> None:
        self.scheduler: Any = None
        self.kinds = frozenset(kinds)
        self.taken: list[Taken] = []
        self._parameters: dict[str, int] = {}

    def choose(self, kind: Kind, options: int) -> int:
        """An option, below ``options``. Where there is only one, nothing is chosen."""
        if options <= 1 or kind not in self.kinds:
            return 0
        option = self.pick(kind, options)
        self.taken.append(Taken(kind, option, options))
        return option

    def parameter(self, name: str, options: int) -> int:
        """A choice that is the same all through an execution (3.0, 4.3.6 "Relaxed Operations")."""
        if name not in self._parameters:
            self._parameters[name] = self.choose(RELAXED, options)
        return self._parameters[name]

    def pick(self, kind: Kind, options: int) -> int:
        """What to choose."""
        return 0

    def finish(self) -> None:
        """The execution is over."""

    def __str__(self) -> str:
        return print_choices(self.taken)


class Seeded(Choices):
    """Options at random, reproducibly."""

    def __init__(self, seed: int, kinds: Iterable[Kind] = ALL) -> None:
        from random import Random  # not at start-up

        super().__init__(kinds)
        self._random = Random(seed)

    def pick(self, kind: Kind, options: int) -> int:
        """Any option, but seldom another than the first of kinds that end or change most of an execution."""
        if kind.seldom > 1 and self._random.randrange(kind.seldom):
            return 0
        return self._random.randrange(options)


class Replayed(Choices):
    """The options of a list; the first ones behind its end."""

    def __init__(self, wanted: Iterable[tuple[str, int]], kinds: Iterable[Kind] = ALL) -> None:
        super().__init__(kinds)
        self._wanted = list(wanted)

    def pick(self, kind: Kind, options: int) -> int:
        """The next of the list. Raises OtherExecution if it does not fit."""
        at = len(self.taken)
        letter, option = self._wanted[at] if at < len(self._wanted) else ("", 0)
        if letter and letter != kind.letter:
            wanted = _BY_LETTER[letter].name
            raise OtherExecution(f"choice {at} of the list is of kind {wanted}, but the execution chooses {kind.name}: "
                                 "the list belongs to another module, other inputs or another version")  # fmt: skip
        if option >= options:
            raise OtherExecution(f"choice {at} of the list is option {option} of {kind.name}, which has {options}: "
                                 "the list belongs to another module, other inputs or another version")  # fmt: skip
        return option

    def finish(self) -> None:
        """Nothing but zeros may be left. Raises OtherExecution."""
        if any(letter for letter, _ in self._wanted[len(self.taken) :]):
            raise OtherExecution(f"the list has choices that the execution did not ask for, behind {len(self.taken)}: "
                                 "it belongs to another module, other inputs or another version")  # fmt: skip


class Prefixed(Choices):
    """Options of an earlier execution, then the first ones."""

    def __init__(self, prefix: list[int], kinds: Iterable[Kind]) -> None:
        super().__init__(kinds)
        self._prefix = prefix

    def pick(self, kind: Kind, options: int) -> int:
        """What the earlier execution took, as far as it is known."""
        at = len(self.taken)
        return self._prefix[at] if at < len(self._prefix) else 0


class Enumeration:
    """All executions, depth first: iterating gives the choices for each, which the caller executes before it asks for
    the next. At most ``bound`` of them; kinds other than ``kinds`` keep their first option. Afterwards ``complete``
    tells whether there are no others."""

    def __init__(self, bound: int = 1_000, kinds: Iterable[Kind] = ALL) -> None:
        self.bound, self.kinds = bound, tuple(kinds)
        self.complete = False
        self.executions = 0

    def __iter__(self) -> Iterator[Choices]:
        prefix: list[int] | None = []
        while prefix is not None and self.executions < self.bound:
            self.executions += 1
            choices = Prefixed(prefix, self.kinds)
            yield choices
            prefix = _following(choices.taken)
        self.complete = prefix is None


def _following(taken: list[Taken]) -> list[int] | None:
    """The beginning of the next execution in order; None if there is none."""
    for at in reversed(range(len(taken))):
        if taken[at].option + 1 < taken[at].options:
            return [*(choice.option for choice in taken[:at]), taken[at].option + 1]
    return None


# ---- lists as text ---------------------------------------------------------------------------------------------------


def print_choices(taken: Iterable[Taken]) -> str:
    """A list of choices as text.

    >>> print_choices([Taken(NAN, 0, 2), Taken(NAN, 0, 2), Taken(GROW, 1, 2), Taken(AGENT, 2, 3), Taken(AGENT, 0, 3)])
    'c1:2g1a2'
    """
    tokens = []
    for word, run in groupby("" if not option else f"{kind.letter}{option}" for kind, option, _ in taken):
        count = len(list(run))
        tokens.append((word, str(count) if not word else word if count == 1 else f"{word}*{count}"))
    if tokens and not tokens[-1][0]:
        del tokens[-1]
    text = VERSION
    for _, token in tokens:  # a number behind a number would be read as one
        text += f".{token}" if text[-1].isdigit() and token[0].isdigit() else token
    return text


def parse_choices(text: str, kinds: Iterable[Kind] = ALL) -> Choices:
    """From what ``--choices`` takes: ``default``, ``seed:7``, or a list, ``c1:…``; of other kinds than ``kinds``
    nothing is chosen. Raises ValueError, which says what is wrong.

    >>> str(parse_choices("c1:2g1a2*3"))
    'c1:'
    """
    if text == "default":
        return Choices(kinds)
    kind, _, rest = text.partition(":")
    if kind == "seed" and rest.isascii() and rest.isdigit():
        return Seeded(int(rest), kinds)
    if not text.startswith(VERSION):
        raise ValueError(f"choices {text[:40]!r}: expected default, seed:NUMBER, or a list that begins with {VERSION}")
    return Replayed(_wanted(text), kinds)


#: Choices of a list at most: a longer one is a mistake.
MOST = 10_000_000


def _wanted(text: str) -> list[tuple[str, int]]:
    """The letters and options of a list; no letter where the option is the first."""
    found: list[tuple[str, int]] = []
    token, at = re.compile(_TOKEN), len(VERSION)
    while at < len(text):
        match = token.match(text, at)
        if match is None or (match[1] and match[1] not in _BY_LETTER):
            letters = ", ".join(f"{kind.letter} ({kind.name})" for kind in KINDS.values())
            raise ValueError(f"choices: {text[at : at + 10]!r} at {at}: expected a number, or a letter and a number; "
                             f"the letters are {letters}")  # fmt: skip
        letter, option, times, zeros = match.groups()
        count = int(zeros or times or 1) if match[0] != "." else 0
        if len(found) + count > MOST:
            raise ValueError(f"choices: over {MOST} of them")
        found += [(letter or "", int(option or 0))] * count
        at = match.end()
    return found
