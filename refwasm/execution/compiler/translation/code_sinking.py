"""Code sinking: locals that a counted loop only sets are set once, behind it.

What must hold. The loop is counted, executes its body at least once, and nothing jumps out of it. A local is set in the
loop's own body only, each time to another local plus a constant, and nothing in the loop reads it. The other local is
the counter, or it is set once at most, in the loop's own body, to itself plus a constant.

Why the result is the same. What the last turn leaves in the local is the other local's value at that time plus the
constant. Behind the loop, the other local differs from that by its own step, if that comes later in the body.

What it gains. An addition and a store in each turn.
"""

from __future__ import annotations

from dataclasses import replace

from refwasm.execution.compiler.translation.expressions import ADD, SUB, Name, Operation, literal
from refwasm.execution.compiler.translation.loops import Loop, is_local, sum_of
from refwasm.execution.compiler.translation.statements import (
    Assign,
    Body,
    For,
    Statement,
    jumps,
    mentions,
    reads,
    writes,
)


def sunk(loop: Loop) -> Loop | None:
    """The loop without what can be computed behind it."""
    statement = loop.statement
    if not isinstance(statement, For) or not loop.runs_once or jumps(statement.body):
        return None
    body, kept, behind = statement.body, statement.body, list(loop.behind)
    for local in _candidates(body):
        if local.text in (statement.variable.text, statement.bound.text):
            continue
        last = _last_sum(body, local)
        since = None if last is None else _stepped_since(statement, *last)
        if last is not None and since is not None:
            _, (other, amount) = last
            kept = [s for s in kept if not (isinstance(s, Assign) and s.target.text == local.text)]
            total = amount - since
            behind.append(Assign(local, Operation(ADD if total >= 0 else SUB, other, literal(abs(total)))))
    if len(kept) == len(body):
        return None
    return replace(loop, statement=replace(statement, body=kept), behind=tuple(behind))


def _candidates(body: Body) -> list[Name]:
    """Locals that the body sets, and never reads, in the order in which they are set."""
    read = reads(body)
    found = {t.text: t for s in body for t in s.targets() if is_local(t) and isinstance(t, Name)}
    return [local for name, local in found.items() if name not in read]


def _last_sum(body: Body, local: Name) -> tuple[int, tuple[Name, int]] | None:
    """Where a local is set last, and to which sum; None if it is ever set to anything else."""
    found = None
    for at, statement in enumerate(body):
        if mentions([statement], local.text):
            value = _set_to_sum(statement)
            if value is None:
                return None
            found = at, value
    return found


def _set_to_sum(statement: Statement) -> tuple[Name, int] | None:
    return sum_of(statement.value) if isinstance(statement, Assign) else None


def _stepped_since(loop: For, at: int, value: tuple[Name, int]) -> int | None:
    """By how much the other local changes between a statement and the end of the loop, if that can be told."""
    body, other = loop.body, value[0].text
    if other == loop.variable.text:
        return loop.step
    settings = [number for number, statement in enumerate(body) if other in writes([statement])]
    if not settings or settings[-1] < at:
        return 0
    step = _set_to_sum(body[settings[0]])
    if len(settings) > 1 or step is None or step[0].text != other:
        return None
    return step[1]
