"""Blocks: where each one ends, which are branched to, and how that is said in Python.

A block that is branched to becomes ``while True: … break``, so that ``break`` leaves it; a loop becomes ``while True``,
and ``continue`` goes round. A branch further out sets ``b`` to the number of its target and breaks; behind each Python
loop that such branches pass, ``b`` says whether to go on breaking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from refwasm.syntax.modules import Expr
from refwasm.validation.stacks import Branch

OPENERS = frozenset({"block", "loop", "if"})


@dataclass
class Block:
    """A block while it is translated. ``number`` is its opener's; ``height`` that of the operand stack below it."""

    kind: str
    number: int
    height: int
    results: list[str]
    params: list[str]
    is_target: bool
    was_dead: bool
    passed_by: list[Block] = field(default_factory=list)
    ends_alive: bool = False

    @property
    def loops(self) -> bool:
        """Whether it is a Python loop."""
        return self.kind == "loop" or self.is_target


def ends_of(body: Expr) -> dict[int, int]:
    """The index of each opener's ``end``."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for pc, instr in enumerate(body):
        mnemonic = instr.form.mnemonic
        if mnemonic in OPENERS:
            opened.append(pc)
        elif mnemonic == "end" and opened:
            ends[opened.pop()] = pc
    return ends


def targets_of(side: dict[int, Any]) -> set[int]:
    """Labels (indices of ``end`` or ``loop``) that branches go to."""
    found: set[int] = set()
    for entry in side.values():
        for branch in entry if isinstance(entry, tuple) and not isinstance(entry, Branch) else (entry,):
            if isinstance(branch, Branch):
                found.add(branch.label.pc)
    return found
