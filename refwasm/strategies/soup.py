"""Stack code: instructions in a row, as the validator admits them, and not as a tree would have them. So values wait on
the stack below others, blocks take operands, and what can't be reached has a polymorphic stack.

An intent is a number that means an instruction with its immediates. What is not valid where it would stand gets
constants as operands, or is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from refwasm.errors import Invalid
from refwasm.strategies import control
from refwasm.strategies.tables import ROLES, TYPED
from refwasm.syntax.instructions import END, FORMS, PLAIN, Form, Instr, MemArg, instr
from refwasm.syntax.types import EMPTY_BLOCK, I32, BlockType, RefType, ValType
from refwasm.validation.instructions import RULES, instr_type
from refwasm.validation.matching import is_defaultable
from refwasm.validation.stacks import Stacks

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

_INTENTS = st.lists(st.integers(0, (1 << 40) - 1), max_size=8)
#: Instructions after which nothing can be reached; only where nothing can be reached before may they leave for good.
_FINAL = frozenset({"unreachable", "return", "throw", "throw_ref", "return_call", "return_call_indirect",
                    "return_call_ref"})  # fmt: skip
_OWN = frozenset({"block", "loop", "if", "else", "end", "br", "br_if", "br_table", "drop", "select", "nop", "local.get",
                  "local.set", "local.tee", "call", "ref.is_null", "ref.as_non_null", "br_on_null", "br_on_non_null",
                  "throw", *_FINAL})  # fmt: skip


@lru_cache(maxsize=64)
def _table(features: frozenset[str]) -> list[Form]:
    """What intents mean: structure often, and each other instruction once."""
    known = [f for f in FORMS.values() if f.feature in features]
    fixed = [f for f in known if f.params is not None]
    typed = [f for f in TYPED if f.feature in features and f not in fixed]
    own = [f for f in known if f.mnemonic in _OWN]
    often = ["nop", "br", "block", "drop", "local.get", "local.set", "end", "loop", "if", "select", "call"]
    return [*([FORMS[name] for name in often] * 8), *own, *fixed, *typed]


def statement(body: Body) -> None:
    """Stack code: in a block, if something branches to its end or it has an end that can't be reached."""
    if control.is_nested(body):
        return
    start = len(body.out)
    control.block(body, "block", (), ())
    soup = Soup(body)
    for intent in body.drawing.draw(_INTENTS):
        soup.intend(intent)
    soup.close_all()
    is_dead = soup.stacks.control.unreachable
    control.end(body)
    if not is_dead and not _is_target(body.out[start:]):
        del body.out[start], body.out[-1]


def _is_target(code: Sequence[Instr]) -> bool:
    """Whether something in a block branches to its label; ``code`` begins with the block."""
    depth = -1
    for instruction in code:
        depth += instruction.form.opens - (instruction.form is END.form)
        if "label" in instruction.form.immediates and instruction.args[0] == depth:
            return True
    return False


class Soup:
    """Stack code that is being made, in a block without operands and results that is open in the body."""

    def __init__(self, body: Body) -> None:
        self.body, self.scope = body, body.scope
        self.stacks = stacks = Stacks(body.scope.context, body.locals, body.results, body.scope.context.types)
        for label in body.labels[:-1]:
            stacks.open("loop" if label.is_loop else "block", label.types if label.is_loop else (), label.types)
        stacks.open("block", (), ())
        self.base = len(stacks.controls)
        self.table = _table(body.config.features)

    def intend(self, intent: int) -> None:
        """Emit what an intent means here, if anything; 0 means nothing."""
        rest, index = divmod(intent, len(self.table) + 1)
        if not index:
            return
        form = self.table[index - 1]
        if form.feature not in self.scope.features or not self._is_allowed(form):
            return
        instruction = self._instruction(form, rest)
        if instruction is not None and not self._append(instruction):
            self._supplied(instruction)

    def _is_allowed(self, form: Form) -> bool:
        """Dead code may hold anything; what is alive goes on behind the block, and traps only if that is wanted."""
        if self.stacks.control.unreachable:
            return True
        if form.mnemonic in _FINAL:
            return False
        may_trap = form.takes_address or form.mnemonic in ROLES or form.calls
        return not may_trap or self.body.config.traps == "allowed"

    def _instruction(self, form: Form, k: int) -> Instr | None:
        """The form with immediates that the number decides; None: there are none."""
        name, words = form.mnemonic, form.immediates
        if form in TYPED and words:
            found = self.scope.candidates(form)
            return found[k % len(found)][0] if found else None
        if name in ("block", "loop"):
            numbers = self.scope.numbers()
            return instr(name, BlockType(None, numbers[k % len(numbers)]) if k % 3 == 2 else EMPTY_BLOCK)
        if name == "if":
            return instr(name, EMPTY_BLOCK)
        if name in ("else", "end"):
            is_open = len(self.stacks.controls) > self.base
            return PLAIN[name] if is_open and (name == "end" or self.stacks.control.opener == "if") else None
        args = [self._immediate(form, word, k) for word in words]
        return None if None in args else instr(name, *args)

    def _immediate(self, form: Form, word: str, k: int) -> Any:
        if word in ("label", "local", "func", "tag"):
            found = self._indices(word)
            return found[k % len(found)] if found else None
        if word == "labels":
            return None
        if word.startswith("memarg"):
            return self._access(form, k)
        if word == "lane":
            shape = form.mnemonic.partition(".")[0].partition("x")[2]
            return k % (16 // form.width if form.width else int(shape))
        if word == "lanes":
            return tuple((k + (k >> 5) * i) % 32 for i in range(16))
        return k & (1 << int(word[1:])) - 1 if word in ("i32", "i64", "f32", "f64", "v128") else None

    def _access(self, form: Form, k: int) -> MemArg | None:
        memories, natural = len(self.scope.context.memories), form.width.bit_length() - 1
        align = natural if form.feature == "threads" else k % (natural + 1)
        return MemArg(k % memories, align, k % 64) if memories else None

    def _indices(self, word: str) -> list[int]:
        """What an index may be: labels of this code only, since others may be loops."""
        if word == "label":
            depths = range(len(self.stacks.controls) - self.base + 1)
            return [d for d in depths if self.stacks.controls[-1 - d].opener != "loop"]
        if word == "local":
            return [i for i, t in enumerate(self.body.locals) if self.body.can_set(i) and is_defaultable(t)]
        return list(range(self.scope.callable() if word == "func" else len(self.scope.context.tags)))

    def _append(self, instruction: Instr) -> bool:
        """Emit an instruction if it is valid; nothing is changed otherwise."""
        stacks = self.stacks
        before = list(stacks.operands)
        rule = RULES.get(instruction.form)
        try:
            if rule is not None:
                rule(stacks, instruction)
            else:
                stacks.pop_all(instruction.form.params or [])
                stacks.operands += instruction.form.results or []
        except Invalid:
            stacks.operands[:] = before
            return False
        self.body.emit(instruction)
        return True

    def _supplied(self, instruction: Instr) -> None:
        """Emit an instruction with constants as its operands."""
        for t in self._params(instruction):
            if isinstance(t, RefType) and not t.nullable and not self.scope.constructible(t.heap):
                return
            self._constant(t)
        self._append(instruction)

    def _constant(self, t: ValType) -> None:
        """Emit a constant, as the stacks see it."""
        start = len(self.body.out)
        self.body.leaf(t)
        made, self.body.out[start:] = self.body.out[start:], []
        for each in made:
            self._append(each)

    def _params(self, instruction: Instr) -> list[ValType]:
        try:
            return instr_type(self.scope.context, instruction)[0]
        except (KeyError, Invalid):
            pass
        name, locals = instruction.form.mnemonic, self.body.locals
        if name in ("local.set", "local.tee"):
            return [locals[instruction.args[0]]]
        return [I32] if name == "if" else [I32, I32, I32] if name == "select" else [I32] if name == "drop" else []

    def close_all(self) -> None:
        """Close what is open, and take from the stack what is left."""
        while len(self.stacks.controls) >= self.base:
            control = self.stacks.control
            while len(self.stacks.operands) > control.height:
                self._append(PLAIN["drop"])
            if len(self.stacks.controls) == self.base:
                return
            for t in control.results:
                self._constant(t)
            self._append(END)
