"""Threads that take turns in this process, in an order that a seed decides: the same seed, the same run.

Each thread is an instance in one interleaved store, and an agent of its scheduler. Host calls that would wait are made
again at the thread's next turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refwasm import embedding as e
from refwasm.host.wasi.threads.linking import MAX_THREAD_ID, MAX_THREADS, NO_THREAD, START


class Interleaving:
    """Runs a program. ``link`` gives what a new thread imports: functions of its own, since each may be in the middle
    of a call, over what all share."""

    def __init__(self, store: e.Store, validated: e.Validated, link: Callable[[], Sequence[e.Extern]]) -> None:
        self.store = store
        self.validated = validated
        self.link = link
        self.threads = 0
        self.last_id = 0

    def spawn(self, argument: int) -> int:
        """Add a thread that takes its turns from now on; its number, or a negative one."""
        if self.threads >= MAX_THREADS or self.last_id >= MAX_THREAD_ID:
            return NO_THREAD
        self.last_id += 1
        self.threads += 1
        thread = self.last_id
        instance = e.module_instantiate(self.store, self.validated, self.link())
        function = instance.exports[START]
        assert isinstance(function, e.FuncInst), "checked when the program was linked"
        e.func_start(self.store, function, [thread, argument], self._ended, f"thread {thread}")
        return thread

    def _ended(self) -> None:
        self.threads -= 1
