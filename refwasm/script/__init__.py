"""The script format of the official suite (``.wast``): modules, actions on them, assertions about the outcome."""

from refwasm.script.runner import Report, Runner, run_script

__all__ = ["Report", "Runner", "run_script"]
