"""Loops: two versions of the innermost ones, counted loops, accumulators.

A loop that calls nothing is translated twice if it would help to know that the integers it works with are small and its
addresses aligned. The *general* version assumes nothing. The *fast* version assumes, at its head, that certain locals
are below a bound and multiples of a power of two; a test in front of the loop checks this for the first time round, and
every branch back must prove it for the next (if one can't, the assumption is dropped and the translation repeated). In
the fast version every memory is small too, so that whatever was just used as an address is small.

A fast version whose only branch back counts a local up or down to a bound that does not change becomes a ``for``
statement over a ``range``.

An *accumulator* is a local that the loop only ever adds something to: it is masked once, after the loop.
"""

from __future__ import annotations

import re
from typing import Any

from refwasm.execution.compiler.agreed import SMALL
from refwasm.execution.compiler.blocks import Block, joined
from refwasm.execution.compiler.control import ControlFlow
from refwasm.execution.compiler.counted import (
    CONDITION,
    based,
    conditions_of,
    for_header,
    last_sums,
    led_by,
    step_of,
    tail_of,
)
from refwasm.execution.compiler.operands import Fact
from refwasm.execution.compiler.source import INDENT, Line, outdented
from refwasm.execution.compiler.survey import Loop
from refwasm.execution.compiler.values import BITS, Value
from refwasm.validation.stacks import Branch

#: What a local may have grown to when it comes round again, in steps.
GROWN = {
    "i32": ((1 << 28) - 1, (1 << 30) - 1, (1 << 31) - 1, (1 << 32) - 1),
    "i64": ((1 << 60) - 1, (1 << 62) - 1, (1 << 63) - 1, (1 << 64) - 1),
}
LAST_LEVEL = 3
#: Longer loops are not translated twice.
MAX_LENGTH = 1500
#: A counted loop that runs longer than this at a stretch must look at the limits itself.
MAX_STRETCH = 3_000_000


class Assumptions:
    """What the fast version of a loop assumes at its head: ``twos`` by local, ``level`` how far each may have grown,
    ``lows`` what some are at least. ``failed`` are locals for which a branch back could not prove it, with the lowest
    level that it could.

    A loop that goes round while a counter is not its bound is first taken for one that goes round while the counter is
    below (``trusting``); if it turns out not to be a counted loop (``trusted``), that was wrong."""

    def __init__(self, wishes: set[tuple[int, int]], lows: dict[int, int]) -> None:
        self.lows = lows
        self.trusting, self.trusted = True, False
        self.twos: dict[int, int] = {}
        self.level: dict[int, int] = {}
        for index, twos in wishes:
            self.twos[index] = max(twos, self.twos.get(index, 0))
            self.level[index] = 0
        self.failed: dict[int, int] = {}
        self.hoisted: dict[str, str] = {}  # names of what does not change in the loop, by its text
        self.signed: set[int] = set()  # locals that hold signed integers inside the loop
        self.count: tuple[str, ...] = ()  # conditions that the counted form needs
        self.before: list[str] = []  # lines that the loop needs before
        self.behind: list[str] = []  # and behind

    def weaken(self) -> None:
        """Assume less of what failed."""
        for index, level in self.failed.items():
            if self.lows.pop(index, 0):
                continue
            self.level[index] = max(self.level[index], level)
            if self.level[index] == LAST_LEVEL and not self.twos[index]:  # which says nothing
                del self.level[index], self.twos[index]
        self.failed, self.trusted = {}, False
        self.hoisted, self.count, self.before, self.behind = {}, (), [], []


class Loops(ControlFlow):
    """``assumptions`` are those of the fast version that is being translated; ``general`` tells that a fast version
    may follow. ``notes`` say what was found, for people."""

    def __init__(self, func: Any, polls: bool) -> None:
        super().__init__(func, polls)
        self.types: list[str] = []
        self.assumptions: Assumptions | None = None
        self.assumed_at: Block | None = None
        self.innermost: Block | None = None
        self.branching_to: Block | None = None
        self.helpful = False  # a fast version is better even if it assumes nothing
        self.compared: set[tuple[int, int]] = set()  # pairs of locals
        self.signs: dict[int, int] = {}  # how often locals are compared as signed
        self.accessed: set[int] = set()  # memories
        self.steps: dict[int, set[int]] = {}  # locals that are added to a local
        self.current_loop = -1  # the one that _loop translates
        self.notes: list[str] = []

    def translate(self, first: int, last: int) -> None:
        """Instructions from ``first`` to before ``last``: see :mod:`.translation`."""
        raise NotImplementedError

    def _loop(self, pc: int) -> int:
        """Translate a whole loop, twice if that helps; the index of what follows."""
        loop = self.survey.loops[pc]
        end = loop.end + 1
        outer = self.innermost, self.wishes, self.lows
        self._settle_all()
        state = self._state()
        first = len(self.source.lines)
        self.source.indent()
        self.wishes, self.lows, self.steps = set(), {}, {}
        self.compared, self.signs = set(), {}
        self.helpful, self.accessed, self.current_loop = False, set(), pc
        self.translate(pc, end)
        general, after = self.source.taken_from(first), self._state()
        wishes = self._granted(loop)
        lows = {i: low for i, low in self.lows.items() if (i, 0) in wishes and i in loop.sets}
        fast = self._fast_version(pc, end, state, wishes, lows) if wishes or self.helpful else None
        self.source.dedent()
        self.innermost, self.wishes, self.lows = outer
        self.current_loop = -1
        if fast is None:
            self._resume(after)
            self.source.lines += outdented(general)
            return end
        guard, hoisted, lines = fast
        if not guard:
            self.source.lines += [(INDENT * self.source.depth + line, []) for line in hoisted] + outdented(lines)
            return end
        self._line(f"if {' and '.join(guard)}:")
        self.source.lines += [(INDENT * (self.source.depth + 1) + line, []) for line in hoisted] + lines
        self._line("else:")
        self.source.lines += general
        fast_facts, fast_dead = self.facts, self.dead
        self._resume(after)
        if not fast_dead:
            self.facts = fast_facts if self.dead else joined(self.facts, fast_facts)
            self.dead = False
        self.notes.append(f"loop at instruction {pc}: fast version if {' and '.join(guard)}")
        return end

    def _granted(self, loop: Loop) -> set[tuple[int, int]]:
        """The wishes of the general version that make sense: for what is set anew in each turn, they don't."""
        for a, b in self.compared:
            if a in self.steps or b in self.steps:
                self.wishes |= {(a, 0), (b, 0)}
        wishes = {(i, twos) for i, twos in self.wishes if i >= 0 and self.types[i] in SMALL}
        for index, steps in self.steps.items():  # what is added to an address must be as aligned as the address
            integers = [step for step in steps if step >= 0 and self.types[step] in SMALL]
            wishes |= {(step, twos) for step in integers for i, twos in wishes if i == index}
        return {(index, twos) for index, twos in wishes if index not in loop.defined}

    def _state(self) -> tuple[Any, ...]:
        return list(self.stack), dict(self.facts), self.dead

    def _resume(self, state: tuple[Any, ...]) -> None:
        self.stack, self.facts, self.dead = list(state[0]), dict(state[1]), state[2]
        self.forget()

    def _fast_version(
        self, pc: int, end: int, state: tuple[Any, ...], wishes: set[tuple[int, int]], lows: dict[int, int]
    ) -> tuple[list[str], list[str], list[Line]] | None:
        """Its guard, the lines before the loop, and the loop; None if nothing can be assumed."""
        assumed = Assumptions(wishes, lows)
        loop = self.survey.loops[pc]
        assumed.signed = {i for i, uses in self.signs.items()
                          if i in loop.defined and loop.sets[i] == 1 and loop.gets.get(i) == uses}  # fmt: skip
        while True:
            if not assumed.level and not self.helpful:
                return None
            self._resume(state)
            for index, twos in assumed.twos.items():
                low, high, known = self.facts.get(index, (0, GROWN[self.types[index]][-1], 0))
                if assumed.level[index] == LAST_LEVEL:
                    self.facts[index] = (low, high, max(known, twos))
                    continue
                limit = SMALL[self.types[index]] - 1
                self.facts[index] = (
                    max(min(low, limit), assumed.lows.get(index, 0)),
                    min(high, limit),
                    max(known, twos),
                )
            first = len(self.source.lines)
            self.assumptions, self.assumed_at = assumed, None
            self.translate(pc, end)
            self.assumptions = None
            lines = self.source.taken_from(first)
            if assumed.trusted and not assumed.count:
                assumed.trusting = False
            elif not assumed.failed:
                break
            assumed.weaken()
        facts: dict[int, Fact] = state[1]
        hoisted = [f"{name} = {text}" for text, name in assumed.hoisted.items()]
        return self._guard(assumed, facts), hoisted + assumed.before, lines

    def _guard(self, assumed: Assumptions, facts: dict[int, Fact]) -> list[str]:
        tests = []
        for t, limit in SMALL.items():
            wide = [
                i
                for i, level in assumed.level.items()
                if self.types[i] == t and level < LAST_LEVEL and facts.get(i, (0, limit, 0))[1] >= limit
            ]
            if wide:
                tests.append(f"{_either(wide)} < {hex(limit)}")
        tests += [f"l{i} > {low - 1}" for i, low in assumed.lows.items() if facts.get(i, (0, 0, 0))[0] < low]
        by_twos: dict[int, list[int]] = {}
        for index, twos in assumed.twos.items():
            if twos > facts.get(index, (0, 0, 0))[2]:
                by_twos.setdefault(twos, []).append(index)
        tests += [f"not {_either(found)} & {(1 << twos) - 1}" for twos, found in by_twos.items()]
        tests += [f"small_m{memory}" for memory in sorted(self.accessed)]
        return tests + [condition for condition in assumed.count if condition not in tests]

    # ---- heads and branches back -------------------------------------------------------------------------------------

    def _begin_loop(self, block: Block) -> None:
        super()._begin_loop(block)
        if block.number != self.current_loop:
            return
        self.innermost = block
        if self.assumptions is None:
            return
        self.assumed_at = block
        sets = self.survey.loops[block.number].sets
        for index, twos in self.assumptions.twos.items():
            if index in sets:
                high = GROWN[self.types[index]][self.assumptions.level[index]]
                self.facts[index] = (self.assumptions.lows.get(index, 0), high, twos)

    def _goes_round(self, block: Block) -> None:
        assumed = self.assumptions
        if assumed is None or block is not self.assumed_at:
            return
        sets = self.survey.loops[block.number].sets
        for index, twos in assumed.twos.items():
            if index in sets:
                low, high, known = self.facts.get(index, (0, GROWN[self.types[index]][-1], 0))
                grown = GROWN[self.types[index]]
                if known < twos:
                    assumed.twos[index] = known
                if known < twos or high > grown[assumed.level[index]] or low < assumed.lows.get(index, 0):
                    level = next((level for level, bound in enumerate(grown) if high <= bound), LAST_LEVEL)
                    assumed.failed[index] = max(assumed.failed.get(index, 0), level)

    def _refined(self, condition: Value, outcome: bool) -> dict[int, Fact]:
        assumed, compare = self.assumptions, condition.compare
        goes_round = outcome and self.branching_to is not None and self.branching_to is self.assumed_at
        if assumed is not None and assumed.trusting and goes_round and compare is not None and compare[0] == "ne":
            _, counter, bound = compare
            if counter.adds in assumed.level and bound.atom and bound.constant != 0:
                assumed.trusted = True
                return super()._refined(_below(condition, counter, bound), True)
        return super()._refined(condition, outcome)

    def _branch_if(self, condition: Value, branch: Branch) -> None:
        self.branching_to = self.labels[branch.label.pc]
        super()._branch_if(condition, branch)
        self.branching_to = None

    def accumulates(self, index: int, value: Value) -> bool:
        """Whether setting a local to a value only adds to it, in a loop that does nothing else with it."""
        block = self.innermost
        if block is None or value.adds != index or value.type not in SMALL:
            return False
        loop = self.survey.loops[block.number]
        if loop.calls or loop.sets.get(index) != 1 or loop.gets.get(index) != 1:
            return False
        if self.assumptions is not None and index in self.assumptions.level:
            self.assumptions.twos[index], self.assumptions.failed[index] = 0, LAST_LEVEL
        block.sunk.add(index)
        return True

    def steps_by(self, index: int, value: Value) -> None:
        """A local is set to itself plus something."""
        if value.adds == index and self.innermost is not None:
            self.steps.setdefault(index, set()).update(value.locals - {index})

    def divided(self, index: int, shift: int) -> str:
        """A local, known to be a multiple of 2**shift, divided by that; a name if the loop does not change it."""
        text = f"(l{index} >> {shift})"
        return self._hoisted(text) if self._is_invariant(index) else text

    def _is_invariant(self, index: int) -> bool:
        block = self.assumed_at
        return self.assumptions is not None and block is not None and index not in self.survey.loops[block.number].sets

    def _hoisted(self, text: str) -> str:
        assert self.assumptions is not None
        if text not in self.assumptions.hoisted:
            self.assumptions.hoisted[text] = self.fresh()
        return self.assumptions.hoisted[text]

    def wish_counters(self, a: Value, b: Value) -> None:
        if a.adds is not None or b.adds is not None:
            self.compared.add((-1 if a.adds is None else a.adds, -1 if b.adds is None else b.adds))

    def signed(self, value: Value) -> str:
        text = super().signed(value)
        if value.adds is None or not value.atom:
            self.helpful = self.helpful or bool(value.signed)
            return text
        self.signs[value.adds] = self.signs.get(value.adds, 0) + 1
        if not text and self._is_invariant(value.adds):
            n = BITS[value.type]
            return self._hoisted(
                f"{value.text} if {value.text} < {hex(1 << (n - 1))} else {value.text} - {hex(1 << n)}"
            )
        return text

    def holds_signed(self, index: int, value: Value) -> bool:
        """Whether a local is set to a signed integer, because all that the loop does with it is compare it as such."""
        block = self.innermost
        if self.assumptions is None or block is None or index not in self.assumptions.signed or not value.signed:
            return False
        block.sunk.add(index)
        return True

    def _arrive(self, block: Block) -> None:
        inner = self.innermost
        if inner is not None and inner.sunk and block.number <= inner.number:
            kept = self.facts
            self.facts = {index: fact for index, fact in kept.items() if index not in inner.sunk}
            super()._arrive(block)
            self.facts = kept
        else:
            super()._arrive(block)

    # ---- behind loops ------------------------------------------------------------------------------------------------

    def _after_loop(self, block: Block) -> None:
        if block is self.innermost:
            self._count(block)
            self._index(block)
            self._smooth(block)
            self.innermost = None
        for index in sorted(block.sunk):
            modulus = 1 << BITS[self.types[index]]
            is_sum = bool(self.steps.get(index))  # which is large: then a mask is faster, otherwise a remainder
            self._line(f"l{index} &= {hex(modulus - 1)}" if is_sum else f"l{index} %= {hex(modulus)}")
            self.notes.append(f"loop at instruction {block.number}: l{index} accumulates, masked after the loop")

    def _index(self, block: Block) -> None:
        """Locals of a fast version that only ever are divided by a power of two are kept divided."""
        assumed = self.assumptions
        if assumed is None:
            return
        body, behind = self.source.lines[block.header :], []
        for index, twos in assumed.twos.items():
            if twos and self.survey.loops[block.number].sets.get(index) == 1:
                behind += self._index_local(block, body, index)
        self.source.lines[block.header :] = body
        for line in behind + assumed.behind:
            self._line(line)

    def _index_local(self, block: Block, body: list[Line], index: int) -> list[str]:
        """Lines for behind the loop."""
        assert self.assumptions is not None
        name, step = re.compile(rf"\bl{index}\b"), re.compile(rf" *l{index} = \(l{index} ([+-]) (l?)(\d+)\)")
        mentions = [number for number, (line, _) in enumerate(body) if name.search(line)]
        steps = [number for number in mentions if step.fullmatch(body[number][0])]
        shifts = {
            m
            for number in mentions
            if number not in steps
            for m in re.findall(rf"\(l{index} >> (\d+)\)", body[number][0])
        }
        if len(steps) != 1 or len(shifts) != 1:
            return []
        (shift,) = map(int, shifts)
        if shift > self.assumptions.twos.get(index, 0):  # the program divides it itself
            return []
        divided = f"(l{index} >> {shift})"
        if any(name.search(body[number][0].replace(divided, "")) for number in mentions if number not in steps):
            return []
        match = step.fullmatch(body[steps[0]][0])
        assert match
        sign, is_local, amount = match[1], match[2], int(match[3])
        if is_local:
            if self.assumptions.twos.get(amount, 0) < shift or not self._is_invariant(amount):
                return []
            by = self.divided(amount, shift)
        elif amount % (1 << shift):
            return []
        else:
            by = str(amount >> shift)
        variable = self.fresh()
        text = f"({variable})".ljust(len(divided))  # columns stay where they are
        for number in mentions:
            line, spans = body[number]
            body[number] = (line.replace(divided, text), spans)
        line = body[steps[0]][0]
        body[steps[0]] = (line[: len(line) - len(line.lstrip())] + f"{variable} {sign}= {by}", [])
        self.assumptions.before.append(f"{variable} = l{index} >> {shift}")
        return [f"l{index} = {variable} << {shift}"]

    def _smooth(self, block: Block) -> None:
        """Let a counted loop do less in each turn."""
        assumed, lines = self.assumptions, self.source.lines
        if assumed is None or not assumed.count:
            return
        loop, before = lines[block.header :], assumed.before
        loop, more = led_by(loop, self.source.depth + 1, self.fresh)
        before += more
        loop, more = based(loop, self._is_base, self.fresh)
        before += more
        lines[block.header :] = loop

    def _is_base(self, name: str) -> bool:
        """Whether a variable is an address, or one divided, that the loop does not change."""
        assert self.assumptions is not None
        if name[0] == "l":
            return self._is_invariant(int(name[1:]))
        text = next((text for text, known in self.assumptions.hoisted.items() if known == name), "")
        return bool(re.fullmatch(r"\(l\d+ >> \d+\)", text))

    def _count(self, block: Block) -> None:
        """Turn the lines of a loop into a counted one if they are."""
        loop = self.survey.loops[block.number]
        if loop.back_edges != 1:
            return
        depth, lines = self.source.depth + 1, self.source.lines
        counted = self._counted(loop.sets, lines[block.header + (3 if self.polls else 1) :], depth)
        if counted is None:
            return
        if self.assumptions is None:
            self.helpful = True
            return
        header, body, behind, self.assumptions.count = counted
        del lines[block.header :]
        lines.append((INDENT * (depth - 1) + header, []))
        lines += body or [(INDENT * depth + "pass", [])]
        lines.append((INDENT * (depth - 1) + "else:", []))
        lines.append((INDENT * depth + behind, []))

    def _counted(
        self, sets: dict[int, int], body: list[Line], depth: int
    ) -> tuple[str, list[Line], str, tuple[str, ...]] | None:
        """Header, body, what follows in ``else``, and conditions; None if the loop is not a counted one."""
        texts = [line for line, _ in body]
        tail = tail_of(texts, depth)
        if tail is None:
            return None
        condition, tested_first, last = tail
        match = CONDITION.fullmatch(condition)
        if match is None:
            return None
        negated, name, relation, bound = match.groups()
        if relation is None:
            relation, bound = ("==" if negated else "!="), "0"
        elif negated:
            return None
        index = int(name[1:])
        if sets.get(index) != 1 or (bound.startswith("l") and int(bound[1:]) in sets):
            return None
        found = step_of(texts, last, depth, index)
        if found is None:
            return None
        at, step = found
        if (not tested_first and relation == "==") or (tested_first and relation == "!="):
            return None
        conditions = conditions_of(name, relation, bound, step, tested_first)
        if conditions is None:
            return None
        kept = body[2:at] + body[at + 1 : last] if tested_first else body[:at] + body[at + 1 : last]
        if self.assumptions is not None and not tested_first:
            kept, self.assumptions.behind = last_sums(kept, depth, f"{name} {bound}", sets)
        if self.polls:
            stretch = f"{bound} - {name}" if step > 0 else f"{name} - {bound}"
            conditions += (f"{stretch} < {MAX_STRETCH}",)
            if self.assumptions is not None:
                self.assumptions.before += [f"k -= {stretch}", "if k < 0: k = poll()"]
        behind = f"{name} = {bound}" if tested_first else f"{name} += {step}"
        self.notes.append(f"{name} counts by {step} to {bound}")
        return for_header(name, bound, step), kept, behind, conditions


def _below(condition: Value, counter: Value, bound: Value) -> Value:
    """The condition that a counter is below its bound."""
    found = Value(condition.text, condition.type)
    found.compare = ("lt", counter, bound)
    return found


def _either(indices: list[int]) -> str:
    names = " | ".join(f"l{i}" for i in sorted(indices))
    return f"({names})" if len(indices) > 1 else names
