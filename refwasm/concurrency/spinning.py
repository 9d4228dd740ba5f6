"""Threads that spin: they come back to a place in the same state, and what they read in between has not changed.

Such a thread would go round without end. It goes on only after a change of the bytes that it looks at; so exploring all
schedules of a lock or a flag ends, and no state is lost.
"""

from __future__ import annotations

from typing import Any

from refwasm.concurrency.accesses import Access, ThreadId
from refwasm.execution.interpreter.agent import Agent
from refwasm.execution.store import ModuleInst

#: Bytes of a memory; no memory stands for everything.
Bytes = tuple[Any, int, int]
EVERYTHING: Bytes = (None, 0, 0)

#: Instructions that change state of an instance which is neither in a frame nor in a global.
_ELSEWHERE = frozenset({"table.set", "table.grow", "table.fill", "table.copy", "table.init", "elem.drop", "data.drop",
                        "struct.set", "array.set", "array.fill", "array.copy", "array.init_data",
                        "array.init_elem"})  # fmt: skip


class Spins:
    """What has happened as far as spinning threads care. ``spinning`` tells which bytes each of them waits for."""

    def __init__(self) -> None:
        self.spinning: dict[ThreadId, list[Bytes]] = {}
        self._reads: dict[ThreadId, list[Bytes]] = {}
        self._changes: list[Bytes] = []
        self._looks: dict[tuple[Any, ...], tuple[int, int]] = {}

    def stepped(self, thread: ThreadId, access: Access, changed: bool, slept: bool) -> None:
        """A thread has made a step, which changed something that others see, or not; perhaps it sleeps now."""
        reads = self._reads.setdefault(thread, [])
        if access.kind == "notify":
            reads.append((_queue(access), access.start, access.start + 1))
        elif access.reads or access.kind == "size":
            reads.append((access.memory, access.start, max(access.end, access.start + 1)))
        if access.source is not None:
            reads.append(access.source)
        if slept:
            self._change((_queue(access), access.start, access.start + 1))
        elif changed:
            everything = access.kind in ("notify", "grow", "host")
            self._change(EVERYTHING if everything else (access.memory, access.start, access.end))

    def _change(self, change: Bytes) -> None:
        self._changes.append(change)
        for thread in [t for t, looked_at in self.spinning.items() if _any_overlap(looked_at, [change])]:
            del self.spinning[thread]

    def arrives(self, thread: ThreadId, agent: Agent, asleep: bool) -> None:
        """A thread has come to an operation that others can notice."""
        instances = {id(frame[2].instance): frame[2].instance for frame in agent.frames}
        if not all(map(is_plain, instances.values())):
            return
        state = (
            thread, agent.pc, asleep, tuple(agent.locals), tuple(agent.stack),
            tuple((frame[0], tuple(frame[1])) for frame in agent.frames),
            tuple(cell.value for i in instances.values() for cell in i.globals if cell.type.mutable),
        )  # fmt: skip
        reads = self._reads.get(thread, [])
        last = self._looks.get(state)
        if last is not None and not _any_overlap(reads[last[0] :], self._changes[last[1] :]):
            self.spinning[thread] = reads[last[0] :]
        self._looks[state] = len(reads), len(self._changes)


def _queue(access: Access) -> tuple[str, int]:
    """Stands for the wait queues of a memory."""
    return "queue", id(access.memory)


def _any_overlap(some: list[Bytes], others: list[Bytes]) -> bool:
    return any(
        b[0] is None or (a[0] == b[0] and a[1] < b[2] and b[1] < a[2]) for b in others for a in (some or [EVERYTHING])
    )


_PLAIN: dict[int, tuple[Any, bool]] = {}


def is_plain(instance: ModuleInst) -> bool:
    """Whether all state of an instance is in frames, globals and shared memories."""
    module = instance.validated
    found = _PLAIN.get(id(module))
    if found is None or found[0] is not module:
        forms = {instr.form.mnemonic for func in instance.module.funcs for instr in func.body}
        plain = all(memory.shared for memory in instance.memories) and not forms & _ELSEWHERE
        if len(_PLAIN) > 1000:
            _PLAIN.clear()
        found = _PLAIN[id(module)] = module, plain
    return found[1]
