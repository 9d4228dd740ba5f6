"""Compare an engine with the oracle on one module: the same calls in both, results, globals and memories compared after
each. Exit codes: 0 the engine agrees, 1 it differs, 3 undecided, 2 wrong usage."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from refwasm.campaign.scripts import from_script
from refwasm.campaign.source import Item
from refwasm.cli import EXIT_BAD, UsageError, positive
from refwasm.cli.files import add_features, parse_features, read_file
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.values import arguments
from refwasm.engines.catalogue import engine, probed
from refwasm.engines.judging import MAX_CALLS, Call, Judgement, judge
from refwasm.engines.process import ProcessEngine
from refwasm.engines.protocol import Died, Engine, Unavailable
from refwasm.engines.shim import shim
from refwasm.oracle.case import FUEL, Oracle
from refwasm.oracle.outcomes import AGREES, DIFFERS, Refused
from refwasm.reports.documents import engines as documents

EXIT_UNDECIDED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="MODULE", help=".wasm or .wat, or a script (.wast)")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--engine", metavar="NAME", help="one of those that `refwasm engines` lists")
    parser.add_argument("--install", action="store_true", help="fetch the version that --engine NAME==VERSION names")
    which.add_argument("--engine-command", metavar="CMD", help="a command that speaks the protocol of docs/oracle.md")
    parser.add_argument(
        "--calls", type=positive(int), default=MAX_CALLS, metavar="N", help="made of exported functions"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is called, with which arguments")
    parser.add_argument("--fuel", type=positive(int), default=FUEL, metavar="N", help="instructions of one call")
    add_json(parser)
    add_features(parser)
    parser.add_argument("--invoke", nargs=argparse.REMAINDER, metavar="NAME ARGS", help="make this one call instead")


def run(options: argparse.Namespace) -> int:
    """Judge, and say the verdict as a person wants to read it."""
    oracle = Oracle(parse_features(options.features), options.fuel)
    items = _items(oracle, options)
    try:
        judged = _engine(options)
    except (Unavailable, Died) as error:
        raise UsageError(str(error)) from None
    code = 0
    try:
        for item in items:
            judgement = judge(oracle, judged, item.module, item.calls, options.seed, options.calls)
            code = _report(judgement, judged)
            if code:
                break
        write_document(options, _document(options.file, judged, judgement))  # of the first that differs, or the last
    except Died as error:
        print(f"{judged.name} {judged.version} died: {error}")
        engine_name = f"{judged.name} {judged.version}"
        write_document(
            options, documents.Judgement(options.file, engine_name, "died", 0, 0, "", "", str(error), "", "")
        )  # fmt: skip
        return EXIT_BAD
    finally:
        judged.close()
    return code


def _items(oracle: Oracle, options: argparse.Namespace) -> list[Item]:
    """The module; of a script, its modules with the calls that its assertions make."""
    if options.file.endswith(".wast"):
        read_file(options.file)
        found = list(from_script(Path(options.file)))
        if not found or options.invoke:
            what = "--invoke is for modules" if found else "there is no module in it, or it does not parse"
            raise UsageError(f"{options.file}: {what}")
        return found
    source = read_file(options.file)
    return [Item(options.file, source, _invoked(oracle, source, options.invoke) if options.invoke else None)]


def _engine(options: argparse.Namespace) -> Engine:
    if options.engine:
        return engine(options.engine, options.install)
    try:
        command = shlex.split(options.engine_command)
    except ValueError as error:
        raise UsageError(f"--engine-command {options.engine_command}: {error}") from None
    if not command:
        raise UsageError("--engine-command: expected a command")
    return probed(ProcessEngine(command))


def _invoked(oracle: Oracle, source: bytes, words: list[str]) -> list[Call]:
    """The call that the command line names."""
    name, *args = words
    case = oracle.instantiate(source)
    if name not in case.types:
        what = f": {case.outcome!r}" if isinstance(case.outcome, Refused) else f"; there are {', '.join(case.types)}"
        raise UsageError(f"--invoke {name}: there is no such exported function{what}")
    values = arguments(args, case.types[name].params)
    if name in shim(case.validated).uncallable or any(type(value) is not int and value is not None for value in values):
        raise UsageError(f"--invoke {name}: engines are called with numbers and null references only")
    return [(name, tuple(values))]


def _document(file: str, judged: Engine, judgement: Judgement) -> documents.Judgement:
    verdict = judgement.verdict
    shown = [repr(outcome) if verdict.kind == DIFFERS else "" for outcome in (verdict.expected, verdict.observed)]
    return documents.Judgement(
        file, f"{judged.name} {judged.version}", verdict.kind, judgement.calls, judgement.returned,
        judgement.call or "", verdict.where, verdict.reason, *shown,
    )  # fmt: skip


def _report(judgement: Judgement, judged: Engine) -> int:
    verdict = judgement.verdict
    title = f"{judged.name} {judged.version}"
    made = f"{judgement.calls} calls, {judgement.returned} of them returned"
    if verdict.kind == AGREES:
        print(f"{title} agrees with the oracle: {made}")
        return 0
    if verdict.kind != DIFFERS:
        print(f"undecided after {made}: {verdict.reason}")
        return EXIT_UNDECIDED
    print(f"{title} differs from the oracle in {verdict.where}, after {made}")
    if judgement.call is not None:
        print(f"  call      {judgement.call}")
    print(f"  expected  {verdict.expected!r}")
    print(f"  observed  {verdict.observed!r}")
    return EXIT_BAD
