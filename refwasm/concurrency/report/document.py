"""Explorations as documents: final states, races with both sides, and pictures of schedules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from refwasm.concurrency.exploration import Exploration, FinalState
from refwasm.concurrency.model.events import INIT, synchronises
from refwasm.concurrency.model.outcomes import Allowed, Outcomes
from refwasm.concurrency.programs import Subject, Threads
from refwasm.concurrency.races import Race, Side
from refwasm.concurrency.report.trace import STEPS, Sources, Step, Trace, record
from refwasm.errors import StackEntry
from refwasm.reports.documents import explorations as documents
from refwasm.reports.documents.explorations import Arrow, Box, Picture, Place

#: Final states, races and executions of the memory model that get a picture, at most; failures come first.
PICTURES = 12


def document(
    subject: Subject, found: Exploration, file: Path | None, outcomes: Outcomes | None = None, pictures: int = PICTURES
) -> documents.Exploration:
    """All that an exploration found. ``file`` is where the program comes from, whose source lines are told."""
    sources = Sources(file)
    drawn = [*found.failures, *(state for state in found.states.values() if not state.failed)][:pictures]
    return documents.Exploration(
        found.name, found.mode, found.classes, found.redundant, found.complete, found.incomplete, found.seconds,
        found.steps,
        [_state(subject, state, sources, state in drawn) for state in found.states.values()],
        [_race(subject, race, sources, number < pictures) for number, race in enumerate(found.races)],
        None if outcomes is None else list(_relaxed(subject, outcomes, pictures)),
    )  # fmt: skip


def race_document(race: Race, sources: Sources) -> documents.Race:
    """A race without a picture."""
    sides = [_side(side, sources) for side in (race.first, race.second)]
    return documents.Race(str(race), race.place, race.start, race.end, race.ordered, race.witness, sides)


def _state(subject: Subject, state: FinalState, sources: Sources, drawn: bool) -> documents.State:
    picture = _picture(record(subject, state.witness), set(), sources) if drawn else None
    return documents.State(state.text, state.failed, state.count, state.witness, picture)


def _race(subject: Subject, race: Race, sources: Sources, drawn: bool) -> documents.Race:
    told = race_document(race, sources)
    if drawn:
        trace = record(subject, race.witness)
        told.picture = _picture(trace, _sides_of(trace, race), sources)
    return told


def _side(side: Side, sources: Sources) -> documents.Side:
    access = side.access
    stack = [_place(entry, sources) for entry in side.stack]
    return documents.Side(side.label, str(side), access.kind, access.atomic, access.start, access.end, stack)


def _place(entry: StackEntry, sources: Sources) -> Place:
    place, text = sources.line(entry)
    return Place(f"func[{entry.func}] {entry.name} {place}".replace("  ", " ").strip(), text)


def _sides_of(trace: Trace, race: Race) -> set[int]:
    """The steps that are the two sides: those nearest to each other that access the bytes from these places."""
    found: list[set[int]] = []
    for side in (race.first, race.second):
        top = side.stack[0] if side.stack else None
        found.append({
            step.number for step in trace.recorder.steps
            if step.thread == trace.recorder.lane(side.thread) and step.stack and step.stack[0] == top
            and step.access.kind == side.access.kind and step.access.start == side.access.start
        })  # fmt: skip
    pairs = [(abs(a - b), a, b) for a in found[0] for b in found[1]]
    return set(min(pairs)[1:]) if pairs else found[0] | found[1]


def _picture(trace: Trace, marked: set[int], sources: Sources) -> Picture:
    steps = _window(trace.recorder.steps, marked)
    lanes = [thread for thread in trace.recorder.labels if any(step.thread == thread for step in steps)]
    rows = {step.number: row for row, step in enumerate(steps)}
    boxes = [
        Box(lanes.index(step.thread), row, str(step), step.number in marked, _title(step, sources))
        for row, step in enumerate(steps)
    ]
    arrows = [Arrow(rows[a], rows[b], why) for a, b, why in trace.recorder.edges if a in rows and b in rows]
    note = f"{len(steps)} of {len(trace.recorder.steps)} steps" if len(steps) < len(trace.recorder.steps) else ""
    return Picture(f"a schedule: {trace.ending}", [trace.recorder.labels[t] for t in lanes], boxes, arrows, note)


def _window(steps: list[Step], marked: set[int]) -> list[Step]:
    """The steps that are shown: those that end with what is marked, or with the end."""
    end = max(marked, default=len(steps) - 1) + 2
    return steps[max(0, end - STEPS) : end] if marked and len(steps) > STEPS else steps[-STEPS:]


def _title(step: Step, sources: Sources) -> str:
    if not step.stack:
        return str(step)
    place, text = sources.line(step.stack[0])
    return f"{step.number}: {step}\n{place}\n{text}".rstrip()


def _relaxed(subject: Subject, outcomes: Outcomes, pictures: int) -> Iterator[documents.Relaxed]:
    for number, text in enumerate(outcomes.relaxed_only):
        drawn = isinstance(subject, Threads) and number < pictures
        yield documents.Relaxed(text, _execution(subject, outcomes.states[text]) if drawn else None)


def _execution(threads: Subject, state: Allowed) -> Picture:
    """An execution of the memory model: no schedule, but events with what they read from."""
    assert isinstance(threads, Threads)
    events = state.execution.events
    lanes: Sequence[str] = ["initially", *(call[0] for call in threads.calls), "at the end"]
    rows = [0] * len(lanes)
    boxes = []
    for event in events:
        lane = 0 if event.order == INIT else event.thread + 1
        rows[lane] += lane != 0 or not rows[0]
        row = 0 if lane == 0 else rows[lane] + (max(rows[1:-1], default=0) if lane == len(lanes) - 1 else 0)
        boxes.append(Box(lane, row, str(event)))
    arrows = [
        Arrow(source, reader, "synchronises" if synchronises(events[source], events[reader]) else "reads from")
        for reader, sources in state.execution.reads_from.items()
        for source in sorted(set(sources))
        if events[source].order != INIT
    ]  # fmt: skip
    return Picture(f"an execution: {state.text}", list(lanes), boxes, arrows)
