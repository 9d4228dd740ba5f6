"""Devices: what runs kernels. SEQUENTIAL is the oracle of the others."""

from __future__ import annotations

from collections.abc import Callable

from refwasm.host.parallel.devices.device import Device, Job
from refwasm.host.parallel.policies import ParallelLimits, Policies
from refwasm.host.parallel.types import DeviceKind


def _sequential(limits: ParallelLimits, policies: Policies) -> Device:
    from refwasm.host.parallel.devices.sequential import Sequential

    return Sequential(policies)


def _cpu(limits: ParallelLimits, policies: Policies) -> Device:
    from refwasm.host.parallel.devices.cpu import Cpu  # multiprocessing is slow to import

    return Cpu(limits, policies)


_MAKERS: dict[DeviceKind, Callable[[ParallelLimits, Policies], Device]] = {
    DeviceKind.SEQUENTIAL: _sequential,
    DeviceKind.CPU: _cpu,
}


def make_device(kind: DeviceKind, limits: ParallelLimits, policies: Policies) -> Device:
    """The device of a kind that this host has."""
    return _MAKERS[kind](limits, policies)


__all__ = ["Device", "Job", "make_device"]
