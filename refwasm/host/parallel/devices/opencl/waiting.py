"""Kernels that wait for other iterations. Work-items need not run together, so these could wait for ever.

A loop that looks at memory with an atomic access may wait for what another iteration stores, or be a lock's. Adding up
in a loop does not look. The judgement is about the text of a loop, so it also refuses kernels that would end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refwasm.syntax.instructions import OPENERS, Instr

#: What atomic accesses do that loops look with.
_LOOKING = {"load", "cmpxchg", "xchg", "and", "or"}
#: Instructions that wait do not look.
_WAITS = ("memory.atomic.wait32", "memory.atomic.wait64")


def looks(instruction: Instr) -> bool:
    """Whether an instruction looks at memory that others may change meanwhile."""
    form = instruction.form
    return form.is_atomic and not form.properties.isdisjoint(_LOOKING) and form.mnemonic not in _WAITS


def waits(bodies: Mapping[int, Sequence[Instr]], callees: Mapping[int, Sequence[int]], order: Sequence[int]) -> bool:
    """Whether one of these functions waits in a loop. ``order`` has each function after those that it calls."""
    looking: set[int] = set()
    for function in order:
        body = bodies[function]
        if any(map(looks, body)) or looking.intersection(callees[function]):
            looking.add(function)
            if _in_a_loop(body, looking, bool(looking.intersection(callees[function]))):
                return True
    return False


def _in_a_loop(body: Sequence[Instr], looking: set[int], may_call: bool) -> bool:
    """Whether a loop of a body looks, or calls what looks."""
    open_blocks: list[bool] = []  # whether each is a loop
    for instruction in body:
        name = instruction.form.mnemonic
        if name in OPENERS:
            open_blocks.append(name == "loop")
        elif name == "end" and open_blocks:
            open_blocks.pop()
        elif any(open_blocks):
            called = name in ("call", "return_call") and instruction.args[0] in looking
            if looks(instruction) or called or (may_call and name in ("call_indirect", "return_call_indirect")):
                return True
    return False
