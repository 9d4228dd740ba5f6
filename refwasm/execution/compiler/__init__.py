"""The compiler tier: WebAssembly functions as Python functions.

A function is translated when it is first called (:mod:`.translation`); what the translation does not know, the
interpreter runs, and everything that it calls. So does a store with fuel, since only the interpreter counts
instructions, and one that is interleaved or watched.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from refwasm.errors import Exhaustion, ResourceLimit, StackEntry, Trap
from refwasm.execution.compiler.control import Untranslatable
from refwasm.execution.compiler.runtime import HELPERS, host_caller, table_lookup
from refwasm.execution.compiler.source import instruction_at
from refwasm.execution.compiler.translation import Translation, operation_name
from refwasm.execution.numerics import OPERATIONS
from refwasm.execution.store import AnyFunc, FuncInst, HostFunc, ModuleInst, Store, Tier
from refwasm.syntax.modules import Expr

#: Python frames that a call of WebAssembly takes at most, and what the rest of the program may need.
FRAMES_PER_CALL, SPARE_FRAMES = 1, 5_000
#: Entries kept of a backtrace, counted from the innermost call.
BACKTRACE = 50
#: Variables of all frames of functions with many of them, about 100 MB.
MAX_VARIABLES = 10_000_000
#: Iterations of loops between two looks at the limits.
POLL = 20_000

Function = Callable[..., Any]


class Compiler:
    """Executes functions of one store. ``fallback`` runs what is not translated."""

    def __init__(self, store: Store, fallback: Tier) -> None:
        self.store = store
        self.fallback = fallback
        self.polls = False
        self.variables = 0  # of the frames of functions with many
        self.functions: dict[FuncInst, Function] = {}
        self.namespaces: dict[ModuleInst, dict[str, Any]] = {}
        # By the identity of code objects: two functions of the same text have equal ones. The function keeps its own.
        self.places: dict[int, tuple[Function, FuncInst, dict[int, list[tuple[int, int, int]]]]] = {}
        self.found = table_lookup(self.callable_of)

    # ---- calls from outside ------------------------------------------------------------------------------------------

    def invoke(self, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function."""
        settings = self.store.settings
        if settings.fuel is not None or self.store.interleaved is not None or self.store.watch is not None:
            return self.fallback.invoke(func, args)
        if not self.polls and (settings.deadline is not None or settings.interrupted is not None):
            self._start_polling()
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, settings.call_depth * FRAMES_PER_CALL + SPARE_FRAMES))
        try:
            result = self.callable_of(func)(*args)
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
        count = len(func.signature.results)
        return [result] if count == 1 else list(result) if count else []

    def start(self, func: FuncInst, args: Sequence[Any], ended: Callable[[], object]) -> None:
        """Interleaved stores are the interpreter's."""
        self.fallback.start(func, args, ended)

    def evaluate(self, instance: ModuleInst, expr: Expr) -> Any:
        """The value of a constant expression."""
        return self.fallback.evaluate(instance, expr)

    def _start_polling(self) -> None:
        """From now on loops look at the limits: what was translated without is forgotten."""
        self.polls = True
        self.functions.clear()
        self.namespaces.clear()
        self.found = table_lookup(self.callable_of)

    def _poll(self) -> int:
        """Called by loops now and then."""
        settings = self.store.settings
        if settings.deadline is not None and time.monotonic() > settings.deadline:
            raise ResourceLimit("time limit exceeded")
        if settings.interrupted is not None and settings.interrupted():
            raise ResourceLimit("interrupted")
        return POLL

    def _heavy(self, variables: int) -> None:
        """A function with many variables is entered."""
        self.variables += variables
        if self.variables > MAX_VARIABLES:
            self.variables -= variables
            raise Exhaustion("call stack exhausted")

    def _light(self, variables: int) -> None:
        self.variables -= variables

    # ---- functions ---------------------------------------------------------------------------------------------------

    def callable_of(self, func: AnyFunc) -> Function:
        """A function as generated code calls it."""
        if isinstance(func, HostFunc):
            return host_caller(self.store, func)
        function = self.functions.get(func)
        if function is None:
            function = self.functions[func] = self._translated(func)
        return function

    def _translated(self, func: FuncInst) -> Function:
        namespace = self._namespace(func.module)
        translation = Translation(func, self.polls)
        try:
            source = translation.run()
        except Untranslatable:
            return self._interpreted(func)
        for mnemonic in translation.operations:
            namespace[operation_name(mnemonic)] = OPERATIONS[mnemonic]
        try:
            code = compile(source.text(), f"<function {func.index}>", "exec")
        except (SyntaxError, RecursionError, MemoryError):  # CPython's limits
            return self._interpreted(func)
        exec(code, namespace)
        function: Function = namespace.pop("f")
        self.places[id(function.__code__)] = (function, func, source.spans)
        namespace[f"f{func.index}"] = function
        return function

    def _interpreted(self, func: FuncInst) -> Function:
        count = len(func.signature.results)

        def call(*args: Any) -> Any:
            results = self.fallback.invoke(func, args)
            return results[0] if count == 1 else tuple(results)

        return call

    def _namespace(self, instance: ModuleInst) -> dict[str, Any]:
        """What the generated functions of an instance refer to, by names that :mod:`.translation` uses."""
        namespace = self.namespaces.get(instance)
        if namespace is None:
            namespace = self.namespaces[instance] = {
                **HELPERS, "found": self.found, "poll": self._poll, "heavy": self._heavy, "light": self._light,
            }  # fmt: skip
            for letter, items in (
                ("m", instance.memories), ("g", instance.globals), ("e", instance.tables), ("y", instance.types),
                ("d", instance.datas),
            ):  # fmt: skip
                namespace.update((f"{letter}{index}", item) for index, item in enumerate(items))
            for index, func in enumerate(instance.funcs):
                namespace[f"f{index}"] = self._first_call(namespace, index, func)
        return namespace

    def _first_call(self, namespace: dict[str, Any], index: int, func: AnyFunc) -> Function:
        """Translates a function when it is called, and takes its own place."""

        def call(*args: Any) -> Any:
            function = namespace[f"f{index}"] = self.callable_of(func)
            return function(*args)

        return call

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
        return [self._entry(*self.places[id(found.tb_frame.f_code)][1:], found) for found in reversed(innermost)]

    def _entry(
        self, func: FuncInst, spans: dict[int, list[tuple[int, int, int]]], traceback: TracebackType
    ) -> StackEntry:
        positions = traceback.tb_frame.f_code.co_positions()
        line, _, column, _ = next(islice(positions, traceback.tb_lasti // 2, None))
        pc = instruction_at(spans, line or traceback.tb_lineno, column)
        module, places = func.module.module, func.func.positions
        location = module.locate(places[pc]) if module.locate is not None and pc < len(places) else ""
        return StackEntry(func.index, module.names.of("func", func.index), location)


__all__ = ["Compiler"]
