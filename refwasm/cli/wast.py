"""Run scripts of the official test suite's format (.wast): files, or all below folders.

Prints a line for each file and each failure with its place; the exit code is 1 if anything failed or nothing ran."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from refwasm import embedding as e
from refwasm.cli import EXIT_BAD, UsageError, positive
from refwasm.cli.choices import parsed
from refwasm.cli.files import add_features, parse_features
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.terminal import BAD, GOOD, Progress, say
from refwasm.errors import WasmError
from refwasm.execution.choices import parse_choices
from refwasm.reports.documents.engines import Failure, ScriptFile, Scripts
from refwasm.script.dialects import DIALECTS
from refwasm.script.runner import OPEN, Options, Report
from refwasm.script.suite import find_scripts, run_scripts

if TYPE_CHECKING:
    from refwasm.concurrency.races import Race


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files or folders")
    parser.add_argument("--jobs", type=positive(int), default=1, metavar="N", help="processes")
    add_json(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the scheduler, for scripts with threads")
    parser.add_argument(
        "--choices", metavar="HOW", help="executions that go other ways than the deterministic profile's: seed:N"
    )
    parser.add_argument("--tier", choices=list(e.TIERS), default="interpret", help="what executes functions")
    add_features(parser)
    parser.add_argument("--round-trip", action="store_true", help="take every module through both formats and back")
    parser.add_argument("--dialect", choices=list(DIALECTS), help="the suite of another engine, run as it is")
    parser.add_argument("--races", action="store_true", help="report data races of scripts with threads")
    parser.add_argument("-q", "--quiet", action="store_true", help="only failures and the summary")


def run(options: argparse.Namespace) -> int:
    """Run all scripts."""
    files, left_out = find_scripts(options.paths)
    if not files:
        raise UsageError(f"no .wast files in {', '.join(options.paths)}")
    features = parse_features(options.features)
    parsed(options.choices)
    choices = None if options.choices is None else partial(parse_choices, options.choices, OPEN)
    run_options = Options(seed=options.seed, choices=choices, tier=options.tier, features=features,
                          round_trip=options.round_trip,
                          dialect=DIALECTS.get(options.dialect))  # fmt: skip
    started = time.monotonic()
    reports = []
    progress = Progress("scripts", len(files))
    for report in run_scripts(files, run_options, options.jobs):
        reports.append(report)
        progress.clear()
        if not options.quiet or not report.ok:
            _print_report(report)
        progress.show(len(reports), Path(report.file).name)
    progress.clear()
    races = [race for file in files for race in _races(file, options)] if options.races else []
    for folder, reason in left_out.items():
        print(f"left out: {folder} ({reason})")
    seconds = time.monotonic() - started
    _print_summary(reports, seconds)
    write_document(options, Scripts(seconds, [_document(report) for report in reports]))
    return 0 if all(report.ok for report in reports) and not races else EXIT_BAD


def _races(file: Path, options: argparse.Namespace) -> list[Race]:
    """Run a script with threads once more, and report the races of that execution."""
    from refwasm.concurrency.exploration import replay
    from refwasm.concurrency.programs import Script

    try:
        script = Script(file.read_bytes(), str(file))
    except (WasmError, OSError):
        return []  # no threads, or reported already
    _, _, detector = replay(script, options.choices or f"seed:{options.seed}", races=True)
    for race in detector.races if detector else ():
        print(f"{file}: " + "\n".join(race.lines()))
    return detector.races if detector else []


def _print_report(report: Report) -> None:
    total = sum(report.commands.values())
    if report.not_applicable:
        print(f"n/a  {report.file}: {report.not_applicable}")
        return
    say(f"{'ok  ' if report.ok else 'FAIL'} {report.file}: {report.passed} of {total}", GOOD if report.ok else BAD, 4)
    for failure in report.failures:
        print(f"     {failure}")


def _print_summary(reports: list[Report], seconds: float) -> None:
    commands = sum((report.commands for report in reports), Counter[str]())
    assertions = sum(n for kind, n in commands.items() if kind.startswith("assert"))
    failures = sum(len(report.failures) for report in reports)
    bad = sum(not report.ok for report in reports)
    left_out = sum(bool(report.not_applicable) for report in reports)
    not_run = f" ({left_out} not applicable)" if left_out else ""
    print(
        f"{len(reports)} files{not_run}, {sum(commands.values())} commands, {assertions} of them assertions: "
        f"{failures} failures in {bad} files ({seconds:.1f} s)"
    )


def _document(report: Report) -> ScriptFile:
    failures = [Failure(failure.location, failure.message) for failure in report.failures]
    return ScriptFile(
        str(report.file), report.ok, report.status, report.not_applicable, dict(report.commands), failures
    )  # fmt: skip
