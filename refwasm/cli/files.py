"""Reading modules from files, with the file's name in errors."""

from __future__ import annotations

import sys
from pathlib import Path

from refwasm import embedding as e
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
        return e.module_load(read_file(path))


def load_valid(path: str, features: frozenset[str] = ALL) -> e.Validated:
    """The module in a file, validated."""
    with naming(path):
        return e.module_validate(e.module_load(read_file(path)), features)


class naming:  # noqa: N801  (reads as a word in ``with naming(path)``)
    """Puts the file's name before the location of errors."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, WasmError):
            error.location = f"{self.path}:{error.location}" if error.location else self.path


def parse_features(text: str) -> frozenset[str]:
    """The value of ``--features``."""
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
