"""Blocks and branches of a translation (:mod:`.blocks` says how they look in Python)."""

from __future__ import annotations

from refwasm.execution.compiler.agreed import Untranslatable
from refwasm.execution.compiler.blocks import Block, PythonLoop, Switch, joined
from refwasm.execution.compiler.conditions import refined
from refwasm.execution.compiler.integers import canonical
from refwasm.execution.compiler.operands import Fact, Operands, unknown
from refwasm.execution.compiler.source import INDENT
from refwasm.execution.compiler.survey import Loop, survey
from refwasm.execution.compiler.values import BITS, SCRATCH, Value, marked
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import BlockType, FuncType, NumType, ValType
from refwasm.validation.stacks import Branch

#: CPython allows 20 nested loops and tries in a function, and 100 levels of indentation.
MAX_LOOPS, MAX_DEPTH = 17, 90
#: Branch tables with more targets than this are looked up if they lead to arms of one switch.
FEW_TARGETS = 4


class ControlFlow(Operands):
    """``blocks`` are the open ones, innermost last; ``dead`` tells that what follows can't be reached; ``polls`` asks
    for a look at the limits in every loop."""

    def __init__(self, func: FuncInst, polls: bool) -> None:
        super().__init__()
        self.func = func
        self.instance = func.module
        self.body, self.side = func.body, func.side
        self.polls = polls
        self.survey = survey(self.body, self.side, len(func.signature.params))
        self.blocks: list[Block] = []
        self.labels: dict[int, Block] = {}
        self.loops: list[PythonLoop] = []  # open ones
        self.nested = 0  # Python's blocks around here: loops and tries
        self.dead = False
        self.passes = False  # whether any branch goes through a Python loop

    # ---- blocks ------------------------------------------------------------------------------------------------------

    def types_of(self, t: BlockType) -> tuple[list[str], list[str]]:
        """Parameters and results of a block."""
        if t.index is None:
            return [], [] if t.result is None else [type_name(t.result)]
        composite = self.instance.types[t.index].composite
        assert isinstance(composite, FuncType)
        return list(map(type_name, composite.params)), list(map(type_name, composite.results))

    def _open(self, pc: int, instr: Instr) -> None:
        kind = instr.form.mnemonic
        condition = self._pop(1)[0] if kind == "if" else None
        if condition is not None:
            condition = self._ready(condition)
            if SCRATCH in condition.locals:  # rounding a parameter would change it
                condition = self._stored(condition)
        block = self._new_block(pc, instr)
        self._begin_loop_if_needed(block)
        if condition is not None:
            block.entry_facts = self._refined(condition, False)
            self.facts = self._refined(condition, True)
            self._line(f"if {condition.condition}:")
            self.source.indent()

    def _new_block(self, pc: int, instr: Instr) -> Block:
        """Evaluates what is on the stack, and puts the parameters into variables."""
        kind = instr.form.mnemonic
        params, results = self.types_of(instr.args[0])
        passed = self._pop(len(params))
        if params:
            passed = self.in_order(self.settled(passed))
        self._settle_all()
        label = pc if kind == "loop" else self.survey.ends[pc]
        names = [self.fresh() for _ in params]
        block = Block(kind, pc, label, len(self.stack), [self.fresh() for _ in results], results, names, params)
        if params:
            self._line(f"{', '.join(names)} = {', '.join(value.text for value in passed)}")
            self.stack += map(unknown, names, params)
        self.blocks.append(block)
        self.labels[label] = block
        self.forget()
        return block

    def _begin_loop_if_needed(self, block: Block) -> None:
        """A Python loop for what is branched to, unless there is another way to leave it."""
        survey, label = self.survey, block.label
        if block.kind == "loop" or (
            label in survey.targets and label not in survey.leaves and label not in survey.guards
        ):
            self._begin_loop(block)

    def _else_of(self, pc: int) -> int | None:
        """The ``else`` of an ``if``: the side table has the index behind it, or that of the ``end``."""
        before: int = self.side[pc].pc - 1
        return before if before > pc and self.body[before].form.mnemonic == "else" else None

    def _begin_loop(self, block: Block) -> None:
        loop = block.own = block.via = PythonLoop()
        self.loops.append(loop)
        self._nest()
        block.header = len(self.source.lines)
        self._line("while True:")
        self.source.indent()
        if block.kind == "loop":
            block.how = "continue"
            self._forget_what_changes(self.survey.loops[block.number])
            for label in self.survey.left_by.get(block.number, ()):
                self.labels[label].via, self.labels[label].how = loop, "break"
            if self.polls:
                self._poll(marked(block.number, "poll()"))

    def _forget_what_changes(self, loop: Loop) -> None:
        """At the head of a loop. What it changes in steps is known if that happens a known number of times."""
        turns = loop.turns(self.facts)
        for index in loop.sets:
            fact, step = self.facts.pop(index, None), loop.steps.get(index)
            if turns < 0 or fact is None or step is None:
                continue
            low, high, twos = fact[0] + min(step * turns, 0), fact[1] + max(step * turns, 0), fact[2]
            if low >= 0 and high < 1 << 32:
                self.facts[index] = (low, high, min(twos, (step & -step).bit_length() - 1))

    def _poll(self, call: str = "poll()") -> None:
        """Count a turn of a loop, and look at the limits now and then."""
        self._line("k -= 1")
        self._line(f"if k < 0: k = {call}")

    def _nest(self) -> None:
        self.nested += 1
        if self.nested > MAX_LOOPS:
            raise Untranslatable("too many nested loops")

    def _ready(self, condition: Value) -> Value:
        """A condition, evaluated in the ``if`` itself where nothing else is pending."""
        if condition.type in BITS:
            condition = canonical(self, condition, BITS[condition.type])
        if condition.ordered and any(pending.ordered for pending in self.stack):
            return self._stored(condition)
        return condition

    def _leave(self, block: Block) -> None:
        """The end of a block is reached with its results on the stack."""
        values = self.settled(self._pop(len(block.results)))
        if values:
            self._emit(f"{', '.join(block.results)} = {', '.join(v.text for v in values)}", _any_ordered(values))
        else:
            self.settle_ordered()
        self._arrive(block)

    def _arrive(self, block: Block) -> None:
        block.reached = True
        if block.kind != "func":
            block.facts = joined(block.facts, self.facts)

    def _else(self, pc: int, instr: Instr) -> None:
        block = self.blocks[-1]
        if not self.dead:
            self._leave(block)
        self.dead = False
        del self.stack[block.height :]
        self.source.dedent()
        self._line("else:")
        self.source.indent()
        self.stack += map(unknown, block.params, block.param_types)
        self.facts = block.entry_facts or {}
        self.forget()
        block.kind = "else"

    def _end(self, pc: int, instr: Instr) -> None:
        block = self.blocks.pop()
        if block.kind == "func":
            if not self.dead:
                self._return(pc, instr)
            return
        del self.labels[block.label]
        if not self.dead:
            self._leave(block)
        del self.stack[block.height :]
        if block.switch is not None:
            self._end_arm(block.switch, block)
        else:
            self._close(block)
        self.dead = not block.reached
        self.facts = block.facts or {}
        self.forget()
        self.stack += map(unknown, block.results, block.result_types)

    def _close(self, block: Block) -> None:
        for _ in range(block.guarded + (block.kind in ("if", "else"))):
            self.source.dedent()
        if block.kind == "if":  # without else: parameters are the results
            if block.results:
                self._line("else:")
                self._line(f" {', '.join(block.results)} = {', '.join(block.params)}")
            block.facts = joined(block.facts, block.entry_facts or {})
            block.reached = True
        if block.kind == "try":
            self._end_try(block)
        if block.own is not None:
            if not self.source.ends_in_jump():
                self._line("break")
            self._end_loop(block)

    def _end_loop(self, block: Block) -> None:
        """Behind a Python loop: what it left undone, and branches that go further out."""
        assert block.own is not None
        self.source.dedent()
        self.loops.pop()
        self.nested -= 1
        self._after_loop(block)
        self._pass_on(block.own)

    def _after_loop(self, block: Block) -> None:
        """See :mod:`.loops`."""

    def _end_try(self, block: Block) -> None:
        """See :mod:`.exceptions`."""

    def _pass_on(self, loop: PythonLoop) -> None:
        if not loop.passed_by:
            return
        parent = self.loops[-1] if self.loops else None
        assert parent is not None, "a branch further out has a loop to go to"
        further = [target for target in loop.passed_by if target.via is not parent]
        for target in loop.passed_by:
            if target.via is parent:
                self._line(f"if b == {target.number}:")
                self._line(" b = -1")
                if target.setting:
                    self._line(f" {target.setting}")
                self._line(f" {target.how}")
            elif target not in parent.passed_by:
                parent.passed_by.append(target)
        if further:
            self._line("if b >= 0: break")

    # ---- switches ----------------------------------------------------------------------------------------------------

    def _open_switch(self, pc: int, count: int) -> None:
        """Blocks that open together: see :mod:`.blocks`. The innermost one's code comes first, in a loop of its own."""
        self._settle_all()
        switch = Switch(self.fresh(), count)
        for number in range(count):
            label = self.survey.ends[pc + number]
            block = Block("block", pc + number, label, len(self.stack), [], [], [], [])
            block.switch, block.arm = switch, count - number
            block.setting = f"{switch.variable} = {block.arm}"
            self.blocks.append(block)
            self.labels[label] = block
        switch.blocks = self.blocks[-1 : -count - 1 : -1]
        switch.search(1, count, 0)
        self._begin_arms(switch, 0, "while True:")
        self.forget()

    def _begin_arms(self, switch: Switch, first: int, header: str) -> None:
        """The Python loop for the first arm, or the one for the others."""
        loop = PythonLoop()
        self.loops.append(loop)
        self._nest()
        self._line(header)
        self.source.indent()
        for block in switch.blocks[first:]:
            block.via = loop
            block.own = loop
            block.how = "continue" if first else "break"

    def _end_arm(self, switch: Switch, block: Block) -> None:
        """The end of a block is the end of one arm and the beginning of the next."""
        finished = block.arm - 1
        loop = block.own
        assert loop is not None
        if not self.source.ends_in_jump():
            self._line(block.setting)
            self._line("break" if finished == 0 else "continue")
        if finished == 0:
            self._leave_loop(loop)
            if switch.arms > 1:
                self._begin_arms(switch, 1, f"while {switch.variable} != {switch.arms}:")
        else:
            for _ in range(switch.depths[finished]):
                self.source.dedent()
        if block.arm == switch.arms:
            if finished:
                self._leave_loop(loop)
            return
        self._begin_arm(switch, block.arm)

    def _begin_arm(self, switch: Switch, arm: int) -> None:
        for depth, line in switch.headers.get(arm, ()):
            self.source.lines.append((INDENT * (self.source.depth + depth) + line, []))
        for _ in range(switch.depths[arm]):
            self.source.indent()

    def _leave_loop(self, loop: PythonLoop) -> None:
        self.source.dedent()
        self.loops.pop()
        self.nested -= 1
        self._pass_on(loop)

    # ---- branches ----------------------------------------------------------------------------------------------------

    def _jump(self, branch: Branch) -> None:
        """Go to a label; the values it takes are on the stack, ready, and stay there."""
        block = self.labels[branch.label.pc]
        values = self.stack[len(self.stack) - branch.arity :] if branch.arity else []
        texts = ", ".join(value.text for value in values)
        if block.kind == "func":
            self._line(f"return {texts}")
            return
        if values:
            self._line(f"{', '.join(block.params if block.kind == 'loop' else block.results)} = {texts}")
        if block.kind == "loop":
            self._goes_round(block)
        else:
            self._arrive(block)
        self._go(block, block.setting)

    def _go(self, block: Block, setting: str) -> None:
        innermost = self.loops[-1]
        if block.via is innermost:
            if setting:
                self._line(setting)
            self._line(block.how)
            return
        if block not in innermost.passed_by:
            innermost.passed_by.append(block)
        self.passes = True
        self._line(f"b = {block.number}")
        self._line("break")

    def _goes_round(self, block: Block) -> None:
        """A branch back to a loop: see :mod:`.loops`."""

    def _carry(self, branch: Branch) -> None:
        """Make the values that a branch takes ready: they are evaluated whether it is taken or not."""
        if branch.arity:
            values = self._pop(branch.arity)
            self.stack += self.in_order(self.settled(values))

    def _br(self, pc: int, instr: Instr) -> None:
        self._carry(self.side[pc])
        self.settle_ordered()
        self._jump(self.side[pc])
        self.dead = True

    def _br_if(self, pc: int, instr: Instr) -> None:
        branch: Branch = self.side[pc]
        *values, condition = self._pop(branch.arity + 1)
        if values:
            *values, condition = self.in_order([*values, condition])
            self.stack += values
            self._carry(branch)
        condition, block = self._ready(condition), self.labels[branch.label.pc]
        if block.label in self.survey.guards and block.switch is None:
            self._guard_rest(condition, block)
        else:
            self._branch_if(condition, branch)

    def _branch_if(self, condition: Value, branch: Branch) -> None:
        self.settle_ordered()
        facts = self.facts
        self.facts = self._refined(condition, True)
        self._line(f"if {condition.condition}:")
        self.source.indent()
        self._jump(branch)
        self.source.dedent()
        self.facts = facts
        self.facts = self._refined(condition, False)

    def _guard_rest(self, condition: Value, block: Block) -> None:
        """A way out of a block that leads over its rest: the rest stands in an ``if``."""
        self.settle_ordered()
        facts = self.facts
        self.facts = self._refined(condition, True)
        self._arrive(block)
        self.facts = facts
        self.facts = self._refined(condition, False)
        self._line(f"if not {condition.condition}:")
        self.source.indent()
        block.guarded += 1

    def _refined(self, condition: Value, outcome: bool) -> dict[int, Fact]:
        """What is known where a condition holds, or where it does not."""
        return refined(self.facts, condition, outcome)

    def _br_table(self, pc: int, instr: Instr) -> None:
        (index,) = self._pop(1)
        index = self.atom(canonical(self, index, 32))
        branches: tuple[Branch, ...] = self.side[pc]
        if branches[0].arity:
            self._carry(branches[0])
        self.settle_ordered()
        runs: list[tuple[int, Branch]] = []  # where a run of equal targets begins
        for position, branch in enumerate(branches):
            if not runs or runs[-1][1] != branch:
                runs.append((position, branch))
        if len(runs) <= FEW_TARGETS or not self._look_up(index, branches):
            self._choose(index.text, runs)
        self.dead = True

    def _look_up(self, index: Value, branches: tuple[Branch, ...]) -> bool:
        """Take the number of the next arm from a table, if all targets are arms of one switch."""
        blocks = [self.labels[branch.label.pc] for branch in branches]
        switch = blocks[0].switch
        if switch is None or any(b.switch is not switch or b.via is not self.loops[-1] for b in blocks):
            return False
        for block in set(blocks):
            self._arrive(block)
        *arms, default = [block.arm for block in blocks]
        table = f"({', '.join(map(str, arms))},)"
        self._go(blocks[0], f"{switch.variable} = {table}[{index.text}] if {index.text} < {len(arms)} else {default}")
        return True

    def _choose(self, index: str, runs: list[tuple[int, Branch]]) -> None:
        """Binary search for the run of an index."""
        if len(runs) == 1:
            self._jump(runs[0][1])
            return
        middle = len(runs) // 2
        self._line(f"if {index} < {runs[middle][0]}:")
        self.source.indent()
        self._choose(index, runs[:middle])
        self.source.dedent()
        self._choose(index, runs[middle:])

    def _return(self, pc: int, instr: Instr) -> None:
        values = self.settled(self._pop(len(self.func.signature.results)))
        self.settle_ordered()  # what is left on the stack may trap, too
        self._emit(f"return {', '.join(value.text for value in values)}", _any_ordered(values))
        self.dead = True


def type_name(t: ValType) -> str:
    """What :attr:`Value.type` calls a type."""
    return t.name if isinstance(t, NumType) and t.name in BITS else ""


def _any_ordered(values: list[Value]) -> bool:
    return any(value.ordered for value in values)
