"""List what kernels can run on here: devices that are always there, those of the extras native, opencl and cuda, and
those of other packages. Each line begins with what ``refwasm run --device`` takes.

Exit codes: 0 all is well, also where a device can't be used; 2 wrong usage."""

from __future__ import annotations

import argparse
import json
import os

from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.registry import Found
from refwasm.host.parallel.types import DeviceKind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def everything() -> list[Found]:
    """All devices, those that can't be used too."""
    return [
        Found("sequential", "SEQUENTIAL", DeviceKind.SEQUENTIAL, ("one iteration after the other", "exact")),
        Found("cpu", "CPU", DeviceKind.CPU, (f"{os.cpu_count()} worker processes", "exact")),
        *(item for name in registry.names() for item in registry.backend(name).found()),
    ]  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    found = everything()
    if options.json:
        print(json.dumps([item._asdict() | {"kind": item.kind.name} for item in found], indent=2))
        return 0
    width = max(len(item.spec) for item in found)
    for item in found:
        told = f"can't be used: {item.problem}" if item.problem else ", ".join(item.facts)
        print(f"{item.spec:{width}}  {item.name}: {told}")
    return 0
