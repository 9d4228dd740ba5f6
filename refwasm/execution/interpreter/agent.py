"""Agents: the explicit state of one thread of WebAssembly execution, and the loop that runs it.

No Python recursion stands for a WebAssembly call, so nesting is bounded by a setting only, every step takes constant
time, and an agent can stop before any instruction and go on later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import Any, NamedTuple

from refwasm.errors import BACKTRACE, ResourceLimit, StackEntry, Trap
from refwasm.execution.bulk import PER_FUEL, look_at
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op
from refwasm.execution.store import Store
from refwasm.syntax.instructions import Instr

#: Steps between two looks at the clock.
QUANTUM = 20_000


class Finished(Exception):
    """The outermost call has returned."""


class Paused(Exception):
    """The agent stopped before an operation that others could observe; ``agent.pending`` tells which."""


class Blocked(Exception):
    """The agent sleeps in ``memory.atomic.wait``; ``agent.pending`` tells where."""


class Switched(Exception):
    """The agent executes another segment now, from ``agent.pc`` on."""


class Segment:
    """A part of an execution that was put aside (:mod:`.continuations`): what an agent has of it, where it goes on, who
    resumed it (None: nobody, at the bottom or in a continuation), and the handlers that stand between."""

    __slots__ = ("stack", "locals", "frames", "handlers", "pc", "place", "parent", "prompt", "depth")

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.locals: list[Any] = []
        self.frames: list[tuple[Op, list[Any], Code, int]] = []
        self.handlers: list[Any] = []
        self.pc: Op
        self.place = 0
        self.parent: Segment | None = None
        self.prompt: dict[Any, Any] = {}
        self.depth = 0


class Pending(NamedTuple):
    """An operation about to happen: the instruction, the memory it works on (None for host calls), the address, and the
    name of a host function."""

    instr: Instr
    memory: Any
    address: int
    host: str = ""


class Agent:
    """One thread of execution.

    A frame is a tuple: the closure where its caller goes on, the caller's locals, the code that was called, and the
    index of the caller's instruction that did. ``stack`` holds the operands of all frames, ``locals`` the innermost
    frame's locals, ``handlers`` the active ``try_table`` blocks (see :mod:`refwasm.execution.interpreter.exceptions`).
    ``pc`` is the closure to go on with. ``fuel`` is what is left: every executed instruction but those that only give
    structure takes one. ``calling`` is the index of the instruction of the innermost frame that calls something which
    another tier runs, or None.
    """

    __slots__ = (
        "store",
        "stack",
        "locals",
        "frames",
        "handlers",
        "pc",
        "fuel",
        "deadline",
        "pending",
        "wake_at",
        "woken",
        "calling",
        "countdown",
        "steps",
        "segment",
    )

    def __init__(self, store: Store) -> None:
        self.store = store
        self.stack: list[Any] = []
        self.locals: list[Any] = []
        self.frames: list[tuple[Op, list[Any], Code, int]] = []
        self.handlers: list[Any] = []
        self.pc: Op = _finish
        self.fuel = store.settings.fuel
        self.deadline = store.settings.deadline
        self.pending: Pending | None = None
        self.wake_at: float | None = None
        self.woken = False
        self.calling: int | None = None
        self.countdown: Any = None  # of the steps in hand: an iterator with so many items left
        self.steps = 0
        self.segment: Segment | None = None  # what is executed, once there are several

    def enter(self, code: Code, args: Sequence[Any]) -> None:
        """Prepare the outermost call."""
        self.frames.append((_finish, self.locals, code, 0))
        self.locals = [*args, *code.zeros]
        self.pc = code.entry

    def enter_at(self, code: Code, pc: int, locals: list[Any], stack: list[Any]) -> None:
        """The same in the middle of the function, outside of all ``try_table`` blocks."""
        self.frames.append((_finish, self.locals, code, 0))
        self.locals, self.pc = locals, code.at(pc)
        self.stack += stack

    def leave(self) -> tuple[Op, list[Any], Code, int]:
        """The innermost call goes on in another tier: its frame, which gave the caller its locals back."""
        frame = self.frames.pop()
        _, self.locals, _, self.calling = frame
        return frame

    def come_back(self, frame: tuple[Op, list[Any], Code, int]) -> None:
        """A call that went on in another tier goes on here, with locals that are set next."""
        self.frames.append(frame)

    def run(self, steps: int | None = None) -> list[Any] | None:
        """Run to the end and return the results, or run that many steps and return None if there is more to do.

        Raises Trap with a backtrace, UncaughtException, ResourceLimit; Paused and Blocked in interleaved stores.
        """
        try:
            if steps is not None:
                self._step(steps if self.fuel is None else min(steps, self.fuel))
                return None
            if self.fuel is None and self.deadline is None and self.store.settings.interrupted is None:
                self._run(repeat(None))
            while self.pc is not _finish:
                if self.fuel is None:
                    self._run(repeat(None, QUANTUM // 8))
                else:
                    self._step(min(QUANTUM, self.fuel))
                self.check_limits()
            return self.stack
        except Finished:
            return self.stack
        except Trap as trap:
            trap.backtrace = [*trap.backtrace, *self.backtrace()][:BACKTRACE]
            raise

    def _run(self, turns: Iterable[None]) -> None:
        """The hot loop: eight steps in each turn, since going round costs as much as half a step."""
        stack, op = self.stack, self.pc
        try:
            for _ in turns:
                op = op(self, stack)
                op = op(self, stack)
                op = op(self, stack)
                op = op(self, stack)
                op = op(self, stack)
                op = op(self, stack)
                op = op(self, stack)
                op = op(self, stack)
            self.pc = op
        except Finished:
            self.pc = _finish
        except Switched:
            pass
        except (Paused, Blocked):
            raise
        except BaseException:
            self.pc = op
            raise

    def _step(self, steps: int) -> None:
        """The same, counting: exactly so many steps, and fuel for each."""
        stack, op = self.stack, self.pc
        self.steps, self.countdown = steps, (countdown := repeat(None, steps))
        try:
            for _ in countdown:
                op = op(self, stack)
            self.pc = op
        except Finished:
            countdown = repeat(None, countdown.__length_hint__() + 1)  # finishing is no instruction
            raise
        except Switched:
            pass
        except (Paused, Blocked):
            raise
        except BaseException:
            self.pc = op
            raise
        finally:
            if self.fuel is not None:
                self.fuel -= steps - countdown.__length_hint__()

    def work(self, n: int) -> None:
        """An instruction is about to write so many bytes or elements (:data:`refwasm.execution.bulk.Work`). It takes
        fuel for them by letting the steps in hand pass, then from what is left behind them."""
        look_at(self.store.settings, n)
        if n < PER_FUEL or self.fuel is None:
            return
        cost = n // PER_FUEL
        passing = min(cost, self.countdown.__length_hint__())
        deque(islice(self.countdown, passing), maxlen=0)
        left = self.fuel - self.steps
        self.fuel -= min(cost - passing, left)
        if cost - passing > left:
            raise ResourceLimit("all fuel consumed")

    def check_limits(self) -> None:
        """Raise ResourceLimit if fuel or time are used up, or somebody asks to stop."""
        if self.fuel == 0 and self.pc is not _finish:
            raise ResourceLimit("all fuel consumed")
        self.store.settings.check()

    def backtrace(self) -> list[StackEntry]:
        """The active calls, innermost first; the outermost is kept if entries are left out."""
        entries: list[StackEntry] = []
        pc = self.calling
        frames, segment = self.frames, self.segment
        while True:
            for _, _, code, call in reversed(frames[-BACKTRACE:]):
                entries.append(_entry(code, _last_index(code.ops, self.pc) if pc is None else pc))
                pc = call
            segment = None if segment is None else segment.parent
            if segment is None or len(entries) >= BACKTRACE:
                return entries
            frames, pc = segment.frames, segment.place


def _finish(agent: Agent, stack: list[Any]) -> Any:
    raise Finished


def stack_at(op: Op, frames: Sequence[tuple[Op, list[Any], Code, int]]) -> list[StackEntry]:
    """The calls that were active when an agent with these frames was about to execute ``op``, innermost first."""
    entries, pc = [], None
    for _, _, code, call in reversed(frames):
        entries.append(_entry(code, _last_index(code.ops, op) if pc is None else pc))
        pc = call
    return entries


def _last_index(ops: list[Op], op: Op) -> int:
    """The instruction of a closure. What is not there builds the code and then does what the first closure does."""
    found = max((i for i, candidate in enumerate(ops) if candidate is op), default=-1)
    if found < 0:  # a closure with a stop before it
        found = max((i for i, candidate in enumerate(ops) if _is_within(candidate, op)), default=-1)
    return found if found >= 0 else _last_index(ops, ops[0]) if ops else 0


def _is_within(outer: Any, op: Op) -> bool:
    while outer is not None and outer is not op:
        outer = getattr(outer, "inner", None)
    return outer is not None


def _entry(code: Code, pc: int) -> StackEntry:
    func = code.func
    if func is None:
        return StackEntry(-1, "constant expression", "")
    module = code.instance.module
    positions = func.func.positions if code.ops else ()  # code that could not be built has none
    location = ""
    if module.locate is not None and 0 <= pc < len(positions):
        location = module.locate(positions[pc])
    return StackEntry(func.index, module.names.of("func", func.index), location)
