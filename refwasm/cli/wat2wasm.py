"""Translate a module from the text format to the binary format."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from refwasm import embedding as e
from refwasm.binary import encode
from refwasm.cli.files import add_features, load_module, naming, parse_features
from refwasm.syntax.modules import Names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="- for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: FILE with .wasm; - for standard output")
    parser.add_argument("--strip", action="store_true", help="leave out the names")
    parser.add_argument("--no-check", action="store_true", help="write the module even if it is invalid")
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Parse, validate, encode, write."""
    module = load_module(options.file)
    if not options.no_check:
        with naming(options.file):
            e.module_validate(module, parse_features(options.features))
    if options.strip:
        module = module._replace(names=Names())
    write_output(options.output, options.file, ".wasm", encode(module))
    return 0


def write_output(output: str | None, source: str, suffix: str, data: bytes) -> None:
    """Write to a file, completely or not at all; ``-`` is standard output."""
    if output == "-" or (output is None and source == "-"):
        sys.stdout.buffer.write(data)
        return
    path = Path(output) if output else Path(source).with_suffix(suffix)
    if path.exists() and not path.is_file():
        path.write_bytes(data)  # a device or a pipe is written to, not replaced
        return
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)
