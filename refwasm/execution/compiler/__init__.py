"""The compiler tier: WebAssembly functions as Python functions.

A function is translated when it is first called (:mod:`.translation`). What nests too deeply for CPython, the other
tier runs, and everything that it calls. So does a store that is interleaved or watched.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from types import CodeType, TracebackType
from typing import Any, Protocol

from refwasm.errors import BACKTRACE, Exhaustion, ResourceLimit, StackEntry, Trap
from refwasm.execution.compiler.memory import memory_bound
from refwasm.execution.compiler.namespace import Namespace
from refwasm.execution.compiler.runtime import Conversion, Function, host_caller, reference, table_lookup, trampoline
from refwasm.execution.compiler.source import Spans, instruction_at
from refwasm.execution.compiler.translation import Translation, Untranslatable
from refwasm.execution.store import AnyFunc, FuncInst, HostFunc, ModuleInst, Store, Tier
from refwasm.syntax.modules import Expr

#: Python frames that the rest of the program may need besides those of WebAssembly calls.
SPARE_FRAMES = 5_000
#: Variables of all frames of functions with many of them, about 100 MB.
MAX_VARIABLES = 10_000_000
#: Iterations of loops between two looks at the limits.
POLL = 20_000


class Interpreting(Tier, Protocol):
    """The other tier: it also knows what one instruction means by itself."""

    def operation(self, func: FuncInst, pc: int) -> Function:
        """An instruction that works on its operands only, as a function that takes them and gives the result: one by
        itself, none as None."""


class Compiled:
    """A function that was translated: the Python function, and the way back from positions in it."""

    __slots__ = ("func", "code", "spans")

    def __init__(self, func: FuncInst, code: CodeType, spans: Spans) -> None:
        self.func, self.code, self.spans = func, code, spans


class Compiler:
    """Executes functions of one store. ``fallback`` runs what is not translated."""

    def __init__(self, store: Store, fallback: Interpreting) -> None:
        self.store = store
        self.fallback = fallback
        self.polls = self.fuel = False
        self.variables = 0  # of the frames of functions with many
        self.functions: dict[FuncInst, Function] = {}
        self.namespaces: dict[ModuleInst, Namespace] = {}
        # By the identity of code objects: two functions of the same text have equal ones. The entry keeps its own.
        self.places: dict[int, Compiled] = {}
        self.shared: list[Any] = []  # memories that other processes may grow

    # ---- calls from outside ------------------------------------------------------------------------------------------

    def invoke(self, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function."""
        store, settings = self.store, self.store.settings
        if store.interleaved is not None or store.watch is not None:
            return self.fallback.invoke(func, args)
        polls = settings.deadline is not None or settings.interrupted is not None
        if polls and not self.polls or (settings.fuel is not None) is not self.fuel:
            self._restart(polls, settings.fuel is not None)
        for memory in self.shared:
            memory.refresh()
        conversion = Conversion(func.signature)
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, settings.call_depth + SPARE_FRAMES))
        try:
            return conversion.outward(self.callable_of(func)(*conversion.inward(args)))
        except Trap as trap:
            if not trap.backtrace:
                trap.backtrace = self._backtrace(trap)
            raise
        except RecursionError as error:
            exhausted = Exhaustion("call stack exhausted")
            exhausted.backtrace = self._entries(error.__traceback__)
            raise exhausted from None
        finally:
            sys.setrecursionlimit(limit)
            if settings.fuel is not None:
                settings.fuel = max(settings.fuel, 0)

    def start(self, func: FuncInst, args: Sequence[Any], ended: Callable[[], object]) -> None:
        """Interleaved stores are the interpreter's."""
        self.fallback.start(func, args, ended)

    def evaluate(self, instance: ModuleInst, expr: Expr) -> Any:
        """The value of a constant expression."""
        return self.fallback.evaluate(instance, expr)

    def _restart(self, polls: bool, fuel: bool) -> None:
        """From now on loops look at the limits, or fuel is counted: what was translated otherwise is forgotten."""
        self.polls, self.fuel = polls or self.polls, fuel
        self.functions.clear()
        self.namespaces.clear()

    def poll(self) -> int:
        """Called by loops now and then."""
        settings = self.store.settings
        if settings.deadline is not None and time.monotonic() > settings.deadline:
            raise ResourceLimit("time limit exceeded")
        if settings.interrupted is not None and settings.interrupted():
            raise ResourceLimit("interrupted")
        return POLL

    def heavy(self, variables: int) -> None:
        """A function with many variables is entered."""
        self.variables += variables
        if self.variables > MAX_VARIABLES:
            self.variables -= variables
            raise Exhaustion("call stack exhausted")

    def light(self, variables: int) -> None:
        """It is left."""
        self.variables -= variables

    # ---- functions ---------------------------------------------------------------------------------------------------

    def callable_of(self, func: AnyFunc) -> Function:
        """A function as generated code calls it."""
        if isinstance(func, HostFunc):
            return Conversion(func.signature).wrapped(host_caller(self.store, func, self.shared))
        function = self.functions.get(func)
        if function is None:
            function = self.functions[func] = self._translated(func)
        return function

    def _translated(self, func: FuncInst) -> Function:
        try:
            compiled = self.compile(func)
        except (Untranslatable, SyntaxError, RecursionError, MemoryError):  # CPython's limits
            return Conversion(func.signature).wrapped(lambda *args: self.fallback.invoke(func, args))
        namespace = self._namespace(func.module)
        namespace.bind(compiled.code)
        exec(compiled.code, namespace.names)
        function: Function = namespace.names.pop("f")
        code = function.__code__
        self.places[id(code)] = Compiled(func, code, compiled.spans)
        if "TailCall" in code.co_names:
            function = trampoline(function)
        namespace.names[f"f{func.index}"] = function
        return function

    def compile(self, func: FuncInst) -> Compiled:
        """Translate a function. Raises Untranslatable, and what CPython raises for code beyond its limits."""
        source = Translation(func, self.polls, self.fuel).run()
        code = compile(source.text(), f"<function {func.index}>", "exec")
        return Compiled(func, code, source.spans())

    def _namespace(self, instance: ModuleInst) -> Namespace:
        namespace = self.namespaces.get(instance)
        if namespace is None:
            own = {
                "found": table_lookup(self.callable_of), "referred": reference(self.callable_of), "poll": self.poll,
                "heavy": self.heavy, "light": self.light, "S": self.store.settings,
            }  # fmt: skip
            namespace = self.namespaces[instance] = Namespace(instance, own, self.callable_of, self.fallback.operation)
            self.shared += [memory for memory in instance.memories if memory.shared and memory not in self.shared]
        return namespace

    # ---- backtraces --------------------------------------------------------------------------------------------------

    def _backtrace(self, trap: Trap) -> list[StackEntry]:
        """The active calls, innermost first."""
        if trap.__cause__ is not None:  # an IndexError in the innermost function
            inner = self._entries(trap.__cause__.__traceback__)
            return [*inner, *self._entries(trap.__traceback__)[1:]]
        return self._entries(trap.__traceback__)

    def _entries(self, traceback: TracebackType | None) -> list[StackEntry]:
        innermost: deque[TracebackType] = deque(maxlen=BACKTRACE)
        while traceback is not None:
            if id(traceback.tb_frame.f_code) in self.places:
                innermost.append(traceback)
            traceback = traceback.tb_next
        return [_entry(self.places[id(found.tb_frame.f_code)], found) for found in reversed(innermost)]


def _entry(compiled: Compiled, traceback: TracebackType) -> StackEntry:
    positions = traceback.tb_frame.f_code.co_positions()
    line, _, column, _ = next(islice(positions, traceback.tb_lasti // 2, None))
    pc = instruction_at(compiled.spans, line or traceback.tb_lineno, column)
    func = compiled.func
    module, places = func.module.module, func.func.positions
    location = module.locate(places[pc]) if module.locate is not None and pc < len(places) else ""
    return StackEntry(func.index, module.names.of("func", func.index), location)


__all__ = ["Compiler", "memory_bound"]
