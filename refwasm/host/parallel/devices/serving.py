"""What processes that serve a device have in common: their loop, and how they begin and end."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing import connection
from typing import Any, NoReturn

from refwasm.host.processes import end_with_parent, start_thread


def serve(make: Callable[[connection.Connection], Any]) -> NoReturn:
    """Serve the parent, at the other end of the descriptor that is the first argument of this process, until it closes
    the pipe or is gone. A message is a tuple: its first word names a method ``do_…`` of the server that ``make``
    gives, the rest are its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    start_thread(end_with_parent, (os.getppid(),), "the watch of its parent")
    code = 1
    try:
        pipe = connection.Connection(int(sys.argv[1]))
        _handle(pipe, make(pipe))
        code = 0
    except Exception:  # a fault of ours
        traceback.print_exc()
    finally:
        os._exit(code)  # threads may be in native code that never ends


def _handle(pipe: connection.Connection, server: Any) -> None:
    while True:
        try:
            what, *rest = pipe.recv()
        except (EOFError, OSError):
            return
        getattr(server, f"do_{what}")(*rest)
