"""What the native process and its parent tell each other about an execution."""

from __future__ import annotations

from typing import NamedTuple

from refwasm.host.parallel.devices.native.binding import NativeTrap


class NativeExecution(NamedTuple):
    """What is to be run. ``words`` are those of the control memory, ``pairs`` the kernel's arguments after the first
    three, ``order`` listed units: 32-bit words all."""

    workers: int
    words: bytes
    pairs: bytes
    order: bytes
    fresh: bool
    fuel: int | None
    pages: int


class NativeAnswer(NamedTuple):
    """What came of an execution: ``what`` is "done" or "failing"; ``failures`` are (iteration, trap), ``blocks``
    (worker, iterations, begin, end), ``pages`` is the size of the memory."""

    what: str
    failures: list[tuple[int | None, NativeTrap]]
    blocks: list[tuple[int, int, float, float]]
    pages: int
