"""Each iteration is an agent of a scheduler that explores. Explorations ask for this device, never programs."""

from __future__ import annotations

from typing import Any

from refwasm import embedding as e
from refwasm.errors import WasmError
from refwasm.host.parallel.devices.device import Job, kernel_error
from refwasm.host.parallel.kernels import KernelInstance
from refwasm.host.parallel.types import DeviceKind, Run


class Interleaved:
    """An instance of the kernel for each iteration. When one fails, the others go on to their ends."""

    kind = DeviceKind.SEQUENTIAL

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def run(self, job: Job, run: Run) -> None:
        """As any device."""
        task = job.task
        failures: list[tuple[int, WasmError]] = []
        tasks = []
        try:
            for iteration in range(task.iterations):
                instance = KernelInstance(job.kernel, job.memory, task)
                arguments = (iteration, task.iterations, task.block_size, *task.pairs)
                tasks.append(self._start(instance, iteration, arguments, failures))
        except WasmError as error:
            raise kernel_error(error, None) from error
        for started in tasks:
            self.scheduler.run_until(started)
            self.scheduler.joined(started)
        if failures:
            iteration, failure = failures[0]
            raise kernel_error(failure, iteration) from failure

    def _start(
        self, instance: KernelInstance, iteration: int, arguments: tuple[int, ...],
        failures: list[tuple[int, WasmError]],
    ) -> Any:  # fmt: skip
        e.func_start(instance.store, instance.function, arguments, lambda: None, f"iteration {iteration}")
        task = self.scheduler.tasks[-1]
        advance = task.advance

        def guarded() -> bool:
            try:
                return bool(advance())
            except WasmError as error:
                failures.append((iteration, error))
                return True

        task.advance = guarded
        return task
