"""All final states that the memory model allows a program, each with an execution that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from refwasm.concurrency.exploration import Exploration, explore
from refwasm.concurrency.model.axioms import ALL, Execution, Rules, consistent, program_order
from refwasm.concurrency.model.events import DATA, INIT, LENGTH, UNORDERED, Event
from refwasm.concurrency.model.unfolding import Path, TooLarge, Unfolding
from refwasm.concurrency.programs import Threads

#: Candidates that are looked at.
CANDIDATES = 200_000


@dataclass
class Allowed:
    """A final state that the model allows; whether an interleaving shows it (``sc``); an execution."""

    text: str
    sc: bool
    execution: Execution


@dataclass
class Outcomes:
    """The final states that the model allows; how many candidate executions were judged."""

    name: str
    states: dict[str, Allowed] = field(default_factory=dict)
    candidates: int = 0
    exploration: Exploration | None = None

    @property
    def relaxed_only(self) -> list[str]:
        """Those that no interleaving shows."""
        return [text for text, state in self.states.items() if not state.sc]


def allowed(threads: Threads, rules: Rules = ALL) -> Outcomes:
    """Enumerate candidate executions and judge them. Raises TooLarge."""
    unfolding = Unfolding(threads)
    found = Outcomes(threads.name)
    search = _Search(threads, unfolding, found, rules)
    for combination in _combinations(unfolding.paths(), unfolding.initial):
        search.judge(combination)
    return found


def _combinations(paths: list[list[Path]], initial: bytes) -> Iterator[tuple[Path, ...]]:
    """A path of each thread, where each byte that is read is an initial one or written by some thread."""
    numbers: dict[tuple[int, int], int] = {}
    masked = [[(*_masks(path, numbers, initial), path) for path in of_thread] for of_thread in paths]
    everything = [0]
    for of_thread in masked:
        provides = 0
        for _, gives, _ in of_thread:
            provides |= gives
        everything.append(provides)

    def extend(at: int, needs: int, gives: int, chosen: tuple[Path, ...]) -> Iterator[tuple[Path, ...]]:
        if at == len(masked):
            if not needs & ~gives:
                yield chosen
            return
        later = 0
        for rest in everything[at + 2 :]:
            later |= rest
        for own_needs, own_gives, path in masked[at]:
            if not (needs | own_needs) & ~(gives | own_gives | later):
                yield from extend(at + 1, needs | own_needs, gives | own_gives, (*chosen, path))

    yield from extend(0, 0, 0, ())


def _masks(path: Path, numbers: dict[tuple[int, int], int], initial: bytes) -> tuple[int, int]:
    """The bytes that a path needs somebody to have written, and those that it writes, as bits."""
    needs = gives = 0
    for event in path.events:
        if event.region != DATA:
            continue
        for at, byte in enumerate(event.read, event.start):
            if byte != (initial[at] if at < len(initial) else 0):
                needs |= 1 << numbers.setdefault((at, byte), len(numbers))
        for at, byte in enumerate(event.written, event.start):
            gives |= 1 << numbers.setdefault((at, byte), len(numbers))
    return needs, gives


def compared(threads: Threads, rules: Rules = ALL) -> Outcomes:
    """The same, and which of them interleavings show. Raises TooLarge."""
    found = allowed(threads, rules)
    found.exploration = explore(threads)
    for text, state in found.states.items():
        state.sc = text in found.exploration.states
    return found


class _Search:
    """Judges candidates, and keeps the final states of the consistent ones."""

    def __init__(self, threads: Threads, unfolding: Unfolding, found: Outcomes, rules: Rules) -> None:
        self.threads, self.unfolding, self.found, self.rules = threads, unfolding, found, rules
        self.known: set[object] = set()

    def judge(self, paths: tuple[Path, ...]) -> None:
        """Look at all executions in which each thread takes a path."""
        events = self._events(paths)
        if not _values_exist(events):
            return
        places = sorted(
            {at - at % 4 for e in events[1:] if e.written and e.region == DATA for at in range(e.start, e.end)}
        )
        results = tuple(path.result for path in paths)
        for values in product(*(_final_values(events, at) for at in places)):
            key = results, tuple(places), values
            if key in self.known:
                continue
            self.found.candidates += 1
            if self.found.candidates > CANDIDATES:
                raise TooLarge(f"over {CANDIDATES} candidate executions: the program is too large for the memory model")
            reads = [Event(len(paths), UNORDERED, at, value, b"", True) for at, value in zip(places, values)]
            candidate = [*events, *reads]
            execution = consistent(candidate, program_order(candidate, len(paths), self.rules), self.rules)
            if execution is not None:
                self.known.add(key)
                text = _text(self.threads, self.unfolding.initial, paths, dict(zip(places, values)))
                self.found.states.setdefault(text, Allowed(text, False, execution))

    def _events(self, paths: tuple[Path, ...]) -> list[Event]:
        end = max((event.end for path in paths for event in path.events if event.region == DATA), default=0)
        events = [Event(-1, INIT, 0, b"", self.unfolding.initial.ljust(end, b"\0"), region=DATA)]
        if any(event.region == LENGTH for path in paths for event in path.events):
            length = self.unfolding.pages.to_bytes(8, "little")
            events.append(Event(-1, INIT, 0, b"", length, region=LENGTH))
        return events + [event for path in paths for event in path.events]


def _values_exist(events: list[Event]) -> bool:
    """Whether each byte that is read was written by something else: most combinations fail here."""
    for reader in events:
        for offset, byte in enumerate(reader.read):
            at = reader.start + offset
            if not any(
                e is not reader and e.written and e.region == reader.region and e.start <= at < e.end
                and e.written[at - e.start] == byte
                for e in events
            ):  # fmt: skip
                return False
    return True


def _final_values(events: list[Event], at: int) -> list[bytes]:
    """The values that a word may have at the end: of each byte, one that was written (the initial one only if nothing
    else was)."""
    each = []
    for byte in range(at, at + 4):
        written = {
            e.written[byte - e.start : byte - e.start + 1]
            for e in events[1:]
            if e.written and e.region == DATA and e.start <= byte < e.end
        }
        each.append(sorted(written or {events[0].written[byte : byte + 1] or b"\0"}))
    return [b"".join(parts) for parts in product(*each)]


def _text(threads: Threads, initial: bytes, paths: tuple[Path, ...], final: dict[int, bytes]) -> str:
    """A final state, as interleavings tell it."""
    memory = bytearray(initial)
    for at, value in final.items():
        memory[at : at + 4] = value
    asleep = [call[0] for call, path in zip(threads.calls, paths) if path.result is None]
    return threads.ending([path.result for path in paths], bytes(memory), sorted(asleep)).text
