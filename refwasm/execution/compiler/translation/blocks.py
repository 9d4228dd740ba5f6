"""How blocks look in Python.

A block that is branched to becomes ``while True: … break``, so that ``break`` leaves it; a loop becomes ``while True``,
and ``continue`` goes round. A branch further out sets ``b`` to the number of its target and breaks; behind each Python
loop that such branches pass, ``b`` says whether to go on breaking. A block that ends where a loop inside it ends needs
no Python loop of its own.

Many blocks that open together are the arms of a *switch*: instead of nesting, a variable says which arm comes next, and
a binary search finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from refwasm.execution.compiler.conventions import Untranslatable
from refwasm.execution.compiler.translation.emitter import Emitter
from refwasm.execution.compiler.translation.expressions import Comparison, Name, literal
from refwasm.execution.compiler.translation.facts import Facts
from refwasm.execution.compiler.translation.statements import Assign, Break, Continue, If, Statement, While

#: CPython allows 20 nested loops and tries in a function.
MAX_LOOPS = 17
#: The variable that holds the number of a branch's target further out.
TARGET = Name("b")


@dataclass(eq=False)
class PythonLoop:
    """A ``while`` or ``for`` statement; ``passed_by`` are targets further out of branches that break it."""

    passed_by: list[Block] = field(default_factory=list)


@dataclass(eq=False)
class Switch:
    """``arms`` are numbered from ``first``; ``variable`` holds the next one's number. The binary search is a tree of
    ``if`` statements: ``paths[arm]`` are the numbers that the arm's number is compared with, outermost first, and
    whether it is below. ``open`` is the path to the open arm."""

    variable: Name
    first: int
    arms: int
    blocks: list[Block] = field(default_factory=list)  # blocks[i] ends where arm i begins
    paths: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)
    open: list[tuple[int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._search(self.first, self.arms, [])

    def _search(self, low: int, high: int, path: list[tuple[int, bool]]) -> None:
        """Paths to the arms from ``low`` to before ``high``."""
        if high - low <= 1:
            self.paths[low] = path
            return
        middle = (low + high) // 2
        self._search(low, middle, [*path, (middle, True)])
        self._search(middle, high, [*path, (middle, False)])

    def goes_to(self, arm: int) -> Assign:
        """What says that an arm is the next one."""
        return Assign(self.variable, literal(arm))

    def begin(self, emitter: Emitter, arm: int) -> None:
        """The body of the next arm, in order."""
        path = self.paths[arm]
        if self.open:
            common = next(i for i, (before, now) in enumerate(zip(self.open, path)) if before != now)
            for _ in self.open[common + 1 :]:
                emitter.close()
            emitter.begin_else()
            further = path[common + 1 :]
        else:
            further = path
        for middle, _ in further:
            emitter.begin(If(Comparison(self.variable, "<", literal(middle))))
        self.open = path

    def close(self, emitter: Emitter) -> None:
        """The last arm is finished."""
        for _ in self.open:
            emitter.close()
        self.open = []


@dataclass(eq=False)
class Block:
    """A block while it is translated. ``number`` is its opener's, ``label`` where branches to it go, ``height`` that of
    the operand stack below it. A branch to it does ``setting`` and then ``how`` in the Python loop ``via``; ``own`` is
    the Python loop that stands for the block itself. ``reached`` tells that something arrives at its end, ``facts``
    what is known there. ``arm`` is the arm of ``switch`` that begins where it ends."""

    kind: str
    number: int
    label: int
    height: int
    results: list[Name]
    result_types: list[str]
    params: list[Name]
    param_types: list[str]
    via: PythonLoop | None = None
    how: Statement = field(default_factory=Break)
    setting: Statement | None = None
    own: PythonLoop | None = None
    reached: bool = False
    facts: Facts | None = None
    entry_facts: Facts | None = None
    deferred_masks: set[int] = field(default_factory=set)  # locals to be masked behind the loop
    guarded: int = 0  # ways out after which the rest is indented
    switch: Switch | None = None
    arm: int = 0
    on_close: Callable[[], None] | None = None  # what a try_table still has to do at its end


class Blocks:
    """The blocks that are open, and the Python loops that stand for them, innermost last; ``labels`` finds a block by
    its label. ``nested`` counts Python's own blocks around here, loops and tries; ``passes`` tells whether any branch
    goes through a Python loop."""

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.open: list[Block] = []
        self.labels: dict[int, Block] = {}
        self.loops: list[PythonLoop] = []
        self.nested = 0
        self.passes = False

    def push(self, block: Block) -> None:
        """A block begins."""
        self.open.append(block)
        self.labels[block.label] = block

    def pop(self) -> Block:
        """A block ends."""
        block = self.open.pop()
        del self.labels[block.label]
        return block

    def nest(self) -> None:
        """One more of Python's own blocks."""
        self.nested += 1
        if self.nested > MAX_LOOPS:
            raise Untranslatable("too many nested loops")

    def begin_loop(self, statement: While) -> PythonLoop:
        """A Python loop around what follows."""
        loop = PythonLoop()
        self.loops.append(loop)
        self.nest()
        self.emitter.begin(statement)
        return loop

    def end_loop(self) -> None:
        """The innermost Python loop is finished."""
        self.emitter.close()
        self.loops.pop()
        self.nested -= 1

    def begin_arms(self, switch: Switch, first: int, statement: While) -> None:
        """The Python loop for the first arm of a switch, or the one for the others."""
        loop = self.begin_loop(statement)
        for block in switch.blocks[first:]:
            block.via = block.own = loop
            block.how = Continue() if first else Break()

    def go(self, block: Block, setting: Statement | None) -> None:
        """Jump to where a block's label is, after ``setting``."""
        innermost = self.loops[-1]
        if block.via is innermost:
            self._jump(block, setting)
            return
        if block not in innermost.passed_by:
            innermost.passed_by.append(block)
        self.passes = True
        self.emitter.add(Assign(TARGET, literal(block.number)))
        self.emitter.add(Break())

    def pass_on(self, loop: PythonLoop) -> None:
        """Behind a Python loop: branches that go further out go on."""
        if not loop.passed_by:
            return
        parent = self.loops[-1] if self.loops else None
        assert parent is not None, "a branch further out has a loop to go to"
        for block in loop.passed_by:
            if block.via is parent:
                self.emitter.begin(If(Comparison(TARGET, "==", literal(block.number))))
                self.emitter.add(Assign(TARGET, literal(-1)))
                self._jump(block, block.setting)
                self.emitter.close()
            elif block not in parent.passed_by:
                parent.passed_by.append(block)
        if any(block.via is not parent for block in loop.passed_by):
            self.emitter.add(If(Comparison(TARGET, ">=", literal(0)), [Break()]))

    def _jump(self, block: Block, setting: Statement | None) -> None:
        if setting is not None:
            self.emitter.add(setting)
        self.emitter.add(block.how)
