"""Compile C++ programs with parallel loops: clang's command line. par::for_each, OpenMP, TBB, std::execution::par,
SYCL; see docs/toolchain.md.

Ours: --allow-host-calls (in kernels they trap instead of being refused), --show-kernels. Exit codes: the compiler's; 1
if the program can't be finished."""

from __future__ import annotations

import argparse

from refwasm.cli import cc
from refwasm.cli.cc import add_arguments

__all__ = ["add_arguments", "run"]


def run(options: argparse.Namespace) -> int:
    """Compile and link."""
    return cc.drive(options.words, cxx=True)
