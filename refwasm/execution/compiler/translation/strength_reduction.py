"""Strength reduction: an induction variable that is only ever divided by a power of two is kept divided.

What must hold. A local, known to be a multiple of the power of two, is set once in the loop: to itself plus or minus a
constant, or a local that the loop does not change; that is a multiple, too. Everything else that the loop does with it
is to shift it right by one and the same amount.

Why the result is the same. Of multiples, sums and differences can be divided before or after: the quotients are exact.
Behind the loop, the local gets its value back by a shift to the left.

What it gains. A shift for each access of memory, which is how addresses become indices of views.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from refwasm.execution.compiler.translation.expressions import (
    ADD,
    SHIFT,
    SUB,
    Expression,
    Literal,
    Name,
    Operation,
    literal,
    number,
    shifted,
)
from refwasm.execution.compiler.translation.loops import Loop, is_local
from refwasm.execution.compiler.translation.statements import (
    Assign,
    Body,
    For,
    Statement,
    Step,
    While,
    everything,
    with_expressions,
    with_statements,
)


def reduced(loop: Loop) -> Loop | None:
    """The loop with all such locals kept divided."""
    found, restored = loop, []
    for local, alignment in loop.alignments.items():
        divided = _kept_divided(found, local, alignment) if alignment else None
        if divided is not None:
            found, back = divided
            restored.append(back)
    return replace(found, behind=(*restored, *loop.behind)) if restored else None


def _kept_divided(loop: Loop, local: str, alignment: int) -> tuple[Loop, Assign] | None:
    """The loop with a local kept divided, and what gives it its value back behind the loop."""
    step = _only_step(loop.statement, local)
    shift = None if step is None else _only_shift(loop.statement, local, step)
    if step is None or shift is None or shift > alignment:  # the program divides it itself
        return None
    operation = step.value
    assert isinstance(operation, Operation)
    loop, by = _divided(loop, operation.operands[1], shift)
    if by is None:
        return None
    variable, sign = loop.fresh(), "+" if operation.template == ADD else "-"

    def moved(statement: Statement) -> Statement | None:
        return Step(variable, sign, by) if statement is step else None

    def used(part: Expression) -> Expression | None:
        return variable if _is_shift_of(part, local) else None

    def changed(body: Body) -> Body:
        return [with_expressions(inner, used) for inner in with_statements(body, moved)]

    statement = loop.statement.with_bodies(changed)
    assert isinstance(statement, (While, For))
    start = Assign(variable, shifted(Name(local), shift))
    back = Assign(Name(local), Operation("{} << {}", variable, literal(shift)))
    return replace(loop, statement=statement, before=(*loop.before, start)), back


def _only_step(loop: Statement, local: str) -> Assign | None:
    """The only statement that sets a local, if it adds something to it or takes something away."""
    settings = [s for s in everything([loop]) for target in s.targets() if target.text == local]
    if len(settings) != 1 or not isinstance(settings[0], Assign):
        return None
    value = settings[0].value
    is_sum = isinstance(value, Operation) and value.template in (ADD, SUB)
    return settings[0] if is_sum and value.operands[0].text == local else None  # type: ignore[attr-defined]


def _only_shift(loop: Statement, local: str, step: Assign) -> int | None:
    """By how much a local is shifted wherever the loop reads it, but for the step."""
    found: set[int | None] = set()
    for statement in everything([loop]):
        for part in statement.values() if statement is not step else (step.value.operands[1],):  # type: ignore[attr-defined]
            found.update(_shifts(part, local))
        for target in statement.targets():
            if type(target) is not Name:
                found.update(_shifts(target, local))
    return found.pop() if len(found) == 1 else None


def _shifts(expression: Expression, local: str) -> Iterator[int | None]:
    """How far a local is shifted in an expression; None for each other use."""
    if _is_shift_of(expression, local):
        yield number(expression.children()[1])
    elif expression.text == local:
        yield None
    else:
        for child in expression.children():
            yield from _shifts(child, local)


def _is_shift_of(expression: Expression, local: str) -> bool:
    return isinstance(expression, Operation) and expression.template == SHIFT and expression.operands[0].text == local


def _divided(loop: Loop, amount: Expression, shift: int) -> tuple[Loop, Expression | None]:
    """A step divided by the power of two."""
    value = number(amount)
    if value is not None:
        return loop, None if value % (1 << shift) else Literal(str(value >> shift))
    if not is_local(amount) or loop.alignments.get(amount.text, 0) < shift or not loop.is_invariant(amount.text):
        return loop, None
    return loop.hoisted(shifted(amount, shift))
