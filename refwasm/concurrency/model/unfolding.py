"""What each thread does by itself, whatever it reads: its paths.

A thread is executed alone. Before each read, memory is made to hold a value that some write may have left there; every
such value gives a path. What the threads write gives more values to read, so this is repeated until there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from refwasm import embedding as e
from refwasm.concurrency.accesses import Access, access_of, exchanges, sleeps
from refwasm.concurrency.model.events import DATA, LENGTH, SEQCST, UNORDERED, Event
from refwasm.concurrency.programs import Ending, Threads, failure
from refwasm.concurrency.scheduler import ObservedScheduler
from refwasm.errors import ResourceLimit, Trap, UncaughtException
from refwasm.execution.choices import HOST, Choices, Enumeration
from refwasm.execution.interpreter.agent import Agent, Blocked, Paused

#: Events of a thread, paths of a thread, values that a read may give, and steps without an access, at most.
EVENTS, PATHS, VALUES, TURN = 24, 4_000, 256, 200_000
#: How a wait can end, and the value that it gives then.
WOKEN, TIMED_OUT, NEVER = 0, 2, -1

#: The values that each byte, and the length, may have.
Values = dict[tuple[str, int], set[bytes]]


class TooLarge(ResourceLimit):
    """A program has more executions than can be looked at."""


class Path(NamedTuple):
    """What a thread does if its reads give certain values: its events, and its results, or how it failed; None if it
    waits for ever."""

    events: tuple[Event, ...]
    result: Ending | tuple[Any, ...] | None


class Unfolding:
    """The paths of all threads of a program, to a fixed point."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        scheduler = ObservedScheduler(Choices(()))
        scheduler.notify = self._notify  # type: ignore[method-assign]
        self.store = threads._prepared(scheduler)
        self.memory = threads.memory
        self.pages = self.memory.pages
        self.values: Values = {(LENGTH, 0): {self.pages.to_bytes(8, "little")}}
        self.initial = threads.saved

    def paths(self) -> list[list[Path]]:
        """The paths of each thread. A value is made by a chain of writes, each of which reads what the one before has
        written; so there are no more rounds than writes."""
        rounds = 0
        while True:
            known = sum(map(len, self.values.values()))
            found = [list(self._of(number)) for number in range(len(self.threads.calls))]
            if rounds and rounds >= sum(_most_writes(paths) for paths in found):
                return found
            for path in (path for paths in found for path in paths):
                self._note(path.events)
            if sum(map(len, self.values.values())) == known:
                return found
            rounds += 1

    def _note(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if event.region == LENGTH and event.written:
                self.values[LENGTH, 0].add(event.written)
            elif event.written:
                for at, byte in enumerate(event.written, event.start):
                    self.values.setdefault((DATA, at), {self.initial[at : at + 1] or b"\0"}).add(bytes([byte]))

    def _of(self, number: int) -> Iterator[Path]:
        """The paths of one thread, depth first: each is executed from the beginning."""
        executions = Enumeration(PATHS)
        for choices in executions:
            yield _Walk(self, number, choices).run()
        if not executions.complete:
            raise TooLarge(f"thread {number} has over {PATHS} paths: the program is too large for the memory model")

    def _notify(self, memory: e.Memory, address: int, count: int) -> int:
        return self.walk.notified(count)

    walk: _Walk


def _most_writes(paths: list[Path]) -> int:
    return max(sum(bool(event.written) for event in path.events) for path in paths)


class _Walk:
    """One path. What the thread cannot know, the choices say."""

    def __init__(self, unfolding: Unfolding, number: int, choices: Choices) -> None:
        self.unfolding, self.number, self.choices = unfolding, number, choices
        unfolding.walk = self
        self.memory = unfolding.memory
        self.events: list[Event] = []
        self.woken = 0

    def choose(self, options: int) -> int:
        return self.choices.choose(HOST, options)

    def notified(self, count: int) -> int:
        """How many a notify wakes."""
        most = min(count, len(self.unfolding.threads.calls) - 1)
        self.woken = self.choose(most + 1)
        return self.woken

    def run(self) -> Path:
        self.unfolding.threads._prepared(self.unfolding.store.interleaved)
        self._set_pages(self.unfolding.pages)
        name, *args = self.unfolding.threads.calls[self.number]
        func = self.unfolding.threads.instances[self.number].exports[name]
        agent = self.unfolding.store.tier.agent(func, args)  # type: ignore[attr-defined]
        result: Ending | tuple[Any, ...] | None
        try:
            result = self._run(agent)
        except (Trap, UncaughtException) as error:
            result = failure(error)
        return Path(tuple(self.events), result)

    def _run(self, agent: Agent) -> tuple[Any, ...] | None:
        """From access to access."""
        if (results := _advance(agent)) is not None:
            return tuple(results)
        while True:
            if len(self.events) > EVENTS:
                raise TooLarge(f"thread {self.number} makes over {EVENTS} accesses: the program is too large for the "
                               "memory model (or it loops until it reads something)")  # fmt: skip
            pending = agent.pending
            assert pending is not None
            if pending.memory is None:
                raise TooLarge(f"thread {self.number} calls the host ({pending.host}): the memory model knows no hosts")
            access = access_of(pending.instr, pending.memory, pending.address, agent.stack)
            results = self._step(agent, access)
            if results is not None:
                return tuple(results)
            if agent.pending is None:
                return None  # it waits for ever

    def _step(self, agent: Agent, access: Access) -> list[Any] | None:
        """Make one access, which reads something that may be there."""
        if access.kind in ("size", "grow"):
            return self._size(agent, access)
        if access.kind == "notify":
            most = agent.stack[-1]
            results = _advance(agent)
            self.events.append(Event(self.number, SEQCST, access.start, queue="notify", woken=self.woken, most=most))
            return results
        if access.end > len(self.memory.u8) or access.outside:
            self._look_at_length(access)
        if access.source is not None:
            self._read(Access("load", access.memory, *access.source[1:]))
        read = self._set(access) if access.reads and access.source is None else b""
        if access.kind == "wait":
            return self._wait(agent, access, read)
        writes = access.writes and (access.kind != "cmpxchg" or exchanges(access, agent))
        results = _advance(agent)
        written = bytes(self.memory.u8[access.start : access.end]) if writes else b""
        if read or written:
            self.events.append(self._event(access, read, written))
        return results

    def _event(self, access: Access, read: bytes, written: bytes) -> Event:
        return Event(
            self.number, SEQCST if access.atomic else UNORDERED, access.start, read, written, _tearfree(access)
        )

    def _set(self, access: Access) -> bytes:
        """Have memory hold a value that may be read."""
        if access.end > len(self.memory.u8):
            return b""  # it traps
        values = self.unfolding.values
        initial = self.unfolding.initial
        each = [
            sorted(values.get((DATA, at), {initial[at : at + 1] or b"\0"})) for at in range(access.start, access.end)
        ]
        options = [b"".join(parts) for parts in _limited(product(*each))]
        read = options[self.choose(len(options))]
        self.memory.u8[access.start : access.end] = read
        return read

    def _read(self, access: Access) -> None:
        self.events.append(self._event(access, self._set(access), b""))

    def _wait(self, agent: Agent, access: Access, read: bytes) -> list[Any] | None:
        """Perhaps it sleeps; then it is woken, its time is out, or neither."""
        finite = not agent.stack[-1] >> 63
        event = self._event(access, read, b"")
        if not sleeps(access, agent):
            self.events.append(event)
            return _advance(agent)
        self.events.append(event._replace(queue="wait"))
        try:
            agent.run(TURN)
        except Blocked:
            agent.pending = None
        endings = [WOKEN, TIMED_OUT] if finite else [WOKEN, NEVER]
        ended = endings[self.choose(2)]
        if ended == NEVER:
            return None
        queue = "woken" if ended == WOKEN else "timeout"
        self.events.append(Event(self.number, SEQCST, access.start, queue=queue))
        agent.stack.append(ended)
        return _advance(agent)

    # ---- length ------------------------------------------------------------------------------------------------------

    def _set_pages(self, pages: int) -> None:
        memory = self.memory
        if memory.pages != pages:
            memory.header[0] = memory.pages = pages  # type: ignore[attr-defined]
            memory._make_views()

    def _length(self) -> bytes:
        options = sorted(self.unfolding.values[LENGTH, 0])
        return options[self.choose(len(options))]

    def _size(self, agent: Agent, access: Access) -> list[Any] | None:
        read = self._length()
        self._set_pages(int.from_bytes(read, "little"))
        grows = access.kind == "grow"
        at = len(self.events)
        self.events.append(Event(self.number, SEQCST, 0, read, b"", True, LENGTH))
        before = self.memory.pages
        results = _advance(agent)
        if grows and self.memory.pages != before:
            self.events[at] = self.events[at]._replace(written=self.memory.pages.to_bytes(8, "little"))
        return results

    def _look_at_length(self, access: Access) -> None:
        """The bounds check reads the length, without order."""
        read = self._length()
        self._set_pages(int.from_bytes(read, "little"))
        self.events.append(Event(self.number, UNORDERED, 0, read, b"", False, LENGTH))


def _advance(agent: Agent) -> list[Any] | None:
    """To the next access; the results at the end."""
    agent.pending = None
    for _ in range(100):
        try:
            results = agent.run(TURN)
        except Paused:
            return None
        if results is not None:
            return results
    raise TooLarge("a thread runs for ever without accessing memory")


def _limited(options: Iterator[tuple[bytes, ...]]) -> Iterator[tuple[bytes, ...]]:
    for number, option in enumerate(options):
        if number == VALUES:
            raise TooLarge(f"a read may give over {VALUES} values: the program is too large for the memory model")
        yield option


def _tearfree(access: Access) -> bool:
    """Atomic accesses are, and aligned plain ones of integers of at most 32 bits (``tearing``)."""
    if access.atomic:
        return True
    name = access.instr.form.mnemonic if access.instr is not None else ""
    return name[:1] == "i" and access.width <= 4 and access.start % access.width == 0
