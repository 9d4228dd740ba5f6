"""List what kernels can run on here: devices that are always there, those of the extras native, opencl and cuda, and
those of other packages. Each line begins with what ``refwasm run --device`` takes.

Exit codes: 0 all is well, also where a device can't be used; 2 wrong usage."""

from __future__ import annotations

import argparse
import os

from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.terminal import show_table
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.registry import Found
from refwasm.host.parallel.types import DeviceKind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser, value_needed=False)


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
        from refwasm.reports.documents import systems

        listed = [
            systems.Device(item.spec, item.name, item.kind.name, list(item.facts), item.problem) for item in found
        ]  # fmt: skip
        write_document(options, systems.Devices(listed))
    width = max(len(item.spec) for item in found)
    told = [f"can't be used: {item.problem}" if item.problem else ", ".join(item.facts) for item in found]
    show_table(
        ("--device", "name", "about"), [(item.spec, item.name, text) for item, text in zip(found, told)],
        lambda: [f"{item.spec:{width}}  {item.name}: {text}" for item, text in zip(found, told)],
    )  # fmt: skip
    return 0
