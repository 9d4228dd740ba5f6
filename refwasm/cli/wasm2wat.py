"""Translate a module from the binary format to the text format."""

from __future__ import annotations

import argparse

from refwasm.cli.files import load_module
from refwasm.cli.wat2wasm import write_output
from refwasm.text import print_module


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="- for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: standard output")


def run(options: argparse.Namespace) -> int:
    """Decode, print."""
    write_output(options.output, options.file, ".wat", print_module(load_module(options.file)).encode())
    return 0
