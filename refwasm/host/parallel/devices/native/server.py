"""The native process: ``python -m refwasm.host.parallel.devices.native.server DESCRIPTOR`` serves messages.

* ``("hello",)``: answers ``("ready", version, shares)``, or ``("unavailable", why)``;
* ``("memory", number, pages, limit, offset)``, followed by a descriptor: a memory in a file, after so many bytes;
* ``("forget", numbers)``: of memories and kernels;
* ``("kernel", number, modules)``: compile; answers ``("ready",)`` or ``("refused", why)``;
* ``("run", kernel, memory, execution)``: answers ``("failing", …)`` as soon as an iteration fails, and then
  ``("done", …)`` once no iteration is running, both with all failures, the blocks and the size of the memory in pages.

When the parent closes its end or is gone the process leaves, whatever its threads are doing. The first worker is the
main thread: an execution for one needs no other. So nothing stops an execution in the middle; the parent kills the
process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from multiprocessing import connection
from multiprocessing.reduction import recv_handle
from typing import Any

from refwasm.errors import ResourceLimit
from refwasm.host.parallel.devices.native import binding, driver, mapping
from refwasm.host.parallel.devices.native.binding import NativeTrap
from refwasm.host.parallel.devices.native.driver import Word
from refwasm.host.parallel.devices.native.kernel import NativeModules
from refwasm.host.parallel.devices.native.messages import NativeExecution
from refwasm.host.parallel.devices.native.workers import Loaded, Work, Worker
from refwasm.host.parallel.devices.serving import serve
from refwasm.syntax.types import PAGE_BITS


class MemoryFile:
    """A memory of refwasm's: so many pages, at most ``limit``, in a file after ``offset`` bytes."""

    def __init__(self, fd: int, pages: int, limit: int, offset: int) -> None:
        self.fd, self.pages, self.limit, self.offset = fd, pages, limit, offset

    def __del__(self) -> None:
        os.close(self.fd)


class NativeMemory:
    """A memory of refwasm's here: one mapping with wasmtime's where that works, otherwise a copy."""

    def __init__(self, engine: Any, of: MemoryFile, share: bool) -> None:
        size = of.limit << PAGE_BITS
        self.memory = binding.make_shared_memory(engine, of.pages, of.limit)
        self.address = binding.address_of(self.memory)
        self.shares = share and mapping.map_over(self.address, of.fd, of.offset, of.pages << PAGE_BITS, size)
        self.file = None if self.shares else memoryview(mmap.mmap(of.fd, of.offset + size))[of.offset :]

    def enter(self, pages: int) -> None:
        """What the parent has, its size too."""
        if pages > self.memory.size():
            self.memory.grow(pages - self.memory.size())
        if self.file is not None:
            size = pages << PAGE_BITS
            ctypes.memmove(self.address, bytes(self.file[:size]), size)

    def leave(self) -> int:
        """Give the parent what is here; the size in pages."""
        pages: int = self.memory.size()
        if self.file is not None:
            self.file[: pages << PAGE_BITS] = ctypes.string_at(self.address, pages << PAGE_BITS)
        return pages


class Server:
    """The state of the process."""

    def __init__(self, pipe: connection.Connection) -> None:
        self.pipe = pipe
        self.sending, self.telling = threading.Lock(), threading.Lock()
        self.engines: dict[bool, Any] = {}
        self.workers: list[Worker] = []
        self.files: dict[int, MemoryFile] = {}
        self.memories: dict[tuple[int, bool], NativeMemory] = {}
        self.kernels: dict[int, NativeModules] = {}
        self.loaded: dict[tuple[int, bool], Loaded] = {}
        self.controls: dict[bool, Any] = {}
        self.stop = ctypes.c_int32()

    def engine(self, counts: bool = False) -> Any:
        """The engine, or the one that counts fuel."""
        if counts not in self.engines:
            self.engines[counts] = binding.make_engine(fuel=counts)
        return self.engines[counts]

    def _answer(self, *answer: Any) -> None:
        with self.sending:
            try:
                self.pipe.send(answer)
            except OSError:  # the parent is gone
                os._exit(1)

    def do_hello(self) -> None:
        try:
            engine = self.engine()
        except binding.NativeUnavailable as error:
            self._answer("unavailable", error.message)
            return
        from refwasm import embedding as e  # only the probe is text

        self.shares = mapping.can_share(engine, e.module_encode(e.module_parse(mapping.PROBE)))
        self._answer("ready", binding.version(), self.shares)

    def do_memory(self, number: int, pages: int, limit: int, offset: int) -> None:
        self.files[number] = MemoryFile(recv_handle(self.pipe), pages, limit, offset)

    def _memory(self, number: int, counts: bool) -> NativeMemory:
        """A memory for an engine. Raises ResourceLimit."""
        if (number, counts) not in self.memories:
            try:
                made = NativeMemory(self.engine(counts), self.files[number], self.shares)
            except (OSError, ValueError) as error:
                raise ResourceLimit(f"the native process can't map the memory: {error}") from None
            self.memories[number, counts] = made
        return self.memories[number, counts]

    def do_forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self.files.pop(number, None)
            self.kernels.pop(number, None)
            for counts in (False, True):
                self.memories.pop((number, counts), None)
                self.loaded.pop((number, counts), None)
        for worker in self.workers:
            worker.forget(numbers)

    def do_kernel(self, number: int, modules: NativeModules) -> None:
        self.kernels[number] = modules
        try:
            binding.api().Module(self.engine(), modules.first)  # whether it can
        except binding.api().WasmtimeError as error:
            self._answer("refused", str(error).splitlines()[-1].strip())
        else:
            self._load(number, False)
            self._answer("ready")

    def _load(self, number: int, counts: bool) -> Loaded:
        loaded = self.loaded.get((number, counts))
        if loaded is None:
            engine, modules = self.engine(counts), self.kernels[number]
            first = binding.api().Module(engine, modules.first)
            again = first if modules.again == modules.first else binding.api().Module(engine, modules.again)
            loaded = Loaded(modules, first, again, binding.api().Module(engine, modules.driver))
            self.loaded[number, counts] = loaded
        return loaded

    # ---- running -----------------------------------------------------------------------------------------------------

    def do_run(self, kernel: int, memory: int, execution: NativeExecution) -> None:
        counts = execution.fuel is not None
        try:
            place = self._memory(memory, counts)
        except ResourceLimit as error:
            self._answer("done", [(None, NativeTrap(f"limit: {error.message}", ()))], [], 0)
            return
        loaded = self._load(kernel, counts)
        control = self._control(counts, execution)
        while len(self.workers) < execution.workers:
            self.workers.append(Worker(len(self.workers), self.engine))
            if len(self.workers) > 1:
                self.workers[-1].start()
        place.enter(execution.pages)
        work = Work(
            loaded, (kernel, memory), place.memory, control, execution.fresh, execution.fuel, execution.workers,
            lambda work: self._told(work, place),
        )  # fmt: skip
        if loaded.modules.acts and execution.workers > 1:
            work.ready = threading.Barrier(execution.workers)
        for worker in self.workers[1 : execution.workers]:
            worker.jobs.put(work)
        self.workers[0].work(work)

    def _control(self, counts: bool, execution: NativeExecution) -> Any:
        """The control memory of an engine, filled."""
        control = self.controls.get(counts)
        if control is None:
            control = binding.make_shared_memory(self.engine(counts), driver.PAGES, driver.PAGES)
            self.controls[counts] = control
        address = binding.address_of(control)
        for place, content in ((0, execution.words), (driver.PAIRS, execution.pairs), (driver.ORDER, execution.order)):
            ctypes.memmove(address + place, content, len(content))
        self.stop = ctypes.c_int32.from_address(address + Word.STOP)
        return control

    def _told(self, work: Work, place: NativeMemory) -> None:
        """A worker is done with its part. One tells at a time: "done" is the last that the parent hears."""
        with self.telling:
            last = work.ended()
            if work.failures:
                self.stop.value = 1
                if not last:
                    self._answer("failing", list(work.failures), list(work.blocks), place.leave())
            if last:
                self._answer("done", work.failures, work.blocks, place.leave())


if __name__ == "__main__":
    threading.stack_size(binding.THREAD_STACK)
    serve(Server)
