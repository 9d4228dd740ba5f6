"""Blocks and branches (:mod:`refwasm.execution.compiler.translation.blocks` says how they look in Python)."""

from __future__ import annotations

from collections.abc import Sequence

from refwasm.execution.compiler.translation.blocks import Block, Switch
from refwasm.execution.compiler.translation.expressions import (
    TRUE,
    Comparison,
    Expression,
    Located,
    Name,
    Operation,
    call,
    literal,
)
from refwasm.execution.compiler.translation.facts import Facts, joined, refined
from refwasm.execution.compiler.translation.integers import canonical
from refwasm.execution.compiler.translation.statements import (
    Assign,
    AssignAll,
    Break,
    Continue,
    If,
    Return,
    Statement,
    While,
)
from refwasm.execution.compiler.translation.survey import LoopSurvey
from refwasm.execution.compiler.translation.translator import Translator
from refwasm.execution.compiler.translation.values import BITS, SCRATCH, Value, unknown
from refwasm.syntax.instructions import Instr
from refwasm.validation.stacks import Branch

#: Branch tables with more targets than this are looked up if they lead to arms of one switch.
FEW_TARGETS = 4


# ---- blocks ----------------------------------------------------------------------------------------------------------


def open_block(t: Translator, pc: int, instr: Instr) -> None:
    """``block``, ``loop``, ``if``."""
    condition = None
    if instr.form.mnemonic == "if":
        condition = ready(t, t.operands.pop(1)[0])
        if SCRATCH in condition.locals:  # rounding a parameter would change it
            condition = t.operands.stored(condition)
    block = new_block(t, pc, instr)
    begin_loop_if_needed(t, block)
    if condition is not None:
        block.entry_facts = _refined(t, condition, False)
        t.facts = _refined(t, condition, True)
        t.emitter.begin(If(condition.condition))


def new_block(t: Translator, pc: int, instr: Instr) -> Block:
    """Evaluates what is on the stack, and puts the parameters into variables."""
    kind, operands = instr.form.mnemonic, t.operands
    params, results = t.types_of_block(instr.args[0])
    passed = operands.pop(len(params))
    if params:
        passed = operands.in_order(operands.settled(passed))
    operands.settle_all()
    label = pc if kind == "loop" else t.survey.ends[pc]
    names = [operands.fresh() for _ in params]
    height = len(operands.stack)
    block = Block(kind, pc, label, height, [operands.fresh() for _ in results], results, names, params)
    if params:
        t.emitter.add(assignment(names, [value.expression for value in passed]))
        push_variables(t, names, params)
    t.blocks.push(block)
    t.forget_names()
    return block


def push_variables(t: Translator, names: Sequence[Name], types: Sequence[str]) -> None:
    """Put variables on the stack of which nothing is known."""
    t.operands.stack += [unknown(name.text, type) for name, type in zip(names, types)]


def assignment(targets: Sequence[Name], values: Sequence[Expression]) -> Statement:
    """As many values as targets, at once."""
    if len(targets) == 1:
        return Assign(targets[0], values[0])
    return AssignAll(tuple(targets), tuple(values))


def ready(t: Translator, condition: Value) -> Value:
    """A condition, evaluated in the ``if`` itself where nothing else is pending."""
    if condition.type in BITS:
        condition = canonical(t.operands, condition, BITS[condition.type])
    if condition.ordered and any(pending.ordered for pending in t.operands.stack):
        return t.operands.stored(condition)
    return condition


def begin_loop_if_needed(t: Translator, block: Block) -> None:
    """A Python loop for what is branched to, unless there is another way to leave it."""
    survey, label = t.survey, block.label
    if block.kind == "loop" or (label in survey.targets and label not in survey.leaves and label not in survey.guards):
        _begin_loop(t, block)


def _begin_loop(t: Translator, block: Block) -> None:
    loop = block.own = block.via = t.blocks.begin_loop(While(TRUE))
    if block.kind != "loop":
        return
    block.how = Continue()
    _forget_what_changes(t, t.survey.loops[block.number])
    for label in t.survey.left_by.get(block.number, ()):
        t.blocks.labels[label].via, t.blocks.labels[label].how = loop, Break()
    if t.polls:
        t.poll(block.number)
    t.speculation.at_head(block, t.facts)


def _forget_what_changes(t: Translator, loop: LoopSurvey) -> None:
    """At the head of a loop. What it changes in steps is known if that happens a known number of times."""
    turns = loop.turns(t.facts)
    for index in loop.sets:
        fact, step = t.facts.pop(index, None), loop.steps.get(index)
        if turns < 0 or fact is None or step is None:
            continue
        low, high, alignment = fact[0] + min(step * turns, 0), fact[1] + max(step * turns, 0), fact[2]
        if low >= 0 and high < 1 << 32:
            t.facts[index] = (low, high, min(alignment, (step & -step).bit_length() - 1))


def leave(t: Translator, block: Block) -> None:
    """The end of a block is reached with its results on the stack."""
    values = t.operands.settled(t.operands.pop(len(block.results)))
    if values:
        t.operands.emit(assignment(block.results, [v.expression for v in values]), _any_ordered(values))
    else:
        t.operands.settle_ordered()
    arrive(t, block)


def arrive(t: Translator, block: Block) -> None:
    """Control comes to the end of a block from here."""
    block.reached = True
    if block.kind != "func":
        block.facts = joined(block.facts, t.speculation.known_outside(t.facts, block))


def else_of(t: Translator, pc: int) -> int | None:
    """The ``else`` of an ``if``: the side table has the index behind it, or that of the ``end``."""
    before: int = t.side[pc].pc - 1
    return before if before > pc and t.body[before].form.mnemonic == "else" else None


def else_(t: Translator, pc: int, instr: Instr) -> None:
    block = t.blocks.open[-1]
    if not t.dead:
        leave(t, block)
    t.dead = False
    del t.operands.stack[block.height :]
    t.emitter.begin_else()
    push_variables(t, block.params, block.param_types)
    t.facts = block.entry_facts or {}
    t.forget_names()
    block.kind = "else"


def end(t: Translator, pc: int, instr: Instr) -> None:
    block = t.blocks.open[-1]
    if block.kind == "func":
        t.blocks.pop()
        if not t.dead:
            return_(t, pc, instr)
        return
    t.blocks.pop()
    if not t.dead:
        leave(t, block)
    del t.operands.stack[block.height :]
    if block.switch is not None:
        _end_arm(t, block.switch, block)
    else:
        _close(t, block)
    t.dead = not block.reached
    t.facts = block.facts or {}
    t.forget_names()
    push_variables(t, block.results, block.result_types)
    if not t.dead:
        t.arrives_at_end(pc)


def _close(t: Translator, block: Block) -> None:
    emitter = t.emitter
    for _ in range(block.guarded + (block.kind in ("if", "else"))):
        emitter.close()
    if block.kind == "if":  # without else: parameters are the results
        if block.results:
            statement = emitter.body[-1]
            assert isinstance(statement, If)
            statement.otherwise.append(assignment(block.results, block.params))
        block.facts = joined(block.facts, block.entry_facts or {})
        block.reached = True
    if block.on_close is not None:
        block.on_close()
    if block.own is not None:
        if not emitter.ends_in_jump():
            emitter.add(Break())
        t.blocks.end_loop()
        t.loops.finish(block)
        t.blocks.pass_on(block.own)


def _end_arm(t: Translator, switch: Switch, block: Block) -> None:
    """The end of a block is the end of one arm and the beginning of the next."""
    finished = block.arm - 1
    loop = block.own
    assert loop is not None and block.setting is not None
    if not t.emitter.ends_in_jump():
        t.emitter.add(block.setting)
        t.emitter.add(Continue() if finished else Break())
    if finished == 0:
        t.blocks.end_loop()
        t.blocks.pass_on(loop)
        if switch.arms > 1:
            t.blocks.begin_arms(switch, 1, While(Comparison(switch.variable, "!=", literal(switch.arms))))
    if block.arm < switch.arms:
        switch.begin(t.emitter, block.arm)
    elif finished:
        switch.close(t.emitter)
        t.blocks.end_loop()
        t.blocks.pass_on(loop)


# ---- branches --------------------------------------------------------------------------------------------------------


def jump(t: Translator, branch: Branch) -> None:
    """Go to a label; the values it takes are on the stack, ready, and stay there."""
    block = t.blocks.labels[branch.label.pc]
    if block.kind == "func":
        t.spend(1)  # the end of the function
    stack = t.operands.stack
    values = [value.expression for value in (stack[len(stack) - branch.arity :] if branch.arity else [])]
    if block.kind == "func":
        t.emitter.add(Return(tuple(values)))
        return
    if values:
        t.emitter.add(assignment(block.params if block.kind == "loop" else block.results, values))
    if block.kind == "loop":
        t.speculation.goes_round(block, t.facts)
    else:
        arrive(t, block)
    t.blocks.go(block, block.setting)


def carry(t: Translator, branch: Branch) -> None:
    """Make the values that a branch takes ready: they are evaluated whether it is taken or not."""
    if branch.arity:
        values = t.operands.pop(branch.arity)
        t.operands.stack += t.operands.in_order(t.operands.settled(values))


def br(t: Translator, pc: int, instr: Instr) -> None:
    carry(t, t.side[pc])
    t.operands.settle_ordered()
    jump(t, t.side[pc])
    t.dead = True


def br_if(t: Translator, pc: int, instr: Instr) -> None:
    branch: Branch = t.side[pc]
    *values, condition = t.operands.pop(branch.arity + 1)
    if values:
        *values, condition = t.operands.in_order([*values, condition])
        t.operands.stack += values
        carry(t, branch)
    condition, block = ready(t, condition), t.blocks.labels[branch.label.pc]
    if block.label in t.survey.guards and block.switch is None:
        _guard_rest(t, condition, block)
    else:
        branch_if(t, condition, branch)


def branch_if(t: Translator, condition: Value, branch: Branch) -> None:
    """A branch that is taken where a condition holds."""
    t.operands.settle_ordered()
    speculation, facts = t.speculation, t.facts
    speculation.going_round = speculation.entered and t.blocks.labels[branch.label.pc] is speculation.loop
    t.facts = _refined(t, condition, True)
    t.emitter.begin(If(condition.condition))
    jump(t, branch)
    t.emitter.close()
    t.facts = facts
    t.facts = _refined(t, condition, False)
    speculation.going_round = False


def _guard_rest(t: Translator, condition: Value, block: Block) -> None:
    """A way out of a block that leads over its rest: the rest stands in an ``if``."""
    t.operands.settle_ordered()
    facts = t.facts
    t.facts = _refined(t, condition, True)
    arrive(t, block)
    t.facts = facts
    t.facts = _refined(t, condition, False)
    t.emitter.begin(If(Operation("not {}", condition.condition)))
    block.guarded += 1


def _refined(t: Translator, condition: Value, outcome: bool) -> Facts:
    """What is known where a condition holds, or where it does not."""
    return refined(t.facts, t.speculation.understood(condition, outcome), outcome)


def br_table(t: Translator, pc: int, instr: Instr) -> None:
    (index,) = t.operands.pop(1)
    index = t.operands.atom(canonical(t.operands, index, 32))
    branches: tuple[Branch, ...] = t.side[pc]
    if branches[0].arity:
        carry(t, branches[0])
    t.operands.settle_ordered()
    runs: list[tuple[int, Branch]] = []  # where a run of equal targets begins
    for position, branch in enumerate(branches):
        if not runs or runs[-1][1] != branch:
            runs.append((position, branch))
    if len(runs) <= FEW_TARGETS or not _look_up(t, index, branches):
        _choose(t, index, runs)
    t.dead = True


def _look_up(t: Translator, index: Value, branches: tuple[Branch, ...]) -> bool:
    """Take the number of the next arm from a table, if all targets are arms of one switch."""
    blocks = [t.blocks.labels[branch.label.pc] for branch in branches]
    switch = blocks[0].switch
    if switch is None or any(b.switch is not switch or b.via is not t.blocks.loops[-1] for b in blocks):
        return False
    for block in set(blocks):
        arrive(t, block)
    *arms, default = [block.arm for block in blocks]
    template = f"({', '.join(map(str, arms))},)[{{0}}] if {{0}} < {len(arms)} else {default}"
    t.blocks.go(blocks[0], Assign(switch.variable, Operation(template, index.expression)))
    return True


def _choose(t: Translator, index: Value, runs: list[tuple[int, Branch]]) -> None:
    """Binary search for the run of an index."""
    if len(runs) == 1:
        jump(t, runs[0][1])
        return
    middle = len(runs) // 2
    t.emitter.begin(If(Comparison(index.expression, "<", literal(runs[middle][0]))))
    _choose(t, index, runs[:middle])
    t.emitter.close()
    _choose(t, index, runs[middle:])


def return_(t: Translator, pc: int, instr: Instr) -> None:
    values = t.operands.settled(t.operands.pop(len(t.func.signature.results)))
    t.operands.settle_ordered()  # what is left on the stack may trap, too
    t.operands.emit(Return(tuple(value.expression for value in values)), _any_ordered(values))
    t.dead = True


def nop(t: Translator, pc: int, instr: Instr) -> None:
    pass


def unreachable(t: Translator, pc: int, instr: Instr) -> None:
    t.operands.emit_effect(Located(pc, call("unreachable", [])))
    t.dead = True


def _any_ordered(values: list[Value]) -> bool:
    return any(value.ordered for value in values)
