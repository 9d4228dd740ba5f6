"""Judge engines as a server: one JSON object a line in, one out. ``docs/oracle.md`` lists the operations."""

from __future__ import annotations

import argparse
import sys

from refwasm import __version__
from refwasm.cli import positive
from refwasm.cli.files import add_features, parse_features
from refwasm.oracle.case import CALL_DEPTH, FUEL, Oracle
from refwasm.oracle.server import Server, serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_features(parser)
    parser.add_argument("--fuel", type=positive(int), default=FUEL, metavar="N", help="instructions of one call")
    parser.add_argument("--call-depth", type=positive(int), default=CALL_DEPTH, metavar="N", help="of nested calls")


def run(options: argparse.Namespace) -> int:
    """Serve until standard input ends."""
    oracle = Oracle(parse_features(options.features), options.fuel, options.call_depth)
    serve(Server(oracle, __version__).operations, sys.stdin.buffer, sys.stdout.buffer)
    return 0
