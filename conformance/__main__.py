"""Run the conformance suite against engines: ``python -m conformance --engine ADAPTER``.

ADAPTER is a Python file as wasi-testsuite has them, or the name of one in conformance/adapters. Exit codes: 0 all is as
expected, 1 it is not, 2 wrong usage (also if no case is left to run)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from conformance.engines import AdapterError, Engine, load_engine
from conformance.page import page
from conformance.reports import Run, read_json, summary, write_json, write_junit
from conformance.rules import read_rules
from conformance.running import BAD, SKIP, Result, expected_failures, run_all
from conformance.suite import Case, build, load


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    made.add_argument("--engine", action="append", default=[], metavar="ADAPTER", help="may be given several times")
    made.add_argument(
        "--filter", action="append", default=[], metavar="PATTERN", help="names of cases or rules, with *"
    )
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="cases at the same time")
    made.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="for each case; default 60")
    made.add_argument("--expected", type=Path, metavar="FILE", help="TOML; default conformance/expected/ENGINE.toml")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    made.add_argument("--junit", type=Path, metavar="FILE", help="the same for CI systems")
    made.add_argument("--html", type=Path, metavar="FILE", help="a report for people: rules against engines")
    made.add_argument("--add", type=Path, action="append", default=[], metavar="JSON", help="a former run, for --html")
    made.add_argument("--full", action="store_true", help="really run 2^32-1 iterations (hours for an interpreter)")
    made.add_argument("--build", type=Path, metavar="FOLDER", help="only write the binary modules and sidecars there")
    made.add_argument("--list", action="store_true", help="only name the cases with their rules")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run; the exit code."""
    options = parser().parse_args(argv)
    cases = load(patterns=options.filter)
    if options.full:
        cases = [replace(case, args=("full",)) if case.name.endswith("nearly-four-billion") else case for case in cases]
    if not cases:
        return _complain("no case matches")
    if options.list or options.build:
        return _show(cases, options.build)
    if not options.engine and not options.add:
        return _complain("--engine is missing: an adapter, for example refwasm")
    try:
        engines = [load_engine(path) for path in options.engine]
    except AdapterError as error:
        return _complain(str(error))
    runs = [_run(engine, cases, options) for engine in engines]
    for run in runs:
        print(summary(run))
    _write(runs, options)
    if not any(result.status != SKIP for run in runs for result in run.results) and runs:
        return _complain("every case was skipped")
    return int(any(run.bad for run in runs))


def _complain(message: str) -> int:
    print(f"conformance: {message}", file=sys.stderr)
    return 2


def _show(cases: Sequence[Case], folder: Path | None) -> int:
    for case in cases:
        if folder is not None:
            build(case, folder)
        else:
            print(case.name, *case.rules)
    return 0


def _run(engine: Engine, cases: Sequence[Case], options: argparse.Namespace) -> Run:
    expected = options.expected or Path(__file__).parent / "expected" / f"{engine.name}.toml"
    results = run_all(
        cases, engine, jobs=options.jobs, timeout=options.timeout, failures=expected_failures(expected),
        seen=_progress(engine.name, len(cases)),
    )  # fmt: skip
    return Run(engine.name, engine.version, results)


def _progress(name: str, total: int) -> Callable[[Result], object]:
    """Tells a terminal how far it is, and nobody else."""
    seen: list[Result] = []

    def tell(result: Result) -> None:
        seen.append(result)
        if sys.stderr.isatty():
            bad = sum(r.status in BAD for r in seen)
            end = "\n" if len(seen) == total else ""
            print(f"\r{name}: {len(seen)} of {total}, {bad} failed ", end=end, file=sys.stderr, flush=True)

    return tell


def _write(runs: Sequence[Run], options: argparse.Namespace) -> None:
    """Report files; with several engines the name of JSON and JUnit files gets the engine's."""
    for run in runs:
        for path, write in ((options.json, write_json), (options.junit, write_junit)):
            if path is not None:
                write(run, path if len(runs) == 1 else path.with_stem(f"{path.stem}-{run.engine}"))
    if options.html:
        everything = [*runs, *(read_json(path) for path in options.add)]
        options.html.write_text(page(everything, read_rules()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
