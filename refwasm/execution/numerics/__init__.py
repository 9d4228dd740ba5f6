"""Numerics (specification 4.3): pure functions of a width, shared by every tier."""

from refwasm.execution.numerics.table import OPERATIONS, WIDE_OPERATIONS
from refwasm.execution.numerics.templates import TEMPLATES

__all__ = ["OPERATIONS", "TEMPLATES", "WIDE_OPERATIONS"]
