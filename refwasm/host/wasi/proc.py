"""The program itself (``proc_*``, ``sched_yield``)."""

from __future__ import annotations

import time

from refwasm.errors import Exit
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import exit_code_of_signal

SIGNATURES = {"proc_exit": "i32 ->", "proc_raise": "i32 -> i32", "sched_yield": "-> i32"}


class Proc:
    """The functions."""

    def __init__(self, system: System) -> None:
        self.system = system

    def proc_exit(self, code: int) -> None:
        """End the guest with an exit code; does not return."""
        raise Exit(code)

    def proc_raise(self, signal: int) -> None:
        """Send the guest a signal. What is fatal by default ends it, as a shell would show it: 128 and the host's
        number; others do nothing. INVAL: no such signal."""
        code = exit_code_of_signal(signal)
        if code is not None:
            raise Exit(code)

    def sched_yield(self) -> None:
        """Let others run."""
        time.sleep(0)
