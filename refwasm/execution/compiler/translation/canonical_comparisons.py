"""Canonical comparisons: what a loop counts stands on the left of the comparison that ends it.

What must hold. A jump in the loop's own body stands under the comparison. What the loop sets stands on its right, and
on its left a constant or a variable that the loop leaves alone.

Why the result is the same. The relation is mirrored together with the sides; both are evaluated without effect.

What it gains. Nothing by itself: loops whose bound a compiler wrote first become counted loops.
"""

from __future__ import annotations

from dataclasses import replace

from refwasm.execution.compiler.translation.expressions import Comparison, Name, number
from refwasm.execution.compiler.translation.loops import Loop
from refwasm.execution.compiler.translation.statements import If, Statement, While, is_jump, writes

MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def canonical(loop: Loop) -> Loop | None:
    """The loop with such comparisons turned round."""
    if not isinstance(loop.statement, While):
        return None
    set_here = writes([loop.statement])
    body = [_turned(statement, set_here) for statement in loop.statement.body]
    if all(new is old for new, old in zip(body, loop.statement.body)):
        return None
    return replace(loop, statement=While(loop.statement.condition, body))


def _turned(statement: Statement, set_here: frozenset[str]) -> Statement:
    """A statement with its comparison turned round, if it is a jump under a condition."""
    if not isinstance(statement, If) or not isinstance(statement.condition, Comparison):
        return statement
    left, right = statement.condition.left, statement.condition.right
    if len(statement.body) != 1 or not is_jump(statement.body[0]) or right.text not in set_here:
        return statement
    is_fixed = number(left) is not None or (isinstance(left, Name) and left.text not in set_here)
    if not is_fixed or not isinstance(right, Name):
        return statement
    condition = Comparison(right, MIRRORED[statement.condition.relation], left)
    return If(condition, statement.body, statement.otherwise)
