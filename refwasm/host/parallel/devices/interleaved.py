"""Each iteration is an agent of a scheduler that explores. Explorations ask for this device, never programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refwasm import embedding as e
from refwasm.errors import WasmError
from refwasm.host.parallel.devices.device import Execution, kernel_error
from refwasm.host.parallel.kernels import KernelInstance
from refwasm.host.parallel.types import DeviceKind, ExecutionRecord


class Interleaved:
    """An instance of the kernel for each iteration. When one fails, the others go on to their ends. Whether all
    iterations are there from the start, and take turns, is the scheduler's choice."""

    kind, name = DeviceKind.SEQUENTIAL, "INTERLEAVED"

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        """As any device."""
        parameters = execution.parameters
        failures: list[tuple[int, WasmError]] = []
        for start, end, name in _buffers(execution):
            self.scheduler.named(execution.memory, start, end, name)
        share, done = parameters.iterations if self.scheduler.at_once else 1, []
        for first in range(0, parameters.iterations, max(share, 1)):
            try:
                tasks = [
                    self._start(
                        KernelInstance(execution.kernel, execution.memory, parameters), iteration,
                        (iteration, parameters.iterations, parameters.block_size, *parameters.pairs), failures,
                    )
                    for iteration in range(first, first + share)
                ]  # fmt: skip
            except WasmError as error:
                raise kernel_error(error, None) from error
            for started in tasks:
                self.scheduler.run_until(started)
                started.forget()
                done.append(started)
        for ended in done:  # not before: no iteration comes before another one
            self.scheduler.joined(ended)
        if failures:
            iteration, failure = failures[0]
            raise kernel_error(failure, iteration) from failure

    def close(self) -> None:
        """Nothing is kept for a guest."""

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


def _buffers(execution: Execution) -> Iterator[tuple[int, int, str]]:
    """Where the buffers lie, and what the kernel calls them, if its names are known."""
    module = execution.kernel.validated.module
    index = next((x.index for x in module.exports if x.name == "kernel" and x.kind == "func"), -1)
    names = module.names.indirect.get("local", {}).get(index, {})
    pairs = execution.parameters.pairs
    for number, (start, size) in enumerate(zip(pairs[::2], pairs[1::2])):
        yield start, start + size, names.get(3 + 2 * number) or f"buffer {number}"
