"""What a device's process and its parent tell each other, besides plain tuples."""

from __future__ import annotations

from typing import NamedTuple


class DriverMissing(Exception):
    """Something is not installed; the message says what to do."""


class DriverRefused(Exception):
    """The driver says no: to a program, or for want of memory."""


class DeviceFacts(NamedTuple):
    """What a driver says of a device. ``inexact`` are operations that are not exact there, with the reason."""

    platform: int
    device: int
    name: str
    driver: str
    kind: str
    memory: int
    unified: bool
    double: bool
    inexact: tuple[str, ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether kernels work in refwasm's memory as it is. Only CPUs do: others may have caches of their own."""
        return self.kind == "cpu"


class Launch(NamedTuple):
    """An execution: so many work-items; ``many`` are the arguments of ``run_many`` after the block size, without the
    pairs, or None for ``run_one``; ``local`` is the size of a work-group, None: the driver's choice."""

    items: int
    iterations: int
    block: int
    pages: int
    pairs: tuple[int, ...]
    many: tuple[int, ...] | None
    local: int | None
