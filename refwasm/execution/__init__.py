"""Execution (specification, chapter 4)."""
