"""Finish a linked program: make kernels of the functions that it runs in parallel (refwasm cc does it by itself).

Exit codes: 0 finished, 1 the program can't be finished, 2 wrong usage."""

from __future__ import annotations

import argparse
from pathlib import Path

from refwasm.cli.files import naming, read_file
from refwasm.toolchain import parallelize
from refwasm.toolchain.driver import write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="PROGRAM", help=".wasm, linked with refwasm's run-time library")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="where the finished program goes")
    parser.add_argument("--allow-host-calls", action="store_true", help="in kernels they trap instead of being refused")
    parser.add_argument("--strip-debug", action="store_true", help="leave out debug information")
    parser.add_argument("--show-kernels", action="store_true", help="list the kernels")


def run(options: argparse.Namespace) -> int:
    """Finish one program."""
    with naming(options.file):
        made = parallelize(
            read_file(options.file), allow_host_calls=options.allow_host_calls, debug=not options.strip_debug
        )
    write(made, Path(options.output), options.show_kernels)
    return 0
