"""Modules that a guest may import."""
