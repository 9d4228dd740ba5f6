"""Devices: what runs kernels. SEQUENTIAL is the oracle of the others."""

from __future__ import annotations

from collections.abc import Callable

from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.device import Device, Execution
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.types import DeviceKind


def make_device(kind: DeviceKind, limits: ParallelLimits, stopped: Callable[[], bool] | None = None) -> Device:
    """The device of a kind that this host has: SEQUENTIAL, a GPU where there is one, or the CPU for all others
    (PAR-DEV-02).

    ``stopped`` is asked by what runs in this process whether to give up.
    """
    if kind is DeviceKind.SEQUENTIAL:
        from refwasm.host.parallel.devices.sequential import Sequential

        return Sequential(stopped)
    if kind is DeviceKind.CPU:
        from refwasm.host.parallel.devices.cpu import Cpu  # multiprocessing is slow to import

        return Cpu(limits)
    return registry.device_of_kind(kind, limits)


__all__ = ["Device", "Execution", "make_device"]
