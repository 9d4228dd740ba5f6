"""Processes of ours: how they start, and how they end with their parent."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, parent_process
from typing import Any

from refwasm.errors import ResourceLimit, Trap, UncaughtException, WasmError

#: The exit code of a process that could not begin.
NO_THREAD_LEFT = 71
#: Seconds between looks whether a parent is still there.
WATCH = 0.5


def pipe_of(context: Any) -> tuple[connection.Connection, connection.Connection]:
    """Both ends of a new pipe; ResourceLimit if there are no descriptors left."""
    try:
        ends: tuple[connection.Connection, connection.Connection] = context.Pipe()
    except OSError as error:
        raise ResourceLimit(f"a process can't be started: {error}") from None
    return ends


def start(process: Any, what: str) -> None:
    """Start a process; ResourceLimit if the system has none left.

    It will ignore Ctrl-C, which its parent handles; until it can say so, it inherits that Ctrl-C waits.
    """
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    except OSError as error:
        raise ResourceLimit(f"{what} can't be started: {error}") from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


def begin(inherited: list[Any]) -> None:
    """The first thing in a process: leave Ctrl-C to the parent, close the pipe ends that fork copied and that belong to
    the parent, and see to it that the process ends as soon as its parent is gone, whatever it is doing."""
    gc.enable()  # another thread may have held it back when the process was forked
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for other in inherited:
        other.close()
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    try:
        start_thread(watch, (), "the watch of its parent")
    except ResourceLimit:
        os._exit(NO_THREAD_LEFT)


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent, whatever other threads are doing. For a thread of its own; ``parent`` is
    the parent's number as it was at first."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def start_thread(target: Callable[..., object], args: tuple[Any, ...], what: str) -> None:
    """Start a thread of this process that ends with it; ResourceLimit if the system has none left."""
    try:
        threading.Thread(target=target, args=args, name=f"refwasm: {what}", daemon=True).start()
    except RuntimeError as error:
        raise ResourceLimit(f"{what} can't be started: {error}") from None


def cause_of_death(exitcode: int | None) -> str:
    """Why a process ended, to follow its name; "" if that is not known."""
    if exitcode is None:
        return ""
    if exitcode == NO_THREAD_LEFT:
        return ": it could not start a thread of its own"
    if exitcode >= 0:
        return f" with exit code {exitcode}"
    try:
        return f" of signal {-exitcode} ({signal.Signals(-exitcode).name})"
    except ValueError:
        return f" of signal {-exitcode}"


def portable(error: WasmError) -> WasmError:
    """An error without references into the store, which can't travel to another process."""
    if isinstance(error, UncaughtException):
        return Trap(error.message)
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
