"""Hypothesis strategies for WebAssembly (extra ``hypothesis``)."""

from __future__ import annotations

from refwasm.strategies.configuration import Limits
from refwasm.strategies.modules import DrawnModule, modules

__all__ = ["DrawnModule", "Limits", "modules"]
