"""Typing rules of instructions (specification 3.4), a module per section."""

from refwasm.validation.instructions import (  # noqa: F401  (each registers its rules)
    aggregates,
    continuations,
    control,
    memory,
    references,
    variables,
)
from refwasm.validation.instructions.rule import RULES, TYPINGS, instr_type

__all__ = ["RULES", "TYPINGS", "instr_type"]
