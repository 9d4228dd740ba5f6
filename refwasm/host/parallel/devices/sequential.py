"""SEQUENTIAL: iterations one after the other, in this process. What the other devices are compared with."""

from __future__ import annotations

from refwasm.errors import WasmError
from refwasm.host.parallel.devices.device import Job, kernel_error
from refwasm.host.parallel.kernels import KernelInstance
from refwasm.host.parallel.policies import Policies
from refwasm.host.parallel.types import DeviceKind, Run


class Sequential:
    """One instance of the kernel for all iterations; whether they share its state is a policy."""

    kind = DeviceKind.SEQUENTIAL

    def __init__(self, policies: Policies) -> None:
        self.policies = policies

    def run(self, job: Job, run: Run) -> None:
        if job.iterations == 0:
            return
        iteration = None
        settings = job.settings()
        try:
            instance = KernelInstance(job.kernel, job.memory, settings)
            for iteration in self.policies.ids(job.iterations):
                if self.policies.instance == "fresh":
                    instance.reset()
                settings.fuel = job.fuel
                instance.run(job.args(iteration))
        except WasmError as error:
            raise kernel_error(error, iteration) from error
        run.by_worker[0] = job.iterations
