"""Python tests that start agents: a function is called once per execution, starts threads, and looks at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm import embedding as e
from refwasm.api import Func, Instance, Memory, Module, to_internal, to_python
from refwasm.concurrency.programs import Ending, failure
from refwasm.concurrency.scheduler import ObservedScheduler
from refwasm.errors import Deadlock, Trap, UncaughtException, WasmError
from refwasm.syntax.types import I32, Limits, MemType


class Thread:
    """A call that takes turns with others. ``result`` is there once it is joined."""

    def __init__(self, agents: Agents, func: Func, args: tuple[Any, ...], label: str) -> None:
        self._scheduler = scheduler = agents._scheduler
        self.result: Any = None
        self._error: WasmError | None = None
        t = func.type
        internal = [to_internal(value, p) for value, p in zip(args, func._check_count(args))]
        agent = agents._store.tier.agent(func._item, internal)  # type: ignore[attr-defined]

        def ended(found: list[Any] | WasmError) -> None:
            if isinstance(found, WasmError):
                self._error = found
            else:
                values = tuple(to_python(value, r) for value, r in zip(found, t.results))
                self.result = None if not values else values[0] if len(values) == 1 else values

        self._task = scheduler.call(agent, label, ended)

    def join(self) -> Any:
        """Wait for its end; what the function returned. Raises Trap and UncaughtException of it, and Deadlock."""
        self._scheduler.run_until(self._task)
        self._scheduler.joined(self._task)
        if self._error is not None:
            raise self._error
        return self.result


class Agents:
    """What a test gets: makes instances and threads of one execution."""

    def __init__(self, scheduler: ObservedScheduler) -> None:
        self._scheduler = scheduler
        self._store = e.store_init(tier="interpret", choices=scheduler.choices, interleaved=True)
        self._threads: list[Thread] = []

    def instance(self, module: Module, imports: Any = None) -> Instance:
        """An instance, as :class:`refwasm.Instance` makes it."""
        return Instance(module, imports, store=self._store)

    def memory(self, pages: int = 1, maximum: int | None = None) -> Memory:
        """A shared memory."""
        limits = Limits(pages, pages if maximum is None else maximum)
        return Memory._wrap(e.mem_alloc(self._store, MemType(I32, limits, True)))

    def start(self, func: Func, *args: Any) -> Thread:
        """Call a function of an instance on a thread of its own."""
        label = f"thread {len(self._threads) + 1}"
        thread = Thread(self, func, args, label)
        self._threads.append(thread)
        return thread


class PythonTest:
    """A function that is called once per execution. What it returns is the final state; an AssertionError or a trap
    is a failure."""

    def __init__(self, test: Callable[[Agents], Any]) -> None:
        self.test = test
        self.name = getattr(test, "__name__", "test")

    def execute(self, scheduler: ObservedScheduler) -> Ending:
        """Call it."""
        ended = Ending("")

        def main() -> bool:
            nonlocal ended
            ended = self._call(scheduler)
            return True

        scheduler.run_until(scheduler.add(main, lambda: True, label="main"))
        return ended

    def _call(self, scheduler: ObservedScheduler) -> Ending:
        agents = Agents(scheduler)
        try:
            found = self.test(agents)
            for thread in agents._threads:
                if not thread._task.done:
                    thread.join()
        except AssertionError as error:
            said = str(error).partition("\n")[0]  # pytest adds lines that differ in addresses
            return Ending(f"assertion failed: {said}".rstrip(": "), "assertion")
        except (Deadlock, Trap, UncaughtException) as error:
            return failure(error)
        return Ending(repr(found))
