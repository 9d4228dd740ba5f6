"""Devices: what runs kernels. SEQUENTIAL is the oracle of the others."""

from __future__ import annotations

from refwasm.host.parallel.devices.device import Device, Job
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.types import DeviceKind


def make_device(kind: DeviceKind, limits: ParallelLimits) -> Device:
    """The device of a kind that this host has: SEQUENTIAL, or the CPU for all others (PAR-DEV-02)."""
    if kind is DeviceKind.SEQUENTIAL:
        from refwasm.host.parallel.devices.sequential import Sequential

        return Sequential()
    from refwasm.host.parallel.devices.cpu import Cpu  # multiprocessing is slow to import

    return Cpu(limits)


__all__ = ["Device", "Job", "make_device"]
