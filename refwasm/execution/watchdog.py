"""Stops what does not look at the clock itself when its time is up: compiled code, loading and translating modules.

Loops of compiled code look at the limits themselves. Calls do not, since that would cost each of them something: a tree
of calls, or tail calls without end, would go on for ever. So one thread of the process watches every thread that
executes compiled code under limits, and raises an exception in it when its settings say that it must stop.

The exception is raised only while the innermost Python frame is one of compiled code. There, nothing is half done but
the WebAssembly function itself: no lock is held, no table of ours is being changed. What a function had written before
it was stopped stays written, as after a trap; the instance can be called again.

Loading a module and translating a function can be stopped in the middle, too (:func:`within`): what they had made by
then is dropped as a whole.

Without threads (or without ``ctypes``) there is no watchdog, and only loops notice that time is up.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from refwasm import garbage
from refwasm.errors import ResourceLimit
from refwasm.execution.store import Settings

#: Compiled code is recognized by how the file names of its code objects begin.
COMPILED = "<function "
#: Seconds between two looks at the limits; and between two attempts to find a thread in compiled code.
PERIOD, RETRY = 0.02, 0.001
#: Seconds without anything to watch after which the thread ends.
IDLE = 1.0

#: The file of what switches the collector of garbage off and on.
_GARBAGE = garbage.__file__
R = TypeVar("R")

_watched: dict[int, Settings] = {}  # by the identity of the thread
_thread: threading.Thread | None = None  # guarded by _lock, but for a look whether there is one
_lock = threading.Lock()


class Stopped(BaseException):
    """What is raised in a thread. :func:`reason` replaces it where the thread began to be watched; until there, nothing
    that handles errors may take it for one."""


def reason(settings: Settings) -> ResourceLimit:
    """The error that says why compiled code was stopped."""
    try:
        settings.check()
    except ResourceLimit as limit:
        return limit
    return ResourceLimit("interrupted")


def watch(settings: Settings) -> Settings | None:
    """Watch this thread, which is about to execute compiled code, until :func:`unwatch`. Returns what it was watched
    for before: a kernel's store may be called from a program's."""
    ident = threading.get_ident()
    before = _watched.get(ident)
    _watched[ident] = settings
    if _thread is None:
        _start()
    return before


def unwatch(before: Settings | None) -> None:
    """Compiled code has come back: watch for what was watched before."""
    if before is None:
        _watched.pop(threading.get_ident(), None)
    else:
        _watched[threading.get_ident()] = before


def is_running() -> bool:
    """Whether the thread of the watchdog runs."""
    return _thread is not None


def within(settings: Settings, call: Callable[[], R]) -> R:
    """A call that ends when its time is up. Nothing that it made is kept then, so it may be stopped wherever it is."""
    if settings.deadline is None and settings.interrupted is None:
        return call()
    before = watch(settings)
    try:
        return _dropped_as_a_whole(call)
    except Stopped as stopped:
        raise reason(settings) from stopped
    finally:
        unwatch(before)


def _dropped_as_a_whole(call: Callable[[], R]) -> R:
    """Its frame marks those above it."""
    return call()


def _start() -> None:
    global _thread
    with _lock:
        if _thread is None:
            try:
                import ctypes

                interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
                thread = threading.Thread(target=_run, args=(interrupt, ctypes), name="refwasm watchdog", daemon=True)
                thread.start()
            except (ImportError, AttributeError, RuntimeError):
                return
            _thread = thread


def _run(interrupt: Any, ctypes: Any) -> None:
    """Look at all that is watched, again and again; end when there has been nothing for a while."""
    global _thread
    busy = time.monotonic()
    while True:
        now = time.monotonic()
        if _watched:
            busy = now
        elif now - busy > IDLE:
            with _lock:
                if not _watched:
                    _thread = None
                    return
        overdue = [ident for ident, settings in list(_watched.items()) if _must_stop(settings)]
        if overdue:
            _stop(overdue, interrupt, ctypes)
        time.sleep(RETRY if overdue else PERIOD)


def _must_stop(settings: Settings) -> bool:
    try:
        settings.check()
    except Exception:  # whatever is wrong, the thread itself will find out
        return True
    return False


def _stop(idents: list[int], interrupt: Any, ctypes: Any) -> None:
    """Raise Stopped in those threads that are in compiled code at the moment. A thread that waits for its turn here
    gets the exception in the frame in which it waits."""
    frames = sys._current_frames()
    for ident in idents:
        frame = frames.get(ident)
        if frame is not None and ident in _watched and _can_be_stopped(frame):
            interrupt(ctypes.c_ulong(ident), ctypes.py_object(Stopped))


def _can_be_stopped(frame: FrameType) -> bool:
    """Whether nothing but what is dropped, or the function itself, is half done."""
    if frame.f_code.co_filename.startswith(COMPILED):
        return True
    above: FrameType | None = frame
    while above is not None and above.f_code is not _dropped_as_a_whole.__code__:
        name = above.f_code.co_filename
        if name.startswith("<frozen importlib") or (above is frame and name == _GARBAGE):
            return False  # locks of modules; and the collector must be switched on again
        above = above.f_back
    return above is not None


def _after_fork() -> None:
    """A child has neither the thread nor the other threads that were watched."""
    global _thread, _lock
    _lock, _thread = threading.Lock(), None
    here = _watched.get(threading.get_ident())
    _watched.clear()
    if here is not None:
        _watched[threading.get_ident()] = here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
