"""Schedules of programs that are too large for all of them: at random, by priorities, or with few preemptions."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from refwasm.concurrency.accesses import ThreadId
from refwasm.concurrency.scheduler import ExploringScheduler, Observer
from refwasm.execution.choices import AGENT, WAIT, OtherExecution, Replayed


class Sampled(Observer):
    """An execution of a search that looks at nothing: the base of those below."""

    def choose(self, scheduler: ExploringScheduler) -> ThreadId:
        """Who goes on."""
        raise NotImplementedError

    def ended(self) -> None:
        """Nothing."""


class RandomWalk(Sampled):
    """Any thread that can go on, at each step."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def choose(self, scheduler: ExploringScheduler) -> ThreadId:
        return self.random.choice(list(scheduler.enabled))


class RandomSearch:
    """Executions at random, reproducibly."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[Sampled]:
        number = 0
        while True:
            yield RandomWalk(Random(f"{self.seed}:{number}"))
            number += 1


class Prioritised(Sampled):
    """The thread with the highest priority goes on; at some steps the one that would gets the lowest."""

    def __init__(self, random: Random, changes: frozenset[int]) -> None:
        self.random, self.changes = random, changes
        self.priorities: dict[ThreadId, float] = {}
        self.step = 0
        self.lowest = 0.0

    def choose(self, scheduler: ExploringScheduler) -> ThreadId:
        for thread in scheduler.enabled:
            if thread not in self.priorities:
                self.priorities[thread] = 1 + self.random.random()
        self.step += 1
        best = max(scheduler.enabled, key=self.priorities.__getitem__)
        if self.step in self.changes:
            self.lowest -= 1
            self.priorities[best] = self.lowest
            best = max(scheduler.enabled, key=self.priorities.__getitem__)
        return best


class PriorityChanges:
    """Probabilistic concurrency testing (S. Burckhardt and others: "A randomized scheduler with probabilistic
    guarantees of finding bugs", ASPLOS 2010): random priorities of threads, and ``depth`` - 1 steps at which that of
    the running thread is lowered. A bug that takes ``depth`` ordered steps is found in each execution with a
    probability of at least 1 / (threads * steps ** (depth - 1))."""

    def __init__(self, depth: int, seed: int = 0) -> None:
        self.depth, self.seed = depth, seed

    def __iter__(self) -> Iterator[Sampled]:
        number, longest = 0, 1
        while True:
            random = Random(f"{self.seed}:{number}")
            changes = frozenset(random.randint(1, longest) for _ in range(self.depth - 1)) if number else frozenset()
            execution = Prioritised(random, changes)
            yield execution
            longest = max(longest, execution.step)
            number += 1


class Bounded:
    """All schedules with at most ``bound`` preemptions: a thread that could go on has to let another one. (M.
    Musuvathi, S. Qadeer: "Iterative context bounding for systematic testing of multithreaded programs", PLDI 2007.)"""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.path: list[tuple[list[ThreadId], int]] = []  # the threads in the order in which they are tried, which is

    def __iter__(self) -> Iterator[Sampled]:
        yield _Walk(self)
        while self.path:
            options, at = self.path.pop()
            if at + 1 < len(options):
                self.path.append((options, at + 1))
                yield _Walk(self)


class _Walk(Sampled):
    """One path of the search."""

    def __init__(self, search: Bounded) -> None:
        self.search = search
        self.depth = self.preemptions = 0
        self.last: ThreadId | None = None

    def choose(self, scheduler: ExploringScheduler) -> ThreadId:
        path = self.search.path
        if self.depth == len(path):
            path.append((self._options(list(scheduler.enabled)), 0))
        options, at = path[self.depth]
        self.depth += 1
        thread = options[at]
        self.preemptions += self.last in scheduler.enabled and thread != self.last
        self.last = thread
        return thread

    def _options(self, enabled: list[ThreadId]) -> list[ThreadId]:
        if self.last not in enabled:
            return enabled
        others = [thread for thread in enabled if thread != self.last]
        assert self.last is not None
        return [self.last, *others] if self.preemptions < self.search.bound else [self.last]


class Following(Sampled):
    """The schedule that choices replay. (The scheduler of an exploration makes no other choices than it records.)"""

    def __init__(self, choices: Replayed) -> None:
        self.choices = choices

    def choose(self, scheduler: ExploringScheduler) -> ThreadId:
        """As the usual scheduler would: perhaps somebody's time is out, else one of those that are ready. Raises
        OtherExecution if the choices do not fit."""
        ready, waiting = scheduler.ready_tasks(), scheduler.waiting_with_timeout()
        taken = self.choices.taken = list(scheduler.choices.taken)
        others = bool(ready)
        option = self.choices.choose(WAIT, len(waiting) + others) - others
        if waiting and option >= 0:
            found = next(task.number for task in scheduler.tasks if task.agent() is waiting[option])
        else:
            found = ready[self.choices.choose(AGENT, len(ready))].number
        self.choices.taken = taken
        if found not in scheduler.enabled:
            raise OtherExecution("the choices let a thread go on that cannot: they belong to another program")
        return found  # type: ignore[no-any-return]
