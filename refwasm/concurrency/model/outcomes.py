"""All final states that the memory model allows a program, each with an execution that shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

from refwasm.concurrency.exploration import Exploration, explore
from refwasm.concurrency.model.axioms import ALL, Execution, Rules, consistent, program_order
from refwasm.concurrency.model.events import DATA, INIT, LENGTH, UNORDERED, Event
from refwasm.concurrency.model.unfolding import Path, TooLarge, Unfolding
from refwasm.concurrency.programs import Ending, Threads, words

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
    paths = unfolding.paths()
    found = Outcomes(threads.name)
    for combination in product(*paths):
        _judge(threads, unfolding, combination, found, rules)
    return found


def compared(threads: Threads, rules: Rules = ALL) -> Outcomes:
    """The same, and which of them interleavings show. Raises TooLarge."""
    found = allowed(threads, rules)
    found.exploration = explore(threads)
    for text, state in found.states.items():
        state.sc = text in found.exploration.states
    return found


def _judge(threads: Threads, unfolding: Unfolding, paths: tuple[Path, ...], found: Outcomes, rules: Rules) -> None:
    """Look at all executions in which each thread takes a path."""
    events = [Event(-1, INIT, 0, b"", unfolding.initial, region=DATA)]
    length = unfolding.pages.to_bytes(8, "little")
    if any(event.region == LENGTH for path in paths for event in path.events):
        events.append(Event(-1, INIT, 0, b"", length, region=LENGTH))
    events += [event for path in paths for event in path.events]
    if not _values_exist(events):
        return
    final = len(paths)
    places = sorted({at - at % 4 for e in events[1:] if e.written and e.region == DATA for at in range(e.start, e.end)})
    choices = [_final_values(events, at) for at in places]
    for values in product(*choices):
        found.candidates += 1
        if found.candidates > CANDIDATES:
            raise TooLarge(f"over {CANDIDATES} candidate executions: the program is too large for the memory model")
        text = _text(threads, unfolding.initial, paths, dict(zip(places, values)))
        if text in found.states:
            continue
        reads = [Event(final, UNORDERED, at, value, b"", True) for at, value in zip(places, values)]
        candidate = [*events, *reads]
        execution = consistent(candidate, program_order(candidate, final, rules), rules)
        if execution is not None:
            found.states[text] = Allowed(text, False, execution)


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
    results = [
        None if p.result is None else p.result if isinstance(p.result, Ending) else list(p.result) for p in paths
    ]
    return threads.ending(results, bytes(memory), sorted(asleep)).text


__all__ = ["Allowed", "Outcomes", "TooLarge", "allowed", "compared", "words"]
