"""Atomic instructions (threads proposal). All go through the domain's lock where the memory is shared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from refwasm.errors import ResourceLimit, Trap
from refwasm.execution.interpreter.agent import Blocked, Pending
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import MEANINGS, Op, meaning
from refwasm.execution.interpreter.pausing import before_access
from refwasm.execution.memory import Memory, SharedMemory
from refwasm.syntax.instructions import FORMS, Form, Instr, MemArg

#: Outcomes of waiting; the last never reaches the guest. (Those of execution.domain, which is slow to import.)
TIMED_OUT, INTERRUPTED = 2, 3

Modify = Callable[[int, int], int]

#: What the read-modify-write instructions store, of the old value and the operand.
MODIFY: dict[str, Modify] = {
    "add": lambda old, operand: old + operand,
    "sub": lambda old, operand: old - operand,
    "and": lambda old, operand: old & operand,
    "or": lambda old, operand: old | operand,
    "xor": lambda old, operand: old ^ operand,
    "xchg": lambda old, operand: operand,
}


def _nothing() -> None:
    return None


def _lock(memory: Memory) -> tuple[Callable[[], object], Callable[[], object]]:
    """Acquire and release for one access. The domain's ``acquire`` is looked up each time: it may be broken later."""
    if not isinstance(memory, SharedMemory):
        return _nothing, _nothing
    domain = memory.domain
    return lambda: domain.acquire(), domain.release


def check_access(memory: Memory, address: int, width: int) -> None:
    """Trap if the address is unaligned or out of bounds."""
    if address % width:
        raise Trap("unaligned atomic")
    memory.check(address, width)


def _operands(code: Code, instr: Instr) -> tuple[Memory, int, int]:
    arg: MemArg = instr.args[0]
    return code.instance.memories[arg.memory], arg.offset, instr.form.width


def _atomic_load(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _operands(code, instr)
    acquire, release = _lock(memory)

    def op(t: Any, s: list[Any]) -> Any:
        address = s[-1] + offset
        check_access(memory, address, width)
        acquire()
        try:
            s[-1] = memory.load(width, address)
        finally:
            release()
        return following

    return before_access(code.store, memory, instr, 0, op)


def _atomic_store(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _operands(code, instr)
    acquire, release = _lock(memory)
    mask = (1 << 8 * width) - 1

    def op(t: Any, s: list[Any]) -> Any:
        value, address = s.pop() & mask, s.pop() + offset
        check_access(memory, address, width)
        acquire()
        try:
            memory.store(width, address, value)
        finally:
            release()
        return following

    return before_access(code.store, memory, instr, 1, op)


def _atomic_rmw(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _operands(code, instr)
    acquire, release = _lock(memory)
    modify = MODIFY[instr.form.mnemonic.split(".")[3].removesuffix("_u")]
    mask = (1 << 8 * width) - 1

    def op(t: Any, s: list[Any]) -> Any:
        operand = s.pop()
        address = s[-1] + offset
        check_access(memory, address, width)
        acquire()
        try:
            old = s[-1] = memory.load(width, address)
            memory.store(width, address, modify(old, operand) & mask)
        finally:
            release()
        return following

    return before_access(code.store, memory, instr, 1, op)


def _atomic_cmpxchg(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    """The expected value is wrapped to the width of the access first (threads proposal, Overview.md, table of
    compare-exchange). The proposal's tests don't settle this: see docs/standard.md, "Contested points"."""
    memory, offset, width = _operands(code, instr)
    acquire, release = _lock(memory)
    mask = (1 << 8 * width) - 1

    def op(t: Any, s: list[Any]) -> Any:
        replacement, expected = s.pop(), s.pop()
        address = s[-1] + offset
        check_access(memory, address, width)
        acquire()
        try:
            old = s[-1] = memory.load(width, address)
            if old == expected & mask:
                memory.store(width, address, replacement & mask)
        finally:
            release()
        return following

    return before_access(code.store, memory, instr, 2, op)


def _meaning_of(form: Form) -> Callable[[Code, Instr, int, Op], Op]:
    if form.is_rmw:
        return _atomic_cmpxchg if "cmpxchg" in form.properties else _atomic_rmw
    return _atomic_load if form.loads else _atomic_store


MEANINGS.update(
    {f: _meaning_of(f) for f in FORMS.values() if f.is_atomic and (f.loads or f.stores) and f not in MEANINGS}
)


@meaning("atomic.fence")
def _fence(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    """All accesses here are sequentially consistent already."""

    def op(t: Any, s: list[Any]) -> Any:
        return following

    return op


@meaning("memory.atomic.notify")
def _notify(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _operands(code, instr)

    def op(t: Any, s: list[Any]) -> Any:
        count = s.pop()
        address = s[-1] + offset
        check_access(memory, address, width)
        if not isinstance(memory, SharedMemory):
            s[-1] = 0
        elif code.store.interleaved:
            s[-1] = code.store.interleaved.notify(memory, address, count)
        else:
            s[-1] = memory.domain.notify(memory.identity, address, count)
        return following

    return before_access(code.store, memory, instr, 1, op)


@meaning("memory.atomic.wait32", "memory.atomic.wait64")
def _wait(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _operands(code, instr)
    sleep = _sleep_interleaved if code.store.interleaved else _sleep

    def op(t: Any, s: list[Any]) -> Any:
        timeout, expected, address = s.pop(), s.pop(), s.pop() + offset
        check_access(memory, address, width)
        if not isinstance(memory, SharedMemory):
            raise Trap("expected shared memory")
        seconds = None if timeout >> 63 else timeout / 1e9
        return sleep(t, s, memory, address, width, expected, seconds, instr, following)

    return before_access(code.store, memory, instr, 2, op)


def _sleep(
    t: Any, s: list[Any], memory: SharedMemory, address: int, width: int, expected: int,
    seconds: float | None, instr: Instr, following: Op,
) -> Op:  # fmt: skip
    """Sleep in the operating system until notified, timed out, or the agent's deadline has come."""
    limit = seconds
    if t.deadline is not None:
        left = max(t.deadline - time.monotonic(), 0.0)
        limit = left if seconds is None else min(left, seconds)
    interrupted = t.store.settings.interrupted
    unchanged = lambda: memory.load(width, address) == expected
    outcome = memory.domain.wait(memory.identity, address, unchanged, limit, interrupted)
    if outcome == INTERRUPTED:
        raise ResourceLimit("interrupted")
    if outcome == TIMED_OUT and limit != seconds:
        raise ResourceLimit("time limit exceeded")
    s.append(outcome)
    return following


def _sleep_interleaved(
    t: Any, s: list[Any], memory: SharedMemory, address: int, width: int, expected: int,
    seconds: float | None, instr: Instr, following: Op,
) -> Op:  # fmt: skip
    """Leave it to the scheduler: it pushes the outcome when it lets the agent go on."""
    if memory.load(width, address) != expected:
        s.append(1)
        return following
    t.pending = Pending(instr, memory, address)
    t.wake_at = None if seconds is None else time.monotonic() + seconds
    t.pc = following
    raise Blocked
