"""Functions that nest too deeply for Python's own control flow: one ``while`` loop around numbered states.

Every loop, ``else`` and ``end`` begins a state. A binary search for the number of the next one costs some comparisons
each time, so this is for functions beyond CPython's limits only.
"""

from __future__ import annotations

from refwasm.execution.compiler.agreed import Untranslatable
from refwasm.execution.compiler.blocks import PythonLoop, Switch
from refwasm.execution.compiler.operands import unknown
from refwasm.execution.compiler.translation import Translation
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import Instr


class StateMachine(Translation):
    """``states`` are their numbers by the index of the instruction that begins them."""

    def __init__(self, func: FuncInst, polls: bool, fuel: bool) -> None:
        super().__init__(func, polls, fuel)
        self.survey.guards, self.survey.switches, self.survey.leaves = set(), {}, {}
        begins = [pc for pc, instr in enumerate(self.body) if instr.form.mnemonic in ("loop", "else", "end")]
        self.states = {pc: number for number, pc in enumerate(begins[:-1], 1)}
        self.switch = Switch("s", len(begins))
        self.switch.search(0, len(begins), 0)
        self.state = -1
        self.loop = PythonLoop()

    def translate(self, first: int, last: int) -> None:
        self._line("s = 0")
        self._line("while True:")
        self.source.indent()
        self.loops.append(self.loop)
        if self.polls:
            self._poll()
        self._begin(0)
        super().translate(first, last)
        if not self.source.ends_in_jump():
            self._next(self.switch.arms - 1)
        for number in range(self.state + 1, self.switch.arms):
            self._begin(number)
        self._close_states()
        self.source.dedent()

    def _has_versions(self, pc: int) -> bool:
        return False

    def _begin(self, state: int) -> None:
        """Leave a state for a later one; those between can't be reached and stay empty."""
        if self.state >= 0 and not self.source.ends_in_jump():
            self._next(state)
        for number in range(self.state + 1, state + 1):
            self._close_states()
            self._begin_arm(self.switch, number)
            self.state = number
        self.forget()

    def _close_states(self) -> None:
        for _ in range(self.switch.depths[self.state] if self.state >= 0 else 0):
            self.source.dedent()

    def _next(self, state: int) -> None:
        self._line(f"s = {state}")
        self._line("continue")

    def _open(self, pc: int, instr: Instr) -> None:
        kind = instr.form.mnemonic
        condition = self._ready(self._pop(1)[0]) if kind == "if" else None
        if condition is not None and not condition.atom:
            condition = self._stored(condition)
        block = self._new_block(pc, instr)
        block.via, block.how = self.loop, "continue"
        block.setting = f"s = {self.states[block.label]}"
        if kind == "loop":
            self._begin(self.states[pc])
            self.facts = {}
        elif condition is not None:
            block.entry_facts = dict(self.facts)
            otherwise = self._else_of(pc)
            self._line(f"if not {condition.condition}:")
            self.source.indent()
            if otherwise is None and block.results:
                self._line(f"{', '.join(block.results)} = {', '.join(block.params)}")
            if otherwise is None:
                self._arrive(block)
            self._next(self.states[block.label if otherwise is None else otherwise])
            self.source.dedent()

    def _open_try(self, pc: int, instr: Instr) -> None:
        raise Untranslatable("a try_table in deep nesting")

    def _else(self, pc: int, instr: Instr) -> None:
        block = self.blocks[-1]
        if not self.dead:
            self._leave(block)
            self._next(self.states[block.label])
        del self.stack[block.height :]
        self._begin(self.states[pc])
        self.stack += map(unknown, block.params, block.param_types)
        self.facts, self.dead = block.entry_facts or {}, False

    def _end(self, pc: int, instr: Instr) -> None:
        if self.blocks[-1].kind == "func":
            super()._end(pc, instr)
            return
        block = self.blocks.pop()
        del self.labels[block.label]
        if not self.dead:
            self._leave(block)
        del self.stack[block.height :]
        self._begin(self.states[pc])
        self.dead, self.facts = not block.reached, block.facts or {}
        self.stack += map(unknown, block.results, block.result_types)


S = StateMachine
S.methods = {
    **Translation.methods, **dict.fromkeys(("block", "loop", "if"), S._open), "else": S._else, "end": S._end,
    "try_table": S._open_try,
}  # fmt: skip
