"""The auto tier: every function is interpreted until it proves hot, then compiled.

Each call and each turn of a loop takes from the function's allowance (:mod:`.life`). When that is used up, calls go to
compiled code, and a loop that is going round in the interpreter goes on in code that was compiled to be entered there.
Only what was executed so far is compiled: from the rest of a function or loop, the interpreter goes on. Nothing of this
can be observed: both tiers mean the same, and each finds the other's functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from refwasm.errors import UncaughtException
from refwasm.execution.compiler import DEEPLY_NESTED, Compiler
from refwasm.execution.compiler.boundaries import types_of_locals
from refwasm.execution.compiler.linking.cache import still_absent
from refwasm.execution.compiler.linking.deoptimization import Locals
from refwasm.execution.compiler.linking.entrance import Invocation
from refwasm.execution.compiler.linking.runtime import Conversion, SideExit, conversion_of
from refwasm.execution.interpreter import Interpreter
from refwasm.execution.interpreter.code import Code, code_of
from refwasm.execution.interpreter.exceptions import throw
from refwasm.execution.interpreter.meaning import Op
from refwasm.execution.life import TRIES, Life
from refwasm.execution.store import FuncInst, ModuleInst, Store
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.modules import Expr

R = TypeVar("R")

#: More instructions than this are rarely executed in one call or turn of a loop.
MOST = 60
END = FORMS["end"]


class Auto:
    """Executes functions of one store."""

    whole = False

    def __init__(self, store: Store) -> None:
        self.store = store
        self.interpreter = Interpreter(store)
        self.compiler = Compiler(store, self.interpreter, self)
        store.prepare = self.prepare

    def is_hot(self, func: FuncInst) -> bool:
        """Whether calls go to compiled code; with fuel they always do, since only one tier can count it."""
        if func.life is None:
            func.life = self._born(func)
        return not self.store.switches and (func.life.is_hot or self.store.settings.fuel is not None)

    def _born(self, func: FuncInst) -> Life:
        """A life at its beginning."""
        return Life(lambda: len(func.body), self.compiler.compilation.is_known(func))

    def absent(self, func: FuncInst) -> bytes:
        """What of a function nobody has executed, here or where it was executed before."""
        code: Code | None = func.code
        if func.life.is_whole:
            return b""
        return still_absent(
            self.compiler.compilation.absent(func), code.absent() if code is not None and code.ops else None
        )

    def resume(self, func: FuncInst, pc: int, locals: list[Any], stack: list[Any]) -> list[Any]:
        """Compiled code has got to what nobody had executed: the interpreter goes on. If that happens too often, more
        of the function is compiled; if one such call is inside of another, all of it."""
        life, code = func.life, code_of(func)
        if not code.ops:
            self._built(code)
            self.compiler.compilation.note(func, code.absent)
        if self.compiler.nested > DEEPLY_NESTED:
            self._compile_more(func, whole=True)
        try:
            return self.interpreter.resume(func, pc, locals, stack)
        finally:
            life.left -= MOST
            if life.left < 0:
                self._compile_more(func)

    def _compile_more(self, func: FuncInst, whole: bool = False) -> None:
        """Compile what was executed meanwhile, or the ``whole`` function."""
        if func.life.can_grow:
            func.life.compile_more(whole)
            if not self.compiler.renew(func):
                self._never(func, code_of(func))

    def _never(self, func: FuncInst, code: Code) -> Op:
        """A function can't be compiled: the closure of its first instruction is its entry."""
        code.entry, func.invocation = self._first(code), None
        func.life.fail()
        return code.entry

    def invoke(self, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function."""
        tier = self.compiler if self.is_hot(func) else self.interpreter
        return tier.invoke(func, args)

    def start(self, func: FuncInst, args: Sequence[Any], ended: Callable[[], object], label: str = "") -> None:
        """Interleaved stores are the interpreter's."""
        self.interpreter.start(func, args, ended)

    def batch(self, calls: Callable[[], R]) -> R:
        """Do what calls functions many times."""
        return self.compiler.batch(calls)

    def evaluate(self, instance: ModuleInst, expr: Expr) -> Any:
        """The value of a constant expression."""
        return self.interpreter.evaluate(instance, expr)

    def save(self) -> None:
        """Write new code to the cache now."""
        self.compiler.save()

    # ---- what the interpreter runs -----------------------------------------------------------------------------------

    def prepare(self, code: Code) -> None:
        """Make the closures of a function so that calls and loops take from its allowance."""
        func = code.func
        assert func is not None
        if self.store.watch is not None or self.store.settings.fuel is not None or self.store.switches:
            code.build()
            return
        if self.is_hot(func):
            self._compiled(func, code)
            return
        code.head = partial(self._head, code)
        code.build()
        self.compiler.compilation.note(func, code.absent)
        cost = min(len(code.body) // 4 + 1, MOST)
        code.entry = self._counted(func.life, cost, code.entry, partial(self._compiled, func, code))

    def _head(self, code: Code, pc: int, op: Op) -> Op:
        """The closure at the head of a loop: each time round takes from the allowance. What stands in front of the
        loop keeps going through it when compiled code has taken its place."""
        assert code.func is not None
        count = self._counted(code.func.life, _length(code, pc), op, partial(self._loop, code.func, code, pc))
        ops = code.ops

        def head(t: Any, s: list[Any]) -> Any:
            return count(t, s) if ops[pc] is head else ops[pc]

        return head

    def _counted(self, life: Life, cost: int, op: Op, promoted: Callable[[], Op]) -> Op:
        """Takes from an allowance and goes on with ``op``; when there is none left, with what ``promoted`` makes."""

        def count(t: Any, s: list[Any]) -> Any:
            life.left -= cost
            stays = life.left >= 0 or self.store.watch is not None or self.store.switches
            return op if stays else promoted()

        return count

    def _compiled(self, func: FuncInst, code: Code) -> Op:
        """A closure for the entry of a function: its frame is there, with the arguments; compiled code takes over."""
        self.compiler.look_at_settings()
        if self.store.settings.fuel is not None or self.store.switches:  # the agent counts what it calls
            return self._first(code)
        conversion, arity = conversion_of(func.type), code.arity
        func.life.compile()
        function = self.compiler.translated(func)
        if function is None:
            return self._never(func, code)
        again = partial(self._compiled, func, code)
        enter = self.compiler.entrance.invocation_of(function, conversion)
        op = code.entry = self._called(func, enter, arity, again)
        return op

    def _first(self, code: Code) -> Op:
        """The closure of the first instruction."""
        if not code.ops:
            self._built(code)
        return code.at(0)

    def _built(self, code: Code) -> None:
        """Make the closures of a function that is not called in the interpreter."""
        assert code.func is not None
        entry, code.head = code.entry, partial(self._head, code)
        code.build()
        code.entry = entry
        code.func.life.renew()

    def _loop(self, func: FuncInst, code: Code, pc: int, tries: int = TRIES) -> Op:
        """A closure for the head of a loop: compiled code takes over with all locals."""
        self.compiler.look_at_settings()
        if self.store.settings.fuel is not None or self.store.switches:
            return code.at(pc + 1)  # which only whole functions count
        function = self.compiler.loop_of(func, pc, self.absent(func) if tries else b"")
        func.life.renew()
        if function is None:
            code.ops[pc] = code.at(pc + 1)
            return code.ops[pc]  # type: ignore[no-any-return]
        types = types_of_locals(func)
        enter = self.compiler.entrance.invocation_of(function, Conversion(types, func.signature.results))
        left = self._left(func, code, pc, tries)
        op = code.ops[pc] = self._called(func, enter, len(types), partial(self._loop, func, code, pc, tries), left)
        return op

    def _left(self, func: FuncInst, code: Code, loop: int, tries: int) -> Callable[[Any, list[Any], SideExit], Op]:
        """What goes on when compiled code has left a loop in the middle. If that happens too often, more of the loop is
        compiled."""
        locals = Locals(func)

        def resume(t: Any, s: list[Any], exit: SideExit) -> Op:
            t.locals = locals.among(exit.variables)
            s += exit.stack
            func.life.left -= MOST
            if func.life.left < 0:
                code.ops[loop] = lambda t, s: self._loop(func, code, loop, tries - 1)
            return code.at(exit.pc)

        return resume

    def _called(
        self, func: FuncInst, enter: Invocation, arity: int, again: Callable[[], Op],
        left: Callable[[Any, list[Any], SideExit], Op] | None = None,
    ) -> Op:  # fmt: skip
        """A closure that calls compiled code in place of the frame, with the first locals; if that was compiled under
        other settings, what ``again`` gives. Where that has side exits, ``left`` goes on behind them."""
        compiler, era = self.compiler, self.compiler.era

        def op(t: Any, s: list[Any]) -> Any:
            compiler.look_at_settings()
            if compiler.era is not era:
                return again()(t, s)
            if compiler.nested > DEEPLY_NESTED:
                self._compile_more(func, whole=True)
            args = t.locals[:arity]
            frame = t.leave()
            following = frame[0]
            try:
                s += enter(args)
            except UncaughtException as error:
                if error.exception is None:
                    raise
                t.calling = None
                return throw(t, s, error.exception)
            except SideExit as exit:
                assert left is not None
                t.calling = None
                t.come_back(frame)
                return left(t, s, exit)
            t.calling = None
            return following

        return op


def _length(code: Code, start: int) -> int:
    """How many instructions a loop has, if not very many."""
    opened = 0
    for pc in range(start, min(start + MOST, len(code.body))):
        form = code.body[pc].form
        opened += form.opens - (form is END)
        if not opened:
            return pc - start
    return MOST


__all__ = ["Auto"]
