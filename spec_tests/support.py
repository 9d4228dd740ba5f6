"""Helpers of the tests: instances from text, and real programs that other people compiled."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from refwasm import Instance, Module


def instance(wat: str, imports: dict[str, Any] | None = None, **limits: Any) -> Instance:
    """An instance of a module in the text format."""
    return Instance(Module(wat), imports, **limits)


def guest(name: str) -> bytes:
    """A program shipped in the package ``pwasm``: "micropython", "quickjs" or "mquickjs"."""
    spec = importlib.util.find_spec("pwasm")
    assert spec is not None and spec.origin is not None, "pwasm is a test dependency: pip install -e '.[test]'"
    return (Path(spec.origin).parent / "guests" / f"{name}.wasm").read_bytes()
