"""Compiling many functions at once, on all processors: what a process before this one used, and noted.

Forked processes have the module as it is, so nothing is sent to them; each gives back what it could do. Whatever a
process does not deliver, for whichever reason, is compiled when it is called.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from refwasm.execution import watchdog

#: Fewer functions than this are compiled when they are called.
MANY = 200
#: Seconds that the other processes get at least when this one is done, and between two looks at the limits.
LEAST_PATIENCE, PERIOD = 1.0, 0.05


def processors() -> int:
    """How many processes can compile: one where other threads run, since a fork would not have them."""
    if threading.active_count() > 1 + watchdog.is_running():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def compiled_ahead(
    indices: Sequence[int], compiled: Callable[[int], Any | None], check: Callable[[], None]
) -> Iterator[tuple[int, Any]]:
    """What ``compiled`` gives for each index, if it is not None: something that marshal can write. This process does
    its share, and waits as long again for the others. ``check`` raises where it must stop; then the others end too."""
    count = processors()
    children: list[tuple[int, int]] = []
    try:
        for share in range(1, count):
            with suppress(OSError):  # no more processes are allowed: what they would do is done later
                children.append(_forked(indices[share::count], compiled))
        began = time.monotonic()
        for index in indices[::count]:
            found = compiled(index)
            if found is not None:
                yield index, found
        patience = time.monotonic() + max(time.monotonic() - began, LEAST_PATIENCE)
        for _, pipe in children:
            yield from _delivered(pipe, patience, check)
    finally:
        for child, pipe in children:
            os.close(pipe)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _delivered(pipe: int, patience: float, check: Callable[[], None]) -> Iterator[tuple[int, Any]]:
    """What a process wrote, if it came to an end in time."""
    data = bytearray()
    while time.monotonic() < patience:
        check()
        if select.select([pipe], [], [], PERIOD)[0]:
            piece = os.read(pipe, 1 << 20)
            if not piece:
                break
            data += piece
    with suppress(EOFError, ValueError, TypeError):
        yield from marshal.loads(data)


def _forked(indices: Sequence[int], compiled: Callable[[int], Any | None]) -> tuple[int, int]:
    """A process that compiles these, and the pipe it writes to."""
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if child:
        os.close(writing)
        return child, reading
    try:  # nothing of what the parent would do at its end, and no word of its errors
        gc.freeze()
        done = [(index, found) for index in indices if (found := compiled(index)) is not None]
        with open(writing, "wb") as file:
            file.write(marshal.dumps(done))
    finally:
        os._exit(0)


__all__ = ["MANY", "compiled_ahead"]
