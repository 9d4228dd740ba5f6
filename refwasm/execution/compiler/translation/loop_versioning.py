"""Loop versioning: innermost loops are translated twice.

A loop that calls nothing is translated twice if it would help to know that the integers it works with are small and its
addresses aligned. The *general* version assumes nothing. The *fast* version assumes at its head what
:mod:`.speculation` says; a guard in front of it decides which one is executed. In the fast version every memory is
small, too, so that whatever was just used as an address is small. The passes of :mod:`.loops` work on fast versions.

An *accumulator* is a local that the loop only ever adds something to: it is masked once, behind the loop.
"""

from __future__ import annotations

from typing import NamedTuple

from refwasm.execution.compiler.translation.blocks import Block
from refwasm.execution.compiler.translation.canonical_comparisons import canonical
from refwasm.execution.compiler.translation.code_sinking import sunk
from refwasm.execution.compiler.translation.counted_loops import counted
from refwasm.execution.compiler.translation.expressions import Expression, Operation, hexadecimal, local
from refwasm.execution.compiler.translation.facts import Facts, joined
from refwasm.execution.compiler.translation.induction_variables import replaced
from refwasm.execution.compiler.translation.loop_invariants import based
from refwasm.execution.compiler.translation.loops import Loop, optimised
from refwasm.execution.compiler.translation.speculation import Assumptions, Wanted
from refwasm.execution.compiler.translation.statements import Body, For, If, Statement, Step, While
from refwasm.execution.compiler.translation.strength_reduction import reduced
from refwasm.execution.compiler.translation.translator import Translator
from refwasm.execution.compiler.translation.values import BITS, Value

#: Longer loops are not translated twice.
MAX_LENGTH = 1500
#: The passes over fast versions, in order.
PASSES = (canonical, counted, sunk, reduced, replaced, based)


class State(NamedTuple):
    """What a translation knows at a point: operands, facts, and whether it can't be reached."""

    stack: list[Value]
    facts: Facts
    dead: bool


class LoopVersioning:
    """Translates the loops of one function. ``optimisation`` is what the passes made of the present fast version."""

    def __init__(self, translator: Translator) -> None:
        self.t = translator
        self.optimisation: Loop | None = None

    def applies(self, pc: int) -> bool:
        """Whether a loop may have two versions."""
        t = self.t
        loop = t.survey.loops[pc]
        if pc == t.speculation.wanted.loop or t.fuel or not loop.innermost or loop.calls or loop.end - pc >= MAX_LENGTH:
            return False
        return t.types_of_block(t.body[pc].args[0]) == ([], [])

    def translate(self, pc: int) -> int:
        """Translate a whole loop, twice if that helps; the index of what follows."""
        t, speculation = self.t, self.t.speculation
        loop = t.survey.loops[pc]
        end = loop.end + 1
        outer_loop, outer_wanted = speculation.loop, speculation.wanted
        t.operands.settle_all()
        state = self._state()
        speculation.wanted = wanted = Wanted(pc)
        general, after = self._version(pc, end), self._state()
        granted = wanted.granted(loop, t.types)
        lows = {i: low for i, low in wanted.lows.items() if (i, 0) in granted and i in loop.sets}
        signed = {i for i, uses in wanted.signed_uses.items()
                  if i in loop.defined and loop.sets[i] == 1 and loop.gets.get(i) == uses}  # fmt: skip
        assumed = Assumptions(granted, lows, signed)
        fast = self._fast_version(pc, end, state, assumed) if granted or wanted.pays else None
        speculation.loop, speculation.wanted = outer_loop, outer_wanted
        if fast is None:
            self._resume(after)
            t.emitter.body.extend(general)
            return end
        guard = self._guard(assumed, state.facts, wanted.memories)
        if guard is None:
            t.emitter.body.extend(fast)
            return end
        t.emitter.add(If(guard, fast, general))
        self._join(after)
        t.notes.append(f"loop at instruction {pc}: fast version if {guard.text}")
        return end

    def _version(self, pc: int, end: int) -> Body:
        """The statements of a loop."""
        t = self.t
        t.emitter.open([])
        t.translate(pc, end)
        return t.emitter.close()

    def _fast_version(self, pc: int, end: int, state: State, assumed: Assumptions) -> Body | None:
        """The statements of the fast version; None if nothing can be assumed."""
        t, speculation = self.t, self.t.speculation
        while True:
            if not assumed.level and not speculation.wanted.pays:
                return None
            self._resume(state)
            t.facts = assumed.in_front(t.facts, t.types)
            speculation.assumptions, speculation.entered, self.optimisation = assumed, False, None
            lines = self._version(pc, end)
            speculation.assumptions = None
            if assumed.trusted and not (self.optimisation and self.optimisation.conditions):
                assumed.trusting = False
            elif not assumed.failed:
                break
            assumed.weaken()
        if self.optimisation is not None:
            return [*self.optimisation.before, *lines]
        return [*assumed.invariants.values(), *lines]

    def _guard(self, assumed: Assumptions, facts: Facts, memories: set[int]) -> Expression | None:
        """The condition under which the fast version is executed; None if it always is."""
        tests = assumed.guard(facts, self.t.types, memories)
        known = {test.text for test in tests}
        further = self.optimisation.conditions if self.optimisation is not None else ()
        tests += [condition for condition in further if condition.text not in known]
        return all_of(tests) if tests else None

    def _state(self) -> State:
        return State(list(self.t.operands.stack), dict(self.t.facts), self.t.dead)

    def _resume(self, state: State) -> None:
        self.t.operands.stack, self.t.facts, self.t.dead = list(state.stack), dict(state.facts), state.dead
        self.t.forget_names()

    def _join(self, general: State) -> None:
        """Behind both versions; the present state is the fast one's."""
        t = self.t
        fast_facts, fast_dead = t.facts, t.dead
        self._resume(general)
        if not fast_dead:
            t.facts = fast_facts if t.dead else joined(t.facts, fast_facts)
            t.dead = False

    # ---- behind a loop -----------------------------------------------------------------------------------------------

    def finish(self, block: Block) -> None:
        """The statement of a loop is complete, and the last in its body: let the passes work on it, and mask what it
        left to be masked."""
        t, speculation = self.t, self.t.speculation
        if block is speculation.loop:
            self._optimise(block)
            speculation.loop, speculation.entered = None, False
        for index in sorted(block.deferred_masks):
            modulus = 1 << BITS[t.types[index]]
            masked = local(index)
            if speculation.wanted.steps.get(index):  # a sum, which is large: then a mask is faster
                t.emitter.add(Step(masked, "&", hexadecimal(modulus - 1)))
            else:
                t.emitter.add(Step(masked, "%", hexadecimal(modulus)))
            t.notes.append(f"loop at instruction {block.number}: l{index} accumulates, masked after the loop")

    def _optimise(self, block: Block) -> None:
        t, assumed = self.t, self.t.speculation.assumptions
        body = t.emitter.body
        statement = body[-1]
        assert isinstance(statement, (While, For))
        loop = Loop(statement, t.operands.fresh)
        if assumed is None:
            t.speculation.wanted.pays = t.speculation.wanted.pays or counted(canonical(loop) or loop) is not None
            return
        alignments = {f"l{index}": alignment for index, alignment in assumed.alignments.items()}
        if assumed.failed and not assumed.trusted:  # the loop will be translated once more
            return
        invariants: tuple[Statement, ...] = tuple(assumed.invariants.values())
        loop = optimised(Loop(statement, t.operands.fresh, invariants, alignments=alignments), PASSES)
        t.notes += loop.notes
        body[-1:] = [loop.statement, *loop.behind]
        self.optimisation = loop


def all_of(tests: list[Expression]) -> Expression:
    """A condition that several others are true."""
    return Operation(" and ".join(["{}"] * len(tests)), *tests)
