"""One execution, step by step, with values: what pictures are drawn of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refwasm.concurrency.accesses import HOST, READS, WRITES, Access, ThreadId, exchanges
from refwasm.concurrency.programs import Subject
from refwasm.concurrency.scheduler import Observer
from refwasm.errors import StackEntry
from refwasm.execution.choices import print_choices
from refwasm.execution.interpreter.agent import Agent, stack_at
from refwasm.execution.interpreter.atomic import MODIFY

#: The lane of what the host calls.
MAIN: ThreadId = (-1,)
#: Steps that a picture shows at most: those around what it is about.
STEPS = 400


@dataclass
class Step:
    """An access: by which thread, what it read and wrote (None if nothing), where the thread was, and the steps that it
    read from."""

    number: int
    thread: ThreadId
    access: Access
    read: int | None
    written: int | None
    stack: list[StackEntry]
    sources: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        kind = {"load": "read", "store": "write", "rmw": "update", "cmpxchg": "update"}.get(
            self.access.kind, self.access.kind
        )
        if self.access.kind == "host":
            return f"call {self.access.host}"
        if self.access.memory is None or self.access.kind in ("size", "grow"):
            return kind
        values = "→".join(str(v) for v in (self.read, self.written) if v is not None)
        atomic = "atomic " if self.access.atomic and kind in ("read", "write", "update") else ""
        return f"{atomic}{kind} [{self.access.start}]" + (f" = {values}" if values else "")


class Recorder(Observer):
    """Keeps the steps of an execution; ``edges`` are orders between threads: from a step, to a step, and why."""

    def __init__(self) -> None:
        self.labels: dict[ThreadId, str] = {}
        self._lanes: dict[ThreadId, ThreadId] = {}
        self.steps: list[Step] = []
        self.edges: list[tuple[int, int, str]] = []
        self._last: dict[ThreadId, int] = {}
        self._before: dict[ThreadId, list[tuple[int, str]]] = {}
        self._writers: dict[tuple[int, int], int] = {}

    def started(self, thread: ThreadId, parent: ThreadId | None, label: str) -> None:
        """A lane of its own, behind what the parent did. A call from the host has the lane of who made it."""
        if label == "main":
            self._lanes[thread] = MAIN if parent in (None, HOST) else self.lane(parent)
        self.labels.setdefault(self.lane(thread), label or f"thread {'.'.join(map(str, thread))}")
        self._after(thread, parent, "starts")

    def lane(self, thread: ThreadId) -> ThreadId:
        """The thread in whose lane another one's steps are."""
        return self._lanes.get(thread, thread)

    def joined(self, thread: ThreadId, other: ThreadId) -> None:
        """An edge from the other's last step."""
        self._after(thread, other, "ended")

    def woke(self, thread: ThreadId, other: ThreadId) -> None:
        """An edge from the notify."""
        self._after(other, thread, "wakes")

    def _after(self, thread: ThreadId, other: ThreadId | None, why: str) -> None:
        if other is not None and other in self._last and self.lane(other) != self.lane(thread):
            self._before.setdefault(thread, []).append((self._last[other], why))

    def accesses(self, thread: ThreadId, access: Access, agent: Agent | None) -> None:
        """The next step."""
        number = len(self.steps)
        read, written = _values(access, agent)
        stack = stack_at(agent.pc, agent.frames) if agent is not None else []
        step = Step(number, self.lane(thread), access, read, written, stack)
        if access.memory is not None and access.kind in READS:
            found = {self._writers.get((id(access.memory), at)) for at in range(access.start, access.end)}
            step.sources = sorted(n for n in found if n is not None)
        if access.memory is not None and access.kind in WRITES and (access.kind != "cmpxchg" or written is not None):
            for at in range(access.start, min(access.end, access.start + 4096)):
                self._writers[id(access.memory), at] = number
        for source in step.sources:
            other = self.steps[source]
            same = (other.access.start, other.access.end) == (access.start, access.end)
            if other.thread != step.thread:
                synchronises = same and access.atomic and other.access.atomic
                self.edges.append((source, number, "synchronises" if synchronises else "reads from"))
        self.edges += [(before, number, why) for before, why in self._before.pop(thread, [])]
        self.steps.append(step)
        self._last[thread] = number


def _values(access: Access, agent: Agent | None) -> tuple[int | None, int | None]:
    """What an access is about to read and write, its operands on the stack."""
    memory = access.memory
    if memory is None or agent is None or access.end > len(memory.u8) or access.width > 16 or not access.width:
        return None, None
    found = int.from_bytes(memory.u8[access.start : access.end], "little")
    mask = (1 << 8 * access.width) - 1
    read = found if access.kind in READS and access.kind != "copy" else None
    written: int | None = None
    if access.kind == "store":
        top = agent.stack[-1]
        written = top & mask if isinstance(top, int) else None
    elif access.kind == "rmw" and access.instr is not None:
        operation = access.instr.form.mnemonic.split(".")[3].removesuffix("_u")
        written = MODIFY[operation](found, agent.stack[-1]) & mask
    elif access.kind == "cmpxchg" and exchanges(access, agent):
        written = agent.stack[-1] & mask
    return read, written


@dataclass
class Trace:
    """The steps of one execution, how it ended, and the choices that replay it."""

    recorder: Recorder
    ending: str
    witness: str


def record(subject: Subject, witness: str) -> Trace:
    """Execute once more, as choices say."""
    from refwasm.concurrency.exploration import replay

    recorder = Recorder()
    ending, scheduler, _ = replay(subject, witness, observers=[recorder])
    return Trace(recorder, ending.text, print_choices(scheduler.choices.taken))


class Sources:
    """Lines of source files, as far as they are at hand: ``folder`` is where the program's file lies, whose own lines
    count if it is text."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._lines: dict[str, list[str]] = {}

    def line(self, entry: StackEntry) -> tuple[str, str]:
        """The place in the source, as text, and the line there; empty if it is not known."""
        location = entry.location
        if "(" in location:  # 0x5a (fib.c:3:10)
            name, _, rest = location.partition("(")[2].rstrip(")").partition(":")
            return f"{name}:{rest}", self._text(name, rest.partition(":")[0])
        number = location.partition(":")[0]
        if self.file is not None and number.isdigit():
            return f"{self.file.name}:{location}", self._text(self.file.name, number)
        return location, ""

    def _text(self, name: str, number: str) -> str:
        if name not in self._lines:
            self._lines[name] = self._read(name)
        lines = self._lines[name]
        return lines[int(number) - 1].strip() if number.isdigit() and 0 < int(number) <= len(lines) else ""

    def _read(self, name: str) -> list[str]:
        folder = self.file.parent if self.file is not None else Path()
        for path in (folder / name, folder / Path(name).name):
            try:
                return path.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
        return []


def as_timeline(trace: Trace) -> dict[str, Any]:
    """In the Chrome trace format, which Perfetto opens: a track for each thread, a step takes a microsecond."""
    tracks = {thread: number for number, thread in enumerate(trace.recorder.labels)}
    events: list[dict[str, Any]] = [
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": n, "args": {"name": trace.recorder.labels[t]}}
        for t, n in tracks.items()
    ]
    for step in trace.recorder.steps:
        events.append({
            "name": str(step), "ph": "X", "pid": 1, "tid": tracks[step.thread], "ts": step.number, "dur": 1,
            "args": {"stack": list(map(str, step.stack))},
        })  # fmt: skip
    for number, (a, b, why) in enumerate(trace.recorder.edges):
        for phase, step in (("s", trace.recorder.steps[a]), ("f", trace.recorder.steps[b])):
            events.append({
                "name": why, "cat": "order", "ph": phase, "bp": "e", "id": number, "pid": 1,
                "tid": tracks[step.thread], "ts": step.number,
            })  # fmt: skip
    return {"traceEvents": events, "displayTimeUnit": "ms"}
