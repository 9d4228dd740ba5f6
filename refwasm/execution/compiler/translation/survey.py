"""What can be seen of a function in one walk over its body, before it is translated.

Where blocks end and which are branched to; which locals each loop assigns, and whether it calls anything; which blocks
end where a loop inside them ends, so that leaving the loop leaves them too; which float locals only ever hold results
of arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refwasm.execution.numerics.floats import CANONICAL_NAN, is_nan
from refwasm.syntax.instructions import FORMS, Form, Instr
from refwasm.syntax.modules import Expr
from refwasm.validation.functions import SideTable
from refwasm.validation.stacks import Branch

_ARITHMETIC = frozenset(
    FORMS[f"{t}.{name}"]
    for t in ("f32", "f64")
    for name in (
        "add", "sub", "mul", "div", "sqrt", "min", "max", "ceil", "floor", "trunc", "nearest", "convert_i32_s",
        "convert_i32_u", "convert_i64_s", "convert_i64_u", "promote_f32", "demote_f64",
    )
    if f"{t}.{name}" in FORMS
)  # fmt: skip
_GET, _ADD, _BLOCK, _END = FORMS["local.get"], FORMS["i32.add"], FORMS["block"], FORMS["end"]
_LOOP = FORMS["loop"]
#: So many blocks that open at once, without a result, become arms of one switch (with a br_table: fewer).
MANY_BLOCKS, MANY_TARGETS = 8, 3
#: Conditions that may leave a block for what follows them to be indented.
MAX_GUARDS = 4


@dataclass
class LoopSurvey:
    """A loop: ``sets`` and ``gets`` count the instructions inside that name a local; ``defined`` are locals that every
    turn sets before it reads them. ``steps`` are constants that a turn may add to a local once, and nothing else
    changes it. ``counter`` is one of these locals, and a bound: the only branch back follows the step, and is taken
    unless the bound is met."""

    start: int
    depth: int
    end: int = 0
    sets: dict[int, int] = field(default_factory=dict)
    gets: dict[int, int] = field(default_factory=dict)
    innermost: bool = True
    calls: bool = False
    back_edges: int = 0
    defined: set[int] = field(default_factory=set)
    steps: dict[int, int] = field(default_factory=dict)
    counter: tuple[int, int] | None = None

    def turns(self, facts: Mapping[int, tuple[int, int, int]]) -> int:
        """How often it goes round, from what is known about locals before; negative if that can't be told."""
        index, bound = self.counter or (-1, 0)
        low, high, _ = facts.get(index, (0, -1, 0))
        if low != high:
            return -1
        turns, rest = divmod(bound - low, self.steps[index])
        return -1 if rest else turns - 1


@dataclass
class Survey:
    """``ends``: index of the ``end`` of each opener; ``targets``: labels that branches go to; ``leaves``: for the end
    of a block, the loop (its index) all of whose branches to the block may leave instead; ``switches``: how many blocks
    open at an index and become arms of one switch; ``arithmetic``: the float locals; ``guards``: the ends of blocks
    that are only left by conditions at their own level, so that what follows each can stand in an ``if``."""

    ends: dict[int, int]
    targets: set[int]
    loops: dict[int, LoopSurvey]
    leaves: dict[int, int]
    switches: dict[int, int]
    arithmetic: set[int]
    guards: set[int]

    def __post_init__(self) -> None:
        self.left_by: dict[int, list[int]] = {}
        for label, loop in self.leaves.items():
            self.left_by.setdefault(loop, []).append(label)


class _Walk:
    """One walk over a body: the open blocks and loops, innermost last, and what was found so far."""

    def __init__(self, body: Expr, params: int) -> None:
        self.body = body
        self.ends: dict[int, int] = {}
        self.loops: dict[int, LoopSurvey] = {}
        self.opened: list[int] = []
        self.inside: dict[int, int] = {}  # the innermost opener around each br_if
        self.open_loops: list[LoopSurvey] = []
        self.not_arithmetic: set[int] = set(range(params))
        self.assigned: set[int] = set()
        self.copies: list[tuple[int, int]] = []
        for pc, instr in enumerate(body):
            seen = _SEEN.get(instr[0])
            if seen is not None:
                seen(self, pc, instr)

    def read(self, pc: int, instr: Instr) -> None:
        index = instr[1][0]
        for loop in self.open_loops:
            loop.gets[index] = loop.gets.get(index, 0) + 1

    def assign(self, pc: int, instr: Instr) -> None:
        index, open_loops = instr[1][0], self.open_loops
        before = self.body[pc - 1]
        self.assigned.add(index)
        if before[0] is _GET:
            self.copies.append((index, before[1][0]))
        elif before[0] not in _ARITHMETIC and not _is_number(before):
            self.not_arithmetic.add(index)
        if not open_loops:
            return
        innermost = open_loops[-1]
        if len(self.opened) - 1 == innermost.depth and index not in innermost.gets:
            innermost.defined.add(index)
        if before[0] is _ADD and (step := _step(self.body, pc)):
            innermost.steps[index] = step
        for loop in open_loops:
            loop.sets[index] = loop.sets.get(index, 0) + 1

    def tee(self, pc: int, instr: Instr) -> None:
        self.assign(pc, instr)
        self.read(pc, instr)

    def open(self, pc: int, instr: Instr) -> None:
        self.opened.append(pc)

    def loop(self, pc: int, instr: Instr) -> None:
        self.opened.append(pc)
        for loop in self.open_loops:
            loop.innermost = False
        self.loops[pc] = LoopSurvey(pc, depth=len(self.opened) - 1)
        self.open_loops.append(self.loops[pc])

    def end(self, pc: int, instr: Instr) -> None:
        if self.opened:
            start = self.opened.pop()
            self.ends[start] = pc
            if self.open_loops and self.open_loops[-1].start == start:
                self.open_loops.pop().end = pc

    def branch_if(self, pc: int, instr: Instr) -> None:
        if self.opened:
            self.inside[pc] = self.opened[-1]

    def call(self, pc: int, instr: Instr) -> None:
        for loop in self.open_loops:
            loop.calls = True

    def try_(self, pc: int, instr: Instr) -> None:
        self.opened.append(pc)
        self.call(pc, instr)

    def arithmetic(self) -> set[int]:
        """The locals that only ever hold results of arithmetic."""
        found = self.not_arithmetic
        for _ in self.copies:
            added = {index for index, source in self.copies if source in found} - found
            if not added:
                break
            found |= added
        return self.assigned - found


_SEEN: dict[Form, Callable[[_Walk, int, Instr], None]] = {
    # What may run other code, or change the size of a memory (atomics notice that another process has done so).
    **{f: _Walk.call for f in FORMS.values() if f.calls or f.throws or f.is_atomic or f is FORMS["memory.grow"]},
    **{f: _Walk.open for f in FORMS.values() if f.opens},
    _GET: _Walk.read, FORMS["local.set"]: _Walk.assign, FORMS["local.tee"]: _Walk.tee, FORMS["loop"]: _Walk.loop,
    FORMS["end"]: _Walk.end, FORMS["try_table"]: _Walk.try_, FORMS["br_if"]: _Walk.branch_if,
}  # fmt: skip


def survey(body: Expr, side: SideTable, params: int) -> Survey:
    """Walk over a body; ``params`` is the number of parameters."""
    walk, branches = _Walk(body, params), _branches(side)
    for label, sources in branches.items():
        if label in walk.loops:
            walk.loops[label].back_edges = len(sources)
    for loop in walk.loops.values():
        loop.steps = {index: step for index, step in loop.steps.items() if loop.sets[index] == 1}
        if loop.back_edges == 1 and loop.steps:
            loop.counter = _counter(body, branches[loop.start][0], loop.steps)
    return Survey(
        walk.ends, set(branches), walk.loops, _leaves(body, walk.ends, branches), _switches(body, side, walk.ends),
        walk.arithmetic(), _guards(body, walk.ends, branches, walk.inside),
    )  # fmt: skip


def _step(body: Expr, pc: int) -> int:
    """The constant by which an instruction steps a local: it sets the local to itself plus the constant. 0 if it does
    anything else."""
    index, left, right = body[pc][1][0], body[pc - 3], body[pc - 2]
    if left[0].mnemonic != "local.get" or left[1][0] != index or right[0].mnemonic != "i32.const":
        return 0
    step: int = right[1][0]
    return step - (step >> 31 << 32)


def _counter(body: Expr, branch: int, steps: dict[int, int]) -> tuple[int, int] | None:
    """The counter of a loop and its bound, from the instructions in front of the branch back: ``local.tee``, then a
    constant and ``i32.ne`` unless the bound is 0."""
    set_at, bound = branch - 1, 0
    if body[branch - 1][0].mnemonic == "i32.ne" and body[branch - 2][0].mnemonic == "i32.const":
        set_at, bound = branch - 3, body[branch - 2][1][0]
    if body[branch][0].mnemonic != "br_if" or body[set_at][0].mnemonic != "local.tee":
        return None
    index = body[set_at][1][0]
    return (index, bound) if index in steps else None


def _is_number(instr: Instr) -> bool:
    """A float constant whose bits are what arithmetic would give."""
    mnemonic = instr.form.mnemonic
    if not instr.form.is_const or mnemonic[0] != "f":
        return False
    n = int(mnemonic[1:3])
    return not is_nan(n, instr.args[0]) or instr.args[0] == CANONICAL_NAN[n]


def _branches(side: SideTable) -> dict[int, list[int]]:
    """Where the branches to each label are."""
    found: dict[int, list[int]] = {}
    for pc, entry in side.items():
        some: tuple[Any, ...] = (entry,) if isinstance(entry, Branch) else entry if isinstance(entry, tuple) else ()
        for branch in some:
            found.setdefault(branch.label.pc, []).append(pc)
    return found


def deepest(body: Expr) -> tuple[int, int]:
    """How deep blocks nest in a body, and loops among them."""
    blocks = loops = depth = loop_depth = 0
    opened: list[bool] = []
    for instr in body:
        form = instr[0]
        if form.opens:
            opened.append(form is _LOOP)
            depth, loop_depth = depth + 1, loop_depth + opened[-1]
            blocks, loops = max(blocks, depth), max(loops, loop_depth)
        elif form is _END and opened:
            depth, loop_depth = depth - 1, loop_depth - opened.pop()
    return blocks, loops


def _leaves(body: Expr, ends: dict[int, int], branches: dict[int, list[int]]) -> dict[int, int]:
    openers = {end: start for start, end in ends.items()}
    found: dict[int, int] = {}
    innermost: dict[int, int] = {}  # of blocks that end together, the end of what stands inside of all of them
    for label in sorted(openers):
        opener = openers.get(label - 1)
        ends_together = opener is not None and body[opener].form.mnemonic in ("block", "if")
        innermost[label] = innermost[label - 1] if ends_together else label - 1
    for label, sources in branches.items():
        start = openers.get(label)
        if start is None or body[start].form.mnemonic not in ("block", "if") or _has_type(body[start].args[0]):
            continue
        inner = innermost[label]
        opener = openers.get(inner)
        if opener is not None and body[opener].form.mnemonic == "loop" and all(opener < pc < inner for pc in sources):
            found[label] = opener
    return found


def _guards(body: Expr, ends: dict[int, int], branches: dict[int, list[int]], inside: dict[int, int]) -> set[int]:
    """The ends of blocks that only ``br_if`` leaves, in the block itself; ``inside`` is the opener around each."""
    found: set[int] = set()
    for start, end in ends.items():
        sources = branches.get(end)
        if not sources or len(sources) > MAX_GUARDS or body[start][0] is not _BLOCK:
            continue
        if not _has_type(body[start][1][0]) and all(inside.get(pc) == start for pc in sources):
            found.add(end)
    return found


def _has_type(block_type: Any) -> bool:
    return block_type.index is not None or block_type.result is not None


def _switches(body: Expr, side: SideTable, ends: dict[int, int]) -> dict[int, int]:
    """How many blocks open at once, where these become the arms of a switch."""
    found: dict[int, int] = {}
    blocks = sorted(pc for pc in ends if body[pc][0] is _BLOCK and not _has_type(body[pc][1][0]))
    first = 0
    while first < len(blocks):
        last = first
        while last + 1 < len(blocks) and blocks[last + 1] == blocks[last] + 1:
            last += 1
        count, start = last - first + 1, blocks[first]
        if count >= MANY_TARGETS:
            tables = any(isinstance(side.get(i), tuple) for i in range(start, ends[blocks[last]]))
            if tables or count >= MANY_BLOCKS:
                found[start] = count
        first = last + 1
    return found
