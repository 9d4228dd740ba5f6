"""Loops as compilers of other languages make them: a counter, a step and a bound.

Optimisers look for these, and for addresses that follow the counter. Where instructions must not trap, counters stay so
small that these are within a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refwasm.execution.numerics import OPERATIONS
from refwasm.execution.numerics.edges import EDGES
from refwasm.strategies.control import block, end, goes_back, is_nested, opened, tick
from refwasm.strategies.leaves import constant
from refwasm.strategies.parts import part
from refwasm.syntax.instructions import FORMS, PLAIN, Instr, instr
from refwasm.syntax.types import I32, I64, NumType

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

_STEPS = (1, 1, 1, 2, 4, 8, 3, 16)
_STARTS = (0, 1, 64)
#: Rounds of a loop that needs no fuel, if there is no other loop nor a call inside.
_FEW = 8
_LOOP = FORMS["loop"]
#: How a counter is compared with its bound to go round again, upwards and downwards; and how, to leave.
_UP, _DOWN = ("ne", "lt_u", "lt_s"), ("ne", "gt_u", "gt_s")
_LEAVES = {"ne": "eq", "lt_u": "ge_u", "lt_s": "ge_s", "gt_u": "le_u", "gt_s": "le_s"}


def loop(body: Body) -> None:
    """A loop that goes round while a condition holds, or, seldom and more simply, only if a statement goes back."""
    if is_nested(body):
        return
    is_loop = opened(body, "loop")
    body.statements()
    if not is_loop:
        return
    form = body.drawing.below(16)
    if form:
        part(body, "br_if")
        goes_back(body, form > 1)
        body.emit(instr("br_if", 0))
    end(body)


class Counted:
    """A counter in a local that nothing else sets: how it starts, steps, and is compared with its bound."""

    def __init__(self, body: Body) -> None:
        drawing = body.drawing
        self.type: NumType = (I32, I32, I32, I64)[drawing.below(4)]
        self.step, self.is_down = drawing.pick(_STEPS), drawing.rarely(3)
        relation = drawing.pick(_DOWN if self.is_down else _UP)
        self.goes_on, self.leaves = f"{self.type.name}.{relation}", f"{self.type.name}.{_LEAVES[relation]}"
        length = (1 + drawing.below(6)) * self.step
        start = drawing.pick(_STARTS)
        if body.config.traps == "allowed":
            start = drawing.pick((*_STARTS, 65520, *EDGES[self.type.name]))
            length += drawing.below(3)
        self.first, self.last = (start + length, start) if self.is_down else (start, start + length)
        self.is_kept = drawing.below(2)
        self.operation = f"{self.type.name}.{'sub' if self.is_down else 'add'}"

    def begin(self, body: Body) -> None:
        """Set the counter, and, where the bound is kept in another local, that."""
        ones = (1 << self.type.bits) - 1
        self.counter = body.new_local(self.type, fixed=True)
        body.emit(constant(self.type, self.first & ones), instr("local.set", self.counter))
        self.bound: Instr = constant(self.type, self.last & ones)
        if self.is_kept:
            kept = body.new_local(self.type, fixed=True)
            body.emit(self.bound, instr("local.set", kept))
            self.bound = instr("local.get", kept)

    def is_short(self, shape: str) -> bool:
        """Whether the loop goes round a few times only."""
        step, goes_on, ones = OPERATIONS[self.operation], OPERATIONS[self.goes_on], (1 << self.type.bits) - 1
        counter, bound = self.first & ones, self.last & ones
        if shape != "top":
            counter = step(counter, self.step)
        for _ in range(_FEW):
            if not goes_on(counter, bound):
                return True
            counter = step(counter, self.step)
        return False

    def stepped(self) -> list[Instr]:
        """The counter, one step further."""
        return [instr("local.get", self.counter), constant(self.type, self.step), PLAIN[self.operation]]


#: What a counted loop may be: its statements alone, its counter alone, or one of four loops. The simplest is first.
_SHAPES = (None, "counter", *["tee"] * 4, *["if"] * 3, *["set"] * 3, *["top"] * 4)


def counted(body: Body) -> None:
    """A counted loop, in one of the forms that compilers give it."""
    if is_nested(body):
        return
    shape = body.drawing.pick(_SHAPES)
    loop = Counted(body)
    if shape is None:
        body.statements()
        return
    loop.begin(body)
    if shape == "counter":
        body.emit(instr("local.get", loop.counter))
        body.keep(loop.type)
        return
    block(body, "block", (), ())
    block(body, "loop", (), ())
    if shape == "top":
        part(body, loop.leaves)
        body.emit(instr("local.get", loop.counter), loop.bound, PLAIN[loop.leaves], instr("br_if", 1))
    start = len(body.out)
    body.counters.append((loop.counter, loop.type))
    body.statements()
    body.counters.pop()
    is_leaf = not any(i.form.calls or i.form is _LOOP for i in body.out[start:])
    _again(body, loop, shape, not (is_leaf and loop.is_short(shape)))
    end(body)
    end(body)


def _again(body: Body, loop: Counted, shape: str, is_long: bool) -> None:
    """The end of a loop: the next step, and back to the head. What goes round often, or has loops or calls inside,
    needs fuel for that."""
    counter = instr("local.set", loop.counter), instr("local.get", loop.counter)
    part(body, loop.operation, loop.goes_on, "local.tee", "br", "br_if", "if")
    if shape == "top":
        body.emit(*loop.stepped(), counter[0])
        _always(body, is_long)
        return
    tee = instr("local.tee", loop.counter)
    body.emit(*loop.stepped(), *(counter if shape == "set" else (tee,)), loop.bound, PLAIN[loop.goes_on])
    if is_long:
        tick(body)
    if shape == "if":
        block(body, "if", (), ())
        body.statements(0)
        body.emit(instr("br", 1))
        end(body)
    else:
        body.emit(instr("br_if", 0))


def _always(body: Body, is_long: bool) -> None:
    """Back to the head, as long as there is fuel if that is needed."""
    if body.scope.fuel is None or not is_long:
        body.emit(instr("br", 0))
        return
    body.emit(constant(I32, 1))
    tick(body)
    body.emit(instr("br_if", 0))
