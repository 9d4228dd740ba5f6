"""CPU: iterations on worker processes, over one shared mapping."""

from __future__ import annotations

from refwasm.host.parallel.devices.device import Job
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.pool import shared_pool
from refwasm.host.parallel.types import DeviceKind, Run


class Cpu:
    """Runs jobs on the pool of this process; workers start with the first job that needs them."""

    kind, name = DeviceKind.CPU, "CPU"

    def __init__(self, limits: ParallelLimits) -> None:
        self.workers = limits.workers

    def run(self, job: Job, run: Run) -> None:
        if units := job.task.schedule().units:
            workers = 1 if job.task.policies.instance == "single" else self.workers
            shared_pool().run(job, min(workers, units), run)

    def close(self) -> None:
        """Nothing is kept for a guest."""
