"""Hypothesis strategies for WebAssembly (extra ``hypothesis``): ``docs/strategies.md``."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("hypothesis") is None:
    raise ImportError("refwasm.strategies needs Hypothesis: pip install 'refwasm[hypothesis]'")

from refwasm.oracle.outcomes import Value
from refwasm.strategies.calls import Call, calls
from refwasm.strategies.configuration import Limits
from refwasm.strategies.fragments import Fragment, bodies, const_exprs, expressions, instructions
from refwasm.strategies.invalid import InvalidModule, invalid_modules
from refwasm.strategies.kernels import Kernel, kernels
from refwasm.strategies.malformed import Malformed, malformed_modules
from refwasm.strategies.modules import DrawnModule, modules
from refwasm.strategies.mutations import Mutation, mutations
from refwasm.strategies.parallel import ParallelProgram, parallel_programs
from refwasm.strategies.schedules import DrawnChoices, choices, schedules
from refwasm.strategies.scripts import Script, scripts
from refwasm.strategies.threads import Access, ThreadProgram, threads
from refwasm.strategies.values import arguments, functypes, values

__all__ = [
    "Access", "Call", "DrawnChoices", "DrawnModule", "Fragment", "InvalidModule", "Kernel", "Limits", "Malformed",
    "Mutation", "ParallelProgram", "Script", "ThreadProgram", "Value", "arguments", "bodies", "calls", "choices",
    "const_exprs", "expressions", "functypes", "instructions", "invalid_modules", "kernels", "malformed_modules",
    "modules", "mutations", "parallel_programs", "schedules", "scripts", "threads", "values",
]  # fmt: skip
