"""Devices by name: those that come with refwasm, and those that other packages add.

A package adds one through the entry point group ``refwasm.devices``: the entry point's name is the device's, its object
a :class:`Backend`. ``refwasm run --device NAME`` or ``NAME:REST`` then runs kernels there, and ``refwasm devices``
lists it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from refwasm.errors import WasmError, did_you_mean
from refwasm.host.parallel.devices.device import Device, Execution, Unsupported
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.types import DeviceKind, ExecutionRecord

GROUP = "refwasm.devices"

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Where each of ours is, and the module that it needs; those without one always work.
OURS = {
    "native": ("refwasm.host.parallel.devices.native.device", "wasmtime"),
    "cuda": ("refwasm.host.parallel.devices.cuda.device", "nvidia"),
    "opencl": ("refwasm.host.parallel.devices.opencl.device", "pyopencl"),
}


class NoSuchDevice(WasmError):
    """A device is asked for by name that there is not, or that can't be used here; the message says what to do."""


class Found(NamedTuple):
    """A device that ``refwasm devices`` lists. ``problem`` says why it can't be used, ``facts`` what it can."""

    spec: str
    name: str
    kind: DeviceKind
    facts: tuple[str, ...] = ()
    problem: str = ""


class Backend(Protocol):
    """What makes devices of one sort."""

    def found(self) -> list[Found]:
        """All devices of this sort on this machine; one with a problem if there is none."""

    def make(self, rest: str, limits: ParallelLimits) -> Device:
        """A device; ``rest`` is what follows the name and a colon, otherwise "". Raises NoSuchDevice, Unsupported."""


class WithFallback:
    """A device, and what runs the jobs that it can't do exactly."""

    def __init__(self, first: Device, limits: ParallelLimits) -> None:
        self.first, self.limits = first, limits
        self.kind, self.name = first.kind, first.name

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        """As any device."""
        try:
            self.first.run(execution, record)
        except Unsupported as reason:
            from refwasm.host.parallel.devices.cpu import Cpu  # multiprocessing is slow to import

            record.device, record.name, record.instead = DeviceKind.CPU, "CPU", f"{self.name}: {reason}"
            Cpu(self.limits).run(execution, record)

    def close(self) -> None:
        """As any device."""
        self.first.close()


def _entry_points() -> Iterable[EntryPoint]:
    """Devices of other packages."""
    from importlib.metadata import entry_points  # 10 ms that most runs do without

    return entry_points(group=GROUP)


def names() -> list[str]:
    """Names of devices, besides the kinds of the interface."""
    return sorted({*OURS, *(point.name for point in _entry_points())})


def backend(name: str) -> Backend:
    """What makes the devices of this name. Raises NoSuchDevice."""
    for point in _entry_points():
        if point.name == name:
            made: Backend = point.load()
            return made
    if name not in OURS:
        guess = did_you_mean(name, names()) or f"; there are {', '.join(names())}"
        raise NoSuchDevice(f"there is no device {name!r}{guess}")
    found: Backend = import_module(OURS[name][0]).BACKEND
    return found


def named_device(spec: str, limits: ParallelLimits) -> Device:
    """The device of ``NAME`` or ``NAME:REST``; the CPU does what it can't. Raises NoSuchDevice."""
    name, _, rest = spec.partition(":")
    try:
        return WithFallback(backend(name).make(rest, limits), limits)
    except Unsupported as error:
        raise NoSuchDevice(f"device {spec}: {error}") from None


@cache
def _gpus() -> dict[DeviceKind, str]:
    """The first usable GPU of each kind, by name; only where something is installed that could find one."""
    found: dict[DeviceKind, str] = {}
    for name in ("cuda", "opencl"):
        if find_spec(OURS[name][1]) is not None:
            backend: Any = import_module(OURS[name][0]).BACKEND
            for item in backend.gpus():
                if not item.problem:
                    found.setdefault(item.kind, item.spec)
    return found


def best_kind(kind: DeviceKind) -> DeviceKind:
    """The kind of device that a hint for a GPU gets: that GPU, another one, or the CPU."""
    gpus = _gpus()
    return kind if kind in gpus else next(iter(gpus), DeviceKind.CPU)


def device_of_kind(kind: DeviceKind, limits: ParallelLimits) -> Device:
    """A GPU that :func:`best_kind` gave."""
    return named_device(_gpus()[kind], limits)
