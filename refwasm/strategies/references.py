"""References that instructions make or pass on, where the type follows from the operand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refwasm.syntax.instructions import PLAIN, instr
from refwasm.syntax.types import ArrayType, RefType, ValType
from refwasm.validation.matching import match_val_type, unpacked

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

_CONVERSIONS = {"any": ("extern", PLAIN["any.convert_extern"]), "extern": ("any", PLAIN["extern.convert_any"])}


def made(body: Body, goal: ValType) -> bool:
    """A reference: an array of given elements, one that is known not to be null, one of the other hierarchy, or a
    number as a reference; False: there is none."""
    assert isinstance(goal, RefType)
    kind = body.drawing.below(4)
    if kind == 0:
        return _fixed_array(body, goal)
    if kind == 1:
        return _not_null(body, goal)
    if kind == 2:
        return _converted(body, goal)
    return _function(body, goal)


def _fixed_array(body: Body, goal: RefType) -> bool:
    scope = body.scope
    types = scope.context.space.types
    found = [i for i in scope.composites(ArrayType) if match_val_type(RefType(False, types[i]), goal)]
    if not found:
        return False
    index = body.drawing.pick(found)
    composite = types[index].composite
    assert isinstance(composite, ArrayType)
    count = 4 + body.drawing.below(3)
    for _ in range(count):
        body.leaf(unpacked(composite.field.storage))
    body.emit(instr("array.new_fixed", index, count))
    return True


def _not_null(body: Body, goal: RefType) -> bool:
    if "function-references" not in body.scope.features or not body.scope.constructible(goal.heap):
        return False
    body.apply((PLAIN["ref.as_non_null"], [RefType(True, goal.heap)], [RefType(False, goal.heap)]))
    return True


def _converted(body: Body, goal: RefType) -> bool:
    found = _CONVERSIONS.get(goal.heap) if isinstance(goal.heap, str) else None
    if found is None or "gc" not in body.scope.features:
        return False
    source, instruction = found
    body.expression(RefType(goal.nullable or not body.scope.constructible(source), source))
    body.emit(instruction)
    if not goal.nullable and not body.scope.constructible(source):
        body.emit(PLAIN["ref.as_non_null"])
    return True


def _function(body: Body, goal: RefType) -> bool:
    """A reference to a function."""
    found = [i for i, t in enumerate(body.scope.context.funcs) if match_val_type(RefType(False, t), goal)]
    if not found:
        return False
    index = body.drawing.pick(found)
    body.scope.context.refs.add(index)
    body.emit(instr("ref.func", index))
    return True


def is_null(body: Body) -> bool:
    """Whether a reference is null, as an i32; False: there are no references."""
    found = body.scope.nullable()
    if not found:
        return False
    body.expression(body.drawing.pick(found))
    body.emit(PLAIN["ref.is_null"])
    return True
