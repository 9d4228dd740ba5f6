"""SEQUENTIAL: iterations one after the other, in this process. What the other devices are compared with."""

from __future__ import annotations

import time
from collections.abc import Callable

from refwasm.errors import WasmError
from refwasm.host.parallel.devices.device import Job, kernel_error
from refwasm.host.parallel.kernels import KernelInstance
from refwasm.host.parallel.types import Block, DeviceKind, Run


class Sequential:
    """One instance of the kernel for all iterations; whether they share its state is a policy."""

    kind, name = DeviceKind.SEQUENTIAL, "SEQUENTIAL"

    def __init__(self, stopped: Callable[[], bool] | None = None) -> None:
        self.stopped = stopped

    def run(self, job: Job, run: Run) -> None:
        schedule = job.task.schedule()
        if schedule.units == 0:
            return
        current: list[int | None] = [None]

        def begin(iteration: int) -> None:
            current[0] = iteration

        instance: KernelInstance | None = None
        try:
            instance = KernelInstance(job.kernel, job.memory, job.task, self.stopped)
            started = time.perf_counter()
            done = instance.run(job.task, schedule.ids(0, schedule.units), begin)
            run.blocks.append(Block(0, done, started, time.perf_counter()))
        except WasmError as error:
            raise kernel_error(error, current[0]) from error
        finally:
            run.violations += [] if instance is None else instance.violations

    def close(self) -> None:
        """Nothing is kept for a guest."""
