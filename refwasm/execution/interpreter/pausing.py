"""Stops of an agent before what other agents could observe (only in interleaved stores), and watches of the same.

A scheduler sees ``agent.pending``, decides who goes on, and calls ``agent.run`` again. A watch is told and that is all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.execution.interpreter.agent import Paused, Pending
from refwasm.execution.interpreter.meaning import Op
from refwasm.execution.memory import Memory
from refwasm.execution.store import HostFunc, Store
from refwasm.syntax.instructions import Instr, MemArg, instr

_HOST_CALL = instr("call", 0)


def before_access(store: Store, memory: Memory, instruction: Instr, depth: int, op: Op) -> Op:
    """``op`` with a stop before it if the memory is shared; its address lies ``depth`` below the top of the stack."""
    if store.watch is not None:
        op = _watched(store.watch, memory, instruction, depth, op)
    if not store.interleaved or not memory.shared:
        return op
    offset = _offset(instruction)

    def pause(t: Any, s: list[Any]) -> Any:
        t.pending = Pending(instruction, memory, s[-1 - depth] + offset if depth < len(s) else 0)
        t.pc = op
        raise Paused

    pause.inner = op  # type: ignore[attr-defined]  # for backtraces
    return pause


def _offset(instruction: Instr) -> int:
    arg = instruction.args[0]
    return arg.offset if isinstance(arg, MemArg) else 0


def _watched(watch: Callable[..., object], memory: Memory, instruction: Instr, depth: int, op: Op) -> Op:
    offset = _offset(instruction)

    def tell(t: Any, s: list[Any]) -> Any:
        t.pc = tell  # where a backtrace finds the agent
        watch(t, instruction, memory, s[-1 - depth] + offset if depth < len(s) else 0)
        return op(t, s)

    tell.inner = op  # type: ignore[attr-defined]  # for backtraces
    return tell


def before_host_call(store: Store, func: HostFunc, op: Op) -> Op:
    """``op``, which calls the host, with a stop before it."""
    if not store.interleaved:
        return op
    pending = Pending(_HOST_CALL, None, 0, func.name or "host")

    def pause(t: Any, s: list[Any]) -> Any:
        t.pending = pending
        t.pc = op
        raise Paused

    pause.inner = op  # type: ignore[attr-defined]  # for backtraces
    return pause
