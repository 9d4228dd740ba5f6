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
from refwasm.execution.compiler.translation.statements import If, Statement, While, assigned, is_jump

MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def canonical(loop: Loop) -> Loop | None:
    """The loop with such comparisons turned round."""
    if not isinstance(loop.statement, While):
        return None
    body = loop.statement.body
    if not any(map(_may_be_turned, body)):
        return None
    set_here = assigned([loop.statement])
    turned = [_turned(statement, loop, set_here) for statement in body]
    if all(new is old for new, old in zip(turned, body)):
        return None
    return replace(loop, statement=While(loop.statement.condition, turned))


def _may_be_turned(statement: Statement) -> bool:
    """Whether a statement is a jump under a comparison with a variable on the right."""
    if not isinstance(statement, If) or not isinstance(statement.condition, Comparison):
        return False
    return len(statement.body) == 1 and is_jump(statement.body[0]) and isinstance(statement.condition.right, Name)


def _turned(statement: Statement, loop: Loop, set_here: frozenset[str]) -> Statement:
    """A statement with its comparison turned round, if what the loop sets stands on the right of it alone."""
    if not _may_be_turned(statement):
        return statement
    assert isinstance(statement, If) and isinstance(statement.condition, Comparison)
    left, right = statement.condition.left, statement.condition.right
    if right.text not in set_here:
        return statement
    if number(left) is None and not (isinstance(left, Name) and loop.is_invariant(left.text)):
        return statement
    condition = Comparison(right, MIRRORED[statement.condition.relation], left)
    return If(condition, statement.body, statement.otherwise)
