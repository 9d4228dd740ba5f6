"""What a step of an agent does to what agents share, as far as others could notice.

A step begins with one operation that others could observe (:class:`Access`) and goes on to the next one. Two accesses
are *dependent* if their order can matter: their bytes overlap and one of them writes, they work on the same wait queue,
they see or change the size of a memory, or both call the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refwasm.execution.memory import Memory
from refwasm.syntax.instructions import Form, Instr

#: Kinds of accesses that read bytes, and that (may) write them.
READS = frozenset({"load", "rmw", "cmpxchg", "wait", "copy"})
WRITES = frozenset({"store", "rmw", "cmpxchg", "fill", "copy", "init"})
#: Kinds that change or look at a wait queue. ``idle`` is a notify that has found nobody.
QUEUE = frozenset({"wait", "notify", "timeout", "idle"})
#: Kinds that see or change the size of a memory.
SIZE = frozenset({"size", "grow"})
#: Host functions that show nothing and change nothing that others see.
QUIET = frozenset({"sched_yield", "clock_time_get", "clock_res_get", "random_get", "environ_get", "environ_sizes_get",
                   "args_get", "args_sizes_get"})  # fmt: skip
_BULK = {"memory.fill": "fill", "memory.copy": "copy", "memory.init": "init"}
_OTHERS = {"memory.size": "size", "memory.grow": "grow", "memory.atomic.notify": "notify",
           "memory.atomic.wait32": "wait", "memory.atomic.wait64": "wait"}  # fmt: skip


#: Which thread: the number of its parent's children before it, behind its parent's; the same in every schedule. The
#: host, whose calls start the outermost ones, is HOST.
ThreadId = tuple[int, ...]
HOST: ThreadId = ()


class Access(NamedTuple):
    """An operation: its kind; the memory (None for what has none) and the bytes from ``start`` to ``end`` (exclusive);
    whether it is atomic; its instruction. A ``copy`` reads ``source``: memory, start and end. ``host`` is the function
    of a call of the host. ``outside`` says that the access may lie beyond the end of a memory that can grow."""

    kind: str
    memory: Memory | None = None
    start: int = 0
    end: int = 0
    atomic: bool = False
    instr: Instr | None = None
    source: tuple[Memory, int, int] | None = None
    host: str = ""
    outside: bool = False

    @property
    def reads(self) -> bool:
        """Whether it reads bytes."""
        return self.kind in READS

    @property
    def writes(self) -> bool:
        """Whether it may write bytes."""
        return self.kind in WRITES

    @property
    def width(self) -> int:
        """Bytes."""
        return self.end - self.start


#: The last step of a program: whatever others do comes before it or not at all.
END = Access("end")
START = Access("start")

_KINDS: dict[Form, tuple[str, bool]] = {}


def kind_of(instr: Instr) -> tuple[str, bool]:
    """What kind of access an instruction is, and whether it is atomic."""
    found = _KINDS.get(instr.form)
    if found is None:
        found = _KINDS[instr.form] = _kind(instr.form)
    return found


def _kind(form: Form) -> tuple[str, bool]:
    name = form.mnemonic
    if name in _BULK:
        return _BULK[name], False
    if name in _OTHERS:
        return _OTHERS[name], True
    if form.is_rmw:
        return ("cmpxchg" if "cmpxchg" in form.properties else "rmw"), True
    return ("store" if form.stores else "load"), form.is_atomic


def access_of(instr: Instr, memory: Memory, address: int, stack: list[Any]) -> Access:
    """The access that an instruction is about to make, its operands on the stack. ``address`` is that of its first
    operand, as watches and the scheduler are told."""
    kind, is_atomic = kind_of(instr)
    if kind in SIZE:
        return Access(kind, memory, 0, 0, True, instr)
    if kind in ("fill", "copy", "init"):
        return _bulk(kind, instr, memory, address, stack)
    end = address + (instr.form.width or 0)
    return Access(kind, memory, address, end, is_atomic, instr, None, "", end > len(memory.u8))


def _bulk(kind: str, instr: Instr, memory: Memory, address: int, stack: list[Any]) -> Access:
    count = stack[-1]
    source = (memory, stack[-2], stack[-2] + count) if kind == "copy" else None
    outside = max(address, stack[-2] if source else 0) + count > len(memory.u8)
    return Access(kind, memory, address, address + count, False, instr, source, "", outside)


def dependent(a: Access, b: Access) -> bool:
    """Whether the order of two accesses by different threads can matter, where ``b`` was made first, or both are about
    to be. (A notify that finds nobody would find nobody behind the other one either.)"""
    if a.memory is None or b.memory is None:
        return _without_memory(a, b)
    if a.memory is b.memory:
        if a.start < b.end and b.start < a.end and (a.kind in WRITES or b.kind in WRITES):
            return True
        if a.kind in QUEUE and b.kind in QUEUE and a.start == b.start:
            return not (b.kind == "idle" and a.kind in ("notify", "idle"))
        if (a.kind == "grow" and (b.kind in SIZE or b.outside)) or (b.kind == "grow" and (a.kind in SIZE or a.outside)):
            return True
    return (a.source is not None and _reads(a.source, b)) or (b.source is not None and _reads(b.source, a))


def as_made(access: Access, woken: int, changed: bool) -> Access:
    """An access that was made, as it turned out: a compare-exchange that did not find what it expected has only read,
    and a notify may have found nobody."""
    if access.kind == "notify" and not woken:
        return access._replace(kind="idle")
    if access.kind == "cmpxchg" and not changed:
        return access._replace(kind="load")
    return access


def _without_memory(a: Access, b: Access) -> bool:
    if a.kind == "end" or b.kind == "end" or "proc_exit" in (a.host, b.host):
        return True
    return bool(a.host and b.host) and a.host not in QUIET and b.host not in QUIET


def _reads(source: tuple[Memory, int, int], other: Access) -> bool:
    memory, start, end = source
    return other.memory is memory and other.kind in WRITES and start < other.end and other.start < end


def exchanges(access: Access, agent: Any) -> bool:
    """Whether a compare-exchange that is about to happen finds what it expects."""
    memory = access.memory
    assert memory is not None
    found = int.from_bytes(memory.u8[access.start : access.end], "little")
    expected: int = agent.stack[-2] & (1 << 8 * access.width) - 1
    return found == expected


def sleeps(access: Access, agent: Any) -> bool:
    """Whether a wait that is about to happen goes to sleep: memory holds what it expects."""
    memory = access.memory
    assert memory is not None
    return bool(int.from_bytes(memory.u8[access.start : access.end], "little") == agent.stack[-2])
