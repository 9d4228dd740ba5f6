"""Explorations: a subject, executed under many schedules, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from refwasm.concurrency.dpor import Search
from refwasm.concurrency.programs import Ending, Subject
from refwasm.concurrency.races import Race, RaceDetector
from refwasm.concurrency.sampling import Bounded, Following, PriorityChanges, RandomSearch
from refwasm.concurrency.scheduler import Cut, ExploringScheduler, ObservedScheduler, Observer
from refwasm.errors import ResourceLimit
from refwasm.execution.choices import AGENT, WAIT, Replayed, parse_choices

#: Executions of sampling modes, unless told otherwise.
SAMPLES = 1_000
#: Steps of one execution at most.
STEPS = 20_000


@dataclass
class FinalState:
    """A final state, as text; whether that is a failure, and of what kind (``deadlock``, ``trap``, ``assertion``,
    ``exit code``); in how many executions it came; the choices that lead to it."""

    text: str
    failed: str
    count: int
    witness: str


@dataclass
class Exploration:
    """What was found. ``complete`` says that there are no other final states than ``states``; ``incomplete`` says why
    there may be. ``classes`` is how many executions differ in more than the order of independent steps (in sampling
    modes: how many were made), ``redundant`` how many were cut since they would have repeated one."""

    name: str
    mode: str
    classes: int = 0
    redundant: int = 0
    complete: bool = False
    incomplete: str = ""
    seconds: float = 0.0
    steps: int = 0
    states: dict[str, FinalState] = field(default_factory=dict)
    races: list[Race] = field(default_factory=list)

    @property
    def executions(self) -> int:
        """Executions that were begun."""
        return self.classes + self.redundant

    @property
    def deadlocks(self) -> list[FinalState]:
        """Final states in which nobody can go on."""
        return [state for state in self.states.values() if state.failed == "deadlock"]

    @property
    def failures(self) -> list[FinalState]:
        """Final states that are failures: deadlocks, traps, assertions, exit codes."""
        return [state for state in self.states.values() if state.failed]

    def note(self, ending: Ending, witness: str) -> None:
        """An execution ended."""
        self.classes += 1
        state = self.states.get(ending.text)
        if state is None:
            self.states[ending.text] = FinalState(ending.text, ending.failed, 1, witness)
        else:
            state.count += 1


def explore(
    subject: Subject, mode: str = "all", *, bound: int | None = None, seconds: float | None = None,
    executions: int | None = None, steps: int = STEPS, races: bool = False,
    each: Callable[[Exploration], object] | None = None,
) -> Exploration:  # fmt: skip
    """Execute under many schedules. ``mode`` is ``all``, ``random:SEED``, ``pct:DEPTH`` or ``replay:CHOICES``;
    ``bound`` (with ``all``) is of preemptions. It ends when there are no others, or after so many ``seconds`` or
    ``executions``.
    ``each`` is told after each execution. Raises ValueError for a mode that does not exist."""
    if mode.startswith("replay:"):
        return _replayed(subject, mode, races)
    found = Exploration(subject.name, mode if bound is None else f"{mode}, at most {bound} preemptions")
    search = _search(mode, bound)
    most = executions if executions is not None or mode == "all" else SAMPLES
    started = time.perf_counter()
    until = None if seconds is None else time.monotonic() + seconds
    known: set[object] = set()
    for execution in search:
        _execute(subject, execution, found, RaceDetector(known) if races else None, steps, until)
        found.seconds = time.perf_counter() - started
        if each is not None:
            each(found)
        over = [
            f"the time is over ({seconds} s)" if seconds is not None and found.seconds > seconds else "",
            f"{most} executions were made" if most is not None and found.executions >= most else "",
        ]
        if any(over):
            found.incomplete = found.incomplete or next(filter(None, over))
            break
    found.complete = mode == "all" and bound is None and not found.incomplete
    if not found.complete and not found.incomplete:
        found.incomplete = f"only schedules with at most {bound} preemptions"
    return found


def _search(mode: str, bound: int | None) -> Iterable[Any]:
    kind, _, rest = mode.partition(":")
    number = rest.isascii() and rest.isdigit() and len(rest) < 20
    if mode == "all":
        return Search() if bound is None else Bounded(bound)
    if kind == "random" and (number or not rest):
        return RandomSearch(int(rest or 0))
    if kind == "pct" and number and int(rest) > 0:
        return PriorityChanges(int(rest))
    raise ValueError(f"mode {mode[:40]!r}: expected all, random:SEED, pct:DEPTH or replay:CHOICES")


def _execute(
    subject: Subject, execution: Any, found: Exploration, detector: RaceDetector | None, steps: int,
    until: float | None,
) -> None:  # fmt: skip
    """One execution of a search."""
    observers: Sequence[Observer] = [execution] if detector is None else [execution, detector]
    scheduler = ExploringScheduler(execution.choose, observers, steps, until)
    try:
        ending = subject.execute(scheduler)
        execution.ended()
    except Cut as cut:
        if str(cut) == "redundant":
            found.redundant += 1
        else:
            _give_up(found, _CUT[str(cut)].format(steps=steps))
            _keep(found, detector, str(scheduler.choices))
        return
    except ResourceLimit as error:
        _give_up(found, f"a limit was reached: {error.message}")
        return
    finally:
        found.steps += scheduler.steps
    found.note(ending, str(scheduler.choices))
    _keep(found, detector, str(scheduler.choices))


#: Why an execution was cut.
_CUT = {
    "steps": "an execution has more than {steps} steps",
    "alone": "a thread goes on and on without touching what threads share",
    "time": "the time was over in the middle of an execution",
}


def _give_up(found: Exploration, why: str) -> None:
    found.classes += 1
    found.incomplete = found.incomplete or why


def _keep(found: Exploration, detector: RaceDetector | None, witness: str) -> None:
    for race in detector.races if detector is not None else ():
        race.witness = witness
        found.races.append(race)


def _replayed(subject: Subject, mode: str, races: bool) -> Exploration:
    """One execution, from its choices."""
    found = Exploration(subject.name, mode)
    ending, scheduler, detector = replay(subject, mode.partition(":")[2], races)
    found.note(ending, str(scheduler.choices))
    found.incomplete = "one execution was replayed"
    _keep(found, detector, str(scheduler.choices))
    return found


def replay(
    subject: Subject, witness: str, races: bool = False, observers: Sequence[Observer] = ()
) -> tuple[Ending, ObservedScheduler, RaceDetector | None]:
    """Execute once as choices say (those that an exploration printed, ``default`` or ``seed:N``): how it ended, the
    scheduler, and the races. Raises ValueError, OtherExecution."""
    detector = RaceDetector(set()) if races else None
    told = [*observers, *([detector] if detector else [])]
    choices = parse_choices(witness, (AGENT, WAIT))
    if not isinstance(choices, Replayed):
        scheduler = ObservedScheduler(choices, told)
        return subject.execute(scheduler), scheduler, detector
    following = ExploringScheduler(Following(choices).choose, told, STEPS)
    try:
        ending = subject.execute(following)
    except Cut as cut:
        ending = Ending(f"cut: {_CUT[str(cut)].format(steps=STEPS)}", "cut")
    choices.taken = following.choices.taken
    choices.finish()
    return ending, following, detector
