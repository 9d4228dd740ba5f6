"""Statements that branch, return, throw or trap, nearly always on a condition, so that what follows can be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from refwasm.strategies.control import block, call_of, callee, condition, end, goes_back, is_nested, sink, values
from refwasm.strategies.operands import risks
from refwasm.strategies.parts import part, room
from refwasm.syntax.instructions import FORMS, PLAIN, Catch, Instr, instr
from refwasm.syntax.types import I32, RefType, ValType
from refwasm.validation.matching import match_result_type

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

EXNREF = RefType(True, "exn")


def _on_condition(body: Body, departure: Callable[[Body], None]) -> None:
    """What leaves for good stands in an ``if``, but for one in sixteen, which is the simplest choice: what is behind
    that one can't be reached."""
    body.drawing.none(len(body.labels))  # what :func:`leave` chooses in front of a condition: so it fits in the place
    room(body)
    body.drawing.none(2)
    if not body.drawing.below(16):
        departure(body)
    elif not is_nested(body):
        condition(body)
        block(body, "if", (), ())
        departure(body)
        end(body)


def leave(body: Body) -> None:
    """``br_if`` to a block, or again to the head of a loop. A block is simpler: only who goes back counts fuel, and who
    never does so need not."""
    forward = _forward(body)
    depth = body.drawing.choose([*forward, *(d for d in range(len(body.labels)) if d not in forward)])
    label = body.labels[-1 - depth]
    values(body, label.types)
    if not label.types:
        room(body)
    # A loop, and who leaves for good, make these choices in front of their condition: so this fits in their places.
    body.drawing.none(2)
    if label.is_loop:
        goes_back(body, body.drawing.below(16) > 0)
    else:
        body.drawing.none(16)
        condition(body)
    body.drawing.none(_WAYS)  # what :func:`out` chooses behind a condition
    body.emit(instr("br_if", depth))
    sink(body, label.types)
    if not label.types:
        body.drawing.none(8)


def _forward(body: Body) -> list[int]:
    """The labels, by depth, whose blocks are no loops: to go on there needs no fuel."""
    return [depth for depth, label in enumerate(reversed(body.labels)) if not label.is_loop]


def table(body: Body) -> None:
    """``br_table`` among blocks that carry the same types."""
    _on_condition(body, _table)


def _table(body: Body) -> None:
    depth = body.drawing.choose(_forward(body))
    types = body.labels[-1 - depth].types
    alike = [d for d in _forward(body) if body.labels[-1 - d].types == types]
    targets = tuple(body.drawing.pick(alike) for _ in range(body.drawing.below(4)))
    values(body, types)
    body.expression(I32)
    body.emit(Instr(FORMS["br_table"], (targets, depth)))


def switch(body: Body) -> None:
    """Cases one after the other, and a ``br_table`` that goes to one."""
    count = 1 + body.drawing.below(3)
    if len(body.labels) + count > body.config.limits.nesting + 1:
        return
    part(body, "br_table")
    for _ in range(count):
        block(body, "block", (), ())
    body.expression(I32)
    body.emit(Instr(FORMS["br_table"], (tuple(range(count)), body.drawing.below(count))))
    for _ in range(count):
        end(body)
        body.statements(0)


def out(body: Body) -> None:
    """Out of the function or a block, for good."""
    _on_condition(body, _out)


#: Numbers of ways to leave for good; how many there are.
RETURN, BR, THROW_REF, _WAYS = 0, 1, 5, 6


def _out(body: Body) -> None:
    kind = body.drawing.below(_WAYS)
    if kind == RETURN:
        values(body, body.results)
        body.emit(PLAIN["return"])
    elif kind == BR:
        depth = body.drawing.choose(_forward(body))
        values(body, body.labels[-1 - depth].types)
        body.emit(instr("br", depth))
    elif kind in (2, 3):
        _tail_call(body)
    elif body.config.traps == "allowed" or risks(body):
        _trap(body, kind == THROW_REF)


def _trap(body: Body, throws: bool) -> None:
    """``unreachable``, or ``throw_ref`` of any exception or null."""
    throws = throws and "exception-handling" in body.scope.features
    if throws:
        body.expression(EXNREF)
    body.emit(PLAIN["throw_ref" if throws else "unreachable"])


def _tail_call(body: Body) -> None:
    scope = body.scope
    if "tail-call" not in scope.features:
        return
    index = callee(body, lambda t: match_result_type(t.results, body.results))
    if index is not None:
        call_of(body, index, tail=True)


def throwing(body: Body) -> None:
    """``throw``. It is a statement of its own also in a ``try_table``, so that the shrinker can put it in the place of
    that; there it mostly throws what is caught."""
    if body.scope.context.tags and (body.catching is not None or body.config.traps != "none"):
        _on_condition(body, _throw)


def _throw(body: Body) -> None:
    count = len(body.scope.context.tags)
    k = body.drawing.below(4 * count)
    tag = body.catching if body.catching is not None and k < 3 * count else k % count
    values(body, body.scope.context.tag(tag).params)
    body.emit(instr("throw", tag))


def on_null(body: Body) -> None:
    """``br_on_null``."""
    found = body.scope.nullable()
    if "function-references" not in body.scope.features or not found:
        return
    depth = body.drawing.choose(_forward(body))
    t, types = body.drawing.pick(found), body.labels[-1 - depth].types
    assert isinstance(t, RefType)
    values(body, types)
    body.expression(t)
    body.emit(instr("br_on_null", depth))
    sink(body, [*types, RefType(False, t.heap)])


def try_table(body: Body) -> None:
    """Statements, perhaps an exception, and a handler that takes its values, or none."""
    if "exception-handling" not in body.scope.features or len(body.labels) >= body.config.limits.nesting:
        return
    if not body.drawing.below(16):
        block(body, "try_table", (), (), ())
        body.statements()
        end(body)
        return
    tags = body.scope.context.tags
    tag = body.drawing.below(len(tags)) if tags and body.drawing.below(4) else None
    with_reference = body.drawing.below(2)
    types: list[ValType] = list(body.scope.context.tag(tag).params) if tag is not None else []
    types += [EXNREF] * with_reference
    if len(types) > 1 and "multi-value" not in body.scope.features:
        tag, with_reference, types = None, 0, []
    kind = ("catch" if tag is not None else "catch_all") + ("_ref" if with_reference else "")
    block(body, "block", (), types)
    block(body, "try_table", (), (), (Catch(kind, tag, 0),))
    body.statements(1)
    if tags:
        outer, body.catching = body.catching, tag or 0
        body.drawing.draw(body.kit.throwing)
        body.catching = outer
    end(body)
    values(body, types)
    end(body)
    if with_reference:
        _again(body)
    sink(body, types[: len(types) - with_reference])


def _again(body: Body) -> None:
    """Throw the exception on the stack once more, if it is one, and catch it."""
    if "function-references" not in body.scope.features:
        body.emit(PLAIN["drop"])
        return
    part(body, "throw_ref")
    found = body.new_local(EXNREF)
    body.emit(instr("local.set", found))
    block(body, "block", (), ())
    block(body, "try_table", (), (), (Catch("catch_all", None, 0),))
    body.emit(instr("local.get", found), instr("br_on_null", 0), PLAIN["throw_ref"])
    end(body)
    end(body)
