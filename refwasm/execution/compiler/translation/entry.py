"""Functions that begin in the middle: at the head of a loop that has been going round elsewhere.

Such a function takes all locals instead of the parameters. The blocks around the loop are opened as usual, but what
stands in front of the loop in them is left out the first time: outside of all loops it never runs again, inside an
outer loop it stands behind ``if e``, where ``e`` says that the loop has been reached before. The operand stack must be
empty at the loop, and the blocks around it take no values; nor do they become guards or switches.

Who gets to absent instructions leaves such a function by :class:`.runtime.SideExit`: the other tier's frame is still
there.
"""

from __future__ import annotations

from refwasm.execution.compiler.agreed import POLL, Untranslatable
from refwasm.execution.compiler.exits import closed_loops
from refwasm.execution.compiler.operands import unknown
from refwasm.execution.compiler.translation import Translation
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import OPENERS


class LoopEntry(Translation):
    """The translation of a function from a loop on."""

    def __init__(self, func: FuncInst, loop: int, polls: bool, absent: bytes) -> None:
        super().__init__(func, polls, absent=absent)
        if loop in closed_loops(func):
            raise Untranslatable("a loop that can't be entered")
        self.loop = loop
        survey, self.path = self.survey, self._path()
        survey.guards -= {survey.ends[opener] for opener in self.path}
        survey.switches = {first: count for first, count in survey.switches.items()
                           if not any(first <= opener < first + count for opener in self.path)}  # fmt: skip

    def _declare_locals(self, params: int) -> None:
        header = f"def f({', '.join(f'l{i}' for i in range(len(self.types)))}):"
        self.source.lines[0] = (header, [])
        self.source.add("e = False")
        if self.polls:
            self.source.add(f"k = {POLL}")

    def translate(self, first: int, last: int) -> None:
        if first or last != len(self.body):
            super().translate(first, last)
            return
        inside_a_loop, reached = False, 0
        for opener in self.path:
            kind = self.body[opener].form.mnemonic
            condition = self._before(reached, opener, inside_a_loop, kind == "if")
            if condition:
                self._enter_if(opener, condition)
                reached = self._other_arm(opener, inside_a_loop)
            else:
                self._open(opener, self.body[opener])
                reached = opener + 1
            inside_a_loop = inside_a_loop or kind == "loop"
        self._before(reached, self.loop, inside_a_loop, False)
        self._line("e = True")
        super().translate(self.loop, last)

    def _left(self, args: str) -> str:
        return f"side_exit({args})"

    def _path(self) -> list[int]:
        """The blocks around the loop, outermost first."""
        opened: list[int] = []
        for pc in range(self.loop):
            mnemonic = self.body[pc].form.mnemonic
            if mnemonic in OPENERS:
                opened.append(pc)
            elif mnemonic == "end":
                opened.pop()
        return opened

    def _before(self, first: int, last: int, inside_a_loop: bool, with_condition: bool) -> str:
        """What stands in front of a block, for the next time round. With a condition on top of the stack: the name of a
        variable for it."""
        name = self.fresh() if with_condition else ""
        if inside_a_loop:
            self._line("if e:")
            self.source.indent()
            super().translate(first, last)
            if name and not self.dead:
                (condition,) = self._pop(1)
                self._line(f"{name} = {self._ready(condition).text}")
            if self.stack and not self.dead:
                raise Untranslatable("a loop that can't be entered")
            self.source.dedent()
        self.stack, self.facts, self.dead = [], {}, False
        self.forget()
        return name

    def _enter_if(self, opener: int, condition: str) -> None:
        """Open an ``if`` whose condition is in a variable, true or false the first time as the loop's arm wants it."""
        otherwise = self._else_of(opener)
        is_then = otherwise is None or self.loop < otherwise
        self._line(f"if not e: {condition} = {int(is_then)}")
        self.stack.append(unknown(condition, "i32"))
        self._open(opener, self.body[opener])

    def _other_arm(self, opener: int, inside_a_loop: bool) -> int:
        """Where the arm with the loop begins; a then-arm before it is translated for the next time round."""
        otherwise = self._else_of(opener)
        if otherwise is None or self.loop < otherwise:
            return opener + 1
        if inside_a_loop:
            super().translate(opener + 1, otherwise + 1)
        else:
            self.dead = True
            super().translate(otherwise, otherwise + 1)
        return otherwise + 1
