"""Several agents in one process, interleaved: who goes on is decided before every access others could observe.

Runs are reproducible: all choices come from one seeded generator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from refwasm.errors import Deadlock
from refwasm.execution.interpreter.agent import Agent, Blocked, Paused
from refwasm.execution.memory import Memory

#: Longest sleep between two looks at the limits, in seconds.
SLICE = 0.1
#: Steps an agent may run without touching shared memory before others get their turn.
TURN = 10_000


class Task:
    """Something that advances in turns: ``advance`` runs until the next point where others may go on."""

    __slots__ = ("advance", "done", "ready", "running")

    def __init__(self, advance: Callable[[], bool], ready: Callable[[], bool]) -> None:
        self.advance = advance
        self.ready = ready
        self.done = False
        self.running = False  # in the middle of advance, which has called run_until


class Scheduler:
    """Agents that sleep in ``memory.atomic.wait``, and the choice of who goes on.

    ``choose(n)`` picks a number below n; the default is a generator seeded with ``seed``.
    """

    def __init__(self, seed: int = 0, choose: Callable[[int], int] | None = None) -> None:
        if choose is None:
            from random import Random  # not at start-up

            choose = Random(seed).randrange
        self.choose = choose
        self.sleeping: list[Agent] = []
        self.tasks: list[Task] = []

    def add(self, advance: Callable[[], bool], ready: Callable[[], bool]) -> Task:
        """Add a task: ``advance`` returns whether it is done, ``ready`` whether it can go on."""
        task = Task(advance, ready)
        self.tasks.append(task)
        return task

    def run_until(self, wanted: Task) -> None:
        """Advance tasks, chosen at random among those that are ready, until ``wanted`` is done."""
        while not wanted.done:
            ready = [task for task in self.tasks if not task.done and not task.running and task.ready()]
            if not ready:
                self._sleep_until_a_timeout()
                continue
            task = ready[self.choose(len(ready))]
            task.running = True
            try:
                task.done = task.advance()
            finally:
                task.running = False
            if task.done:
                self.tasks.remove(task)

    def advance_agent(self, agent: Agent) -> list[Any] | None:
        """Run an agent to its next stop; its results if it has finished. It must be ready."""
        self._wake(agent)
        agent.check_limits()
        try:
            return agent.run(TURN)
        except Paused:
            return None
        except Blocked:
            self.sleeping.append(agent)
            agent.woken = False
            return None

    def is_ready(self, agent: Agent) -> bool:
        """Whether an agent is awake, has been notified or has timed out."""
        if agent not in self.sleeping:
            return True
        return agent.woken or (agent.wake_at is not None and time.monotonic() >= agent.wake_at)

    def _wake(self, agent: Agent) -> None:
        if agent in self.sleeping:
            self.sleeping.remove(agent)
            agent.stack.append(0 if agent.woken else 2)

    def notify(self, memory: Memory, address: int, count: int) -> int:
        """Wake up to ``count`` agents that wait at an address, the longest waiting first."""
        found = [
            agent
            for agent in self.sleeping
            if not agent.woken
            and agent.pending is not None
            and agent.pending.memory is memory
            and agent.pending.address == address
        ]
        for agent in found[:count]:
            agent.woken = True
        return min(len(found), count)

    def _sleep_until_a_timeout(self) -> None:
        times = [agent.wake_at for agent in self.sleeping if agent.wake_at is not None]
        if not times:
            raise Deadlock(f"deadlock: {len(self.sleeping)} agents wait and none can be woken")
        for agent in self.sleeping:
            agent.check_limits()
        time.sleep(min(max(min(times) - time.monotonic(), 0.0), SLICE))
