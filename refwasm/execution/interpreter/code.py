"""Code: the closures of one function, built as execution gets to them.

Most of a large function is never executed. So a closure is made when somebody arrives at its instruction, together with
all that follow up to the next jump. What was never built was never executed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.execution.interpreter.meaning import MEANINGS, Op
from refwasm.execution.store import FuncInst, ModuleInst
from refwasm.execution.values import default
from refwasm.garbage import makes_what_stays
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.modules import Expr
from refwasm.validation.functions import SideTable

_ELSE = FORMS["else"]  # where a then-arm ends: it goes on behind the other one
#: Instructions that never go on with the following one by themselves.
_JUMPS = frozenset(form for form in FORMS.values() if form.is_final) | {FORMS["if"]}
_STRUCTURE = frozenset(FORMS[name] for name in ("block", "loop", "else", "end", "nop"))
#: So many closures are made between two looks at the limits.
PIECE = 20_000


class Code:
    """The executable form of a function body or constant expression.

    ``entry`` is where execution starts, ``ops[pc]`` the closure of instruction ``pc``, or None until somebody gets
    there. Instructions that only give structure (``block``, ``loop``, ``else``, ``end``, ``nop``) have no closure of
    their own: their entry is the following one. ``head`` may put another one in its place at the head of a loop.
    ``zeros`` are the initial values of the declared locals.
    """

    __slots__ = ("func", "instance", "store", "body", "side", "ops", "entry", "head", "arity", "zeros",
                 "__weakref__")  # fmt: skip

    body: Expr
    side: SideTable

    def __init__(self, instance: ModuleInst, source: FuncInst | Expr) -> None:
        self.func = func = source if isinstance(source, FuncInst) else None
        self.instance = instance
        self.store = instance.store
        if not isinstance(source, FuncInst):
            self.body, self.side = source, {}
        self.ops: list[Any] = []
        self.entry: Op = self._first_entry
        self.head: Callable[[int, Op], Op] | None = None
        self.arity = 0 if func is None else len(func.signature.params)
        self.zeros: list[Any] = []
        if func is not None:
            for count, t in func.func.locals:
                self.zeros += [default(t)] * count

    def _first_entry(self, agent: Any, stack: list[Any]) -> Any:
        if self.store.prepare is None or self.func is None:
            self.build()
        else:
            self.store.prepare(self)
        return self.entry(agent, stack)

    def build(self) -> None:
        """Make the closures that come first, and room for the others."""
        if self.func is not None:  # now, since both may be deferred
            self.body, self.side = self.func.body, self.func.side
        self.ops = [None] * len(self.body)
        self.ops[-1] = leave
        self.entry = self.at(0)

    def absent(self) -> bytes:
        """A byte for each instruction: 1 if nobody has got to it."""
        return bytes(op is None for op in self.ops)

    def at(self, pc: int) -> Op:
        """The closure of an instruction."""
        return self.ops[pc] or self.arrive(pc)

    @makes_what_stays
    def arrive(self, pc: int) -> Op:
        """Make the closures from an instruction on, where nobody has been before."""
        ops, body, meanings, first = self.ops, self.body, MEANINGS, pc
        way, around = [], self.store.around
        while ops[pc] is None:
            way.append(pc)
            form = body[pc].form
            if form in _JUMPS:
                break
            pc = self.side[pc].pc if form is _ELSE else pc + 1
        following: Any = ops[pc]
        while way:
            piece = way[-PIECE:]
            del way[-PIECE:]
            for pc in reversed(piece):
                instr = body[pc]
                following = ops[pc] = meanings[instr.form](self, instr, pc, following)
                if around is not None and instr.form not in _STRUCTURE:
                    following = ops[pc] = around(self, instr, following)
            if way:  # what is there already can stay if this raises
                self.store.settings.check()
        return ops[first]  # type: ignore[no-any-return]


def leave(agent: Any, stack: list[Any]) -> Any:
    """The final ``end`` of a body: the results are on the stack; go on where the caller was."""
    following, agent.locals, _, _ = agent.frames.pop()
    return following


def code_of(func: FuncInst) -> Code:
    """The code of a function, made once."""
    code = func.code
    if code is None:
        code = func.code = Code(func.module, func)
    return code  # type: ignore[no-any-return]
