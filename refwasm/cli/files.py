"""Reading modules from files, with the file's name in errors."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from refwasm import embedding as e
from refwasm.binary.locations import Locations, shown
from refwasm.cli import UsageError
from refwasm.errors import WasmError
from refwasm.syntax.modules import Module
from refwasm.validation.features import ALL, parse


def read_file(path: str) -> bytes:
    """The contents of a file; ``-`` is standard input."""
    return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()


def load_module(path: str) -> Module:
    """The module in a file of either format."""
    with naming(path):
        return located(e.module_load(read_file(path)), path)


def load_valid(path: str, features: frozenset[str] = ALL) -> e.Validated:
    """The module in a file, validated."""
    with naming(path):
        return e.module_validate(located(e.module_load(read_file(path)), path), features)


def located(module: Module, path: str) -> Module:
    """The module, whose source map is looked for beside its file."""
    if isinstance(module.locate, Locations) and path != "-":
        module.locate.folder = os.path.dirname(os.path.abspath(path))
    return module


def source_line(module: Module, position: int) -> str:
    """Where an instruction comes from, without the column; "" if that is not known."""
    place = module.locate.place(position) if isinstance(module.locate, Locations) else None
    return shown((*place[:2], 0)) if place else ""


class naming:  # noqa: N801  (reads as a word in ``with naming(path)``)
    """Puts the file's name before the location of errors."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, WasmError):
            error.location = f"{self.path}:{error.location}" if error.location else self.path


def add_features(parser: argparse.ArgumentParser) -> None:
    """The option ``--features``."""
    parser.add_argument("--features", default="all", help="what modules may use: 1.0, 2.0, 3.0, all, names, -name")


def parse_features(text: str) -> frozenset[str]:
    """The value of ``--features``."""
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
