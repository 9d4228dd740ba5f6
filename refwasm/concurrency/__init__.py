"""Parallel programs understood: every schedule, every race, every outcome that the memory model allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refwasm.concurrency.agents import Agents
from refwasm.concurrency.exploration import STEPS, Exploration, FinalState
from refwasm.concurrency.exploration import explore as _explore
from refwasm.concurrency.opening import open_subject
from refwasm.concurrency.races import Race


def explore(
    source: str | bytes | Path | Callable[[Agents], Any], threads: Sequence[str | tuple[Any, ...]] | None = None, *,
    mode: str = "all", bound: int | None = None, seconds: float | None = None, executions: int | None = None,
    steps: int = STEPS, races: bool = False, args: Sequence[str] = (),
) -> Exploration:  # fmt: skip
    """Execute a parallel program under every schedule, up to the order of independent steps.

    ``source`` is a file (a Path), the text or the bytes of a module or script, or a function that gets an
    :class:`Agents` in each execution. ``threads`` are exported functions of a module, or tuples of a name and arguments
    (bit patterns), each called by a thread of its own; without, a program with ``_start`` is run with ``args``, and of
    another module all functions without parameters are called.

    ``mode`` is ``all``, ``random:SEED``, ``pct:DEPTH`` or ``replay:CHOICES``; with ``bound``, ``all`` means schedules
    with at most so many preemptions. It ends after so many ``seconds`` or ``executions``, and an execution after so
    many ``steps``. With ``races``, data races are looked for in each.

    Raises Malformed, Invalid, Unlinkable, OSError, and ValueError for a mode that does not exist.

    >>> text = '''(module (memory 1 1 shared)
    ...   (func (export "a") (i32.store (i32.const 0) (i32.const 1)))
    ...   (func (export "b") (i32.store (i32.const 0) (i32.const 2))))'''
    >>> found = explore(text, races=True)
    >>> sorted(found.states), found.complete, len(found.races)
    (['[0]=1', '[0]=2'], True, 1)
    """
    subject = open_subject(source, threads, args)
    return _explore(subject, mode, bound=bound, seconds=seconds, executions=executions, steps=steps, races=races)


__all__ = ["Agents", "Exploration", "FinalState", "Race", "explore"]
