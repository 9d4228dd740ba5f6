"""The option ``--json`` of all commands that report."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any


def add_json(parser: argparse.ArgumentParser, value_needed: bool = True) -> None:
    """Add the option. Where nothing else could be meant, the file may be left out."""
    told = "write the results there, as JSON (docs/formats.md); - prints them instead of the text"
    if value_needed:
        parser.add_argument("--json", metavar="FILE", help=told)
    else:
        parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help=f"{told}, as does no FILE")


@contextmanager
def quiet(options: argparse.Namespace) -> Iterator[None]:
    """While a command runs: with ``--json -``, what it prints otherwise is dropped."""
    options.printed = sys.stdout
    if getattr(options, "json", None) != "-":
        yield
        return
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)):
        yield


def write_document(options: argparse.Namespace, document: Any) -> None:
    """Write a report where ``--json`` says, if it was given."""
    from refwasm.reports.documents import text_of  # not at start-up

    if options.json == "-":
        options.printed.write(text_of(document))
    elif options.json:
        Path(options.json).write_text(text_of(document), encoding="utf-8", errors="backslashreplace")
