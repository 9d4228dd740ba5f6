"""Threads of the native process, and what each of them keeps: a store, and instances of kernels in it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refwasm.errors import ResourceLimit
from refwasm.host.parallel.devices.native import binding
from refwasm.host.parallel.devices.native.binding import Call, NativeTrap, api
from refwasm.host.parallel.devices.native.kernel import NativeModules
from refwasm.host.processes import start_thread


@dataclass
class Loaded:
    """A kernel in this process, compiled."""

    modules: NativeModules
    first: Any
    again: Any
    driver: Any


@dataclass
class Work:
    """An execution in hand. ``fuel`` is for each iteration; ``failures`` are (iteration, trap), in the order they
    happened."""

    kernel: Loaded
    key: tuple[int, int]
    memory: Any
    control: Any
    fresh: bool
    fuel: int | None
    workers: int
    told: Callable[[Work], None]
    blocks: list[tuple[int, int, float, float]] = field(default_factory=list)
    failures: list[tuple[int | None, NativeTrap]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ready: threading.Barrier | None = None

    def ended(self) -> bool:
        """One worker is done; whether it was the last."""
        with self.lock:
            self.workers -= 1
            return self.workers == 0


#: Fuel for what is not an iteration.
PLENTY = 1 << 62


class Instance:
    """A kernel's instance with its driver, in a store of its own: wasmtime 50 panics when code leaves the bounds of
    a shared memory that was imported twice in a store."""

    def __init__(self, engine: Any, kernel: Loaded, memory: Any, control: Any, counts: bool, again: bool) -> None:
        store = self.store = api().Store(engine)
        if counts:
            store.set_fuel(PLENTY)
        imports = [memory] if kernel.first.imports else []
        self.inner = api().Instance(store, kernel.again if again else kernel.first, imports).exports(store)
        names = kernel.modules.globals
        outer = (
            api()
            .Instance(store, kernel.driver, [self.inner["kernel"], *(self.inner[name] for name in names), control])
            .exports(store)
        )
        self.current = outer["current"]
        self.begin, self.save = Call(store, outer["begin"], 0, 0), Call(store, outer["save"], 0, 0)
        self.run, self.advance = Call(store, outer["run"], 0, 1), Call(store, outer["advance"], 0, 1)
        self.call = Call(store, outer["call"], 1, 0)
        self.save()

    def iteration(self) -> int | None:
        """The id of the iteration that runs, or ran last."""
        current = int(self.current.value(self.store))
        return None if current < 0 else current


class Worker:
    """What runs a part of each execution, on the main thread or one of its own; ``jobs`` is where that gets them."""

    def __init__(self, index: int, engine: Callable[[bool], Any]) -> None:
        self.index = index
        self.engine = engine
        self.jobs: queue.SimpleQueue[Work | list[int]] = queue.SimpleQueue()
        self.has_thread = False
        self.instances: dict[tuple[int, int, bool], Instance] = {}

    def start(self) -> None:
        """Work on a thread of its own."""
        self.has_thread = True
        start_thread(self._serve, (), f"worker {self.index}")

    def _serve(self) -> None:
        while True:
            given = self.jobs.get()
            if isinstance(given, Work):
                self.work(given)
            else:
                self._forget(given)
            del given  # it holds a memory

    def forget(self, numbers: list[int]) -> None:
        """Give up instances of kernels, or over memories, of these numbers."""
        if self.has_thread:
            self.jobs.put(numbers)
        else:
            self._forget(numbers)

    def _forget(self, numbers: list[int]) -> None:
        for key in [key for key in self.instances if {key[0], key[1]}.intersection(numbers)]:
            del self.instances[key]

    def work(self, work: Work) -> None:
        """Do a part of an execution, and tell so."""
        instance: Instance | None = None
        try:
            instance = self._instance(work)
            if work.ready is not None:  # all instances are there before the first iteration runs
                work.ready.wait()
            begin = time.perf_counter()
            done = self._run(work, instance)
            work.blocks.append((self.index, done, begin, time.perf_counter()))
        except threading.BrokenBarrierError:
            pass  # another worker's instance failed
        except (api().Trap, api().WasmtimeError) as error:
            self._failed(work, instance, binding.trap_of(error))
        except ResourceLimit as error:
            self._failed(work, instance, NativeTrap(error.message, ()))
        except Exception as error:  # a fault of ours must not leave the parent waiting
            self._failed(work, instance, NativeTrap(f"internal: {type(error).__name__}: {error}", ()))
        work.told(work)

    def _failed(self, work: Work, instance: Instance | None, trap: NativeTrap) -> None:
        iteration = None if instance is None else instance.iteration()
        with work.lock:
            work.failures.append((iteration, trap))
        if work.ready is not None:
            work.ready.abort()
        if instance is not None:  # its state is whatever the trap left
            self.instances.pop((*work.key, work.fuel is not None), None)

    def _made(self, work: Work, again: bool) -> Instance:
        counts = work.fuel is not None
        return Instance(self.engine(counts), work.kernel, work.memory, work.control, counts, again)

    def _instance(self, work: Work) -> Instance:
        """One of earlier executions, unless making it does something; its globals are as they were saved."""
        counts = work.fuel is not None
        key = (*work.key, counts)
        instance = self.instances.get(key)
        stale = work.kernel.modules.acts or work.kernel.modules.renewed
        if instance is None or stale:
            instance = self.instances[key] = self._made(work, again=False)
        elif counts:
            instance.store.set_fuel(PLENTY)
        instance.begin()
        return instance

    def _run(self, work: Work, instance: Instance) -> int:
        """All iterations that this worker gets; how many."""
        renewed = work.fresh and work.kernel.modules.renewed
        if not renewed and work.fuel is None:
            return instance.run()
        done, runner = 0, instance
        while True:
            if work.fuel is not None:
                instance.store.set_fuel(PLENTY)
            iteration = instance.advance()
            if iteration < 0:
                return done
            if renewed and done:
                runner = self._made(work, again=True)  # which does nothing to memory
            if work.fuel is not None:
                runner.store.set_fuel(work.fuel)
            runner.call(iteration)
            done += 1
