"""Which candidate executions are consistent (threads proposal, "Relaxed Memory Model": Consistency).

A candidate is the events of all threads, each in its thread's order, with the initial write of all bytes first. It is
consistent if there are, for each byte that is read, a write that it reads from, an order of the operations on each wait
queue, and a total order of all events, such that the rules hold. Happens-before is the smallest that the rules allow:
the order within threads, initial writes first, the end of all threads before the final reads, operations on a queue in
their order, and reads that synchronise with the write that they read from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from refwasm.concurrency.model.events import INIT, Event, overlap, same_range, synchronises

#: Edges of a relation, as a bit mask of successors for each event.
Relation = list[int]


class Rules(NamedTuple):
    """The rules, each of which can be left out to see that it matters."""

    init_first: bool = True
    not_from_later: bool = True
    not_overwritten: bool = True
    synchronise: bool = True
    last_same: bool = True
    last_reader: bool = True
    last_writer: bool = True
    no_tearing: bool = True
    queues: bool = True


ALL = Rules()


class Execution(NamedTuple):
    """A consistent execution: its events; for each that reads, the event that each byte comes from; happens-before."""

    events: tuple[Event, ...]
    reads_from: dict[int, tuple[int, ...]]
    before: Relation


def consistent(events: Sequence[Event], program_order: Relation, rules: Rules = ALL) -> Execution | None:
    """An execution of these events that the rules allow, or None."""
    for queued in _queue_orders(events, program_order, rules):
        for found in _executions(events, queued, rules):
            return found
    return None


def _executions(events: Sequence[Event], order: Relation, rules: Rules) -> Iterator[Execution]:
    readers = [index for index, event in enumerate(events) if event.read]

    def extend(at: int, reads_from: dict[int, tuple[int, ...]], before: Relation) -> Iterator[Execution]:
        if at == len(readers):
            if _is_consistent(events, reads_from, before, rules):
                yield Execution(tuple(events), reads_from, before)
            return
        reader = readers[at]
        for sources in _sources(events, reader, before, rules):
            extended = _with_synchronisation(events, reader, sources, before, rules)
            if extended is not None:
                yield from extend(at + 1, {**reads_from, reader: sources}, extended)

    yield from extend(0, {}, order)


def _with_synchronisation(
    events: Sequence[Event], reader: int, sources: tuple[int, ...], before: Relation, rules: Rules
) -> Relation | None:
    """Happens-before, with the writes that the read synchronises with before it; None if that is a cycle."""
    if not rules.synchronise:
        return before
    for source in set(sources):
        if synchronises(events[source], events[reader]) and not before[source] >> reader & 1:
            if before[reader] >> source & 1:
                return None
            before = add(before, source, reader)
    return before


# ---- reads-from ------------------------------------------------------------------------------------------------------


def _sources(events: Sequence[Event], reader: int, before: Relation, rules: Rules) -> Iterator[tuple[int, ...]]:
    """The writes that the bytes of a read may come from. Bytes that the same writes cover are alike: where one of the
    writes that other bytes come from fits, no other one has to be tried."""
    event = events[reader]
    covering: list[tuple[int, ...]] = []
    candidates: list[tuple[int, ...]] = []
    for offset, byte in enumerate(event.read):
        at = event.start + offset
        covers = tuple(
            w for w, e in enumerate(events) if e.written and w != reader and e.region == event.region
            and e.start <= at < e.end and not (rules.not_from_later and before[reader] >> w & 1)
        )  # fmt: skip
        covering.append(covers)
        candidates.append(tuple(w for w in covers if events[w].written[at - events[w].start] == byte))
    if not all(candidates):
        return
    order = sorted(range(len(event.read)), key=lambda offset: len(candidates[offset]))
    chosen: list[int] = [-1] * len(event.read)

    def assign(place: int) -> Iterator[tuple[int, ...]]:
        if place == len(order):
            yield tuple(chosen)
            return
        offset = order[place]
        alike = [chosen[o] for o in order[:place] if covering[o] == covering[offset]]
        reused = [w for w in alike if w in candidates[offset]]
        for write in reused[:1] or candidates[offset]:
            chosen[offset] = write
            yield from assign(place + 1)

    yield from assign(0)


# ---- consistency -----------------------------------------------------------------------------------------------------


def _is_consistent(
    events: Sequence[Event], reads_from: dict[int, tuple[int, ...]], before: Relation, rules: Rules
) -> bool:
    """Whether the rules hold for some total order."""
    for reader, sources in reads_from.items():
        if rules.no_tearing and _tears(events, reader, sources):
            return False
        for offset, write in enumerate(sources):
            if rules.not_from_later and before[reader] >> write & 1:
                return False
            if rules.not_overwritten and _is_overwritten(events, before, write, reader, events[reader].start + offset):
                return False
    return _has_total_order(events, reads_from, before, rules)


def _tears(events: Sequence[Event], reader: int, sources: tuple[int, ...]) -> bool:
    """Whether an access that must not mixes two writes of the same range (``notear``)."""
    event = events[reader]
    whole = {w for w in sources if same_range(events[w], event) and events[w].tearfree}
    return event.tearfree and len(whole) > 1


def _is_overwritten(events: Sequence[Event], before: Relation, write: int, reader: int, at: int) -> bool:
    """Whether another write of the byte happens between (``hbconsistent``)."""
    region = events[reader].region
    return any(
        before[write] >> other & 1 and before[other] >> reader & 1
        for other, e in enumerate(events)
        if e.written and e.region == region and e.start <= at < e.end
    )


def _has_total_order(
    events: Sequence[Event], reads_from: dict[int, tuple[int, ...]], before: Relation, rules: Rules
) -> bool:
    """Whether a total order that respects happens-before makes each read see the last write (``sclastvisible``)."""
    edges: list[tuple[int, int]] = []
    either: list[tuple[tuple[int, int], tuple[int, int]]] = []
    writers = [w for w, event in enumerate(events) if event.written]
    for reader, sources in reads_from.items():
        for write in set(sources):
            if not before[write] >> reader & 1:
                continue
            for other in writers:
                if other in (write, reader):
                    continue
                to_reader = synchronises(events[other], events[reader])
                if rules.last_same and to_reader and synchronises(events[write], events[reader]):
                    either.append(((other, write), (reader, other)))
                if rules.last_reader and to_reader and before[write] >> other & 1:
                    edges.append((reader, other))
                if (rules.last_writer and before[other] >> reader & 1
                        and synchronises(events[write], events[other])):  # fmt: skip
                    edges.append((other, write))
    total: Relation | None = before
    for a, b in edges:
        total = ordered(total, a, b)
        if total is None:
            return False
    assert total is not None
    return _satisfied(either, total)


def _satisfied(either: list[tuple[tuple[int, int], tuple[int, int]]], total: Relation) -> bool:
    """Whether one of each two edges can be added without a cycle."""
    if not either:
        return True
    for a, b in either[0]:
        extended = ordered(total, a, b)
        if extended is not None and _satisfied(either[1:], extended):
            return True
    return False


# ---- wait queues -----------------------------------------------------------------------------------------------------


def _queue_orders(events: Sequence[Event], order: Relation, rules: Rules) -> Iterator[Relation]:
    """Happens-before with the operations of each wait queue in some order in which they can have happened."""
    places = sorted({event.start for event in events if event.queue})
    if not places or not rules.queues:
        yield order
        return

    def extend(at: int, relation: Relation) -> Iterator[Relation]:
        if at == len(places):
            yield relation
            return
        operations = [index for index, event in enumerate(events) if event.queue and event.start == places[at]]
        for sequence in _sequences(events, operations, relation):
            extended: Relation | None = relation
            for a, b in pairwise(sequence):
                extended = None if extended is None else ordered(extended, a, b)
            if extended is not None:
                yield from extend(at + 1, extended)

    yield from extend(0, order)


def _sequences(events: Sequence[Event], operations: list[int], order: Relation) -> Iterator[tuple[int, ...]]:
    """Orders of the operations on one queue, as ``suspensionsconsistent`` says: a notify wakes those that have waited
    longest, as many as it may; a time-out takes its thread out of the queue."""

    def extend(done: tuple[int, ...], queue: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        left = [index for index in operations if index not in done]
        if not left:
            yield done
            return
        for index in left:
            event = events[index]
            if event.queue == "woken" or any(order[other] >> index & 1 for other in left if other != index):
                continue
            if event.queue == "wait":
                yield from extend((*done, index), (*queue, event.thread))
            elif event.queue == "timeout":
                if event.thread in queue:
                    yield from extend((*done, index), tuple(t for t in queue if t != event.thread))
            elif event.woken == min(event.most, len(queue)):
                woken = _woken(events, left, queue[: event.woken])
                if woken is not None:
                    yield from extend((*done, index, *woken), queue[event.woken :])

    yield from extend((), ())


def _woken(events: Sequence[Event], left: list[int], threads: tuple[int, ...]) -> list[int] | None:
    """The first wake-ups of these threads that are left; None if one of them is not woken."""
    found = []
    for thread in threads:
        own = [index for index in left if events[index].thread == thread and events[index].queue != "wait"]
        if not own or events[own[0]].queue != "woken":
            return None
        found.append(own[0])
    return found


# ---- relations -------------------------------------------------------------------------------------------------------


def add(relation: Relation, a: int, b: int) -> Relation:
    """A transitive relation with ``a`` before ``b``."""
    later = relation[b] | 1 << b
    return [row | later if index == a or row >> a & 1 else row for index, row in enumerate(relation)]


def ordered(relation: Relation | None, a: int, b: int) -> Relation | None:
    """The same, or None if ``b`` is before ``a``."""
    if relation is None or a == b or relation[b] >> a & 1:
        return None
    return relation if relation[a] >> b & 1 else add(relation, a, b)


def program_order(events: Sequence[Event], final: int, rules: Rules = ALL) -> Relation:
    """The order within threads; the initial write, event 0, before what overlaps it; the reads of the thread ``final``
    after all others."""
    relation: Relation = [0] * len(events)
    for a, first in enumerate(events):
        for b, second in enumerate(events):
            is_initial = first.order == INIT and a != b and rules.init_first and overlap(first, second)
            is_own = first.thread == second.thread and a < b and first.order != INIT
            if is_initial or is_own or (second.thread == final and first.thread != final and second.order != INIT):
                relation[a] |= 1 << b
    return relation


__all__ = ["ALL", "Execution", "Relation", "Rules", "consistent", "program_order"]
