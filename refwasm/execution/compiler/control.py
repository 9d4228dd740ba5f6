"""Blocks and branches of a translation (:mod:`.structure` says how they look in Python)."""

from __future__ import annotations

from refwasm.execution.compiler.operands import Operands
from refwasm.execution.compiler.structure import Block, ends_of, targets_of
from refwasm.execution.compiler.values import Value, marked, name
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import BlockType, FuncType
from refwasm.validation.stacks import Branch

#: CPython allows 20 nested loops and tries in a function, and 100 levels of indentation.
MAX_LOOPS, MAX_DEPTH = 17, 90


class Untranslatable(Exception):
    """The function uses something that only the interpreter does, or nests too deeply for CPython."""


class ControlFlow(Operands):
    """``blocks`` are the open ones, innermost last; ``dead`` tells that what follows can't be reached."""

    def __init__(self, func: FuncInst, polls: bool) -> None:
        super().__init__()
        self.func = func
        self.instance = func.module
        self.body, self.side = func.func.body, func.side
        self.polls = polls
        self.blocks: list[Block] = []
        self.ends = ends_of(self.body)
        self.targets = targets_of(self.side)
        self.dead = False

    # ---- blocks ------------------------------------------------------------------------------------------------------

    def _open(self, pc: int, instr: Instr) -> None:
        kind = instr.form.mnemonic
        condition = self._pop(1)[0] if kind == "if" else None
        if condition is not None and condition.ordered:
            condition = self._stored(condition)
        params, results = self._block_type(instr)
        passed = self._pop(params)
        if params:
            passed = self._in_order(passed)
        self._settle_all()
        end = self.ends[pc]
        label = pc if kind == "loop" else end
        block = Block(
            kind, pc, len(self.stack), self._fresh(results), self._fresh(params), label in self.targets, False
        )
        if params:
            self._line(f"{', '.join(block.params)} = {', '.join(value.text for value in passed)}")
            self.stack += map(name, block.params)
        self.blocks.append(block)
        if sum(b.loops for b in self.blocks) > MAX_LOOPS:
            raise Untranslatable("too many nested loops")
        if block.loops:
            self._line("while True:")
            self.source.indent()
            if kind == "loop" and self.polls:
                self._line("k -= 1")
                self._line(f"if k < 0: k = {marked(pc, 'poll()')}")
        if condition is not None:
            self._line(f"if {condition.condition}:")
            self.source.indent()
            self._line("pass")

    def _block_type(self, instr: Instr) -> tuple[int, int]:
        """Numbers of parameters and results."""
        t: BlockType = instr.args[0]
        if t.index is None:
            return 0, int(t.result is not None)
        composite = self.instance.types[t.index].composite
        assert isinstance(composite, FuncType)
        return len(composite.params), len(composite.results)

    def _leave(self, block: Block) -> None:
        """The end of a block is reached with its results on the stack."""
        values = self._pop(len(block.results))
        self._assign(block.results, values)
        block.ends_alive = True

    def _assign(self, names: list[str], values: list[Value]) -> None:
        if names:
            self._emit(
                f"{', '.join(names)} = {', '.join(value.text for value in values)}", any(v.ordered for v in values)
            )

    def _else(self, pc: int, instr: Instr) -> None:
        block = self.blocks[-1]
        if not self.dead:
            self._leave(block)
        self.dead = False
        del self.stack[block.height :]
        self.source.dedent()
        self._line("else:")
        self.source.indent()
        self._line("pass")
        self.stack += map(name, block.params)
        block.kind = "else"

    def _end(self, pc: int, instr: Instr) -> None:
        block = self.blocks.pop()
        if block.kind == "func":
            if not self.dead:
                self._return(pc, instr)
            return
        if not self.dead:
            self._leave(block)
        del self.stack[block.height :]
        if block.kind in ("if", "else"):
            self.source.dedent()
        if block.kind == "if":  # without else: parameters are the results
            if block.results:
                self._line("else:")
                self._line(f" {', '.join(block.results)} = {', '.join(block.params)}")
            block.ends_alive = True
        if block.loops:
            if block.ends_alive or block.kind in ("if", "else"):
                self._line("break")
            self.source.dedent()
            self._pass_on(block)
        self.dead = not (block.ends_alive or (block.is_target and block.kind != "loop"))
        self.stack += map(name, block.results)

    def _pass_on(self, block: Block) -> None:
        """Behind a Python loop: branches that go further out."""
        if not block.passed_by:
            return
        parent = next((outer for outer in reversed(self.blocks) if outer.loops), None)
        assert parent is not None, "a branch further out has a loop to go to"
        self._line("if b >= 0:")
        for target in block.passed_by:
            if target is parent:
                self._line(f" if b == {target.number}:")
                self._line("  b = -1")
                self._line("  continue" if target.kind == "loop" else "  break")
            elif target not in parent.passed_by:
                parent.passed_by.append(target)
        if any(target is not parent for target in block.passed_by):
            self._line(" break")

    # ---- branches ----------------------------------------------------------------------------------------------------

    def _target(self, branch: Branch) -> Block:
        label = branch.label.pc
        for block in reversed(self.blocks):
            if block.kind == "func" or (block.number if block.kind == "loop" else self.ends[block.number]) == label:
                return block
        raise AssertionError("validated")

    def _jump(self, branch: Branch) -> None:
        """Go to a label; the values it takes are on the stack and stay there."""
        block = self._target(branch)
        values = self.stack[len(self.stack) - branch.arity :] if branch.arity else []
        texts = ", ".join(value.text for value in values)
        if block.kind == "func":
            self._line(f"return {texts}")
            return
        if values:
            self._line(f"{', '.join(block.params if block.kind == 'loop' else block.results)} = {texts}")
        innermost = next(inner for inner in reversed(self.blocks) if inner.loops)
        if innermost is block:
            self._line("continue" if block.kind == "loop" else "break")
            return
        if block not in innermost.passed_by:
            innermost.passed_by.append(block)
        self._line(f"b = {block.number}")
        self._line("break")

    def _br(self, pc: int, instr: Instr) -> None:
        self._settle(lambda value: value.ordered)
        self._jump(self.side[pc])
        self.dead = True

    def _br_if(self, pc: int, instr: Instr) -> None:
        (condition,) = self._pop(1)
        branch: Branch = self.side[pc]
        if condition.ordered:
            condition = self._condition(condition)
        if branch.arity:
            self._settle_all()
        self._settle(lambda value: value.ordered)
        self._line(f"if {condition.condition}:")
        self.source.indent()
        self._jump(branch)
        self.source.dedent()

    def _condition(self, value: Value) -> Value:
        """An ordered condition: evaluated now, in the ``if`` itself where nothing else is pending."""
        if any(pending.ordered for pending in self.stack):
            return self._stored(value)
        return value

    def _br_table(self, pc: int, instr: Instr) -> None:
        (index,) = self._pop(1)
        index = self._atom(index)
        self._settle(lambda value: value.ordered)
        branches: tuple[Branch, ...] = self.side[pc]
        runs: list[tuple[int, Branch]] = []  # where a run of equal targets begins
        for position, branch in enumerate(branches):
            if not runs or runs[-1][1] != branch:
                runs.append((position, branch))
        self._choose(index.text, runs)
        self.dead = True

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
        values = self._pop(len(self.func.signature.results))
        self._emit(f"return {', '.join(value.text for value in values)}", any(value.ordered for value in values))
        self.dead = True
