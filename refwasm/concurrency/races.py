"""Data races: accesses of different threads to the same bytes, one of them a write, that nothing orders.

What orders accesses is happens-before as the threads proposal defines it (relaxed memory model): the order within a
thread; an atomic read after the atomic write of the same bytes that it reads from; operations on one wait queue; a
thread after what its parent did before, and what joins a thread after all that the thread did; so also the iterations
of a ``parallel_exec``; growing memory and asking for its size. Two atomic accesses of the same bytes do not race.

Clocks are vector clocks, and the accesses of a run of bytes are kept as epochs (C. Flanagan, S. Freund: "FastTrack:
efficient and precise dynamic race detection", PLDI 2009), several only while they are not ordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from refwasm.concurrency.accesses import READS, WRITES, Access, ThreadId, exchanges, sleeps
from refwasm.concurrency.cells import Cell, Cells
from refwasm.concurrency.scheduler import Observer
from refwasm.errors import StackEntry
from refwasm.execution.interpreter.agent import Agent, stack_at
from refwasm.execution.memory import Memory

Clock = dict[ThreadId, int]
#: Calls of a stack that a report keeps.
DEPTH = 12


class Mark(NamedTuple):
    """An access that was made: by whom, when (its thread's clock), what, and where the thread was."""

    thread: ThreadId
    time: int
    access: Access
    op: Any
    frames: tuple[Any, ...]

    def stack(self) -> list[StackEntry]:
        """The calls that were active, innermost first."""
        return stack_at(self.op, self.frames)


#: By thread and whether they are atomic.
Marks = dict[tuple[ThreadId, bool], Mark]


@dataclass
class Side:
    """One access of a race."""

    thread: ThreadId
    label: str
    access: Access
    stack: list[StackEntry]

    def __str__(self) -> str:
        at = f" in {self.stack[0]}" if self.stack else ""
        return f"{_described(self.access)} by {self.label}{at}"


@dataclass
class Race:
    """Two accesses that nothing orders, and the bytes that they share. ``place`` names the bytes as a person would,
    ``ordered`` says what ordered the two threads last, ``witness`` is a schedule that shows the race."""

    first: Side
    second: Side
    start: int
    end: int
    place: str
    ordered: str
    witness: str = ""

    def __str__(self) -> str:
        return f"race between {self.first.label} and {self.second.label} on {self.place}"

    def lines(self) -> list[str]:
        """A report, line by line."""
        found = [str(self)]
        for side in (self.first, self.second):
            found.append(f"    {_described(side.access)} by {side.label}")
            found += [f"    at {entry}" for entry in side.stack]
        found.append(f"    ordered last: {self.ordered}")
        if self.witness:
            found.append(f"    schedule: {self.witness}")
        return found


def _described(access: Access) -> str:
    kind = {"load": "read", "store": "write", "fill": "write (memory.fill)", "copy": "memory.copy",
            "init": "write (memory.init)", "rmw": "read-modify-write", "cmpxchg": "compare-exchange",
            "wait": "read (memory.atomic.wait)"}.get(access.kind, access.kind)  # fmt: skip
    atomic = "atomic " if access.atomic and access.kind in ("load", "store", "rmw", "cmpxchg") else ""
    return f"{atomic}{kind} of {access.width} byte{'s' * (access.width != 1)} at {access.start}"


class RaceDetector(Observer):
    """Told of everything that happens. ``known`` are places of races that were reported before: each pair of places is
    reported once. ``regions`` are parts of a memory with names."""

    def __init__(self, known: set[object]) -> None:
        self.known = known
        self.races: list[Race] = []
        self.labels: dict[ThreadId, str] = {}
        self.regions: list[tuple[Memory, int, int, str]] = []
        self.clocks: dict[ThreadId, Clock] = {}
        self.cells: dict[int, tuple[Memory, Cells]] = {}
        self.released: dict[tuple[int, str, int], Clock] = {}
        self.grown: dict[int, list[tuple[int, Mark]]] = {}
        self.ordered: dict[tuple[ThreadId, ThreadId], str] = {}

    # ---- what orders -------------------------------------------------------------------------------------------------

    def started(self, thread: ThreadId, parent: ThreadId | None, label: str) -> None:
        """What the parent did before comes before all that the thread does."""
        self.labels[thread] = label or f"thread {'.'.join(map(str, thread))}"
        self.clocks[thread] = {thread: 1}
        if parent in self.clocks:
            self._acquire(thread, self._release(parent), f"{self.labels[thread]} was started by {self.labels[parent]}")

    def joined(self, thread: ThreadId, other: ThreadId) -> None:
        """All that the other did comes before."""
        self._acquire(thread, self.clocks[other], f"{self.labels[thread]} waited for the end of {self.labels[other]}")

    def woke(self, thread: ThreadId, other: ThreadId) -> None:
        """What the notifying thread did before comes before what the woken one does."""
        self._acquire(other, self._release(thread), f"{self.labels[thread]} notified {self.labels[other]}")

    def _release(self, thread: ThreadId) -> Clock:
        clock = self.clocks[thread]
        found = dict(clock)
        clock[thread] += 1
        return found

    def _acquire(self, thread: ThreadId, clock: Clock, why: str) -> None:
        own = self.clocks[thread]
        for other, time in clock.items():
            if own.get(other, 0) < time:
                own[other] = time
                self.ordered[thread, other] = why

    def _in_turn(self, key: tuple[int, str, int], thread: ThreadId, why: str) -> None:
        """Operations on a wait queue, or the size of a memory, are ordered as they happen."""
        if key in self.released:
            self._acquire(thread, self.released[key], why)
        self.released[key] = self._release(thread)

    def named(self, memory: Memory, start: int, end: int, name: str) -> None:
        """Races on these bytes are on that name."""
        self.regions = [r for r in self.regions if r[0] is not memory or r[3] != name]
        self.regions.append((memory, start, end, name))

    # ---- accesses ----------------------------------------------------------------------------------------------------

    def accesses(self, thread: ThreadId, access: Access, agent: Agent | None) -> None:
        """Compare an access with those before that are not ordered before it, and keep it."""
        memory = access.memory
        if memory is None or not memory.shared or agent is None:
            return
        if access.kind in ("size", "grow"):
            self._size(thread, access, agent)
            return
        if access.kind in ("notify", "timeout"):
            self._in_turn((id(memory), "queue", access.start), thread, "the wait queue")
            return
        if access.kind == "copy" and access.source is not None:
            self._touch(thread, access._replace(kind="load", start=access.source[1], end=access.source[2]), agent)
        self._touch(thread, access._replace(kind="store") if access.kind == "copy" else access, agent)
        if access.kind == "wait" and sleeps(access, agent):
            self._in_turn((id(memory), "queue", access.start), thread, "the wait queue")

    def _size(self, thread: ThreadId, access: Access, agent: Agent) -> None:
        memory = access.memory
        assert memory is not None
        self._in_turn((id(memory), "size", 0), thread, "memory.size or memory.grow")
        if access.kind == "grow":
            mark = self._mark(thread, access._replace(start=len(memory.u8), end=len(memory.u8)), agent)
            self.grown.setdefault(id(memory), []).append((len(memory.u8), mark))

    def _mark(self, thread: ThreadId, access: Access, agent: Agent) -> Mark:
        frames = tuple(agent.frames[-DEPTH:])
        return Mark(thread, self.clocks[thread][thread], access, agent.pc, frames)

    def _touch(self, thread: ThreadId, access: Access, agent: Agent) -> None:
        memory, start, end = access.memory, access.start, access.end
        assert memory is not None
        if start >= end or end > len(memory.u8):
            return  # it traps
        clock = self.clocks[thread]
        mark = self._mark(thread, access, agent)
        reads = access.kind in READS
        writes = access.kind in WRITES and (access.kind != "cmpxchg" or exchanges(access, agent))
        if id(memory) in self.grown:
            self._beyond(mark, clock)
        if access.atomic and reads:
            self._read_from(thread, access)
        _, cells = self.cells.setdefault(id(memory), (memory, Cells()))
        for cell in cells.within(start, end):
            self._against(cell.writes, mark, clock)
            if writes:
                self._against(cell.reads, mark, clock)
            _keep(cell, mark, clock, reads, writes)
        if writes:
            cells.overwritten(start, end)
            if access.atomic:
                cells.released[start, end] = self._release(thread)

    def _read_from(self, thread: ThreadId, access: Access) -> None:
        """An atomic read comes after the atomic write of the same bytes that it reads from."""
        entry = self.cells.get(id(access.memory))
        clock = entry[1].released.get((access.start, access.end)) if entry else None
        if clock is not None:
            self._acquire(thread, clock, f"an atomic read of [{access.start}] that saw an atomic write")

    def _beyond(self, mark: Mark, clock: Clock) -> None:
        """An access to bytes that a growing made, which may not have happened for it yet."""
        memory = mark.access.memory
        for size, grown in self.grown[id(memory)]:
            if mark.access.end > size and clock.get(grown.thread, 0) < grown.time:
                self._report(grown, mark)

    def _against(self, earlier: Marks, mark: Mark, clock: Clock) -> None:
        for other in earlier.values():
            if clock.get(other.thread, 0) < other.time and not _same_atomic(other.access, mark.access):
                self._report(other, mark)

    # ---- reports -----------------------------------------------------------------------------------------------------

    def _report(self, first: Mark, second: Mark) -> None:
        key = _place_key(first), _place_key(second)
        if key in self.known or key[::-1] in self.known:
            return
        self.known.add(key)
        start = max(first.access.start, second.access.start)
        end = max(min(first.access.end, second.access.end), start)
        ordered = self.ordered.get((second.thread, first.thread), "nothing did")
        sides = [Side(m.thread, self.labels[m.thread], m.access, m.stack()) for m in (first, second)]
        self.races.append(Race(sides[0], sides[1], start, end, self._place(second.access, start, end), ordered))

    def _place(self, access: Access, start: int, end: int) -> str:
        """The bytes as a person would name them."""
        for memory, first, last, name in self.regions:
            if memory is access.memory and first <= start < last:
                width = access.width if access.width in (1, 2, 4, 8, 16) else 1
                index, rest = divmod(start - first, width)
                return f"{name}[{index}]" + (f" ({rest} bytes in)" if rest else "")
        return f"[{start}]" if end - start <= 1 else f"[{start}, +{end - start})"


def _place_key(mark: Mark) -> tuple[object, ...]:
    code = mark.frames[-1][2]
    index = code.func.index if code.func is not None else -1
    return code.instance.validated.module.digest or id(code.instance.validated), index, mark.stack()[0].location


def _same_atomic(a: Access, b: Access) -> bool:
    return a.atomic and b.atomic and a.start == b.start and a.end == b.end


def _keep(cell: Cell, mark: Mark, clock: Clock, reads: bool, writes: bool) -> None:
    """Keep an access, and forget those that are ordered before it where nobody can race with them alone. (An atomic
    access does not stand for a plain one before it: it does not race with what that does.)"""
    if reads:
        _replace(cell.reads, mark, clock)
    if writes:
        _replace(cell.writes, mark, clock)
        _forget(cell.reads, mark, clock)


def _replace(marks: Marks, mark: Mark, clock: Clock) -> None:
    if marks:
        _forget(marks, mark, clock)
    marks[mark.thread, mark.access.atomic] = mark


def _forget(marks: Marks, mark: Mark, clock: Clock) -> None:
    for key, other in list(marks.items()):
        if clock.get(other.thread, 0) >= other.time and (other.access.atomic or not mark.access.atomic):
            del marks[key]
