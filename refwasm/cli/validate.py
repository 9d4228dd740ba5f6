"""Check modules of either format; prints one line for each that is bad, and where."""

from __future__ import annotations

import argparse
import sys

from refwasm.cli import EXIT_BAD, exit_code
from refwasm.cli.files import add_features, load_valid, parse_features
from refwasm.cli.reporting import add_json, write_document
from refwasm.errors import ResourceLimit, WasmError
from refwasm.reports.documents.modules import Module, Validation
from refwasm.text.lexer import Source

#: Columns of a source line that are shown, around the place of the error.
WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=".wasm or .wat; - for standard input")
    add_json(parser)
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Validate every file; the exit code is 1 if any is bad, 124 if the worst is that a limit of ours was reached."""
    features = parse_features(options.features)
    codes = {0}
    modules: list[Module] = []
    for path in options.files:
        try:
            load_valid(path, features)
            modules.append(Module(path, True))
        except (WasmError, OSError) as error:
            modules.append(_document(path, error))
            codes.add(exit_code(error) if isinstance(error, WasmError) else EXIT_BAD)
            print(f"refwasm: {_describe(path, error)}", file=sys.stderr)
    write_document(options, Validation(modules))
    return EXIT_BAD if EXIT_BAD in codes else max(codes)


def _document(path: str, error: WasmError | OSError) -> Module:
    if isinstance(error, OSError):
        return Module(path, False, "unreadable", "", error.strerror or str(error))
    return Module(path, False, type(error).__name__.lower(), error.location, error.message)


def _describe(path: str, error: WasmError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{path}: {error.strerror}"
    kind = "" if isinstance(error, ResourceLimit) else f" [{type(error).__name__.lower()}]"
    return f"{error}{kind}{_excerpt(path, error)}"


def _excerpt(path: str, error: WasmError) -> str:
    """The source line with a caret, for modules in the text format."""
    if error.position is None or path == "-":
        return ""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"\0asm":
        return ""
    try:
        line, caret = Source(data).excerpt(error.position).split("\n")
    except WasmError:
        return ""
    start = max(len(caret) - WIDTH // 2, 0)
    return f"\n    {line[start : start + WIDTH]}\n    {caret[start:]}"
