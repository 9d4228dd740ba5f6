"""Compile C programs with parallel loops: clang's command line. OpenMP, wasi_parallel.h; see docs/toolchain.md.

Ours: --allow-host-calls (in kernels they trap instead of being refused), --show-kernels. Exit codes: the compiler's; 1
if the program can't be finished."""

from __future__ import annotations

import argparse
import sys

from refwasm.cli import EXIT_BAD
from refwasm.toolchain import ToolchainError, driver

CXX = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="…", help="as for clang")


def run(options: argparse.Namespace) -> int:
    """Compile and link."""
    return drive(options.words, cxx=False)


def drive(words: list[str], cxx: bool) -> int:
    """Run the driver; errors are said as compilers say them."""
    try:
        return driver.main(words, cxx)
    except ToolchainError as error:
        print(f"refwasm: error: {error}", file=sys.stderr)
        return EXIT_BAD
