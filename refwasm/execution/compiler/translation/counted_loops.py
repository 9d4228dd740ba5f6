"""Counted loops: ``while True`` that counts a local up or down to a bound becomes ``for`` over a ``range``.

What must hold. There is one way round the loop: the ``continue`` at its end, or under the last condition; or a test at
the top leaves it. The counter is a local that is set once, in the loop's own body, to itself plus a constant; nothing
jumps or names it between there and the end. The bound is a constant, or a local that the loop does not set. In front of
the loop, the counter lies on the right side of the bound, in a distance that is a multiple of the step.

Why the result is the same. Inside of the ``for`` statement, the counter has the values that it had before it was
stepped, in the same order, and the last of them is the one after which the condition fails. A ``break`` leaves the
counter at its present value, as it did before. Only where the range is used up, ``else`` gives it the value that the
loop ended with.

What it gains. CPython counts, compares and jumps in C: a third to a half of a short loop's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from refwasm.execution.compiler.translation.expressions import (
    ZERO,
    Comparison,
    Expression,
    Literal,
    Name,
    Not,
    Operation,
    literal,
    number,
)
from refwasm.execution.compiler.translation.loops import Loop, is_local, sum_of
from refwasm.execution.compiler.translation.statements import (
    Assign,
    Body,
    Break,
    Continue,
    For,
    If,
    Poll,
    Statement,
    Step,
    While,
    assigned,
    everything,
    jumps,
    mentions,
)

#: A counted loop that runs longer than this at a stretch must look at the limits itself.
MAX_STRETCH = 3_000_000
_INVERSE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
#: What a condition compares: a local, a relation, a bound.
Relation = tuple[Name, str, Expression]


def counted(loop: Loop) -> Loop | None:
    """The loop as a counted one."""
    statement = loop.statement
    if not isinstance(statement, While):
        return None
    body = statement.body
    polls = bool(body) and isinstance(body[0], Poll)
    if polls:
        body = body[1:]
    tail = _tail(body)
    if tail is None or _turns_back(body) != 1:
        return None
    (counter, relation, bound), tested_first, last = tail
    found = _step(body, last, counter.text)
    if found is None or not _is_fixed(bound, statement):
        return None
    at, step = found
    conditions = _conditions(counter, relation, bound, step, tested_first)
    if conditions is None:
        return None
    kept = body[int(tested_first) : at] + body[at + 1 : last]
    before = loop.before
    if polls:
        conditions, further = _strip_mined(conditions, counter, bound, step)
        before += further
    end: Statement = Assign(counter, bound) if tested_first else Step(counter, "+", Literal(str(step)))
    return replace(
        loop,
        statement=For(counter, bound, step, kept, [end]),
        before=before,
        conditions=loop.conditions + conditions,
        runs_once=not tested_first,
        notes=(*loop.notes, f"{counter.text} counts by {step} to {bound.text}"),
    )


def _tail(body: Body) -> tuple[Relation, bool, int] | None:
    """The relation under which the loop goes round, or, if it is tested at the top, is left; whether it is; and the
    index of the first statement of the tail that a ``for`` does without."""
    if len(body) < 2:
        return None
    first, before, last = body[0], body[-2], body[-1]
    if isinstance(last, Break):
        relation = _relation(before, Continue)
        return relation and (relation, False, len(body) - 2)
    if not isinstance(last, Continue):
        return None
    if (
        len(body) > 2
        and isinstance(first, If)
        and first.body
        and isinstance(first.body[0], Break)
        and not first.otherwise
    ):
        relation = _relation(first, Break)
        return relation and (relation, True, len(body) - 1)
    relation = _relation(before, Break)
    if relation is None:
        return None
    counter, name, bound = relation
    return (counter, _INVERSE[name], bound), False, len(body) - 2


def _relation(statement: Statement, jump: type[Break] | type[Continue]) -> Relation | None:
    """What ``if relation: jump`` compares, if that is what a statement is."""
    if not isinstance(statement, If) or statement.otherwise or len(statement.body) != 1:
        return None
    if not isinstance(statement.body[0], jump):
        return None
    condition = statement.condition
    if isinstance(condition, Operation) and condition.template == "({})":
        condition = condition.operands[0]
    if is_local(condition):
        assert isinstance(condition, Name)
        return condition, "!=", ZERO
    if isinstance(condition, Not) and is_local(condition.operand):
        assert isinstance(condition.operand, Name)
        return condition.operand, "==", ZERO
    if isinstance(condition, Comparison) and is_local(condition.left):
        assert isinstance(condition.left, Name)
        if is_local(condition.right) or number(condition.right) is not None:
            return condition.left, condition.relation, condition.right
    return None


def _turns_back(body: Sequence[Statement]) -> int:
    """How many statements go round the loop whose body this is."""
    found = 0
    for statement in body:
        found += isinstance(statement, Continue)
        if not isinstance(statement, (While, For)):
            found += sum(_turns_back(inner) for inner in statement.bodies())
    return found


def _is_fixed(bound: Expression, loop: Statement) -> bool:
    return number(bound) is not None or bound.text not in assigned([loop])


def _step(body: Body, last: int, counter: str) -> tuple[int, int] | None:
    """Where the counter is stepped, and by how much; nothing jumps or names it between there and the tail, and nothing
    else sets it."""
    settings = sum(target.text == counter for found in everything(body) for target in found.targets())
    if settings != 1:
        return None
    for at in range(last - 1, -1, -1):
        statement = body[at]
        if jumps([statement]):
            return None
        if mentions([statement], counter):
            step = (
                sum_of(statement.value) if isinstance(statement, Assign) and statement.target.text == counter else None
            )
            return None if step is None or step[0].text != counter or not step[1] else (at, step[1])
    return None


def _conditions(
    counter: Name, relation: str, bound: Expression, step: int, tested_first: bool
) -> tuple[Expression, ...] | None:
    """What must hold in front of the loop for ``range`` to give the values that the loop goes through."""
    up = step > 0
    if tested_first:  # it is left if the relation holds
        return (Comparison(counter, "<=", bound),) if step == 1 and relation in (">=", "==") else None
    if relation == "<" and up:
        return (Comparison(counter, "<", bound),)
    if relation != "!=":
        return None
    first = Comparison(counter, "<" if up else ">", bound)
    if abs(step) == 1:
        return (first,)
    return first, Operation("not ({} - {}) % {}", bound, counter, literal(abs(step)))


def _strip_mined(
    conditions: tuple[Expression, ...], counter: Name, bound: Expression, step: int
) -> tuple[tuple[Expression, ...], tuple[Statement, ...]]:
    """Conditions, and statements in front of a loop that looks at the limits once for all its turns."""
    stretch = Operation("{} - {}", bound, counter) if step > 0 else Operation("{} - {}", counter, bound)
    turns = Name("k")
    look = If(Comparison(turns, "<", ZERO), [Assign(turns, Operation("poll()"))])
    return (*conditions, Operation("{} < {}", stretch, Literal(str(MAX_STRETCH)))), (Step(turns, "-", stretch), look)
