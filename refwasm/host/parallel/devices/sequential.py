"""SEQUENTIAL: iterations one after the other, in this process. What the other devices are compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from refwasm.errors import WasmError
from refwasm.host.parallel.devices.device import Execution, kernel_error
from refwasm.host.parallel.kernels import KernelInstance
from refwasm.host.parallel.types import Block, DeviceKind, ExecutionRecord

#: Executions of so many iterations have a block for each; of more, one for all.
EACH = 1_000


class Sequential:
    """One instance of the kernel for all iterations; whether they share its state is a policy."""

    kind, name = DeviceKind.SEQUENTIAL, "SEQUENTIAL"

    def __init__(self, stopped: Callable[[], bool] | None = None) -> None:
        self.stopped = stopped

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        schedule = execution.parameters.schedule()
        if schedule.units == 0:
            return
        current: list[int | None] = [None]
        begun: list[tuple[int, float]] = []
        each = schedule.units <= EACH

        def begin(iteration: int) -> None:
            current[0] = iteration
            if each:
                begun.append((iteration, time.perf_counter()))

        instance: KernelInstance | None = None
        try:
            instance = KernelInstance(execution.kernel, execution.memory, execution.parameters, self.stopped)
            started = time.perf_counter()
            done = instance.run(execution.parameters, schedule.ids(0, schedule.units), begin)
            record.blocks += _blocks(begun, time.perf_counter()) or [Block(0, done, started, time.perf_counter())]
        except WasmError as error:
            raise kernel_error(error, current[0]) from error
        finally:
            record.violations += [] if instance is None else instance.violations

    def close(self) -> None:
        """Nothing is kept for a guest."""


def _blocks(begun: Sequence[tuple[int, float]], end: float) -> list[Block]:
    """A block for each iteration: it ends when the next one begins."""
    ends = [*(time for _, time in begun[1:]), end]
    return [Block(0, 1, begin, until, iteration) for (iteration, begin), until in zip(begun, ends)]
