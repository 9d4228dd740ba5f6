"""A timeline of what ran where, in the Chrome trace format that Perfetto and chrome://tracing open.

Times are microseconds since the first execution began. Track 0 is the caller, track n + 1 worker n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refwasm.host.parallel.types import ExecutionRecord


def _span(name: str, track: int, begin: float, end: float, args: dict[str, Any]) -> dict[str, Any]:
    """A complete event ("X")."""
    return {
        "name": name,
        "ph": "X",
        "pid": 1,
        "tid": track,
        "ts": begin * 1e6,
        "dur": (end - begin) * 1e6,
        "args": args,
    }


def _track(number: int, name: str) -> dict[str, Any]:
    return {"name": "thread_name", "ph": "M", "pid": 1, "tid": number, "args": {"name": name}}


def timeline(runs: Sequence[ExecutionRecord]) -> dict[str, Any]:
    """The trace as JSON data."""
    origin = runs[0].begin if runs else 0.0
    workers = sorted({block.worker for run in runs for block in run.blocks})
    events = [_track(0, "caller"), *(_track(worker + 1, f"worker {worker}") for worker in workers)]
    for number, run in enumerate(runs):
        about = {"device": run.device.name, "iterations": run.iterations, "bytes copied": run.bytes_copied}
        events.append(_span(f"parallel_exec {number}", 0, run.begin - origin, run.end - origin, about))
        for block in run.blocks:
            name = f"{block.iterations} iteration{'' if block.iterations == 1 else 's'}"
            args = {"parallel_exec": number}
            events.append(_span(name, block.worker + 1, block.begin - origin, block.end - origin, args))
    return {"traceEvents": events, "displayTimeUnit": "ms"}
