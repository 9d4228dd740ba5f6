"""The page of an exploration: self-contained HTML, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from refwasm.concurrency.exploration import Exploration, FinalState
from refwasm.concurrency.model.events import INIT, synchronises
from refwasm.concurrency.model.outcomes import Allowed, Outcomes
from refwasm.concurrency.programs import Subject, Threads
from refwasm.concurrency.races import Race
from refwasm.concurrency.report.picture import Arrow, Box, draw
from refwasm.concurrency.report.trace import STEPS, Sources, Step, Trace, record

#: Final states with a picture, and races, at most.
PICTURES = 12

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>refwasm explore: {name}</title><style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8881; --wrong: #d33; --right: #293; --ink: #36c; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }}
article {{ border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .75rem 1rem; }}
h2 {{ margin: 2rem 0 .5rem; }} article h3 {{ font-size: 1.05rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
td {{ overflow-wrap: anywhere; }}
code, pre {{ font: 13px/1.45 ui-monospace, monospace; }}
.wide {{ overflow-x: auto; }} .failed {{ color: var(--wrong); }} .soft {{ opacity: .7; }}
.sides {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; margin: .5rem 0; }}
.sides > div {{ background: var(--soft); border-radius: .3rem; padding: .5rem .75rem; overflow-x: auto; }}
svg.lanes text {{ font: 12px ui-monospace, monospace; fill: currentColor; }}
svg.lanes text.lane {{ font-weight: bold; }}
svg.lanes line.lane {{ stroke: var(--line); }}
svg.lanes rect {{ fill: Canvas; stroke: currentColor; stroke-opacity: .4; }}
svg.lanes .marked rect {{ stroke: var(--wrong); stroke-opacity: 1; stroke-width: 2.5; }}
svg.lanes .arrow {{ fill: none; stroke: var(--ink); stroke-width: 1.5; }}
svg.lanes .arrow.sw {{ stroke: var(--right); }} svg.lanes .arrow.hb {{ stroke: currentColor; stroke-dasharray: 4 3; }}
path.rf {{ fill: var(--ink); }} path.sw {{ fill: var(--right); }} path.hb {{ fill: currentColor; }}
@media print {{ article {{ break-inside: avoid; }} }}
</style></head><body>
<h1>{name}</h1>
<p>{summary}</p>
<p class="soft">Arrows: <span style="color: var(--ink)">reads from</span>,
<span style="color: var(--right)">synchronises with</span>, dashed: another order (starts, wakes, ended). Boxes with a
thick border are the two sides of a race.</p>
{body}
</body></html>
"""


def write_page(path: Path, subject: Subject, found: Exploration, file: Path | None, outcomes: Outcomes | None) -> None:
    """Write the page. ``file`` is where the program comes from, whose source lines are shown."""
    sources = Sources(file)
    parts = [_states(found, outcomes)]
    if found.races:
        parts.append(f"<h2>{len(found.races)} races</h2>")
        parts += [_race(subject, race, sources) for race in found.races[:PICTURES]]
    shown = [*found.failures, *(state for state in found.states.values() if not state.failed)][:PICTURES]
    parts.append("<h2>Schedules</h2>")
    parts += [_schedule(subject, state, sources) for state in shown]
    if outcomes is not None and isinstance(subject, Threads):
        relaxed = [outcomes.states[text] for text in outcomes.relaxed_only][:PICTURES]
        if relaxed:
            parts.append("<h2>Executions that no interleaving shows</h2>")
            parts += [_relaxed(subject, state) for state in relaxed]
    page = _PAGE.format(name=escape(found.name), summary=escape(_summary(found)), body="\n".join(parts))
    path.write_text(page, encoding="utf-8")


def _summary(found: Exploration) -> str:
    whole = "all of them" if found.complete else f"not all: {found.incomplete}"
    return (
        f"{found.classes} classes of schedules, {whole}; {len(found.states)} final states, {len(found.failures)} of "
        f"them failures; {len(found.races)} races; {found.seconds:.2f} seconds. Mode: {found.mode}."
    )


def _states(found: Exploration, outcomes: Outcomes | None) -> str:
    rows = []
    for state in found.states.values():
        kind = f'<span class="failed">{escape(state.failed)}</span>' if state.failed else ""
        rows.append(
            f'<tr><td><code>{escape(state.text)}</code></td><td>{kind}</td><td class="number">{state.count}</td>'
            f"<td><code>--mode replay:{escape(state.witness)}</code></td></tr>"
        )
    for text in outcomes.relaxed_only if outcomes is not None else ():
        rows.append(f"<tr><td><code>{escape(text)}</code></td><td>relaxed only</td><td></td><td></td></tr>")
    head = '<tr><th>final state</th><th></th><th class="number">classes</th><th>schedule</th></tr>'
    return f'<h2>Final states</h2><div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _race(subject: Subject, race: Race, sources: Sources) -> str:
    sides = []
    for side in (race.first, race.second):
        lines = [f"<b>{escape(str(side))}</b>"]
        for entry in side.stack:
            place, text = sources.line(entry)
            code = f"<br>&nbsp;&nbsp;<code>{escape(text)}</code>" if text else ""
            lines.append(f"<br>at {escape(f'func[{entry.func}] {entry.name}')} {escape(place)}{code}")
        sides.append(f"<div>{''.join(lines)}</div>")
    trace = record(subject, race.witness)
    marked = _sides_of(trace, race)
    picture = _picture(trace, marked, sources)
    return (
        f'<article><h3>{escape(str(race))}</h3><div class="sides">{"".join(sides)}</div>'
        f'<p>Ordered last: {escape(race.ordered)}.</p><div class="wide">{picture}</div>'
        f"<p><code>--mode replay:{escape(race.witness)}</code></p></article>"
    )


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


def _schedule(subject: Subject, state: FinalState, sources: Sources) -> str:
    picture = _picture(record(subject, state.witness), set(), sources)
    failed = f'<span class="failed">{escape(state.failed)}: </span>' if state.failed else ""
    return (
        f'<article><h3>{failed}<code>{escape(state.text)}</code></h3><div class="wide">{picture}</div>'
        f"<p><code>--mode replay:{escape(state.witness)}</code></p></article>"
    )


def _picture(trace: Trace, marked: set[int], sources: Sources) -> str:
    steps = _window(trace.recorder.steps, marked)
    lanes = [thread for thread in trace.recorder.labels if any(step.thread == thread for step in steps)]
    rows = {step.number: row for row, step in enumerate(steps)}
    boxes = [
        Box(lanes.index(step.thread), row, str(step), step.number in marked, _title(step, sources))
        for row, step in enumerate(steps)
    ]
    arrows = [Arrow(rows[a], rows[b], why) for a, b, why in trace.recorder.edges if a in rows and b in rows]
    note = f"<p>{len(steps)} of {len(trace.recorder.steps)} steps</p>" if len(steps) < len(trace.recorder.steps) else ""
    return note + draw([trace.recorder.labels[t] for t in lanes], boxes, arrows, f"a schedule: {trace.ending}")


def _window(steps: list[Step], marked: set[int]) -> list[Step]:
    """The steps that are shown: those that end with what is marked, or with the end."""
    end = max(marked, default=len(steps) - 1) + 2
    return steps[max(0, end - STEPS) : end] if marked and len(steps) > STEPS else steps[-STEPS:]


def _title(step: Step, sources: Sources) -> str:
    if not step.stack:
        return str(step)
    place, text = sources.line(step.stack[0])
    return f"{step.number}: {step}\n{place}\n{text}".rstrip()


def _relaxed(threads: Threads, state: Allowed) -> str:
    """An execution of the memory model: no schedule, but events with what they read from."""
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
    picture = draw(lanes, boxes, arrows, f"an execution: {state.text}")
    return f'<article><h3><code>{escape(state.text)}</code></h3><div class="wide">{picture}</div></article>'
