"""Schedulers that say what happens: who started whom, what each step accessed, who waited for whom.

Choices are recorded as the usual scheduler asks for them, so that the list of an execution replays it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from refwasm.concurrency.accesses import END, HOST, START, Access, ThreadId, access_of, as_made, exchanges
from refwasm.concurrency.spinning import Spins
from refwasm.errors import Deadlock, Trap, UncaughtException, WasmError
from refwasm.execution.choices import AGENT, WAIT, Choices, Taken
from refwasm.execution.interpreter.agent import Agent, Pending
from refwasm.execution.interpreter.scheduler import NEVER, Scheduler, Task
from refwasm.execution.memory import Memory


class Observer:
    """Who is told what happens, in the order in which it happens. This one takes no notice."""

    def started(self, thread: ThreadId, parent: ThreadId | None, label: str) -> None:
        """A thread exists from now on."""

    def accesses(self, thread: ThreadId, access: Access, agent: Agent | None) -> None:
        """A thread is about to make an access. ``agent`` has its operands on the stack."""

    def made(self, thread: ThreadId, access: Access) -> None:
        """A thread has made an access, which stands here as it turned out (explorations only)."""

    def joined(self, thread: ThreadId, other: ThreadId) -> None:
        """A thread has waited for the end of another one."""

    def woke(self, thread: ThreadId, other: ThreadId) -> None:
        """A thread has notified another one, which slept."""

    def named(self, memory: Memory, start: int, end: int, name: str) -> None:
        """These bytes have a name."""


class ObservedScheduler(Scheduler):
    """The usual scheduler, in virtual time, with observers. ``at_once`` says that the iterations of a ``parallel_exec``
    take turns; otherwise one runs after the other, which takes less memory."""

    def __init__(self, choices: Choices, observers: Sequence[Observer] = (), at_once: bool = True) -> None:
        self.at_once = at_once
        super().__init__(choices, virtual=True)
        choices.scheduler = self
        self.observers = tuple(observers)
        self.stack: list[Task] = []
        self.children: dict[ThreadId, int] = {}
        self._known: dict[ThreadId, tuple[Pending, Access]] = {}

    def add(
        self, advance: Callable[[], bool], ready: Callable[[], bool],
        agent: Callable[[], Agent | None] = lambda: None, label: str = "",
    ) -> Task:  # fmt: skip
        """As any scheduler; the task gets a number that is the same in every schedule."""
        task = super().add(advance, ready, agent, label)
        if not self.children:
            for observer in self.observers:
                observer.started(HOST, None, "the host")
        parent = self.running()
        child = self.children.get(parent, 0)
        self.children[parent] = child + 1
        task.number = (*parent, child)
        for observer in self.observers:
            observer.started(task.number, parent, label)
        return task

    def running(self) -> ThreadId:
        """The thread that runs."""
        return self.stack[-1].number if self.stack else HOST

    def step(self, task: Task) -> None:
        """Let a task advance; observers hear of its access first."""
        access = self.pending(task)
        if access is not START:
            agent = task.agent()
            for observer in self.observers:
                observer.accesses(task.number, access, agent)
        self.stack.append(task)
        try:
            super().step(task)
        finally:
            self.stack.pop()

    def call(self, agent: Agent, label: str, ended: Callable[[list[Any] | WasmError], object]) -> Task:
        """Add an agent as a task. ``ended`` is told its results, or the trap or exception that it ends in."""

        def advance() -> bool:
            try:
                found: list[Any] | WasmError | None = self.advance_agent(agent)
            except (Trap, UncaughtException) as error:
                found = error
            if found is not None:
                ended(found)
            return found is not None

        return self.add(advance, lambda: self.is_ready(agent), lambda: agent, label)

    def joined(self, task: Task) -> None:
        """Observers hear of it."""
        for observer in self.observers:
            observer.joined(self.running(), task.number)

    def woke(self, agent: Agent) -> None:
        """Observers hear of it."""
        for task in self.tasks:
            if task.agent() is agent:
                for observer in self.observers:
                    observer.woke(self.running(), task.number)

    def named(self, memory: Memory, start: int, end: int, name: str) -> None:
        """Observers hear of it."""
        for observer in self.observers:
            observer.named(memory, start, end, name)

    def pending(self, task: Task) -> Access:
        """What a task does first when it goes on; START if nobody else can notice."""
        agent = task.agent()
        if agent is None or agent.pending is None:
            return START
        pending = agent.pending
        if agent in self.sleeping:
            at = pending.address
            return START if agent.woken else Access("timeout", pending.memory, at, at, True, pending.instr)
        if pending.memory is None:
            return Access("host", host=pending.host)
        known = self._known.get(task.number)
        if known is None or known[0] is not pending:
            access = access_of(pending.instr, pending.memory, pending.address, agent.stack)
            known = self._known[task.number] = pending, access
        return known[1]


def waiting(names: Sequence[str]) -> str:
    """Says that threads wait for ever."""
    return f"{' and '.join(names)} wait{'s' * (len(names) == 1)} and nobody can notify"


class Cut(BaseException):
    """An execution is not worth going on with. (Not an Exception: scripts turn those into failures.)"""


#: Turns (of :data:`refwasm.execution.interpreter.scheduler.TURN` instructions) that threads take without a step that
#: others could notice, at most.
ALONE = 2_000
#: One thing that can happen next: a task goes on, or its time-out comes first.
Enabled = dict[ThreadId, tuple[Task, Access]]
#: Who chooses: gets what is enabled and the scheduler, and gives the thread.
Strategy = Callable[["ExploringScheduler"], ThreadId]


class ExploringScheduler(ObservedScheduler):
    """A scheduler that leaves who goes on to a strategy. Steps that nobody else can notice are done at once, and a
    thread that spins goes on only after a change of what it looks at. ``enabled`` is what can happen next. An
    execution is cut after ``most`` steps, and at the time ``until`` (``time.monotonic``)."""

    def __init__(
        self, strategy: Strategy, observers: Sequence[Observer] = (), most: int = 100_000, until: float | None = None
    ) -> None:  # fmt: skip
        super().__init__(Choices((AGENT, WAIT)), observers)
        self.strategy, self.most, self.until = strategy, most, until
        self.alone = 0  # turns in a row without a step
        self.last: Task | None = None
        self.enabled: Enabled = {}
        self.spins = Spins()
        self.steps = self.woken = 0

    def next_task(self) -> Task:
        """Ask the strategy. Raises Deadlock, and Cut if there were too many steps."""
        ready = self.ready_tasks()
        waiting = self.waiting_with_timeout()
        for task in ready:
            if self.pending(task) is START:
                self._count_alone()
                return self._taken(task, ready, waiting)
        self.alone = 0
        self.steps += 1
        if self.steps > self.most:
            raise Cut("steps")
        if self.until is not None and time.monotonic() > self.until:
            raise Cut("time")
        self.enabled = self._enabled(ready, waiting)
        if not self.enabled:
            raise self._deadlock()
        number = self.strategy(self)
        return self._taken(self.enabled[number][0], ready, waiting)

    def _count_alone(self) -> None:
        """A thread goes on without a step that others could notice: perhaps for ever."""
        self.alone += 1
        if self.alone > ALONE + len(self.tasks):
            raise Cut("alone")
        if self.until is not None and time.monotonic() > self.until:
            raise Cut("time")

    def _enabled(self, ready: list[Task], waiting: list[Agent]) -> Enabled:
        spinning = self.spins.spinning
        found = {task.number: (task, self.pending(task)) for task in ready if task.number not in spinning}
        for agent in waiting:
            for task in self.tasks:
                if task.agent() is agent and task.number not in spinning:
                    found[task.number] = task, self.pending(task)
        return found

    def _deadlock(self) -> Deadlock:
        spinning = sorted(task.label for task in self.tasks if task.number in self.spins.spinning)
        asleep = sorted(task.label for task in self.tasks if task.agent() in self.sleeping)
        parts = [waiting(asleep)] if asleep else []
        if spinning:
            parts.append(f"{' and '.join(spinning)} spin{'s' * (len(spinning) == 1)} on what nobody changes")
        return Deadlock("deadlock: " + ("; ".join(parts) or "nobody can go on"))

    def _taken(self, task: Task, ready: list[Task], waiting: list[Agent]) -> Task:
        """Record a choice as the usual scheduler would have asked for it, and make it."""
        taken = self.choices.taken
        option, others, agent = 0, bool(ready), task.agent()
        if task not in ready:  # its time is out
            assert agent is not None, "only agents wait"
            option = waiting.index(agent) + others
        if len(waiting) + others > 1:
            taken.append(Taken(WAIT, option, len(waiting) + others))
        if task not in ready:
            assert agent is not None
            agent.wake_at = NEVER
            ready = self.ready_tasks()
        if len(ready) > 1:
            taken.append(Taken(AGENT, ready.index(task), len(ready)))
        return task

    def ending(self) -> None:
        """The end is a step of its own: what other threads do comes before it, or not at all."""
        if self.tasks:
            self.last = self.add(lambda: True, lambda: True, label="the end")
            self.run_until(self.last)

    def pending(self, task: Task) -> Access:
        """As any observed scheduler; and the end."""
        return END if task is self.last else super().pending(task)

    def step(self, task: Task) -> None:
        """Advance, and look whether the thread changed anything, and whether it spins."""
        access = self.pending(task)
        before, self.woken = _content(access), 0
        agent = task.agent()
        exchanged = access.kind == "cmpxchg" and exchanges(access, agent)
        super().step(task)
        agent = task.agent()
        slept = access.kind == "wait" and agent in self.sleeping
        changed = self._changed(access, before)
        if access is not START:
            for observer in self.observers:
                observer.made(task.number, as_made(access, self.woken, exchanged))
        self.spins.stepped(task.number, access, changed, slept)
        if not task.done and agent is not None and agent.pending is not None:
            self.spins.arrives(task.number, agent, agent in self.sleeping)

    def woke(self, agent: Agent) -> None:
        """As any observed scheduler, and it counts them."""
        self.woken += 1
        super().woke(agent)

    def _changed(self, access: Access, before: bytes | None) -> bool:
        if access.kind == "notify":
            return self.woken > 0
        return access.kind == "grow" or access.host not in ("", "sched_yield") or before != _content(access)


def _content(access: Access) -> bytes | None:
    """The bytes that an access may change."""
    memory: Memory | None = access.memory
    return bytes(memory.u8[access.start : access.end]) if memory is not None and access.writes else None
