"""The interpreter tier: the definition of what programs mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from refwasm.execution.bulk import working
from refwasm.execution.interpreter import (  # noqa: F401  (each registers its meanings)
    aggregates,
    atomic,
    continuations,
    control,
    descriptors,
    exceptions,
    memory,
    numeric,
    references,
    tables,
    variables,
    vector,
)
from refwasm.execution.interpreter.agent import Agent
from refwasm.execution.interpreter.code import Code, code_of
from refwasm.execution.interpreter.meaning import MEANINGS
from refwasm.execution.interpreter.scheduler import Scheduler
from refwasm.execution.store import FuncInst, ModuleInst, Store
from refwasm.syntax.modules import Expr

R = TypeVar("R")


class _Operating(Agent):
    """Executes single instructions for compiled code, which counts fuel in the settings."""

    __slots__ = ("_work",)

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._work = working(store.settings)

    def work(self, n: int) -> None:
        """Take fuel from the settings."""
        self._work(n)


class Interpreter:
    """Executes functions of one store, each call from the host on an agent of its own."""

    #: The Python function whose frame stands for calls of this tier's in a traceback.
    boundary = Agent.run.__code__

    def __init__(self, store: Store) -> None:
        self.store = store

    def agent(self, func: FuncInst, args: Sequence[Any]) -> Agent:
        """An agent about to call a function."""
        agent = Agent(self.store)
        agent.enter(code_of(func), args)
        return agent

    def invoke(self, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function and run it to its end."""
        return self._finish(self.agent(func, args))

    def resume(self, func: FuncInst, pc: int, locals: list[Any], stack: list[Any]) -> list[Any]:
        """Go on in the middle of a function, whose code is built, and run it to its end."""
        agent = Agent(self.store)
        agent.fuel = None  # there was none to count when the function was called
        agent.enter_at(code_of(func), pc, locals, stack)
        return self._finish(agent)

    def start(self, func: FuncInst, args: Sequence[Any], ended: Callable[[], object], label: str = "") -> None:
        """Call a function on an agent of its own, which takes turns with the others of an interleaved store."""
        scheduler: Scheduler = self.store.interleaved
        agent = self.agent(func, args)

        def advance() -> bool:
            done = scheduler.advance_agent(agent) is not None
            if done:
                ended()
            return done

        scheduler.add(advance, lambda: scheduler.is_ready(agent), lambda: agent, label)

    def operation(self, func: FuncInst, pc: int) -> Callable[..., Any]:
        """An instruction that works on its operands only, as a function that takes them and gives the result: one by
        itself, none as None."""
        code = code_of(func)
        instr = func.func.body[pc]
        op: Any = MEANINGS[instr.form](code, instr, pc, code.entry)
        agent = _Operating(self.store)

        def call(*operands: Any) -> Any:
            stack = list(operands)
            op(agent, stack)
            return stack[-1] if stack else None

        return call

    def batch(self, calls: Callable[[], R]) -> R:
        """Nothing has to be prepared."""
        return calls()

    def evaluate(self, instance: ModuleInst, expr: Expr) -> Any:
        """The value of a constant expression."""
        agent = Agent(self.store)
        agent.enter(Code(instance, expr), ())
        return self._finish(agent)[0]

    def save(self) -> None:
        """There is nothing to keep."""

    def _finish(self, agent: Agent) -> list[Any]:
        scheduler: Scheduler | None = self.store.interleaved
        if scheduler is None:
            settings, given = self.store.settings, agent.fuel
            try:
                results = agent.run()
            finally:
                if settings.fuel is not None and given is not None and agent.fuel is not None:
                    settings.fuel = max(settings.fuel - (given - agent.fuel), 0)  # calls from the host took theirs
            assert results is not None
            return results
        out: list[list[Any]] = []

        def advance() -> bool:
            results = scheduler.advance_agent(agent)
            if results is not None:
                out.append(results)
            return results is not None

        task = scheduler.add(advance, lambda: scheduler.is_ready(agent), lambda: agent, "main")
        scheduler.run_until(task)
        scheduler.joined(task)
        return out[0]


__all__ = ["Agent", "Interpreter", "Scheduler"]
