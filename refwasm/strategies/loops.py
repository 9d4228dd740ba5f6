"""Loops as compilers of other languages make them: a counter, a step and a bound.

Optimisers look for these, and for addresses that follow the counter. Where instructions must not trap, counters stay so
small that these are within a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refwasm.execution.numerics.edges import EDGES
from refwasm.strategies.control import block, condition, end, is_nested, tick
from refwasm.strategies.leaves import constant
from refwasm.syntax.instructions import PLAIN, Instr, instr
from refwasm.syntax.types import I32, I64, NumType

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

_STEPS = (1, 1, 1, 2, 4, 8, 3, 16)
_STARTS = (0, 1, 64)
#: How a counter is compared with its bound to go round again, upwards and downwards; and how, to leave.
_UP, _DOWN = ("ne", "lt_u", "lt_s"), ("ne", "gt_u", "gt_s")
_LEAVES = {"ne": "eq", "lt_u": "ge_u", "lt_s": "ge_s", "gt_u": "le_u", "gt_s": "le_s"}


def loop(body: Body) -> None:
    """A loop that goes round while a condition holds, or, seldom and more simply, only if a statement goes back."""
    if is_nested(body):
        return
    block(body, "loop", (), ())
    body.statements()
    if body.drawing.below(8):
        condition(body)
        tick(body)
        body.emit(instr("br_if", 0))
    end(body)


class Counted:
    """A counter in a local that nothing else sets: how it starts, steps, and is compared with its bound."""

    def __init__(self, body: Body) -> None:
        drawing = body.drawing
        self.type: NumType = (I32, I32, I32, I64)[drawing.below(4)]
        self.step, self.is_down = drawing.pick(_STEPS), drawing.rarely(3)
        self.relation = drawing.pick(_DOWN if self.is_down else _UP)
        self.counter = body.new_local(self.type, fixed=True)
        length = (1 + drawing.below(6)) * self.step
        start = drawing.pick(_STARTS)
        if body.config.traps == "allowed":
            start = drawing.pick((*_STARTS, 65520, *EDGES[self.type.name]))
            length += drawing.below(3)
        ones = (1 << self.type.bits) - 1
        first, last = (start + length, start) if self.is_down else (start, start + length)
        body.emit(constant(self.type, first & ones), instr("local.set", self.counter))
        self.bound: Instr = constant(self.type, last & ones)
        if drawing.below(2):
            kept = body.new_local(self.type, fixed=True)
            body.emit(self.bound, instr("local.set", kept))
            self.bound = instr("local.get", kept)

    def stepped(self) -> list[Instr]:
        """The counter, one step further."""
        operation = PLAIN[f"{self.type.name}.{'sub' if self.is_down else 'add'}"]
        return [instr("local.get", self.counter), constant(self.type, self.step), operation]

    def compared(self, relation: str) -> list[Instr]:
        """What is behind the counter to compare it."""
        return [self.bound, PLAIN[f"{self.type.name}.{relation}"]]


def counted(body: Body) -> None:
    """A counted loop, in one of the forms that compilers give it, or, seldom and more simply, its counter alone."""
    if is_nested(body):
        return
    is_counter = not body.drawing.below(16)
    loop, form = Counted(body), body.drawing.below(4)
    if is_counter:
        body.emit(instr("local.get", loop.counter))
        body.keep(loop.type)
        return
    block(body, "block", (), ())
    block(body, "loop", (), ())
    if form == 3:
        get = instr("local.get", loop.counter)
        body.emit(get, *loop.compared(_LEAVES[loop.relation]), instr("br_if", 1))
    body.counters.append((loop.counter, loop.type))
    body.statements()
    body.counters.pop()
    if form == 3:
        body.emit(*loop.stepped(), instr("local.set", loop.counter))
        _always(body)
    else:
        tee, pair = (
            instr("local.tee", loop.counter),
            (instr("local.set", loop.counter), instr("local.get", loop.counter)),
        )
        body.emit(*loop.stepped(), *(pair if form == 2 else (tee,)), *loop.compared(loop.relation))
        tick(body)
        if form == 1:
            block(body, "if", (), ())
            body.statements(0)
            body.emit(instr("br", 1))
            end(body)
        else:
            body.emit(instr("br_if", 0))
    end(body)
    end(body)


def _always(body: Body) -> None:
    """Back to the head, as long as there is fuel."""
    if body.scope.fuel is None:
        body.emit(instr("br", 0))
        return
    body.emit(constant(I32, 1))
    tick(body)
    body.emit(instr("br_if", 0))
