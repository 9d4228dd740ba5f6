"""Speculation: what a version of a loop assumes about its integers, and what it would be good to assume.

While a loop is translated the first time, :class:`Wanted` collects what would make it faster: locals that should be
small, aligned, or at least something. Its second version, the fast one, is translated under :class:`Assumptions`. They
hold at the loop's head the first time, because a guard in front of the loop checks them, and each time round, because
every branch back proves it. A branch that can't prove one makes it fail; then it is weakened and the fast version is
translated again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from refwasm.execution.compiler.conventions import SMALL
from refwasm.execution.compiler.translation.blocks import Block
from refwasm.execution.compiler.translation.expressions import (
    Comparison,
    Expression,
    Name,
    Operation,
    hexadecimal,
    literal,
    local,
    shifted,
)
from refwasm.execution.compiler.translation.facts import Facts
from refwasm.execution.compiler.translation.operands import Operands
from refwasm.execution.compiler.translation.statements import Assign
from refwasm.execution.compiler.translation.survey import LoopSurvey, Survey
from refwasm.execution.compiler.translation.values import BITS, Value, expr

#: What a local may have grown to when it comes round again, in steps.
GROWN = {
    "i32": ((1 << 28) - 1, (1 << 30) - 1, (1 << 31) - 1, (1 << 32) - 1),
    "i64": ((1 << 60) - 1, (1 << 62) - 1, (1 << 63) - 1, (1 << 64) - 1),
}
LAST_LEVEL = 3
#: Constants that are subtracted, up to this number, make it worth to know that a local is not less.
MAX_LOW = 256


@dataclass
class Wanted:
    """What would help in the loop that opens at instruction ``loop``: ``alignments`` are pairs of a local and the power
    of two that it should be a multiple of (and small), ``lows`` what locals should be at least. ``compared`` are pairs
    of locals, ``signed_uses`` how often locals are compared as signed, ``memories`` those that are accessed, ``steps``
    the locals that are added to a local. With ``pays``, a fast version is better even if it assumes nothing."""

    loop: int = -1
    alignments: set[tuple[int, int]] = field(default_factory=set)
    lows: dict[int, int] = field(default_factory=dict)
    compared: set[tuple[int, int]] = field(default_factory=set)
    signed_uses: dict[int, int] = field(default_factory=dict)
    memories: set[int] = field(default_factory=set)
    steps: dict[int, set[int]] = field(default_factory=dict)
    pays: bool = False

    def granted(self, loop: LoopSurvey, types: list[str]) -> set[tuple[int, int]]:
        """What of it makes sense to assume: nothing about locals that each turn sets anew."""
        found = set(self.alignments)
        for a, b in self.compared:
            if a in self.steps or b in self.steps:
                found |= {(a, 0), (b, 0)}
        found = {(i, alignment) for i, alignment in found if i >= 0 and types[i] in SMALL}
        for index, steps in self.steps.items():  # what is added to an address must be as aligned as the address
            integers = [step for step in steps if step >= 0 and types[step] in SMALL]
            found |= {(step, alignment) for step in integers for i, alignment in found if i == index}
        return {(index, alignment) for index, alignment in found if index not in loop.defined}


class Assumptions:
    """What the fast version of a loop assumes at its head: ``alignments`` by local, ``level`` how far each may have
    grown, ``lows`` what some are at least. ``failed`` are locals for which a branch back could not prove it, with the
    lowest level that it could. ``invariants`` are variables for what does not change in the loop, by its text.

    A loop that goes round while a counter is not its bound is first taken for one that goes round while the counter is
    below (``trusting``); if it turns out not to be a counted loop (``trusted``), that was wrong."""

    def __init__(self, wanted: set[tuple[int, int]], lows: dict[int, int], signed: set[int]) -> None:
        self.lows = lows
        self.trusting, self.trusted = True, False
        self.alignments: dict[int, int] = {}
        self.level: dict[int, int] = {}
        for index, alignment in wanted:
            self.alignments[index] = max(alignment, self.alignments.get(index, 0))
            self.level[index] = 0
        self.failed: dict[int, int] = {}
        self.signed = signed  # locals that hold signed integers inside the loop
        self.invariants: dict[str, Assign] = {}

    def weaken(self) -> None:
        """Assume less of what failed."""
        for index, level in self.failed.items():
            if self.lows.pop(index, 0):
                continue
            self.level[index] = max(self.level[index], level)
            if self.level[index] == LAST_LEVEL and not self.alignments[index]:  # which says nothing
                del self.level[index], self.alignments[index]
        self.failed, self.trusted, self.invariants = {}, False, {}

    def in_front(self, facts: Facts, types: list[str]) -> Facts:
        """The facts in front of the loop behind a guard that checks all this."""
        found = dict(facts)
        for index, alignment in self.alignments.items():
            low, high, known = facts.get(index, (0, GROWN[types[index]][-1], 0))
            if self.level[index] < LAST_LEVEL:
                limit = SMALL[types[index]] - 1
                low, high = max(min(low, limit), self.lows.get(index, 0)), min(high, limit)
            found[index] = (low, high, max(known, alignment))
        return found

    def guard(self, facts: Facts, types: list[str], memories: set[int]) -> list[Expression]:
        """The conditions to check in front of the loop, where ``facts`` are known without them."""
        tests: list[Expression] = []
        for t, limit in SMALL.items():
            wide = [i for i, level in self.level.items()
                    if types[i] == t and level < LAST_LEVEL and facts.get(i, (0, limit, 0))[1] >= limit]  # fmt: skip
            if wide:
                tests.append(Operation("{} < {}", _either(wide), hexadecimal(limit)))
        tests += [Comparison(local(i), ">", literal(low - 1))
                  for i, low in self.lows.items() if facts.get(i, (0, 0, 0))[0] < low]  # fmt: skip
        by_alignment: dict[int, list[int]] = {}
        for index, alignment in self.alignments.items():
            if alignment > facts.get(index, (0, 0, 0))[2]:
                by_alignment.setdefault(alignment, []).append(index)
        tests += [Operation("not {} & {}", _either(found), literal((1 << alignment) - 1))
                  for alignment, found in by_alignment.items()]  # fmt: skip
        return tests + [Operation(f"small_m{memory}") for memory in sorted(memories)]


class Speculation:
    """The loop that is being translated (``loop``, its block), what is ``wanted`` of it, and the ``assumptions`` of the
    version, None in general versions; they hold from when the loop is ``entered``. ``going_round`` tells that a branch
    back is being translated."""

    def __init__(self, survey: Survey, operands: Operands, types: list[str]) -> None:
        self.survey, self.operands, self.types = survey, operands, types
        self.wanted = Wanted()
        self.assumptions: Assumptions | None = None
        self.loop: Block | None = None
        self.entered = False
        self.going_round = False

    # ---- what the translation tells ----------------------------------------------------------------------------------

    def want_small(self, value: Value) -> None:
        """It would help if what an integer is made of were small."""
        for index in value.locals:
            self.wanted.alignments.add((index, 0))
        if value.adds is not None and -MAX_LOW < value.lo < 0:
            self.wanted.lows[value.adds] = max(-value.lo, self.wanted.lows.get(value.adds, 0))

    def want_aligned(self, value: Value, alignment: int) -> None:
        """It would help if what an address is made of were multiples of a power of two."""
        self.wanted.alignments.update((index, alignment) for index in value.locals)

    def want_small_counters(self, a: Value, b: Value) -> None:
        """Two integers are compared: it would help if they were small, if one of them counts."""
        if a.adds is not None or b.adds is not None:
            self.wanted.compared.add((-1 if a.adds is None else a.adds, -1 if b.adds is None else b.adds))

    def read_as_signed(self, value: Value, signed: Expression | None) -> Expression | None:
        """An integer read as signed, if that can be had for nothing: at least in front of the loop."""
        wanted = self.wanted
        if value.adds is None or not value.atom:
            wanted.pays = wanted.pays or value.signed is not None
            return signed
        wanted.signed_uses[value.adds] = wanted.signed_uses.get(value.adds, 0) + 1
        if signed is None and self.is_invariant(value.adds):
            n = BITS[value.type]
            return self.hoisted(
                expr("{0} if {0} < {1} else {0} - {2}", value, hexadecimal(1 << (n - 1)), hexadecimal(1 << n))
            )
        return signed

    def is_stepped(self, index: int, value: Value) -> None:
        """A local is set; if that is to itself plus something, it is stepped."""
        if value.adds == index and self.loop is not None:
            self.wanted.steps.setdefault(index, set()).update(value.locals - {index})

    # ---- what it asks ------------------------------------------------------------------------------------------------

    @property
    def is_fast(self) -> bool:
        """Whether this is a fast version."""
        return self.assumptions is not None

    def is_invariant(self, index: int) -> bool:
        """Whether the loop, in its fast version, leaves a local alone."""
        loop = self.loop if self.entered else None
        return self.assumptions is not None and loop is not None and index not in self.survey.loops[loop.number].sets

    def hoisted(self, expression: Expression) -> Name:
        """A variable for what does not change in the loop, which is set in front of it."""
        assert self.assumptions is not None
        found = self.assumptions.invariants.get(expression.text)
        if found is None:
            found = self.assumptions.invariants[expression.text] = Assign(self.operands.fresh(), expression)
        assert isinstance(found.target, Name)
        return found.target

    def divided(self, index: int, shift: int) -> Expression:
        """A local, known to be a multiple of 2**shift, divided by that; a variable if the loop does not change it."""
        expression = shifted(local(index), shift)
        return self.hoisted(expression) if self.is_invariant(index) else expression

    def accumulates(self, index: int, value: Value) -> bool:
        """Whether setting a local to a value only adds to it, in a loop that does nothing else with it: then it is
        masked once, behind the loop."""
        if self.loop is None or value.adds != index or value.type not in SMALL:
            return False
        loop = self.survey.loops[self.loop.number]
        if loop.calls or loop.sets.get(index) != 1 or loop.gets.get(index) != 1:
            return False
        if self.assumptions is not None and index in self.assumptions.level:
            self.assumptions.alignments[index], self.assumptions.failed[index] = 0, LAST_LEVEL
        self.loop.deferred_masks.add(index)
        return True

    def holds_signed(self, index: int, value: Value) -> bool:
        """Whether a local is set to a signed integer, because all that the loop does with it is compare it as such."""
        if self.assumptions is None or self.loop is None or index not in self.assumptions.signed or not value.signed:
            return False
        self.loop.deferred_masks.add(index)
        return True

    def known_outside(self, facts: Facts, block: Block) -> Facts:
        """What of the facts holds behind a block: nothing about locals that are masked behind the loop in it."""
        loop = self.loop
        if loop is None or not loop.deferred_masks or block.number > loop.number:
            return facts
        return {index: fact for index, fact in facts.items() if index not in loop.deferred_masks}

    # ---- heads and branches back -------------------------------------------------------------------------------------

    def at_head(self, block: Block, facts: Facts) -> None:
        """A loop begins: what is assumed about what it sets becomes fact."""
        if block.number != self.wanted.loop:
            return
        self.loop = block
        assumed = self.assumptions
        if assumed is None:
            return
        self.entered = True
        sets = self.survey.loops[block.number].sets
        for index, alignment in assumed.alignments.items():
            if index in sets:
                facts[index] = (assumed.lows.get(index, 0), GROWN[self.types[index]][assumed.level[index]], alignment)

    def goes_round(self, block: Block, facts: Facts) -> None:
        """A branch back to a loop: what is assumed must hold again."""
        assumed = self.assumptions
        if assumed is None or not self.entered or block is not self.loop:
            return
        sets = self.survey.loops[block.number].sets
        for index, alignment in assumed.alignments.items():
            if index in sets:
                grown = GROWN[self.types[index]]
                low, high, known = facts.get(index, (0, grown[-1], 0))
                if known < alignment:
                    assumed.alignments[index] = known
                if known < alignment or high > grown[assumed.level[index]] or low < assumed.lows.get(index, 0):
                    level = next((level for level, bound in enumerate(grown) if high <= bound), LAST_LEVEL)
                    assumed.failed[index] = max(assumed.failed.get(index, 0), level)

    def _is_set(self, value: Value) -> bool:
        """Whether the loop sets the local that a value is."""
        assert self.loop is not None
        return value.adds in self.survey.loops[self.loop.number].sets

    def understood(self, condition: Value, outcome: bool) -> Value:
        """The condition of a branch as it is meant: see ``trusting`` of :class:`Assumptions`."""
        assumed, compare = self.assumptions, condition.compare
        if assumed is None or not (assumed.trusting and outcome and self.going_round) or compare is None:
            return condition
        name, counter, bound = compare
        if bound.adds is not None and not self._is_set(counter):  # a compiler wrote the bound first
            counter, bound = bound, counter
        if name != "ne" or counter.adds not in assumed.level or not bound.atom or bound.constant == 0:
            return condition
        assumed.trusted = True
        found = Value(condition.expression, condition.type)
        found.compare = ("lt", counter, bound)
        return found


def _either(indices: list[int]) -> Expression:
    """Locals, or-ed."""
    locals = [local(i) for i in sorted(indices)]
    return Operation(f"({' | '.join(['{}'] * len(locals))})", *locals) if len(locals) > 1 else locals[0]
