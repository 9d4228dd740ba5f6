"""The life of a function in the auto tier: interpreted until it proves hot, then compiled, first without what was never
executed, at last as a whole.

::

    interpreted ─┐
                 ├─▶ compiled in part ──▶ compiled
    known ───────┘
    any of them ──▶ failed

A function has an *allowance* of work, in proportion to what compiling it costs. The interpreter takes from it: for each
call and turn of a loop while the function is interpreted, and for what compiled code leaves to the interpreter from
then on. When it is used up, the function takes the next step.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

#: Executed instructions, for each instruction of a function, that cost about as much time as compiling it.
ALLOWANCE = 25
#: So often a function is compiled without what was never executed, then as a whole.
TRIES = 2
#: More work than any function does.
ENDLESS = 1 << 62


class State(Enum):
    """Where a function is in its life."""

    INTERPRETED = "interpreted"
    KNOWN = "known"  # an earlier process compiled it: its code may be at hand before its body is even decoded
    PARTIAL = "compiled in part"
    COMPILED = "compiled"
    FAILED = "failed"  # it can't be compiled


#: The states that each state may be followed by.
FOLLOWING: dict[State, frozenset[State]] = {
    State.INTERPRETED: frozenset({State.PARTIAL, State.COMPILED, State.FAILED}),
    State.KNOWN: frozenset({State.PARTIAL, State.COMPILED, State.FAILED}),
    State.PARTIAL: frozenset({State.PARTIAL, State.COMPILED, State.FAILED}),
    State.COMPILED: frozenset({State.FAILED}),
    State.FAILED: frozenset(),
}
#: States in which calls go to compiled code.
HOT = frozenset({State.KNOWN, State.PARTIAL, State.COMPILED})


class Life:
    """``left`` is what is left of the allowance; below zero it is used up. ``length`` tells how many instructions the
    function has, when that is asked (a function may never be decoded). ``tries`` are how often it is still compiled in
    part."""

    __slots__ = ("state", "left", "tries", "length")

    def __init__(self, length: Callable[[], int], known: bool) -> None:
        self.length = length
        self.state = State.KNOWN if known else State.INTERPRETED
        self.left = 0 if known else ALLOWANCE * length()
        self.tries = TRIES

    @property
    def is_hot(self) -> bool:
        """Whether calls go to compiled code."""
        return self.state in HOT

    @property
    def is_whole(self) -> bool:
        """Whether all of the function is to be compiled, even what was never executed."""
        return self.state is State.COMPILED

    @property
    def can_grow(self) -> bool:
        """Whether more of it can be compiled."""
        return self.state not in (State.COMPILED, State.FAILED)

    def renew(self) -> None:
        """What is tried next must be worth as much again."""
        self.left = ALLOWANCE * self.length()

    def compile(self) -> None:
        """It is hot: calls go to compiled code from now on."""
        if self.state not in (State.PARTIAL, State.COMPILED):
            was_known = self.state is State.KNOWN
            self._become(State.PARTIAL)
            if not was_known:
                self.renew()

    def compile_more(self, whole: bool = False) -> None:
        """Compiled code was left for the interpreter too often: more of the function is compiled, or all of it."""
        self.renew()
        self.tries = 0 if whole else self.tries - 1
        self._become(State.PARTIAL if self.tries else State.COMPILED)

    def fail(self) -> None:
        """It can't be compiled: the interpreter executes it for ever."""
        self._become(State.FAILED)
        self.left = ENDLESS

    def _become(self, state: State) -> None:
        if state is not self.state and state not in FOLLOWING[self.state]:
            raise AssertionError(f"a function that is {self.state.value} can't become {state.value}")
        self.state = state


__all__ = ["ALLOWANCE", "FOLLOWING", "TRIES", "Life", "State"]
