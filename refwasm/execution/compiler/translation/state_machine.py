"""Functions that nest too deeply for Python's own control flow: one ``while`` loop around numbered states.

Every loop, ``else`` and ``end`` begins a state. A binary search for the number of the next one costs some comparisons
each time, so this is for functions beyond CPython's limits only.
"""

from __future__ import annotations

from refwasm.execution.compiler.conventions import Untranslatable
from refwasm.execution.compiler.translation.blocks import Block, Switch
from refwasm.execution.compiler.translation.expressions import TRUE, Name, Operation, literal
from refwasm.execution.compiler.translation.instructions import control
from refwasm.execution.compiler.translation.instructions.table import HANDLERS
from refwasm.execution.compiler.translation.printer import Line
from refwasm.execution.compiler.translation.statements import Assign, Continue, If, While
from refwasm.execution.compiler.translation.translator import Translator
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import Instr

#: The variable that holds the number of the next state.
NEXT = Name("s")


class StateMachine:
    """The translation of a function as one loop. ``states`` are their numbers by the index of the instruction that
    begins them. It translates loops, too: none of them has versions."""

    def __init__(self, func: FuncInst, polls: bool, fuel: bool) -> None:
        handlers = {
            **HANDLERS, **dict.fromkeys(("block", "loop", "if"), self.open_block), "else": self.else_, "end": self.end,
            "try_table": self.try_table,
        }  # fmt: skip
        self.t = Translator(func, handlers, polls, fuel)
        self.t.loops = self
        survey = self.t.survey
        survey.guards, survey.switches, survey.leaves = set(), {}, {}
        begins = [pc for pc, instr in enumerate(func.body) if instr.form.mnemonic in ("loop", "else", "end")]
        self.states = {pc: number for number, pc in enumerate(begins[:-1], 1)}
        self.switch = Switch(NEXT, 0, len(begins))
        self.state = -1

    def function(self) -> list[Line]:
        """The lines of the function ``f``."""
        t = self.t
        t.begin()
        declarations = t.declarations()
        t.emitter.add(Assign(NEXT, literal(0)))
        self.loop = t.blocks.begin_loop(While(TRUE))
        if t.polls:
            t.poll(None)
        self._begin(0)
        t.translate(0, len(t.body))
        if not t.emitter.ends_in_jump():
            self._next(self.switch.arms - 1)
        for number in range(self.state + 1, self.switch.arms):
            self._begin(number)
        self.switch.close(t.emitter)
        t.emitter.close()
        return t.finished(t.parameters(), declarations)

    def applies(self, pc: int) -> bool:
        """No loop has versions."""
        return False

    def translate(self, pc: int) -> int:
        raise NotImplementedError("no loop has versions")

    def finish(self, block: Block) -> None:
        """Nothing is left to do behind a loop."""

    def _begin(self, state: int) -> None:
        """Leave a state for a later one; those between can't be reached and stay empty."""
        if self.state >= 0 and not self.t.emitter.ends_in_jump():
            self._next(state)
        for number in range(self.state + 1, state + 1):
            self.switch.begin(self.t.emitter, number)
            self.state = number
        self.t.forget_names()

    def _next(self, state: int) -> None:
        self.t.emitter.add(Assign(NEXT, literal(state)))
        self.t.emitter.add(Continue())

    # ---- instructions ------------------------------------------------------------------------------------------------

    def open_block(self, t: Translator, pc: int, instr: Instr) -> None:
        kind = instr.form.mnemonic
        condition = control.ready(t, t.operands.pop(1)[0]) if kind == "if" else None
        if condition is not None and not condition.atom:
            condition = t.operands.stored(condition)
        block = control.new_block(t, pc, instr)
        block.via, block.how = self.loop, Continue()
        block.setting = Assign(NEXT, literal(self.states[block.label]))
        if kind == "loop":
            self._begin(self.states[pc])
            t.facts = {}
        elif condition is not None:
            block.entry_facts = dict(t.facts)
            otherwise = control.else_of(t, pc)
            t.emitter.begin(If(Operation("not {}", condition.condition)))
            if otherwise is None:
                if block.results:
                    t.emitter.add(control.assignment(block.results, block.params))
                control.arrive(t, block)
            self._next(self.states[block.label if otherwise is None else otherwise])
            t.emitter.close()

    def try_table(self, t: Translator, pc: int, instr: Instr) -> None:
        raise Untranslatable("a try_table in deep nesting")

    def else_(self, t: Translator, pc: int, instr: Instr) -> None:
        block = t.blocks.open[-1]
        if not t.dead:
            control.leave(t, block)
            self._next(self.states[block.label])
        del t.operands.stack[block.height :]
        self._begin(self.states[pc])
        control.push_variables(t, block.params, block.param_types)
        t.facts, t.dead = block.entry_facts or {}, False

    def end(self, t: Translator, pc: int, instr: Instr) -> None:
        block = t.blocks.open[-1]
        if block.kind == "func":
            control.end(t, pc, instr)
            return
        t.blocks.pop()
        if not t.dead:
            control.leave(t, block)
        del t.operands.stack[block.height :]
        self._begin(self.states[pc])
        t.dead, t.facts = not block.reached, block.facts or {}
        control.push_variables(t, block.results, block.result_types)
