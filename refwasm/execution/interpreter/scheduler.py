"""Several agents in one process, interleaved: who goes on is decided before every access others could observe.

Runs are reproducible: who goes on is asked of :class:`refwasm.execution.choices.Choices`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from refwasm.errors import Deadlock
from refwasm.execution.choices import AGENT, WAIT, Choices
from refwasm.execution.interpreter.agent import Agent, Blocked, Paused
from refwasm.execution.memory import Memory

#: Longest sleep between two looks at the limits, in seconds.
SLICE = 0.1
#: Steps an agent may run without touching shared memory before others get their turn.
TURN = 10_000
#: The time in virtual time: before every time-out, but for those that have come.
NEVER = float("-inf")


class Task:
    """Something that advances in turns: ``advance`` runs until the next point where others may go on. ``agent`` gives
    the agent that does so, None between calls; ``label`` is what a person calls the task."""

    __slots__ = ("advance", "agent", "done", "label", "ready", "running", "number")

    def __init__(
        self, advance: Callable[[], bool], ready: Callable[[], bool], agent: Callable[[], Agent | None], label: str
    ) -> None:
        self.advance = advance
        self.ready = ready
        self.agent = agent
        self.label = label
        self.done = False
        self.running = False  # in the middle of advance, which has called run_until
        self.number: Any = None  # for those who tell tasks apart

    def forget(self) -> None:
        """Once it is done: keep nothing of what it executed."""
        self.advance, self.ready, self.agent = lambda: True, lambda: False, lambda: None


class Scheduler:
    """Agents that sleep in ``memory.atomic.wait``, and the choice of who goes on.

    With ``virtual`` time nobody sleeps: a time-out may come at any moment at which the choices say so, and comes when
    nobody else can go on.
    """

    def __init__(self, choices: Choices, virtual: bool = False) -> None:
        self.choices, self.virtual = choices, virtual
        self.sleeping: list[Agent] = []
        self.tasks: list[Task] = []

    def add(
        self, advance: Callable[[], bool], ready: Callable[[], bool],
        agent: Callable[[], Agent | None] = lambda: None, label: str = "",
    ) -> Task:  # fmt: skip
        """Add a task: ``advance`` returns whether it is done, ``ready`` whether it can go on."""
        task = Task(advance, ready, agent, label)
        self.tasks.append(task)
        return task

    def run_until(self, wanted: Task) -> None:
        """Advance tasks, chosen among those that are ready, until ``wanted`` is done."""
        while not wanted.done:
            task = self.next_task()
            if task is not None:
                self.step(task)

    def next_task(self) -> Task | None:
        """Who goes on; None after a sleep, which may have changed who can. Raises Deadlock."""
        ready = self.ready_tasks()
        if self.virtual and self._time_passes(bool(ready)):
            ready = self.ready_tasks()
        if not ready:
            self._sleep_until_a_timeout()
            return None
        return ready[self.choices.choose(AGENT, len(ready))]

    def step(self, task: Task) -> None:
        """Let a task advance."""
        task.running = True
        try:
            task.done = task.advance()
        finally:
            task.running = False
        if task.done:
            self.tasks.remove(task)

    def ending(self) -> None:
        """The program is over; what else there is, ends with it. (For those who explore when that may happen.)"""

    def joined(self, task: Task) -> None:
        """The task that runs has waited for the end of another one. (For those who keep track of what is ordered.)"""

    def ready_tasks(self) -> list[Task]:
        """The tasks that can go on now, in the order in which they were added."""
        return [task for task in self.tasks if not task.done and not task.running and task.ready()]

    def advance_agent(self, agent: Agent) -> list[Any] | None:
        """Run an agent to its next stop; its results if it has finished. It must be ready."""
        self._wake(agent)
        agent.pending = None
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
        now = NEVER if self.virtual else time.monotonic()
        return agent.woken or (agent.wake_at is not None and now >= agent.wake_at)

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
            self.woke(agent)
        return min(len(found), count)

    def woke(self, agent: Agent) -> None:
        """The task that runs has notified a sleeping agent. (For those who keep track of what is ordered.)"""

    def _time_passes(self, others: bool) -> bool:
        """Perhaps, or if there are no others certainly, the time of somebody who waits is out; whether it is."""
        waiting = self.waiting_with_timeout()
        chosen = self.choices.choose(WAIT, len(waiting) + others) - others
        if not waiting or chosen < 0:
            return False
        waiting[chosen].wake_at = NEVER
        return True

    def waiting_with_timeout(self) -> list[Agent]:
        """The sleeping agents whose time may run out."""
        return [agent for agent in self.sleeping if agent.wake_at is not None and not self.is_ready(agent)]

    def _sleep_until_a_timeout(self) -> None:
        times = [agent.wake_at for agent in self.sleeping if agent.wake_at is not None]
        if not times:
            raise Deadlock(f"deadlock: {len(self.sleeping)} agents wait and none can be woken")
        for agent in self.sleeping:
            agent.check_limits()
        time.sleep(min(max(min(times) - time.monotonic(), 0.0), SLICE))
