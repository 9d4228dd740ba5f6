"""What people see on a terminal: colours, tables and progress, by ``rich`` where it is installed (extra ``cli``).

Without it, in pipes and with NO_COLOR set, everything is plain text, the same for every run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

#: Styles by what they say.
GOOD, BAD = "green", "bold red"


def console(stream: IO[str]) -> Any:
    """What writes in colours to a stream; None where everything is plain."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False, soft_wrap=True)


def say(text: str, style: str = "", words: int = -1, stream: IO[str] | None = None) -> None:
    """Print a line, the first ``words`` characters of it in a style (-1: all of them)."""
    target = stream or sys.stdout
    writer = console(target) if style else None
    if writer is None:
        print(text, file=target)
        return
    from rich.text import Text

    line = Text(text)
    line.stylize(style, 0, len(text) if words < 0 else words)
    writer.print(line)


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]], plain: Callable[[], Iterable[str]]) -> None:
    """Print a table; in plain text, the lines that ``plain`` gives."""
    writer = console(sys.stdout)
    if writer is None:
        for line in plain():
            print(line)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(Text, row))
    writer.soft_wrap = False
    writer.print(table)


class Progress:
    """How far something is, on terminals only, and on stderr: a bar or, without ``rich``, a line. ``total`` is how much
    there is to do, None if nobody knows."""

    #: Who else is told, if anybody: how many are done, of how many (None if nobody knows), and what is beside it.
    listener: Callable[[int, int | None, str], object] | None = None

    def __init__(self, name: str, total: int | None = None) -> None:
        self.total = total
        self.on = sys.stderr.isatty()
        self.bar: Any = None
        writer = console(sys.stderr)
        if writer is not None:
            from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            known = [BarColumn(), MofNCompleteColumn()] if total is not None else [SpinnerColumn()]
            self.bar = Bar(*known, TimeElapsedColumn(), TextColumn("{task.description}"), console=writer,
                           transient=True, redirect_stdout=False)  # fmt: skip
            self.task = self.bar.add_task(name, total=total)

    def show(self, done: int, told: str) -> None:
        """``done`` of them are done; ``told`` is what is to be seen beside it."""
        if Progress.listener is not None:
            Progress.listener(done, self.total, told)
        if self.bar is not None:
            self.bar.start()
            self.bar.update(self.task, completed=done, description=told)
        elif self.on:
            of = f"/{self.total}" if self.total is not None else ""
            print(f"\r\033[K{done}{of} {told}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave nothing on the screen, to make room for output."""
        if self.bar is not None:
            self.bar.stop()
        elif self.on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
