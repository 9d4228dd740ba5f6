"""Each pass over loops by itself: random loops as statements, executed before and after."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from refwasm.execution.compiler.translation import (
    canonical_comparisons,
    code_sinking,
    counted_loops,
    induction_variables,
    loop_invariants,
    strength_reduction,
)
from refwasm.execution.compiler.translation import statements as s
from refwasm.execution.compiler.translation.canonical_comparisons import MIRRORED, canonical
from refwasm.execution.compiler.translation.code_sinking import sunk
from refwasm.execution.compiler.translation.counted_loops import counted
from refwasm.execution.compiler.translation.expressions import (
    ADD,
    SUB,
    TRUE,
    Comparison,
    Element,
    Expression,
    Literal,
    Located,
    Name,
    Not,
    Operation,
    literal,
    local,
    shifted,
)
from refwasm.execution.compiler.translation.induction_variables import replaced
from refwasm.execution.compiler.translation.loop_invariants import based
from refwasm.execution.compiler.translation.loops import Loop
from refwasm.execution.compiler.translation.printer import printed, text_of
from refwasm.execution.compiler.translation.strength_reduction import reduced

#: The counter, an address (a multiple of eight), sums, a bound, a base and a step that loops leave alone.
COUNTER, ADDRESS, SUM, OTHER, BOUND, BASE, STRIDE = map(local, range(7))
ALIGNED = {ADDRESS.text: 3, STRIDE.text: 3}
VIEW = "U64_m0_0"


class Draw:
    """Random loops. All variables are locals that are set in front of the loop; ``touched`` logs what is stored."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.reads_counter, self.jumps = self.r.random() < 0.4, self.r.random() < 0.4
        self.names = itertools.count()
        self.turns_back = self.r.random() < 0.5

    def ways(self) -> list[s.Statement]:
        """How to jump."""
        return [s.Break(), s.Continue()] if self.turns_back else [s.Break()]

    def fresh(self) -> Name:
        return Name(f"t{next(self.names)}")

    def value(self) -> Expression:
        """Something to store or to add."""
        found: list[Callable[[], Expression]] = [
            lambda: self.r.choice((SUM, OTHER, BASE)),
            lambda: Element(VIEW, shifted(ADDRESS, 3)),
            lambda: Operation("({} * {})", SUM, literal(self.r.randrange(5))),
        ]
        if not self.reads_counter:
            return self.r.choice(found)()
        found += [
            lambda: COUNTER,
            lambda: Element(VIEW, Operation(ADD, BASE, COUNTER)),
            lambda: Element(VIEW, Operation(ADD, COUNTER, BASE)),
        ]
        return self.r.choice(found)()

    def statement(self, depth: int = 0) -> s.Statement:
        r, kind = self.r, self.r.randrange(8)
        if self.jumps and r.random() < 0.3:
            return s.If(self.condition(r.choice(("==", "<"))), [r.choice(self.ways())])
        if kind < 2:
            return s.Assign(SUM, Operation(ADD, SUM, self.value()))
        if kind == 2:
            of = r.choice((SUM, ADDRESS, BASE, COUNTER if self.reads_counter else BASE))
            return s.Assign(OTHER, Operation(r.choice((ADD, SUB)), of, literal(r.randrange(9))))
        if kind == 3:
            return s.Assign(Element(VIEW, shifted(ADDRESS, 3)), self.value())
        if kind == 4:
            return s.Step(SUM, "+", literal(r.randrange(4)))
        if kind == 5 and depth < 2:
            return s.If(self.condition("<"), self.body(depth + 1), self.body(depth + 1))
        if kind == 7 and r.random() < 0.2:
            return s.Assign(BOUND, Operation(ADD, BOUND, literal(r.randrange(3))))
        return s.Evaluate(Operation("touched.append({})", self.value()))

    def condition(self, relation: str) -> Expression:
        return Comparison(self.value(), relation, literal(self.r.randrange(40)))

    def body(self, depth: int = 0) -> s.Body:
        return [self.statement(depth) for _ in range(self.r.randrange(1, 4))]

    def address_step(self) -> s.Statement:
        amount = STRIDE if self.r.random() < 0.3 else literal(self.r.choice((8, 16, 24, 4)))
        return s.Assign(ADDRESS, Operation(self.r.choice((ADD, ADD, SUB)), ADDRESS, amount))

    def whole(self) -> Loop:
        """A loop that goes round some times."""
        r = self.r
        body = [*self.body(), *([self.address_step()] if r.random() < 0.8 else [])]
        r.shuffle(body)
        step = r.choice((1, 1, -1, 2, 4, -2))
        bound = r.choice((BOUND, literal(r.randrange(30))))
        count = s.Assign(COUNTER, Operation(ADD if step > 0 else SUB, COUNTER, literal(abs(step))))
        body.insert(r.randrange(len(body) // 2, len(body) + 1), count)
        relation = r.choice(("!=", "<")) if step > 0 else "!="
        if r.random() < 0.3:
            leave = self.compared(COUNTER, r.choice((">=", "==")), bound)
            return self.loop([s.If(leave, [s.Break()]), *body, s.Continue()])
        if r.random() < 0.2:
            return self.loop([*body, s.If(Not(COUNTER), [s.Break()]), s.Continue()])
        if r.random() < 0.2:
            return self.loop([*body, s.If(COUNTER, [s.Continue()]), s.Break()])
        return self.loop([*body, s.If(self.compared(COUNTER, relation, bound), [s.Continue()]), s.Break()])

    def compared(self, left: Expression, relation: str, right: Expression) -> Expression:
        """A comparison, with the bound first now and then."""
        return (
            Comparison(right, MIRRORED[relation], left) if self.r.random() < 0.3 else Comparison(left, relation, right)
        )

    def loop(self, body: s.Body) -> Loop:
        poll = [s.Poll(Operation("poll()"))] if self.r.random() < 0.2 else []
        return Loop(s.While(TRUE, [*poll, *body]), self.fresh, alignments=ALIGNED)


class Stopped(Exception):
    """A loop that would go on for long."""


class Memory(list[int]):
    """Elements that count how often they are asked for; slices are views."""

    def __init__(self, data: list[int], first: int = 0, left: list[int] | None = None) -> None:
        super().__init__()
        self.data, self.first, self.left = data, first, left if left is not None else [300]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Memory(self.data, self.first + index.start, self.left)
        return self.data[self._place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.data[self._place(index)] = value % 1000

    def _place(self, index: int) -> int:
        if index < 0 or self.first + index >= len(self.data):
            raise IndexError("out of bounds")
        return self.first + index


def outcome(loop: Loop, start: tuple[int, ...], seed: int) -> Any:
    """The variables behind a loop, or where it failed, and what it did; None if a condition does not hold."""
    limit = [2_000]

    def poll() -> int:
        return 20_000

    class Counting(list[int]):
        def append(self, value: int) -> None:
            limit[0] -= 1
            if limit[0] < 0:
                raise Stopped
            super().append(value)

    data = [random.Random(seed).randrange(50) for _ in range(64)]
    names: dict[str, Any] = {f"l{i}": value for i, value in enumerate(start)}
    names |= {VIEW: Memory(data), "touched": Counting(), "poll": poll, "k": 20_000}
    if not all(eval(condition.text, names) for condition in loop.conditions):
        return None
    guard = s.Step(Name("turns"), "-", literal(1))
    stop = s.If(Comparison(Name("turns"), "<", literal(0)), [s.Evaluate(Operation("stop()"))])
    body = loop.statement.body
    statement: s.Statement
    if isinstance(loop.statement, s.For):
        statement = s.For(loop.statement.variable, loop.statement.bound, loop.statement.step, [guard, stop, *body],
                          loop.statement.otherwise)  # fmt: skip
    else:
        statement = s.While(TRUE, [guard, stop, *body])
    text = text_of(printed([*loop.before, statement, *loop.behind]))

    def stopped() -> None:
        raise Stopped

    names |= {"turns": 400, "stop": stopped}
    try:
        exec(text, names)
    except IndexError:
        return "trap", data, list(names["touched"])
    except Stopped:
        return "stopped"
    return [names[f"l{i}"] for i in range(len(start))], data, list(names["touched"])


def difference(before: Loop, after: Loop, seed: int) -> Any:
    """Where two loops do different things; None if they never do. Where they trap, variables don't matter."""
    for start in STARTS:
        wanted, found = outcome(before, start, seed), outcome(after, start, seed)
        if wanted is not None and found is not None and wanted != found:
            return seed, start, wanted, found, before, after
    return None


STARTS = [
    (0, 0, 0, 0, 9, 3, 8), (3, 64, 1, 5, 20, 0, 16), (10, 8, 0, 0, 0, 40, 0), (5, 400, 7, 7, 12, 60, 24),
    (0, 16, 2, 1, 1, 1, 8), (40, 0, 0, 3, 8, 20, 8), (1, 504, 0, 0, 33, 62, 8), (24, 200, 0, 0, 24, 5, 8),
]  # fmt: skip
#: Loops for each part of a test.
COUNT = 400
#: What each pass works on: loops after these.
BEFORE: dict[Any, tuple[Any, ...]] = {
    canonical: (), counted: (), sunk: (counted,), reduced: (), replaced: (counted, reduced), based: (counted,),
}  # fmt: skip


def prepared(seed: int, passes: tuple[Any, ...]) -> Loop | None:
    """A random loop after other passes; sometimes without them, where a pass does not need them."""
    loop: Loop | None = Draw(seed).whole()
    for one in passes:
        loop = one(loop) if loop is not None else None
    return loop


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("one", BEFORE, ids=lambda one: one.__module__.rpartition(".")[2])
def test_a_pass_changes_nothing_but_the_time(one: Any, part: int) -> None:
    changed = 0
    for seed in range(part * COUNT, part * COUNT + COUNT):
        before = prepared(seed, BEFORE[one])
        after = None if before is None else one(before)
        if before is None or after is None:
            continue
        changed += 1
        assert not difference(before, after, seed)
    assert changed > 5, "the pass was tried"


def test_all_passes_together() -> None:
    from refwasm.execution.compiler.translation.loop_versioning import PASSES
    from refwasm.execution.compiler.translation.loops import optimised

    assert set(PASSES) == set(BEFORE)
    for seed in range(800):
        before = Draw(seed).whole()
        after = optimised(before, PASSES)
        assert not difference(before, after, seed)


FAULTS: dict[str, tuple[Any, str, Any, Any]] = {
    "the relation is not mirrored": (canonical_comparisons, "MIRRORED", {r: r for r in MIRRORED}, canonical),
    "the loop may jump behind the step": (counted_loops, "jumps", lambda statements: False, counted),
    "the bound may change": (counted_loops, "_is_fixed", lambda bound, loop: True, counted),
    "it does not matter how often the loop turns back": (counted_loops, "_turns_back", lambda body: 1, counted),
    "locals may be read": (code_sinking, "reads", lambda statements: frozenset(), sunk),
    "nothing changes behind the last sum": (code_sinking, "_stepped_since", lambda loop, at, value: 0, sunk),
    "steps need not be multiples": (
        strength_reduction, "_divided", lambda loop, by, shift: (loop, Literal(f"({by.text} >> {shift})")), reduced,
    ),
    "the counter may be read": (induction_variables, "mentions", lambda statements, name: False, replaced),
    "the loop may be left early": (induction_variables, "jumps", lambda statements: False, replaced),
    "a base may change": (loop_invariants, "_base", lambda loop, part, counter: _any_base(part, counter), based),
}  # fmt: skip


def _any_base(part: Expression, counter: str) -> Name | None:
    if isinstance(part, Element) and isinstance(part.index, Operation) and part.index.template == "({} >> {})":
        left = part.index.operands[0]
        return left if isinstance(left, Name) else None
    return None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_pass_would_be_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, wrong, one = FAULTS[fault]
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises((AssertionError, NameError, TypeError)):
        for part in range(10):
            test_a_pass_changes_nothing_but_the_time(one, part)


def test_what_statements_tell_about_themselves() -> None:
    load = Located(7, Element(VIEW, shifted(ADDRESS, 3)))
    inner = s.Assign(SUM, Operation("({0} if ({0} := {1}) else {2})", Name("t0"), load, OTHER))
    loop = s.While(TRUE, [inner, s.If(Comparison(COUNTER, "<", BOUND), [s.Break()])])
    assert s.reads([loop]) == {"t0", ADDRESS.text, OTHER.text, COUNTER.text, BOUND.text}
    assert s.writes([loop]) == {"t0", SUM.text}
    assert s.mentions([loop], SUM.text) and not s.mentions([loop], BASE.text)
    assert s.may_trap(loop) and s.may_trap(inner) and not s.may_trap(loop.body[1])
    assert s.instructions(loop) == {7}
    assert s.jumps([loop]) and not s.jumps([inner])
    kept = s.with_expressions(loop, lambda part: OTHER if part.text == SUM.text else None)
    assert s.writes([kept]) == {"t0", OTHER.text} and s.writes([loop]) == {"t0", SUM.text}, "statements never change"
