"""Calls of compiled code from outside: what Python raises there becomes what WebAssembly means by it."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from types import CodeType, TracebackType
from typing import Any, TypeVar

from refwasm.errors import BACKTRACE, Crash, Exhaustion, StackEntry, Trap, WasmError
from refwasm.execution import watchdog
from refwasm.execution.compiler.conventions import Spans, instruction_at
from refwasm.execution.compiler.linking.runtime import Conversion, Function
from refwasm.execution.memory import Memory
from refwasm.execution.store import FuncInst, Settings
from refwasm.host_system import FRAMES

#: What Python takes at most as its limit of recursion.
MAX_LIMIT = (1 << 31) - 1
#: Python frames that the rest of the program may need besides those of WebAssembly calls.
SPARE_FRAMES = 5_000

R = TypeVar("R")
#: What calls a function with internal values.
Invocation = Callable[[Sequence[Any]], list[Any]]


class Compiled:
    """A function that was translated: its code, and the way back from positions in it. It belongs to a module, not to
    an instance, which may go."""

    __slots__ = ("module", "func", "index", "code", "spans")

    def __init__(self, func: FuncInst, code: CodeType, spans: Spans) -> None:
        self.module, self.func, self.index = func.module.module, func.func, func.index
        self.code, self.spans = code, spans


class Entrance:
    """The way into the compiled code of one store. ``boundary`` is the code of the frames that calls of the other tier
    have in a traceback."""

    def __init__(self, settings: Settings, boundary: CodeType) -> None:
        self.settings = settings
        # By the identity of code objects: two functions of the same text have equal ones. The entry keeps its own.
        self.places: dict[int, Compiled] = {}
        self.shared: list[Memory] = []  # memories that other processes may grow
        self.deep = False  # Python's limit of recursion is that of the call stack
        self.boundaries = {boundary}

    def invocation_of(self, function: Function, conversion: Conversion) -> Invocation:
        """What calls compiled code with internal values. Traps get the calls from here on for their backtraces."""
        plain, is_single, shared = conversion.plain, conversion.is_single, self.shared
        inward, outward = conversion.inward, conversion.outward

        def enter(args: Sequence[Any]) -> list[Any]:
            if not self.deep:
                return self.deeply(enter, args)
            for memory in shared:
                memory.refresh()
            try:
                result = function(*(args if plain else inward(args)))
                return [result] if is_single else outward(result)
            except Exception as error:
                self._explain(error)
                raise

        self.boundaries.add(enter.__code__)
        return enter

    def deeply(self, call: Callable[..., R], *args: Any) -> R:
        """A call with room for the deepest call stack."""
        if self.deep:
            return call(*args)
        settings = self.settings
        limited = settings.deadline is not None or settings.interrupted is not None
        frames = settings.call_depth + SPARE_FRAMES
        _raise_limit(frames if FRAMES is None else min(frames, FRAMES))
        self.deep = True
        try:
            return self._watched(call, args) if limited else call(*args)
        finally:
            self.deep = False
            _restore_limit()

    def _watched(self, call: Callable[..., R], args: Sequence[Any]) -> R:
        """A call that ends when its time is up, whatever it does."""
        before = watchdog.watch(self.settings)
        try:
            return call(*args)
        except watchdog.Stopped as stopped:
            raise watchdog.reason(self.settings) from stopped
        finally:
            watchdog.unwatch(before)

    def _explain(self, error: Exception) -> None:
        """Something came out of compiled code."""
        if isinstance(error, Trap):
            error.backtrace = [*error.backtrace, *self._calls(error)][:BACKTRACE]
        elif isinstance(error, RecursionError):
            exhausted = Exhaustion("call stack exhausted")
            exhausted.backtrace = self._entries(error.__traceback__)
            _release_frames(error)
            raise exhausted from None
        elif not isinstance(error, WasmError):
            self._blame(error)

    def _blame(self, error: Exception) -> None:
        """Generated code itself never fails: if it does, that is our mistake, and this says where to look."""
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = None if traceback is None else self.places.get(id(traceback.tb_frame.f_code))
        if place is not None:
            raise Crash(
                f"internal error in the code compiled for function {place.index}: {error!r}; "
                f"'refwasm explain FILE {place.index}' shows it, '--tier interpret' does without it"
            ) from error

    def _calls(self, trap: Trap) -> list[StackEntry]:
        """The active calls up to the next boundary, innermost first."""
        assert trap.__traceback__ is not None
        own = self._entries(trap.__traceback__)
        if trap.__cause__ is not None and not trap.backtrace:  # an IndexError in the innermost function
            return [*self._entries(trap.__cause__.__traceback__), *own[1:]]
        return own

    def _entries(self, traceback: TracebackType | None) -> list[StackEntry]:
        innermost: deque[TracebackType] = deque(maxlen=BACKTRACE)
        first = True
        while traceback is not None and (first or traceback.tb_frame.f_code not in self.boundaries):
            if id(traceback.tb_frame.f_code) in self.places:
                innermost.append(traceback)
            traceback, first = traceback.tb_next, False
        entries = (_stack_entry(self.places[id(found.tb_frame.f_code)], found) for found in reversed(innermost))
        return [entry for entry in entries if entry is not None]


def _release_frames(error: Exception) -> None:
    """Let the frames go one by one, the innermost first: left to itself, each would release the one below it, and that
    takes a stack as deep as the calls were."""
    links: list[TracebackType] = []
    link, error.__traceback__ = error.__traceback__, None
    while link is not None:
        links.append(link)
        link = link.tb_next
    while links:
        links.pop().tb_next = None


def _stack_entry(compiled: Compiled, traceback: TracebackType) -> StackEntry | None:
    """The entry of a call; None if the other tier went on with it, and has one."""
    positions = traceback.tb_frame.f_code.co_positions()
    line, _, column, _ = next(islice(positions, traceback.tb_lasti // 2, None))
    pc = instruction_at(compiled.spans, line or traceback.tb_lineno, column)
    if pc == len(compiled.func.body):
        return None
    module, places = compiled.module, compiled.func.positions
    location = module.locate(places[pc]) if module.locate is not None and pc < len(places) else ""
    return StackEntry(compiled.index, module.names.of("func", compiled.index), location)


# Python's limit of recursion belongs to the process: the first that needs more raises it, the last restores it.
_lock = allocate_lock()
_acquire, _release = _lock.acquire, _lock.release  # half of what a with statement takes
_limits: list[int] = []  # the one before, and one for each who needs more
if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_release)


def _raise_limit(limit: int) -> None:
    _acquire()
    try:
        before = sys.getrecursionlimit()
        if not _limits:
            _limits.append(before)
        _limits.append(limit)
        if before < limit:
            sys.setrecursionlimit(min(limit, MAX_LIMIT))
    finally:
        _release()


def _restore_limit() -> None:
    _acquire()
    try:
        _limits.pop()
        if len(_limits) == 1:
            sys.setrecursionlimit(_limits.pop())
    finally:
        _release()
