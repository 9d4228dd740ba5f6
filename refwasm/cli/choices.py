"""``--choices``: executions that go other ways than the deterministic profile's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from refwasm.cli import UsageError
from refwasm.errors import WasmError
from refwasm.execution.choices import Choices, Enumeration, Seeded, parse_choices

#: Executions at most with ``--choices all``.
BOUND = 10_000


def add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--choices", metavar="HOW",
        help="what the specification leaves open: seed:N at random, a list that a run printed (c1:…), or, with "
        "--invoke, all[:BOUND]; on the interpreter, in one process",
    )  # fmt: skip


def enumeration(text: str | None) -> Enumeration | None:
    """What ``all`` or ``all:BOUND`` asks for; None for anything else."""
    kind, colon, bound = (text or "").partition(":")
    if kind != "all":
        return None
    if colon and not (bound.isascii() and bound.isdigit() and len(bound) < 10 and int(bound)):
        raise UsageError(f"--choices {text}: expected all or all:NUMBER")
    return Enumeration(int(bound) if colon else BOUND)


def parsed(text: str | None) -> Choices | None:
    """The choices of one execution."""
    try:
        return None if text is None else parse_choices(text)
    except ValueError as error:
        raise UsageError(f"--choices: {error}") from None


def tell(choices: Choices | None) -> None:
    """Say how a run at random can be repeated."""
    if isinstance(choices, Seeded):
        sys.stdout.flush()
        print(f"refwasm: --choices {choices}", file=sys.stderr)


def print_all(executions: Enumeration, run: Callable[[Choices], str]) -> None:
    """Execute all, and print each outcome with the first choices that lead to it."""
    found: dict[str, tuple[str, int]] = {}
    for choices in executions:
        try:
            outcome = run(choices)
        except WasmError as error:
            outcome = f"{type(error).__name__.lower()}: {error.message}"
        first, count = found.get(outcome, (str(choices), 0))
        found[outcome] = first, count + 1
    for outcome, (first, count) in found.items():
        print(f"{outcome}    ({count} executions; --choices {first})")
    how = "complete" if executions.complete else "not complete: raise the bound"
    print(f"{len(found)} outcomes of {executions.executions} executions, {how}")
