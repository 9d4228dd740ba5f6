"""CPU: iterations on worker processes, over one shared mapping."""

from __future__ import annotations

from refwasm.host.parallel.devices.device import Execution
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.pool import shared_pool
from refwasm.host.parallel.types import DeviceKind, ExecutionRecord


class Cpu:
    """Runs executions on the pool of this process; workers start with the first execution that needs them."""

    kind, name = DeviceKind.CPU, "CPU"

    def __init__(self, limits: ParallelLimits) -> None:
        self.workers = limits.workers

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        if units := execution.parameters.schedule().units:
            workers = 1 if execution.parameters.policies.instance == "single" else self.workers
            shared_pool().run(execution, min(workers, units), record)

    def close(self) -> None:
        """Nothing is kept for a guest."""
