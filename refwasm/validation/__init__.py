"""Validation (specification, chapter 3): syntax in context -> ok, or Invalid."""

from refwasm.validation.modules import Validated, validate

__all__ = ["Validated", "validate"]
