"""Hypothesis strategies for WebAssembly (extra ``hypothesis``): ``docs/strategies.md``."""

from __future__ import annotations

from refwasm.oracle.outcomes import Value
from refwasm.strategies.calls import Call, calls
from refwasm.strategies.configuration import Limits
from refwasm.strategies.fragments import Fragment, bodies, const_exprs, expressions, instructions
from refwasm.strategies.modules import DrawnModule, modules
from refwasm.strategies.values import arguments, functypes, values

__all__ = [
    "Call", "DrawnModule", "Fragment", "Limits", "Value", "arguments", "bodies", "calls", "const_exprs", "expressions",
    "functypes", "instructions", "modules", "values",
]  # fmt: skip
