"""Builds the web site: ``python -m tools.site``."""
