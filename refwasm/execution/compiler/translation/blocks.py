"""How blocks look in Python.

A block that is branched to becomes ``while True: … break``, so that ``break`` leaves it; a loop becomes ``while True``,
and ``continue`` goes round. A branch further out sets ``b`` to the number of its target and breaks; behind each Python
loop that such branches pass, ``b`` says whether to go on breaking. A block that ends where a loop inside it ends needs
no Python loop of its own.

Many blocks that open together are the arms of a *switch*: instead of nesting, a variable says which arm comes next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from refwasm.execution.compiler.operands import Fact


@dataclass(eq=False)
class PythonLoop:
    """A ``while`` or ``for`` statement; ``passed_by`` are targets further out of branches that break it."""

    passed_by: list[Block] = field(default_factory=list)


@dataclass(eq=False)
class Switch:
    """``arms`` are numbered from 0; ``variable`` holds the next one's number. ``headers[arm]`` are lines before an arm,
    with their depths, of a binary search."""

    variable: str
    arms: int
    blocks: list[Block] = field(default_factory=list)  # blocks[i] ends where arm i begins
    headers: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    depths: dict[int, int] = field(default_factory=dict)

    def search(self, low: int, high: int, depth: int) -> None:
        """Headers for the arms from ``low`` to before ``high``."""
        headers = self.headers.setdefault(low, [])
        if high - low == 1:
            self.depths[low] = depth
            return
        middle = (low + high) // 2
        headers.append((depth, f"if {self.variable} < {middle}:"))
        self.search(low, middle, depth + 1)
        self.headers.setdefault(middle, []).append((depth, "else:"))
        self.search(middle, high, depth + 1)


@dataclass(eq=False)
class Block:
    """A block while it is translated. ``number`` is its opener's, ``label`` where branches to it go, ``height`` that of
    the operand stack below it. A branch to it does ``setting`` and then ``how`` in the Python loop ``via``; ``own`` is
    the Python loop that stands for the block itself. ``reached`` tells that something arrives at its end, ``facts``
    what is known there. ``arm`` is the arm of ``switch`` that begins where it ends."""

    kind: str
    number: int
    label: int
    height: int
    results: list[str]
    result_types: list[str]
    params: list[str]
    param_types: list[str]
    via: PythonLoop | None = None
    how: str = "break"
    setting: str = ""
    own: PythonLoop | None = None
    reached: bool = False
    facts: dict[int, Fact] | None = None
    entry_facts: dict[int, Fact] | None = None
    header: int = 0  # the line that opens a loop
    sunk: set[int] = field(default_factory=set)  # locals to be masked behind the loop
    guarded: int = 0  # ways out after which the rest is indented
    switch: Switch | None = None
    arm: int = 0


def joined(one: dict[int, Fact] | None, other: dict[int, Fact]) -> dict[int, Fact]:
    """What is known when control comes from either side."""
    if one is None:
        return dict(other)
    found = {}
    for index, (low, high, twos) in one.items():
        fact = other.get(index)
        if fact is not None:
            found[index] = (min(low, fact[0]), max(high, fact[1]), min(twos, fact[2]))
    return found
