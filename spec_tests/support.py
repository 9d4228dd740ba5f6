"""Helpers of the tests: instances from text, and real programs that other people compiled."""

from __future__ import annotations

from typing import Any

from refwasm import Instance, Module


def instance(wat: str, imports: dict[str, Any] | None = None, **limits: Any) -> Instance:
    """An instance of a module in the text format."""
    return Instance(Module(wat), imports, **limits)
