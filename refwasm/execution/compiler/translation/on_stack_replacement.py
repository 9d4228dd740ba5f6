"""On-stack replacement: functions that begin in the middle, at the head of a loop that the interpreter is going round.

Such a function takes all locals instead of the parameters. The blocks around the loop are opened as usual, but what
stands in front of the loop in them is left out the first time: outside of all loops it never runs again, inside an
outer loop it stands behind ``if e``, where ``e`` says that the loop has been reached before. The operand stack must be
empty at the loop, and the blocks around it take no values; nor do they become guards or switches.

A side exit from such a function raises
:class:`refwasm.execution.compiler.linking.runtime.SideExit`: the interpreter's frame is still there.
"""

from __future__ import annotations

from refwasm.execution.compiler.boundaries import closed_loops
from refwasm.execution.compiler.conventions import Untranslatable
from refwasm.execution.compiler.translation.expressions import FALSE, TRUE, Expression, Name, Operation, literal
from refwasm.execution.compiler.translation.instructions import control
from refwasm.execution.compiler.translation.instructions.table import HANDLERS
from refwasm.execution.compiler.translation.loop_versioning import LoopVersioning
from refwasm.execution.compiler.translation.printer import Line
from refwasm.execution.compiler.translation.statements import Assign, If
from refwasm.execution.compiler.translation.translator import Translator, side_exit
from refwasm.execution.compiler.translation.values import unknown
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import FORMS

#: The variable that says whether the loop has been reached.
ENTERED = Name("e")
ELSE, END, IF, LOOP = FORMS["else"], FORMS["end"], FORMS["if"], FORMS["loop"]


class OnStackReplacement:
    """The translation of a function from the loop at an instruction on."""

    def __init__(self, func: FuncInst, loop: int, polls: bool, absent: bytes) -> None:
        if loop in closed_loops(func):
            raise Untranslatable("a loop that can't be entered")
        self.t = Translator(func, HANDLERS, polls, absent=absent)
        self.t.loops = LoopVersioning(self.t)
        self.t.leave = _raised
        self.loop = loop
        survey, self.path = self.t.survey, self._path()
        survey.guards -= {survey.ends[opener] for opener in self.path}
        survey.switches = {first: count for first, count in survey.switches.items()
                           if not any(first <= opener < first + count for opener in self.path)}  # fmt: skip

    def function(self) -> list[Line]:
        """The lines of the function ``f``."""
        t = self.t
        t.begin()
        inside_a_loop, reached = False, 0
        for opener in self.path:
            instr = t.body[opener]
            condition = self._before(reached, opener, inside_a_loop, instr.form is IF)
            if condition is None:
                t.handlers[instr.form.mnemonic](t, opener, instr)
                reached = opener + 1
            else:
                self._enter_if(opener, condition)
                reached = self._other_arm(opener, inside_a_loop)
            inside_a_loop = inside_a_loop or instr.form is LOOP
        self._before(reached, self.loop, inside_a_loop, False)
        t.emitter.add(Assign(ENTERED, TRUE))
        t.translate(self.loop, len(t.body))
        return t.finished([f"l{i}" for i in range(len(t.types))], [Assign(ENTERED, FALSE), *t.first_poll()])

    def _path(self) -> list[int]:
        """The blocks around the loop, outermost first."""
        opened: list[int] = []
        for pc in range(self.loop):
            form = self.t.body[pc].form
            if form.opens:
                opened.append(pc)
            elif form is END:
                opened.pop()
        return opened

    def _before(self, first: int, last: int, inside_a_loop: bool, with_condition: bool) -> Name | None:
        """What stands in front of a block, for the next time round. With a condition on top of the stack: a variable
        for it."""
        t = self.t
        name = t.operands.fresh() if with_condition else None
        if inside_a_loop:
            t.emitter.begin(If(ENTERED))
            t.translate(first, last)
            if name is not None and not t.dead:
                (condition,) = t.operands.pop(1)
                t.emitter.add(Assign(name, control.ready(t, condition).expression))
            if t.operands.stack and not t.dead:
                raise Untranslatable("a loop that can't be entered")
            t.emitter.close()
        t.operands.stack.clear()
        t.facts, t.dead = {}, False
        t.forget_names()
        return name

    def _enter_if(self, opener: int, condition: Name) -> None:
        """Open an ``if`` whose condition is in a variable, true or false the first time as the loop's arm wants it."""
        t = self.t
        otherwise = control.else_of(t, opener)
        is_then = otherwise is None or self.loop < otherwise
        t.emitter.add(If(Operation("not {}", ENTERED), [Assign(condition, literal(int(is_then)))]))
        t.operands.stack.append(unknown(condition.text, "i32"))
        control.open_block(t, opener, t.body[opener])

    def _other_arm(self, opener: int, inside_a_loop: bool) -> int:
        """Where the arm with the loop begins; a then-arm before it is translated for the next time round."""
        t = self.t
        otherwise = control.else_of(t, opener)
        if otherwise is None or self.loop < otherwise:
            return opener + 1
        if inside_a_loop:
            t.translate(opener + 1, otherwise + 1)
        else:
            t.dead = True
            t.translate(otherwise, otherwise + 1)
        return otherwise + 1


def _raised(pc: int, values: list[Expression]) -> Expression:
    return side_exit("side_exit", pc, values)
