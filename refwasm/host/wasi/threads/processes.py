"""Threads as processes. This process runs none of them: it supervises, and makes their host calls.

A thread's process sends ``("call", module, name, arguments)`` for each host call and gets ``("return", results)`` or
``("raise", error)``; when it ends it sends ``("end",)`` or ``("error", error)``. Each is served by a Python thread
here, so a call that waits holds up nobody else, and all see the same descriptors. What happens is told to the
supervisor's one queue; the first thing that ends the program ends it: all processes are killed, whatever they do.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from multiprocessing import connection
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Crash, Exit, ResourceLimit, WasmError
from refwasm.execution.domain import Domain, adopt_domain
from refwasm.execution.memory import SharedMemory
from refwasm.host.processes import begin, cause_of_death, pipe_of, portable, start, start_thread
from refwasm.host.wasi.threads.linking import MAX_THREAD_ID, MAX_THREADS, MODULE, NO_THREAD, SPAWN, START
from refwasm.syntax.types import FuncUse

Functions = Mapping[tuple[str, str], Callable[..., Sequence[Any]]]


class Supervisor:
    """Runs a program. ``functions`` are the host's by module and name; ``binary`` is the program for processes that do
    not inherit it."""

    def __init__(
        self, validated: e.Validated, binary: bytes, memory: SharedMemory, functions: Functions, settings: e.Settings,
        tier: str,
    ) -> None:  # fmt: skip
        self.validated, self.binary = validated, binary
        self.memory = memory
        self.functions = functions
        self.settings = settings
        self.tier = tier
        self.events: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.processes: dict[int, Any] = {}
        self.pipes: dict[int, connection.Connection] = {}
        self.last_id = 0
        self.asked: list[Future[int]] = []  # answers that may be waited for
        self.ended = False

    def run(self) -> int:
        """The exit code; raises what a thread ended in."""
        try:
            self._start(0, None)
            while True:
                what, *rest = self._next_event()
                code: int | None = getattr(self, f"_on_{what}")(*rest)
                if code is not None:
                    return code
        finally:
            self._kill()

    def _next_event(self) -> tuple[Any, ...]:
        deadline = self.settings.deadline
        while deadline is not None and (left := deadline - time.monotonic()) < threading.TIMEOUT_MAX:
            try:
                return self.events.get(timeout=max(left, 0.0))
            except queue.Empty:
                raise ResourceLimit("time limit exceeded") from None
        return self.events.get()

    # ---- what happens ------------------------------------------------------------------------------------------------

    def _on_spawn(self, argument: int, answer: Future[int]) -> None:
        """A thread asks for another one."""
        if len(self.processes) >= MAX_THREADS or self.last_id >= MAX_THREAD_ID:
            answer.set_result(NO_THREAD)
            return
        self.last_id += 1
        try:
            self._start(self.last_id, argument)
        except ResourceLimit:
            answer.set_result(NO_THREAD)
        else:
            answer.set_result(self.last_id)

    def _on_end(self, thread: int) -> int | None:
        """A thread returned: the first one ends the program."""
        if thread == 0:
            return 0
        self.processes.pop(thread).join()
        self.pipes.pop(thread).close()
        return None

    def _on_exit(self, thread: int, code: int) -> int:
        return code

    def _on_error(self, thread: int, error: WasmError) -> int:
        raise error

    def _on_died(self, thread: int) -> int:
        process = self.processes[thread]
        process.join(0.5)
        raise Crash(f"the process of thread {thread} (pid {process.pid}) died{cause_of_death(process.exitcode)}")

    # ---- processes ---------------------------------------------------------------------------------------------------

    def _start(self, thread: int, argument: int | None) -> None:
        context, settings = self.memory.domain.context, self.settings
        ours, theirs = pipe_of(context)
        forks = context.get_start_method() == "fork"
        process = context.Process(
            target=thread_main,
            args=(thread, argument, theirs, self.memory, self.validated if forks else self.binary,
                  (settings.call_depth, settings.fuel, settings.deadline, settings.cache, self.tier),
                  [*self.pipes.values(), ours] if forks else []),
            name=f"refwasm-thread-{thread}", daemon=True,
        )  # fmt: skip
        try:
            start(process, f"the process of thread {thread}")
        except ResourceLimit:
            ours.close()
            theirs.close()
            raise
        theirs.close()
        try:
            start_thread(self._serve, (thread, ours), f"what serves thread {thread}")
        except ResourceLimit:
            process.kill()
            process.join()
            ours.close()
            raise
        self.processes[thread], self.pipes[thread] = process, ours

    def _serve(self, thread: int, pipe: connection.Connection) -> None:
        """Make the host calls of a thread until it ends."""
        try:
            while True:
                message = pipe.recv()
                if message[0] != "call":
                    self.events.put((message[0], thread, *message[1:]))
                    return
                pipe.send(self._call(*message[1:]))
        except Exit as end:
            self.events.put(("exit", thread, end.code))
        except (EOFError, OSError):
            self.events.put(("died", thread))
        except BaseException as error:  # of ours, not of the guest's: it must not be lost in a Python thread
            self.events.put(("error", thread, Crash(f"{type(error).__name__}: {error}")))

    def _call(self, module: str, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if (module, name) == (MODULE, SPAWN):
            answer: Future[int] = Future()
            self.events.put(("spawn", args[0], answer))
            self.asked.append(answer)
            if self.ended:
                self._refuse()
            return "return", (answer.result(),)
        try:
            return "return", tuple(self.functions[module, name](*args))
        except Exit:
            raise
        except WasmError as error:
            return "raise", portable(error)
        except Exception as error:  # of a host function of the embedder's
            return "raise", Crash(f"{module}.{name}: {type(error).__name__}: {error}")

    def _refuse(self) -> None:
        """Nobody starts threads any more: whoever waits for one is told so."""
        while self.asked:
            with contextlib.suppress(InvalidStateError, IndexError):
                self.asked.pop().set_result(NO_THREAD)

    def _kill(self) -> None:
        """End all threads at once. One may have held the lock of atomic operations, so nobody uses that again."""
        self.ended = True
        self._refuse()
        for process in self.processes.values():
            if process.is_alive():
                process.kill()
        for process in self.processes.values():
            process.join()
            process.close()
        for pipe in self.pipes.values():
            with contextlib.suppress(OSError):
                pipe.close()
        self.processes.clear()
        self.memory.domain.mark_broken("the program's threads have been ended")


def thread_main(
    thread: int, argument: int | None, pipe: connection.Connection, memory: SharedMemory,
    program: e.Validated | bytes, limits: tuple[int, int | None, float | None, str | None, str], inherited: list[Any],
) -> None:  # fmt: skip
    """Entry point of a thread's process; without an argument it is the first one."""
    begin(inherited)
    domain: Domain = memory.domain
    adopt_domain(domain)
    call_depth, fuel, deadline, cache, tier = limits
    validated = e.module_open(program, cache=cache) if isinstance(program, bytes) else program
    store = e.store_init(e.Settings(call_depth, None, fuel, deadline, cache), tier)
    try:
        _run_thread(thread, argument, pipe, memory, validated, store)
        outcome: tuple[Any, ...] = ("end",)
    except WasmError as error:
        outcome = ("error", portable(error))
    except MemoryError:
        outcome = ("error", ResourceLimit(f"thread {thread} ran out of memory"))
    except (EOFError, OSError):
        return  # the parent is gone, or ends us
    store.tier.save()
    with contextlib.suppress(OSError):
        pipe.send(outcome)


def _run_thread(
    thread: int, argument: int | None, pipe: connection.Connection, memory: SharedMemory, validated: e.Validated,
    store: e.Store,
) -> None:  # fmt: skip
    externs = [
        _stub(pipe, module, name, t) if isinstance(t, FuncUse) else memory
        for module, name, t in e.module_imports(validated)
    ]
    instance = e.module_instantiate(store, validated, externs)
    name, args = ("_start", []) if argument is None else (START, [thread, argument])
    if argument is None and isinstance(initialize := instance.exports.get("_initialize"), e.FuncInst):
        e.func_invoke(store, initialize, [])
    function = instance.exports[name]
    assert isinstance(function, (e.FuncInst, e.HostFunc)), "checked when the program was linked"
    e.func_invoke(store, function, args)


def _stub(pipe: connection.Connection, module: str, name: str, t: FuncUse) -> e.HostFunc:
    """A host function that the parent runs."""

    def call(*args: Any) -> Sequence[Any]:
        pipe.send(("call", module, name, args))
        kind, value = pipe.recv()
        if kind == "raise":
            raise value
        results: Sequence[Any] = value
        return results

    return e.func_alloc(t.type.composite, call, name)  # type: ignore[union-attr, arg-type]
