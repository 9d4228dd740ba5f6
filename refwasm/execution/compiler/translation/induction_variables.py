"""Induction variable elimination: a counter that nothing reads gives way to a variable that moves in equal steps.

What must hold. The loop is counted, by 1 or -1, and nothing in its body names the counter or jumps out of it. Another
variable is set once, in the loop's own body, to itself plus a constant, and nothing behind that in the body names it.

Why the result is the same. The variable goes through an arithmetic progression, as the counter does, and ends where the
number of turns times its step leads. Where the range is used up, ``else`` gives both the values that they ended with.

What it gains. An addition and a store in each turn. (Textbooks call it linear function test replacement.)
"""

from __future__ import annotations

from dataclasses import replace

from refwasm.execution.compiler.translation.expressions import Expression, Name, Operation, literal, number
from refwasm.execution.compiler.translation.loops import Loop, sum_of
from refwasm.execution.compiler.translation.statements import (
    Assign,
    Body,
    For,
    Statement,
    Step,
    jumps,
    mentions,
    writes,
)


def replaced(loop: Loop) -> Loop | None:
    """The loop with another variable for its counter."""
    statement = loop.statement
    if not isinstance(statement, For) or abs(statement.step) != 1:
        return None
    counter, bound, body = statement.variable, statement.bound, statement.body
    if jumps(body) or mentions(body, counter.text):
        return None
    moving = _moving(body)
    if moving is None or moving[1].text == bound.text:
        return None
    at, variable, step = moving
    end = loop.fresh()
    turns = Operation("({} - {})", bound, counter) if statement.step > 0 else Operation("({} - {})", counter, bound)
    distance: Expression = counter if bound.text == "0" and statement.step < 0 else turns
    if step == 1:
        last = Operation("{} + {}", variable, distance)
    else:
        last = Operation("{} + {} * {}", variable, distance, literal(step))
    new = For(variable, end, step, body[:at] + body[at + 1 :], [Assign(variable, end), Assign(counter, bound)])
    return replace(loop, statement=new, before=(*loop.before, Assign(end, last)))


def _moving(body: Body) -> tuple[int, Name, int] | None:
    """A statement that alone sets a variable, and is the last to name it; the variable, and by how much it moves."""
    for at, statement in enumerate(body):
        found = _step(statement)
        if found is None or not found[1]:
            continue
        name = found[0].text
        if name not in writes(body[:at]) and not mentions(body[at + 1 :], name):
            return at, *found
    return None


def _step(statement: Statement) -> tuple[Name, int] | None:
    if isinstance(statement, Step) and isinstance(statement.target, Name) and statement.operator in "+-":
        amount = number(statement.amount)
        return None if amount is None else (statement.target, amount if statement.operator == "+" else -amount)
    if isinstance(statement, Assign):
        found = sum_of(statement.value)
        return found if found is not None and found[0].text == statement.target.text else None
    return None
