"""Make a page of what a command reported with --json: a run, a check, an exploration, a campaign, a conformance run,
litmus tests, scripts, and whatever else has the option. The page is one file that needs nothing else.

Several files can be given if they are runs of the conformance suite: each engine gets a column. Exit codes: 0 the page
was written, 1 a file can't be read as a report, 2 wrong usage."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from refwasm.cli import EXIT_BAD, UsageError
from refwasm.cli.files import read_file
from refwasm.reports.data import BadDocument
from refwasm.reports.documents import parse
from refwasm.reports.pages import render


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="written by --json; - for standard input")
    parser.add_argument(
        "-o", "--output", metavar="PAGE", help="where the page goes; default: FILE with .html; - for standard output"
    )


def run(options: argparse.Namespace) -> int:
    """Write the page."""
    documents = []
    for file in options.files:
        try:
            documents.append(parse(read_file(file).decode("utf-8")))
        except (BadDocument, UnicodeDecodeError) as error:
            print(f"refwasm: {file}: {error}", file=sys.stderr)
            return EXIT_BAD
    try:
        page = render(documents)
    except BadDocument as error:
        raise UsageError(str(error)) from None
    target = options.output or ("-" if options.files[0] == "-" else str(Path(options.files[0]).with_suffix(".html")))
    if target == "-":
        sys.stdout.write(page)
        return 0
    if Path(target) in map(Path, options.files):
        raise UsageError(f"{target}: the page would replace the report; name another file with --output")
    Path(target).write_text(page, encoding="utf-8", errors="backslashreplace")
    print(f"wrote {target}")
    return 0
