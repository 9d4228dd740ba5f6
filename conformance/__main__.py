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
from conformance.reports import Run, document, read_json, summary, write_json, write_junit
from conformance.rules import read_rules
from conformance.running import BAD, SKIP, Result, expected_failures, run_all
from conformance.suite import Case, build, load
from refwasm.reports.documents.engines import Conformance
from refwasm.reports.pages import render


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    made.add_argument("--engine", action="append", default=[], metavar="ADAPTER", help="may be given several times")
    made.add_argument(
        "--filter", action="append", default=[], metavar="PATTERN", help="names of cases or rules, with *"
    )
    made.add_argument(
        "--jobs", type=_positive(int), default=os.cpu_count() or 1, metavar="N", help="cases at the same time"
    )
    made.add_argument(
        "--timeout", type=_positive(float), default=60, metavar="SECONDS", help="for each case; default 60"
    )
    made.add_argument("--expected", type=Path, metavar="FILE", help="TOML; default conformance/expected/ENGINE.toml")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    made.add_argument("--junit", type=Path, metavar="FILE", help="the same for CI systems")
    made.add_argument("--html", type=Path, metavar="FILE", help="a report for people: rules against engines")
    made.add_argument("--add", type=Path, action="append", default=[], metavar="JSON", help="a former run, for --html")
    made.add_argument("--full", action="store_true", help="really run 2^32-1 iterations (hours for an interpreter)")
    made.add_argument("--build", type=Path, metavar="FOLDER", help="only write the binary modules and sidecars there")
    made.add_argument("--list", action="store_true", help="only name the cases with their rules")
    return made


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """An argument type: a number greater than 0."""

    def number(text: str) -> float:
        found = kind(text)
        if not 0 < found < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not greater than 0")
        return found

    return number


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
    if options.add and not options.html:
        return _complain("--add is for --html")
    try:
        former = [read_json(path) for path in options.add]
        engines = [load_engine(path) for path in options.engine]
        expected = [_expected(engine, options.expected) for engine in engines]
    except (AdapterError, OSError, ValueError, KeyError, TypeError) as error:
        return _complain(f"{error}")
    if len({engine.name for engine in engines}) < len(engines):
        return _complain("two engines have the same name")
    runs = [_run(engine, cases, failures, options) for engine, failures in zip(engines, expected)]
    for run in runs:
        print(summary(run))
    try:
        _write(runs, former, options)
    except OSError as error:
        return _complain(str(error))
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


def _expected(engine: Engine, given: Path | None) -> dict[str, str]:
    """Failures that are expected; a file that was asked for must be there."""
    if given is not None and not given.exists():
        raise AdapterError(f"{given}: no such file")
    return expected_failures(given or Path(__file__).parent / "expected" / f"{engine.name}.toml")


def _run(engine: Engine, cases: Sequence[Case], failures: dict[str, str], options: argparse.Namespace) -> Run:
    results = run_all(
        cases, engine, jobs=options.jobs, timeout=options.timeout, failures=failures,
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


def _write(runs: Sequence[Run], former: Sequence[Conformance], options: argparse.Namespace) -> None:
    """Report files; with several engines the name of JSON and JUnit files gets the engine's."""
    for run in runs:
        for path, write in ((options.json, write_json), (options.junit, write_junit)):
            if path is not None:
                write(run, path if len(runs) == 1 else path.with_stem(f"{path.stem}-{run.engine}"))
    if options.html:
        rules = read_rules()
        text = render([*(document(run, rules) for run in runs), *former])
        options.html.write_text(text, encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
