"""All schedules of a program, one of each class: dynamic partial order reduction.

Two schedules belong to one class (a Mazurkiewicz trace) if they differ only in the order of independent steps. The
algorithm is Source-DPOR with sleep sets (P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas: "Optimal dynamic partial order
reduction", POPL 2014, algorithm 1). It executes every class exactly once; executions that turn out to repeat a class
are cut when only sleeping threads are left, and counted apart. It is stateless: each execution starts from the
beginning and follows the nodes of the last one as far as they go.

What the paper leaves to the program model: a wait never blocks (it enters a queue), a notify enables those that it
wakes, and the end of a thread those that join it; such an order is no race. A time-out is a step of the thread that
waits; a notify takes it away, so the thread is also tried in the place of the notify.
"""

from __future__ import annotations

from collections.abc import Iterator

from refwasm.concurrency.accesses import Access, ThreadId, dependent
from refwasm.concurrency.scheduler import Cut, ExploringScheduler, Observer

Clock = dict[ThreadId, int]


class Node:
    """A place in an execution: what each thread can do next, which are asleep (their steps have been tried, and nothing
    that happened since depends on them), which must be tried, and which is. ``clock`` tells, once the step is done, how
    many steps of each thread happen before it or are it; ``place`` is the number of its thread's steps with it."""

    __slots__ = ("accesses", "access", "backtrack", "clock", "place", "sleep", "thread", "wakes")

    def __init__(self, accesses: dict[ThreadId, Access], sleep: dict[ThreadId, Access], thread: ThreadId) -> None:
        self.accesses, self.sleep, self.thread = accesses, sleep, thread
        self.access = accesses[thread]
        self.backtrack = {thread}
        self.clock: Clock = {}
        self.place = 0
        self.wakes: list[ThreadId] = []

    def renew(self, accesses: dict[ThreadId, Access]) -> None:
        """The same place in another execution, where memories may be other objects."""
        self.accesses, self.access = accesses, accesses[self.thread]
        for thread in self.sleep:
            self.sleep[thread] = accesses[thread]

    def next_thread(self) -> ThreadId | None:
        """A thread that must be tried and has not been; the present one goes to sleep."""
        self.sleep[self.thread] = self.accesses[self.thread]
        return min((t for t in self.backtrack if t not in self.sleep), default=None)


class Search:
    """The nodes of the present execution. Iterating gives each execution, which chooses for an ExploringScheduler and
    observes it; the next one is found when it has ended."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def __iter__(self) -> Iterator[Execution]:
        yield Execution(self)
        while self._goes_on():
            yield Execution(self)

    def _goes_on(self) -> bool:
        """Go back to the last node where something is left to try; whether there is one."""
        while self.nodes:
            node = self.nodes[-1]
            thread = node.next_thread()
            if thread is not None:
                node.thread, node.access = thread, node.accesses[thread]
                node.wakes = []
                return True
            self.nodes.pop()
        return False


class Execution(Observer):
    """One execution of a search: the strategy that leads it, and the observer that looks for races to reverse."""

    def __init__(self, search: Search) -> None:
        self.nodes = search.nodes
        self.known = len(search.nodes) - 1  # nodes whose steps are done as before; the last one's is another one
        self.depth = 0
        self.clocks: dict[ThreadId, Clock] = {}
        self.places: dict[ThreadId, int] = {}
        self.node: Node | None = None
        self._later: list[tuple[ThreadId, Clock]] = []  # what comes before the next steps of threads

    # ---- strategy --------------------------------------------------------------------------------------------------

    def choose(self, scheduler: ExploringScheduler) -> ThreadId:
        """The thread of the next node. Raises Cut where only threads are left that need not be tried again."""
        self.settle()
        if self.depth < len(self.nodes):
            node = self.nodes[self.depth]
            node.renew({number: access for number, (_, access) in scheduler.enabled.items()})
        else:
            node = self._new(scheduler)
            self.nodes.append(node)
        self.node = node
        return node.thread

    def _new(self, scheduler: ExploringScheduler) -> Node:
        accesses = {number: access for number, (_, access) in scheduler.enabled.items()}
        sleep: dict[ThreadId, Access] = {}
        if self.nodes:
            last = self.nodes[-1]
            sleep = {
                thread: access
                for thread, access in last.sleep.items()
                if thread in accesses and thread != last.thread and not dependent(access, last.access)
            }
        awake = [thread for thread in accesses if thread not in sleep]
        if not awake:
            raise Cut("redundant")
        last_thread = self.nodes[-1].thread if self.nodes else None
        return Node(accesses, sleep, last_thread if last_thread in awake else awake[0])

    # ---- observer --------------------------------------------------------------------------------------------------

    def started(self, thread: ThreadId, parent: ThreadId | None, label: str) -> None:
        """Its first step comes after those of its parent so far, with the present one."""
        self.clocks[thread] = {} if parent is None else self._now(parent)

    def made(self, thread: ThreadId, access: Access) -> None:
        """The step, as it turned out."""
        if self.node is not None and self.node.thread == thread:
            self.node.access = access

    def joined(self, thread: ThreadId, other: ThreadId) -> None:
        """The next step comes after all of the other's."""
        self._later.append((thread, self._now(other)))
        if self.node is None:
            self._order_later()

    def woke(self, thread: ThreadId, other: ThreadId) -> None:
        """The other's next step comes after this one."""
        if self.node is not None and thread == self.node.thread:
            self.node.wakes.append(other)
        _join(self.clocks[other], self._now(thread))

    def _now(self, thread: ThreadId) -> Clock:
        """The clock of a thread, with the step that it is in the middle of."""
        if self.node is not None and self.node.thread == thread and self.depth < self.known:
            return dict(self.node.clock)
        clock = dict(self.clocks[thread])
        if self.node is not None and self.node.thread == thread:
            clock[thread] = self.places.get(thread, 0) + 1
            for earlier in self.nodes[: self.depth]:
                if dependent(self.node.access, earlier.access):
                    _join(clock, earlier.clock)
        return clock

    def ended(self) -> None:
        """The last step is over."""
        self.settle()

    # ---- races -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """The step of the present node is over: order it, and have reversed what races with it."""
        node = self.node
        if node is None:
            return
        self.node = None
        thread = node.thread
        self.places[thread] = place = self.places.get(thread, 0) + 1
        if self.depth < self.known:
            clock = node.clock
        else:
            clock = self._ordered(node, place)
        _join(self.clocks[thread], clock)
        self.depth += 1
        self._order_later()

    def _order_later(self) -> None:
        for thread, clock in self._later:
            _join(self.clocks[thread], clock)
        self._later.clear()

    def _ordered(self, node: Node, place: int) -> Clock:
        """The clock of a step; the races on the way are noted."""
        clock = dict(self.clocks[node.thread])
        clock[node.thread] = node.place = place
        for at in range(self.depth - 1, -1, -1):
            earlier = self.nodes[at]
            if earlier.thread == node.thread or clock.get(earlier.thread, 0) >= earlier.place:
                continue
            if dependent(node.access, earlier.access):
                self._reverse(at, node)
                _join(clock, earlier.clock)
        node.clock = clock
        for thread in node.wakes:  # if its time is out first, it is not notified
            if thread in node.accesses:
                node.backtrack.add(thread)
        return clock

    def _reverse(self, at: int, node: Node) -> None:
        """Have another thread tried at a node, so that the step of ``node`` comes before the one there."""
        first = self.nodes[at]
        initials: list[ThreadId] = []
        seen: list[Node] = []
        for later in self.nodes[at + 1 : self.depth]:
            if later.clock.get(first.thread, 0) >= first.place:
                continue  # it happens after the step at the node
            _note_initial(later, seen, initials)
        if node.thread not in {later.thread for later in seen}:
            base = self.clocks[node.thread]
            if not any(base.get(s.thread, 0) >= s.place or dependent(node.access, s.access) for s in seen):
                initials.append(node.thread)
        if not first.backtrack.isdisjoint(initials):
            return
        possible = [thread for thread in initials if thread in first.accesses]
        if possible:
            first.backtrack.add(node.thread if node.thread in possible else possible[0])


def _note_initial(later: Node, seen: list[Node], initials: list[ThreadId]) -> None:
    """Note a step, and its thread if the step can come first."""
    if not any(later.clock.get(s.thread, 0) >= s.place for s in seen):
        initials.append(later.thread)
    seen.append(later)


def _join(clock: Clock, other: Clock) -> None:
    """Make a clock the later of two, thread by thread."""
    for thread, place in other.items():
        if clock.get(thread, 0) < place:
            clock[thread] = place
