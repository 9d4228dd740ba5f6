"""Run litmus tests: small parallel programs whose allowed final states are known.

Without --engine, the final states that the memory model and all interleavings give are compared with what each test
says. With it, a test is run many times on real threads, and every final state that is not allowed is an error.

FILE is a file of tests (.litmus) or a folder of them. Exit codes: 0 all is well, 1 not, 2 wrong usage."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from refwasm.cli import EXIT_BAD, UsageError, positive
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.terminal import BAD, GOOD, say
from refwasm.concurrency.exploration import explore
from refwasm.concurrency.litmus.judging import Verdict, judge_engine, judge_model
from refwasm.concurrency.litmus.modules import LitmusThreads
from refwasm.concurrency.litmus.native import native_engine
from refwasm.concurrency.litmus.notation import LitmusTest, read_tests
from refwasm.reports.documents import explorations as documents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=".litmus, or a folder")
    parser.add_argument(
        "--engine", metavar="NAME",
        help="wasmtime (extra engines), node, refwasm (its interpreter, schedules at random), or a command that runs "
        "programs of wasi-threads, as in 'iwasm --max-threads=8'",
    )  # fmt: skip
    parser.add_argument("--runs", type=positive(int), default=100_000, metavar="N", help="of each test on an engine")
    parser.add_argument("--time", type=positive(float), default=60, metavar="SECONDS", help="for each test at most")
    parser.add_argument("--only", default="", metavar="NAMES", help="tests of these names, separated by commas")
    add_json(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="only errors and the summary")


def run(options: argparse.Namespace) -> int:
    """Run all tests."""
    tests = list(_wanted(options))
    if not tests:
        raise UsageError(f"no tests in {', '.join(options.files)}" + (f" named {options.only}" if options.only else ""))
    verdicts = []
    for verdict in _verdicts(tests, options):
        verdicts.append(verdict)
        _print(verdict, options)
    wrong = sum(bool(verdict.wrong) for verdict in verdicts)
    relaxed = sum(bool(verdict.relaxed) for verdict in verdicts)
    left_out = sum(bool(verdict.left_out) for verdict in verdicts)
    seen = f", relaxed final states seen in {relaxed}" if options.engine else ""
    skipped = f", {left_out} not run" if left_out else ""
    print(f"{len(verdicts)} tests{skipped}, {wrong} of them wrong{seen}")
    write_document(options, documents.Litmus(options.engine or "", [_document(verdict) for verdict in verdicts]))
    return EXIT_BAD if wrong else 0


def _wanted(options: argparse.Namespace) -> Iterator[LitmusTest]:
    names = set(filter(None, options.only.split(",")))
    for text in options.files:
        path = Path(text)
        for file in sorted(path.rglob("*.litmus")) if path.is_dir() else [path]:
            yield from (test for test in read_tests(file) if not names or test.name in names)


def _verdicts(tests: list[LitmusTest], options: argparse.Namespace) -> Iterator[Verdict]:
    if options.engine is None:
        yield from (judge_model(test)[0] for test in tests)
    elif options.engine == "refwasm":
        yield from (_sampled(test, options) for test in tests)
    else:
        engine = native_engine(options.engine)
        print(f"engine: {engine.name}")
        try:
            for test in tests:
                yield judge_engine(test, engine, options.runs, options.time)
        finally:
            engine.close()


def _sampled(test: LitmusTest, options: argparse.Namespace) -> Verdict:
    """On refwasm's interpreter: schedules at random."""
    found = explore(LitmusThreads(test), "random:1", executions=min(options.runs, 1_000), seconds=options.time)
    verdict = Verdict(test, seconds=found.seconds)
    for text, state in found.states.items():
        verdict.seen[text] = state.count
        if text not in test.states:
            verdict.wrong.append(f"not allowed: {text} ({state.count} times)")
    return verdict


def _print(verdict: Verdict, options: argparse.Namespace) -> None:
    """The histogram of a test, and what is wrong."""
    test = verdict.test
    if options.quiet and not verdict.wrong:
        return
    if verdict.left_out:
        print(f"n/a  {test.name}: {verdict.left_out}")
        return
    word, style = ("WRONG", BAD) if verdict.wrong else ("ok   ", GOOD)
    say(f"{word}{test.name}: {test.about} ({verdict.seconds:.2f} s)", style, len(word))
    for text, count in sorted(verdict.seen.items()):
        mark = "" if test.states.get(text, True) else " relaxed"
        shown = f"{count:>9}  " if options.engine else "      "
        print(f"{shown}{text}{mark if text in test.states else ' NOT ALLOWED'}")
    if not options.engine:
        for text in sorted(test.forbidden):
            print(f"      {text} forbidden")
    for line in verdict.wrong:
        print(f"     {test.where}: {line}")


def _document(verdict: Verdict) -> documents.LitmusTest:
    test = verdict.test
    return documents.LitmusTest(
        test.name, test.about, verdict.seconds, list(verdict.wrong), dict(verdict.seen), dict(test.states),
        sorted(test.forbidden), verdict.left_out,
    )  # fmt: skip
