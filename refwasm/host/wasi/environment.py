"""Arguments, environment, clocks, random numbers (``args_*``, ``environ_*``, ``clock_*``, ``random_get``)."""

from __future__ import annotations

import time
from typing import Literal

from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Clock

SIGNATURES = {
    "args_get": "i32 i32 -> i32",
    "args_sizes_get": "i32 i32 -> i32",
    "environ_get": "i32 i32 -> i32",
    "environ_sizes_get": "i32 i32 -> i32",
    "clock_res_get": "i32 i32 -> i32",
    "clock_time_get": "i32 i64 i32 -> i32",
    "random_get": "i32 i32 -> i32",
}

#: So many random bytes are made between two looks at the clock.
PIECE = 1 << 20
_CLOCK_NAMES: dict[Clock, Literal["time", "monotonic", "process_time", "thread_time"]] = {
    Clock.REALTIME: "time", Clock.MONOTONIC: "monotonic", Clock.PROCESS_CPUTIME: "process_time",
    Clock.THREAD_CPUTIME: "thread_time",
}  # fmt: skip


class Environment:
    """The functions."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.guest = system.guest

    def args_sizes_get(self, count_out: int, size_out: int) -> None:
        """Number of arguments (u32 at ``count_out``), bytes they take with their zeros (u32 at ``size_out``)."""
        self._sizes(self.system.args, count_out, size_out)

    def args_get(self, pointers_out: int, buffer_out: int) -> None:
        """The arguments: pointers (u32 each) at ``pointers_out``, zero-terminated strings at ``buffer_out``::

        pointers_out: | p0 | p1 | …      buffer_out: | arg0 \\0 | arg1 \\0 | …
        """
        self._strings(self.system.args, pointers_out, buffer_out)

    def environ_sizes_get(self, count_out: int, size_out: int) -> None:
        """As args_sizes_get, of the environment: strings ``KEY=value``."""
        self._sizes(self.system.environ, count_out, size_out)

    def environ_get(self, pointers_out: int, buffer_out: int) -> None:
        """As args_get, of the environment."""
        self._strings(self.system.environ, pointers_out, buffer_out)

    def _sizes(self, strings: list[bytes], count_out: int, size_out: int) -> None:
        self.guest.check(count_out, 4)
        self.guest.check(size_out, 4)
        self.guest.write_u32(count_out, len(strings))
        self.guest.write_u32(size_out, sum(len(s) + 1 for s in strings))

    def _strings(self, strings: list[bytes], pointers_out: int, buffer_out: int) -> None:
        self.guest.check(pointers_out, 4 * len(strings))
        self.guest.check(buffer_out, sum(len(s) + 1 for s in strings))
        for string in strings:
            self.guest.write_u32(pointers_out, buffer_out)
            self.guest.memory.write(buffer_out, string + b"\0")
            pointers_out += 4
            buffer_out += len(string) + 1

    def clock_res_get(self, clock: int, resolution_out: int) -> None:
        """Resolution of a clock in nanoseconds (u64). INVAL: no such clock."""
        self.guest.check(resolution_out, 8)
        self.system.clock(clock)
        seconds = time.get_clock_info(_CLOCK_NAMES[Clock(clock)]).resolution
        self.guest.write_u64(resolution_out, max(int(seconds * 1e9), 1))

    def clock_time_get(self, clock: int, precision: int, time_out: int) -> None:
        """Time of a clock in nanoseconds (u64); ``precision`` (i64) is ignored. INVAL: no such clock."""
        self.guest.check(time_out, 8)
        self.guest.write_u64(time_out, self.system.clock(clock)())

    def random_get(self, buffer: int, size: int) -> None:
        """``size`` random bytes at ``buffer``, from the system's secure source."""
        self.guest.check(buffer, size)
        for start in range(0, size, PIECE):
            self.system.look()
            self.guest.memory.write(buffer + start, self.system.random(min(PIECE, size - start)))
