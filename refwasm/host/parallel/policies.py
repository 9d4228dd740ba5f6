"""What the proposal leaves open, as named choices; and limits.

Every choice here is one that a conforming implementation may make, so a portable program gives the same results under
all of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from refwasm.errors import did_you_mean

MEMORY = ("auto", "alias", "copy", "copy-back")
INSTANCE = ("fresh", "per-worker", "single")
ORDER = ("ascending", "descending", "shuffle")
GROUPING = ("guided", "one", "block", "whole")


@dataclass(frozen=True)
class Policies:
    """How kernels run.

    ``memory``: what a kernel's memory is. ``alias``: the caller's shared memory, buffers being regions of it; ``copy``:
    a memory of the device's own with nothing but the buffers in it; ``copy-back``: the same, and results also return to
    the region of the last ``write_buffer``; ``auto``: alias where the caller's memory is shared and the kernel's import
    fits it, else copy-back. Buffers whose regions overlap are one thing under alias and several under copy.

    ``instance``: which iterations share module state (globals, tables, segments). ``fresh``: none; ``per-worker``:
    those of one worker in one call; ``single``: all, on one worker.

    ``grouping``: which iterations one worker runs one after the other. ``guided``: shares that get smaller towards the
    end, so that uneven work balances; ``one``: each by itself; ``block``: ``block_size`` of them; ``whole``: all.

    ``order``: in which order iterations (under grouping, groups of them) start; ``seed`` belongs to ``shuffle``. On
    several workers it is the order in which they are handed out.
    """

    memory: str = "auto"
    instance: str = "fresh"
    grouping: str = "guided"
    order: str = "ascending"
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"memory": MEMORY, "instance": INSTANCE, "grouping": GROUPING, "order": ORDER}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                chosen = getattr(self, name)
                guess = did_you_mean(chosen, allowed) or f"; choose from {', '.join(allowed)}"
                raise ValueError(f"there is no policy {name}={chosen}{guess}")

    @classmethod
    def parse(cls, text: str) -> Policies:
        """From ``memory=copy,instance=single,order=shuffle:7``; ValueError says what is wrong.

        >>> Policies.parse("order=shuffle:7").seed
        7
        """
        chosen: dict[str, str | int] = {}
        known = {field.name for field in fields(cls)} - {"seed"}
        for word in filter(None, text.split(",")):
            name, equals, value = word.partition("=")
            if name not in known or not equals:
                ways = ", ".join(f"{n}=…" for n in sorted(known))
                raise ValueError(f"policy {word!r}{(equals and did_you_mean(name, known)) or f': write {ways}'}")
            value, colon, seed = value.partition(":")
            if colon:
                if (name, value) != ("order", "shuffle") or not (seed.isascii() and seed.isdecimal()):
                    raise ValueError(f"policy {word!r}: only order=shuffle:NUMBER takes a number")
                chosen["seed"] = int(seed)
            chosen[name] = value
        return cls(**chosen)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ParallelLimits:
    """How much a guest may take; exceeding any is ``resource_limit``.

    ``seconds`` bounds one ``parallel_exec``, ``fuel`` each of its iterations; None leaves them open.
    """

    buffers: int = 4096
    buffer_bytes: int = 1 << 30
    workers: int = os.cpu_count() or 1
    seconds: float | None = None
    fuel: int | None = None
