"""Asyncify: functions that can stop in the middle, return, and go on there when they are called again.

Kernels can't wait for each other, since iterations may run one after the other. So a function that meets a barrier
*unwinds*: it leaves its local variables in memory and returns, and so do its callers; later all of them are called
again and *rewind* to where they were. (The name is that of Binaryen's pass, which does the same to whole programs.)

Only functions from which a barrier can be reached are changed. Their code is cut at the calls that may stop. The pieces
between run only while nothing unwinds or rewinds; blocks, loops and ifs with such calls inside stay what they are, so
that rewinding falls into them. Operands that are on the stack at a cut are kept in local variables meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.syntax.instructions import END, PLAIN, Catch, Instr, MemArg, instr
from refwasm.syntax.modules import Func, Module
from refwasm.syntax.types import I32, BlockType, FuncType, NumType, RefType, ValType
from refwasm.toolchain.entry import IF, REWINDING, UNWINDING, Coroutine, assign, get, i32, variable
from refwasm.toolchain.errors import ToolchainError
from refwasm.validation.modules import operand_types

#: After one of these nothing follows in its block.
_LEAVING = frozenset(
    {"br", "br_table", "return", "unreachable", "return_call", "return_call_indirect", "throw", "throw_ref"}
)
_CALLS = frozenset({"call", "call_indirect"})


def asyncify(module: Module, waiting: set[int], outside: set[int], coroutine: Coroutine) -> Module:
    """The module with functions that can stop. ``waiting`` are those from which a barrier can be reached; of them the
    ones ``outside`` stay as they are: they start and continue coroutines, or stop them."""
    validated = e.module_validate(module)
    types: list[FuncType] = [sub.composite for rec in module.types for sub in rec.subtypes]  # type: ignore[misc]
    by_pointer = {types[module.funcs[init[0].args[0]].type]
                  for elem in module.elems for init in elem.inits if init[0].args[0] in waiting}  # fmt: skip
    funcs = list(module.funcs)
    changed = sorted(waiting - outside)
    operands = operand_types(validated, changed)
    for index in changed:
        source = _Source(module, types, waiting, by_pointer, funcs[index], operands[index])
        funcs[index] = _Rewriter(source, coroutine).func()
    return module._replace(funcs=tuple(funcs))


class _Source:
    """A function with what is known of its instructions."""

    def __init__(
        self, module: Module, types: Sequence[FuncType], waiting: set[int], by_pointer: set[FuncType], func: Func,
        operands: Sequence[tuple[ValType, ...]],
    ) -> None:  # fmt: skip
        self.func, self.operands = func, operands
        self.types, self.module = types, module
        self.waiting, self.by_pointer = waiting, by_pointer
        self.type = types[func.type]
        self.local_types = [*self.type.params, *(t for count, t in func.locals for _ in range(count))]

    def called(self, instruction: Instr) -> FuncType:
        """The type of what a call calls."""
        index = instruction.args[0]
        t: int = self.module.funcs[index].type if instruction.form.mnemonic == "call" else index
        return self.types[t]

    def may_stop(self, instruction: Instr) -> bool:
        """Whether an instruction is a call that may reach a barrier."""
        name = instruction.form.mnemonic
        if instruction.form.is_tail_call and self._reaches(name.removeprefix("return_"), instruction):
            raise ToolchainError("a tail call that may wait at a barrier: compile with -mno-tail-call")
        return name in _CALLS and self._reaches(name, instruction)

    def _reaches(self, name: str, instruction: Instr) -> bool:
        if name == "call":
            return instruction.args[0] in self.waiting
        return self.types[instruction.args[0]] in self.by_pointer


class _Block(NamedTuple):
    """A block, loop, if or try_table: the index of its opener, of its else (or None) and of its end."""

    start: int
    middle: int | None
    end: int
    stops: bool


class _Rewriter:
    """Makes the new code of one function, from the outside to the inside."""

    def __init__(self, source: _Source, coroutine: Coroutine) -> None:
        self.source, self.coroutine = source, coroutine
        self.body = source.func.body
        self.blocks = _blocks(source)
        self.locals: list[ValType] = list(source.local_types)
        self.at = self._new(I32)  # the call that stopped
        self.slots: dict[tuple[int, ValType], int] = {}
        self.calls = 0
        self.out: list[Instr] = []
        self.positions: list[int] = []
        self.position = 0
        self.labels: list[int] = []  # for each block of the old code, how many are open around it in the new code
        self.open = 0  # blocks that are open in the new code

    # ---- the frame around the body -----------------------------------------------------------------------------------

    def func(self) -> Func:
        """The function that can stop."""
        inner = self._inside()
        size = sum(_size(t) for _, t in self._saved())
        restore = self._restore(size)
        out = [*restore, *inner, *self._save(size), *map(_zero, self.source.type.results), END]
        positions = self.source.func.positions
        first = positions[0] if positions else 0
        before = len(restore)
        placed = [first] * before + self.positions + [first] * (len(out) - before - len(self.positions))
        params = len(self.source.type.params)
        own = [(1, t) for t in self.locals[params:]]
        return Func(self.source.func.type, tuple(own), tuple(out), placed if positions else ())

    def _inside(self) -> list[Instr]:
        results = self.source.type.results
        self._open(instr("block", BlockType()))
        if len(results) > 1:
            raise ToolchainError("a function with several results waits at a barrier: compile without multivalue")
        self._open(instr("block", BlockType(None, results[0] if results else None)))
        self.labels.append(self.open - 1)
        self._sequence(0, len(self.body) - 1, 0, self.open - 1, self._slots(results, 0))
        self._close()
        self._emit(PLAIN["return"])
        self._close()
        return self.out

    def _restore(self, size: int) -> list[Instr]:
        """Rewinding: take the local variables back, the caller's first."""
        saved = self.coroutine.saved
        out = [variable(self.coroutine.state), i32(REWINDING), instr("i32.eq"), IF]
        out += [variable(saved), i32(size), instr("i32.sub"), assign(saved)]
        offset = 0
        for local, t in self._saved():
            out += [variable(saved), instr(f"{t!r}.load", MemArg(0, 0, offset)), instr("local.set", local)]
            offset += _size(t)
        return [*out, END]

    def _saved(self) -> Iterator[tuple[int, NumType]]:
        """The local variables that stay. References don't: an exception is only held while it is caught and thrown
        again, and what is destroyed meanwhile does not wait."""
        return ((local, t) for local, t in enumerate(self.locals) if isinstance(t, NumType))

    def _save(self, size: int) -> list[Instr]:
        """Unwinding: leave the local variables; trap if there is no room."""
        saved = self.coroutine.saved
        out = [variable(saved), i32(size), instr("i32.add"), variable(self.coroutine.limit), instr("i32.gt_u"), IF,
               PLAIN["unreachable"], END]  # fmt: skip
        offset = 0
        for local, t in self._saved():
            out += [variable(saved), get(local), instr(f"{t!r}.store", MemArg(0, 0, offset))]
            offset += _size(t)
        return [*out, variable(saved), i32(size), instr("i32.add"), assign(saved)]

    # ---- emitting ----------------------------------------------------------------------------------------------------

    def _emit(self, *instructions: Instr) -> None:
        self.out += instructions
        self.positions += [self.position] * len(instructions)

    def _open(self, opener: Instr) -> None:
        self._emit(opener)
        self.open += 1

    def _close(self) -> None:
        self._emit(END)
        self.open -= 1

    def _new(self, t: ValType) -> int:
        self.locals.append(_nullable(t))
        return len(self.locals) - 1

    def _slot(self, place: int, t: ValType) -> int:
        """The local variable for an operand at a place of the stack."""
        if (place, t) not in self.slots:
            self.slots[place, t] = self._new(t)
        return self.slots[place, t]

    def _slots(self, operands: Sequence[ValType], base: int) -> list[int]:
        return [self._slot(place, t) for place, t in enumerate(operands) if place >= base]

    def _keep(self, slots: Sequence[int]) -> None:
        self._emit(*(instr("local.set", slot) for slot in reversed(slots)))

    # ---- sequences ---------------------------------------------------------------------------------------------------

    def _sequence(self, start: int, end: int, base: int, level: int, results: Sequence[int]) -> None:
        """The instructions of a block, from ``start`` to before ``end``; ``base`` operands belong to blocks around it.
        What it leaves on the stack goes to the block at ``level`` by a branch. Who rewinds to a place after the block
        comes to its end, and leaves the local variables for its ``results`` as they are."""
        index = start
        while True:
            stop = self._cut(index, end)
            if (stop > index or stop == end) and self._piece(index, stop, end, base, level):
                break
            index = self._stopping(stop, base)
        self._emit(*map(get, results))

    def _cut(self, start: int, end: int) -> int:
        """The first instruction that may stop, or ``end``."""
        index = start
        while index < end:
            block = self.blocks.get(index)
            if block is not None:
                if block.stops:
                    return index
                index = block.end
            elif self.source.may_stop(self.body[index]):
                return index
            index += 1
        return end

    def _piece(self, start: int, stop: int, end: int, base: int, level: int) -> bool:
        """Code that never stops, run only while all is normal; whether it ends by leaving."""
        self._emit(variable(self.coroutine.state), instr("i32.eqz"))
        self._open(IF)
        self._emit(*map(get, self._slots(self.source.operands[start], base)))
        left = self._copy(start, stop)
        if not left and stop == end:
            self._emit(instr("br", self.open - level - 1))
        elif not left:
            self._keep(self._slots(self.source.operands[stop], base))
        self._close()
        return left or stop == end

    def _copy(self, start: int, stop: int) -> bool:
        """Copy instructions, with their branches redirected; whether they end by leaving."""
        depth = 0
        positions = self.source.func.positions
        for index in range(start, stop):
            instruction = self.body[index]
            name = instruction.form.mnemonic
            if positions:
                self.position = positions[index]
            self._emit(self._redirected(instruction, depth))
            if index in self.blocks:
                depth += 1
            elif name == "end":
                depth -= 1
            elif name in _LEAVING and depth == 0:
                return True
        return False

    def _redirected(self, instruction: Instr, depth: int) -> Instr:
        """An instruction with labels for the new code; ``depth`` blocks are open since the piece began."""
        kinds = instruction.form.immediates
        if not {"label", "labels", "cast", "catches"}.intersection(kinds):
            return instruction
        if "labels" in kinds:
            labels, default = instruction.args
            return instr(
                instruction.form.mnemonic, tuple(self._label(x, depth) for x in labels), self._label(default, depth)
            )
        if "catches" in kinds:
            block, catches = instruction.args
            moved = tuple(Catch(c.kind, c.tag, self._label(c.label, depth)) for c in catches)
            return instr(instruction.form.mnemonic, block, moved)
        return instr(instruction.form.mnemonic, self._label(instruction.args[0], depth), *instruction.args[1:])

    def _label(self, label: int, depth: int) -> int:
        if label < depth:
            return label
        return depth + self.open - self.labels[-1 - (label - depth)] - 1

    # ---- what may stop -----------------------------------------------------------------------------------------------

    def _stopping(self, index: int, base: int) -> int:
        """A call or a block that may stop; the index of the instruction after it."""
        if self.source.func.positions:
            self.position = self.source.func.positions[index]
        block = self.blocks.get(index)
        if block is None:
            self._call(index)
            return index + 1
        self._nested(block)
        return block.end + 1

    def _call(self, index: int) -> None:
        """Call while all is normal, or if this is the call that stopped; leave if it stops."""
        instruction, operands = self.body[index], self.source.operands[index]
        t = self.source.called(instruction)
        taken = len(t.params) + (instruction.form.mnemonic == "call_indirect")
        below = len(operands) - taken
        number, state = self.calls, self.coroutine.state
        self.calls += 1
        self._emit(variable(state), instr("i32.eqz"), get(self.at), i32(number), instr("i32.eq"), instr("i32.or"))
        self._open(IF)
        self._emit(*map(get, self._slots(operands, below)), instruction)
        self._keep(self._slots((*operands[:below], *t.results), below))
        self._emit(variable(state), i32(UNWINDING), instr("i32.eq"))
        self._open(IF)
        self._emit(i32(number), instr("local.set", self.at), instr("br", self.open - 1))
        self._close()
        self._close()

    def _nested(self, block: _Block) -> None:
        """A block with something inside that may stop."""
        opener = self.body[block.start]
        name = opener.form.mnemonic
        operands = self.source.operands[block.start]
        params, results = self._signature(opener.args[0])
        if params:
            raise ToolchainError("a block with parameters waits at a barrier: compile without multivalue")
        base = len(operands) - (name == "if")
        if name == "if":
            # The condition must be the same again for whoever rewinds; its slot may be used inside.
            slot, kept = self._slots(operands, base)[0], self._new(I32)
            self._emit(get(slot), get(kept), variable(self.coroutine.state), instr("i32.eqz"), PLAIN["select"])
            self._emit(instr("local.tee", kept))
        if name == "loop":
            self._open(instr("block", opener.args[0]))
            self._open(instr("loop", opener.args[0]))
        elif name == "try_table":
            self._open(self._redirected(opener, 0))
        else:
            self._open(opener)
        target = self.open - (2 if name == "loop" else 1)
        self.labels.append(self.open - 1)
        middle = block.end if block.middle is None else block.middle
        left = self._slots((*operands[:base], *results), base)
        self._sequence(block.start + 1, middle, base, target, left)
        if block.middle is not None:
            self._emit(PLAIN["else"])
            self._sequence(block.middle + 1, block.end, base, target, left)
        self.labels.pop()
        self._close()
        if name == "loop":
            self._close()
        self._keep(left)

    def _signature(self, t: BlockType) -> tuple[Sequence[ValType], Sequence[ValType]]:
        if t.index is not None:
            found = self.source.types[t.index]
            return found.params, found.results
        return (), () if t.result is None else (t.result,)


def _blocks(source: _Source) -> dict[int, _Block]:
    """The blocks of a function by their openers."""
    found: dict[int, _Block] = {}
    opened: list[list[int | bool | None]] = []  # start, middle, whether something in it stops
    for index, instruction in enumerate(source.func.body):
        name = instruction.form.mnemonic
        if "block" in instruction.form.immediates:
            opened.append([index, None, False])
        elif name == "else":
            opened[-1][1] = index
        elif name == "end" and opened:
            start, middle, stops = opened.pop()
            found[int(start or 0)] = _Block(int(start or 0), middle, index, bool(stops))
            if opened and stops:
                opened[-1][2] = True
        elif opened and source.may_stop(instruction):
            opened[-1][2] = True
    return found


def _size(t: NumType) -> int:
    return t.bits // 8


def _nullable(t: ValType) -> ValType:
    """The type of a local variable that holds such a value, or nothing."""
    return RefType(True, t.heap) if isinstance(t, RefType) else t


def _zero(t: ValType) -> Instr:
    assert isinstance(t, NumType), "C has no functions that return references"
    return instr(f"{t!r}.const", 0)
