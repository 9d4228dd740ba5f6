"""Kernels of wasi-parallel, in a small language whose outcomes can be told without executing them."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm import embedding as e
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.modules import DrawnModule

#: What a kernel does with its own element, and to all elements; how a sum is kept.
MAPS = {"add": lambda x, k: x + k, "sub": lambda x, k: x - k, "mul": lambda x, k: x * k, "xor": lambda x, k: x ^ k}
SUMS = ("add", "sub", "xor", "or", "and")
WORD = (1 << 32) - 1


class Step(NamedTuple):
    """A step of a kernel. ``kind`` is "map" (the iteration's own word of a buffer becomes ``operation`` of itself and
    ``value``), "sum" (the first word of a buffer, atomically, with ``value``), "last" (the first word becomes the
    number of the iteration, whoever comes last: a race) or "trap" (in iteration ``value``). With ``by_id``, the number
    of the iteration is added to the value."""

    kind: str
    buffer: int = 0
    operation: str = "add"
    value: int = 0
    by_id: bool = False

    def __repr__(self) -> str:
        value = f"({self.value} + id)" if self.by_id else str(self.value)
        shown = {
            "map": f"b{self.buffer}[id] = b{self.buffer}[id] {self.operation} {value}",
            "sum": f"atomic b{self.buffer}[0] {self.operation}= {value}", "last": f"b{self.buffer}[0] = id",
            "trap": f"if id == {self.value}: trap",
        }  # fmt: skip
        return shown[self.kind]


class Kernel:
    """A kernel over some buffers of words: each is for maps only (``roles`` "map") or for one word that all iterations
    change ("sum", "last")."""

    def __init__(self, roles: tuple[str, ...], steps: tuple[Step, ...]) -> None:
        self.roles, self.steps = roles, steps

    def wat(self) -> str:
        """The kernel as the proposal has it: iteration, iterations, block, then address and size of each buffer."""
        params = "".join(f" (param $p{i} i32) (param $s{i} i32)" for i in range(len(self.roles)))
        body = "\n".join(f"    {_code(step)}" for step in self.steps)
        return (
            '(module\n  (import "env" "memory" (memory 1 8 shared))\n'
            f'  (func (export "kernel") (param $id i32) (param $n i32) (param $block i32){params}\n{body}))\n'
        )

    @property
    def module(self) -> DrawnModule:
        """The kernel as a module."""
        return DrawnModule(e.module_parse(self.wat()))

    @property
    def traps(self) -> tuple[int, ...]:
        """The iterations that trap."""
        return tuple(step.value for step in self.steps if step.kind == "trap")

    def __repr__(self) -> str:
        return "; ".join(map(repr, self.steps)) or "nothing"


def _code(step: Step) -> str:
    value = f"(i32.const {step.value & WORD})"
    if step.kind == "trap":
        return f"(if (i32.eq (local.get $id) {value}) (then (unreachable)))"
    if step.by_id:
        value = f"(i32.add {value} (local.get $id))"
    first = f"(local.get $p{step.buffer})"
    if step.kind == "last":
        return f"(i32.store {first} (local.get $id))"
    if step.kind == "sum":
        return f"(drop (i32.atomic.rmw.{step.operation} {first} {value}))"
    own = f"(i32.add {first} (i32.shl (local.get $id) (i32.const 2)))"
    return f"(i32.store {own} (i32.{step.operation} (i32.load {own}) {value}))"


@st.composite
def kernels(draw: DrawFn, race_free: bool = True, traps: bool = True, max_steps: int = 4) -> Kernel:
    """Kernels over one to three buffers. With ``race_free``, what iterations share they change atomically, and the
    changes commute; without, they may also overwrite one word. With ``traps``, one iteration may trap."""
    drawing = Drawing(draw)
    known = ("map", "sum") if race_free else ("map", "sum", "last")
    roles = tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=3)))
    steps = draw(st.lists(_step(roles), max_size=max_steps))
    if traps and drawing.rarely(4):
        steps.insert(drawing.choose(range(len(steps) + 1)), Step("trap", value=drawing.below(6)))
    return Kernel(roles, tuple(_commuting(steps)))


@st.composite
def _step(draw: DrawFn, roles: tuple[str, ...]) -> Step:
    drawing = Drawing(draw)
    buffer = drawing.choose(range(len(roles)))
    by_id = bool(drawing.below(2))
    operation = drawing.pick(SUMS if roles[buffer] == "sum" else tuple(MAPS))
    return Step(roles[buffer], buffer, operation, drawing.below(10), by_id)


def _commuting(steps: list[Step]) -> list[Step]:
    """The steps; sums of one word are of one kind, since the order of others would show."""
    kinds: dict[int, str] = {}
    found = []
    for step in steps:
        if step.kind == "sum":
            kind = kinds.setdefault(step.buffer, "add" if step.operation == "sub" else step.operation)
            step = step._replace(operation="sub" if kind == "add" and step.operation == "sub" else kind)
        found.append(step)
    return found
