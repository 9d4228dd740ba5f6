"""Run a parallel program under every schedule, up to the order of steps that do not depend on each other, and list its
final states, deadlocks and races, each with a schedule that shows it.

FILE is a script with threads (.wast), a program (wasi-threads or wasi-parallel, whose iterations are threads), a litmus
test (.litmus), or a module with a shared memory: each of its exported functions is a thread then, or those that
--thread names.

Exit codes: 0 nothing is wrong; 1 a deadlock, trap, failed assertion or race was found; 124 nothing was found, but a
bound was reached before all schedules were seen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refwasm.cli import EXIT_BAD, EXIT_LIMIT, UsageError, positive
from refwasm.cli.files import located, naming
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.terminal import BAD, Progress, say
from refwasm.concurrency.exploration import STEPS, Exploration, explore
from refwasm.concurrency.opening import open_subject
from refwasm.concurrency.programs import Subject, Threads
from refwasm.concurrency.races import Race
from refwasm.concurrency.report.document import document as document_of
from refwasm.reports.pages import render

if TYPE_CHECKING:
    from refwasm.concurrency.model.outcomes import Outcomes

#: Final states that are printed.
SHOWN = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".wast, .wasm, .wat or .litmus")
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="ARGS", help="for a program")
    parser.add_argument(
        "--thread", action="append", metavar="NAME[,ARG…]",
        help="an exported function that a thread calls, with arguments (bit patterns); once for each thread. Of a file "
        "of litmus tests: the test's name",
    )  # fmt: skip
    parser.add_argument(
        "--mode", default="all", metavar="HOW",
        help="all (the default); random:SEED; pct:DEPTH, for bugs that take DEPTH ordered steps; replay:CHOICES, one "
        "schedule that was printed",
    )  # fmt: skip
    parser.add_argument("--bound", type=int, metavar="N", help="only schedules with at most N preemptions")
    parser.add_argument("--time", type=positive(float), metavar="SECONDS", help="stop after that time")
    parser.add_argument("--executions", type=positive(int), metavar="N", help="stop after so many")
    parser.add_argument("--steps", type=positive(int), default=STEPS, metavar="N", help="of one execution, at most")
    parser.add_argument("--races", action="store_true", help="look for data races too")
    parser.add_argument(
        "--model", action="store_true",
        help="list what the relaxed memory model allows besides (small programs: threads of a module)",
    )  # fmt: skip
    parser.add_argument("--html", metavar="FILE", help="write a page there, with a picture of each race and schedule")
    parser.add_argument("--timeline", metavar="FILE", help="write the first failing schedule, or race, for Perfetto")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Explore and report."""
    if options.bound is not None and (options.bound < 0 or options.mode != "all"):
        raise UsageError("--bound: a number of preemptions, 0 or more, with --mode all")
    with naming(options.file):
        subject = opened(options)
    progress = _Progress()
    try:
        found = explore(
            subject, options.mode, bound=options.bound, seconds=options.time, executions=options.executions,
            steps=options.steps, races=options.races, each=progress,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(f"--mode: {error}") from None
    finally:
        progress.progress.clear()
    report(found)
    outcomes = _allowed(subject, found) if options.model else None
    if options.html or options.json:
        document = document_of(subject, found, Path(options.file), outcomes)
        write_document(options, document)
    if options.html:
        Path(options.html).write_text(render([document]), encoding="utf-8", errors="backslashreplace")
    if options.timeline:
        _write_timeline(options.timeline, subject, found)
    if found.failures or found.races:
        return EXIT_BAD
    was_asked = options.mode != "all" or found.incomplete.startswith("only schedules")
    return EXIT_LIMIT if found.incomplete and not was_asked else 0


def _allowed(subject: Subject, found: Exploration) -> Outcomes:
    """What the memory model allows; it is printed."""
    from refwasm.concurrency.model.outcomes import allowed

    if not isinstance(subject, Threads):
        raise UsageError("--model: only the threads of a module can be judged by the memory model")
    outcomes = allowed(subject)
    for text, state in outcomes.states.items():
        state.sc = text in found.states
    print(f"the memory model allows {len(outcomes.states)} final states ({outcomes.candidates} candidate executions)")
    for text, state in sorted(outcomes.states.items()):
        print(f"  {'SC          ' if state.sc else 'relaxed only'}  {text}")
    return outcomes


def _write_timeline(file: str, subject: Subject, found: Exploration) -> None:
    from refwasm.concurrency.report.trace import as_timeline, record

    shown = [*(state.witness for state in found.failures), *(race.witness for race in found.races),
             *(state.witness for state in found.states.values())]  # fmt: skip
    if shown:
        Path(file).write_text(json.dumps(as_timeline(record(subject, shown[0]))), encoding="utf-8")


def opened(options: argparse.Namespace) -> Subject:
    """What the options name."""
    path = Path(options.file)
    threads = None if options.thread is None else [_thread(text) for text in options.thread]
    subject = open_subject(path, threads, options.args)
    validated = getattr(subject, "validated", None)
    if validated is not None:
        located(validated.module, options.file)
    return subject


def _thread(text: str) -> tuple[Any, ...]:
    name, *args = text.split(",")
    try:
        return (name, *(int(arg, 0) for arg in args))
    except ValueError:
        raise UsageError(f"--thread {text}: the arguments must be numbers, as in --thread NAME,1,0x2") from None


class _Progress:
    """How far it is, on terminals only."""

    def __init__(self) -> None:
        self.last = 0.0
        self.progress = Progress("executions")

    def __call__(self, found: Exploration) -> None:
        if found.seconds - self.last > 0.5:
            self.last = found.seconds
            told = f"executions, {len(found.states)} final states, {len(found.races)} races"
            self.progress.show(found.executions, told)


def report(found: Exploration) -> None:
    """Print what was found."""
    kind = "classes of schedules" if found.mode.startswith("all") else "schedules"
    cut = f" ({found.redundant} executions more repeated one and were cut)" if found.redundant else ""
    rate = found.executions / found.seconds if found.seconds else 0
    print(f"{found.name}: {found.classes} {kind}{cut}, {found.steps} steps, {found.seconds:.2f} s ({rate:.0f}/s)")
    print("complete: these are all final states" if found.complete else f"not complete: {found.incomplete}")
    for state in list(found.states.values())[:SHOWN]:
        failed = f"{state.failed.upper()}: " if state.failed else ""
        told = f"  {failed}{state.text}    ({state.count} of {found.classes}; --mode replay:{state.witness})"
        say(told, BAD if failed else "", 2 + len(failed) + len(state.text))
    if len(found.states) > SHOWN:
        print(f"  and {len(found.states) - SHOWN} more")
    print_races(found.races)
    print(f"{len(found.states)} final states, {len(found.failures)} of them failures, "
          f"{len(found.races)} races")  # fmt: skip


def print_races(races: list[Race]) -> None:
    """Print each race with both sides."""
    for race in races:
        for line in race.lines():
            print(f"  {line}")
