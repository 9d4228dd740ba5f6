"""Code: the closures of one function, built when it is first called."""

from __future__ import annotations

from typing import Any

from refwasm.execution.interpreter.meaning import MEANINGS, Op
from refwasm.execution.store import FuncInst, ModuleInst
from refwasm.execution.values import default
from refwasm.garbage import makes_what_stays
from refwasm.syntax.modules import Expr
from refwasm.validation.functions import SideTable


class Code:
    """The executable form of a function body or constant expression.

    ``entry`` is where execution starts, ``ops[pc]`` the closure of instruction ``pc``. Instructions that only give
    structure (``block``, ``loop``, ``end``, ``nop``) have no closure of their own: their entry is the following one.
    ``zeros`` are the initial values of the declared locals.
    """

    __slots__ = ("func", "instance", "store", "body", "side", "ops", "entry", "arity", "zeros")

    body: Expr
    side: SideTable

    def __init__(self, instance: ModuleInst, source: FuncInst | Expr) -> None:
        self.func = func = source if isinstance(source, FuncInst) else None
        self.instance = instance
        self.store = instance.store
        if not isinstance(source, FuncInst):
            self.body, self.side = source, {}
        self.ops: list[Op] = []
        self.entry: Op = self._first_entry
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

    @makes_what_stays
    def build(self) -> None:
        """Make the closures."""
        if self.func is not None:  # now, since a known module decodes its functions on demand
            self.body, self.side = self.func.func.body, self.func.side
        body = self.body
        ops: list[Any] = [None] * len(body)
        self.ops = ops
        following: Any = leave
        ops[-1] = following
        meanings = MEANINGS
        for pc in range(len(body) - 2, -1, -1):
            instr = body[pc]
            following = ops[pc] = meanings[instr.form](self, instr, pc, following)
        self.entry = ops[0]


def leave(agent: Any, stack: list[Any]) -> Any:
    """The final ``end`` of a body: the results are on the stack; go on where the caller was."""
    following, agent.locals, _ = agent.frames.pop()
    return following


def code_of(func: FuncInst) -> Code:
    """The code of a function, made once."""
    code = func.code
    if code is None:
        code = func.code = Code(func.module, func)
    return code  # type: ignore[no-any-return]
