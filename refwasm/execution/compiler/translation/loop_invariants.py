"""Loop-invariant code motion: views of memory that begin where the part of an address lies that a loop does not change.

What must hold. The loop is counted. The index of an element of a view is the sum of the counter and another variable.
That is a local that the loop does not set, or one that was divided by a power of two in front of the loop.

Why the result is the same. ``view[base:][counter]`` is ``view[base + counter]``: both are canonical, so neither is
negative, and where the sum is beyond the end of the view, so is the counter beyond the end of the slice.

What it gains. An addition for each access.
"""

from __future__ import annotations

from dataclasses import replace

from refwasm.execution.compiler.translation.expressions import (
    ADD,
    SHIFT,
    Element,
    Expression,
    Name,
    Operation,
)
from refwasm.execution.compiler.translation.loops import Loop, is_local
from refwasm.execution.compiler.translation.statements import Assign, For, with_expressions


def based(loop: Loop) -> Loop | None:
    """The loop with such views."""
    statement = loop.statement
    if not isinstance(statement, For):
        return None
    found, counter = loop, statement.variable

    def element(part: Expression) -> Expression | None:
        nonlocal found
        base = _base(found, part, counter.text)
        if base is None:
            return None
        assert isinstance(part, Element)
        found, view = found.hoisted(Operation(part.view + "[{}:]", base))
        return Element(view.text, counter)

    new = with_expressions(statement, element)
    assert isinstance(new, For)
    return None if found is loop else replace(found, statement=new)


def _base(loop: Loop, part: Expression, counter: str) -> Name | None:
    """What is added to the counter in the index of an element, if the loop does not change it."""
    if not isinstance(part, Element) or not isinstance(part.index, Operation) or part.index.template != ADD:
        return None
    left, right = part.index.operands
    if left.text == counter:
        left, right = right, left
    if right.text != counter or not isinstance(left, Name) or not loop.is_invariant(left.text):
        return None
    return left if is_local(left) or any(_divides(statement, left.text) for statement in loop.before) else None


def _divides(statement: object, name: str) -> bool:
    """Whether a statement in front of the loop sets a variable to a local divided by a power of two."""
    if not isinstance(statement, Assign) or statement.target.text != name:
        return False
    value = statement.value
    return isinstance(value, Operation) and value.template == SHIFT and is_local(value.operands[0])
