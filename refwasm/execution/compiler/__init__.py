"""The compiler tier: WebAssembly functions as Python functions.

A function is translated when it is first called (:mod:`.translation`). What nests too deeply for CPython, the other
tier runs, and everything that it calls. So does a store that is interleaved or watched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType
from typing import Any, Protocol, TypeVar

from refwasm.errors import Exhaustion
from refwasm.execution import bulk
from refwasm.execution.compiler.compilation import Choice, Compilation, Everything, Options
from refwasm.execution.compiler.conventions import POLL, Untranslatable
from refwasm.execution.compiler.linking.deoptimization import Locals
from refwasm.execution.compiler.linking.entrance import Compiled, Entrance, Invocation
from refwasm.execution.compiler.linking.namespace import Namespace
from refwasm.execution.compiler.linking.runtime import (
    Function,
    conversion_of,
    host_caller,
    reference,
    trampoline,
)
from refwasm.execution.store import AnyFunc, FuncInst, HostFunc, ModuleInst, Store, Tier
from refwasm.syntax.modules import Expr

R = TypeVar("R")

#: Calls of the other tier inside each other: of more than the first number, functions are translated at once, hot or
#: not; more than the second number is too many.
DEEPLY_NESTED, MAX_NESTED = 20, 400
#: Variables of all frames of functions with many of them, about 100 MB.
MAX_VARIABLES = 10_000_000


class Interpreting(Tier, Protocol):
    """The other tier. Its calls in a traceback end at frames of ``boundary``."""

    boundary: CodeType

    def operation(self, func: FuncInst, pc: int) -> Function:
        """An instruction that works on its operands only, as a function of them. The function gives a single result as
        it is, several as a tuple, and None if there are none."""


class Compiler:
    """Executes functions of one store. ``fallback`` runs what is not translated, which is its ``choice``."""

    def __init__(self, store: Store, fallback: Interpreting, choice: Choice | None = None) -> None:
        self.store = store
        self.fallback = fallback
        self.choice = choice or Everything()
        self.switches = False
        self.variables = 0  # of the frames of functions with many
        self.nested = 0  # calls of the other tier from here
        self.era = object()  # what was compiled in another one is forgotten
        self.entrance = Entrance(store.settings, fallback.boundary)
        self.compilation = Compilation(store.settings, self.choice)

    # ---- calls from outside ------------------------------------------------------------------------------------------

    def invoke(self, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a function."""
        store = self.store
        if func.invocation is not None:
            return func.invocation(args)
        if store.interleaved is not None or store.watch is not None or store.switches:
            return self.fallback.invoke(func, args)
        self.look_at_settings()
        invocation = self._while_current(
            func, self.entrance.invocation_of(self.callable_of(func), conversion_of(func.type))
        )
        if self._is_final(func):
            func.invocation = invocation
        return invocation(args)

    def _while_current(self, func: FuncInst, enter: Invocation) -> Invocation:
        """The invocation of a function until settings change what its code must do."""
        store, settings, era = self.store, self.store.settings, self.era
        polls, fuel = self.compilation.options

        def current(args: Sequence[Any]) -> list[Any]:
            if (
                self.era is not era or (settings.fuel is not None) is not fuel or store.watch is not None
                or store.switches or (not polls and (settings.deadline is not None or settings.interrupted is not None))
            ):  # fmt: skip
                func.invocation = None
                return self.invoke(func, args)
            if not fuel:
                return enter(args)
            try:
                return enter(args)
            finally:
                if settings.fuel is not None:
                    settings.fuel = max(settings.fuel, 0)

        return current

    def look_at_settings(self) -> None:
        """Forget what was translated if loops must look at the limits from now on, or fuel be counted, or not."""
        settings = self.store.settings
        had_polls, had_fuel = self.compilation.options
        polls = had_polls or settings.deadline is not None or settings.interrupted is not None
        fuel = settings.fuel is not None
        if polls is not had_polls or fuel is not had_fuel or (self.store.switches and not self.switches):
            self.switches = self.store.switches
            self.compilation.options = Options(polls, fuel)
            self.era = object()

    def start(self, func: FuncInst, args: Sequence[Any], ended: Callable[[], object], label: str = "") -> None:
        """Interleaved stores are the interpreter's."""
        self.fallback.start(func, args, ended)

    def batch(self, calls: Callable[[], R]) -> R:
        """Do what calls functions many times."""
        return self.entrance.deeply(calls)

    def evaluate(self, instance: ModuleInst, expr: Expr) -> Any:
        """The value of a constant expression."""
        return self.fallback.evaluate(instance, expr)

    def poll(self) -> int:
        """Called by loops now and then."""
        self.store.settings.check()
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
            return host_caller(func, self.entrance.shared, self.store.settings)
        namespace: Namespace | None = func.module.compiled
        if namespace is not None and namespace.era is self.era:
            function = namespace.functions.get(func.index)
            if function is not None:
                return function
        hot = self.choice.is_hot(func) or self.nested > DEEPLY_NESTED
        function = self.translated(func) if hot and not self.store.switches else None
        if function is None:
            waiting = self._namespace(func.module).waiting
            function = waiting.get(func.index)
            if function is None:
                function = waiting[func.index] = self._interpreted(func)
        return function

    def translated(self, func: FuncInst) -> Function | None:
        """The Python function of a function; None if it can't be translated."""
        namespace = self._namespace(func.module)
        if func.index not in namespace.functions:
            try:
                function = self._defined(self.compilation.compiled(func), namespace)
            except Untranslatable:
                namespace.functions[func.index] = None
            else:
                namespace.functions[func.index] = namespace.names[f"f{func.index}"] = function
        return namespace.functions[func.index]

    def _is_final(self, func: AnyFunc) -> bool:
        """Whether what :meth:`callable_of` gives for a function stays so."""
        return isinstance(func, HostFunc) or self.choice.is_hot(func)

    def renew(self, func: FuncInst) -> bool:
        """Translate a function again, since more of it was executed. Its Python function stays the same object with new
        code, so that everything that calls it calls the new code. False: the function can't be translated, and its
        Python function leaves for the interpreter at once."""
        namespace = self._namespace(func.module)
        function = namespace.functions.get(func.index)
        if function is None:
            return True
        try:
            compiled, possible = self.compilation.compiled_again(func), True
        except Untranslatable:
            compiled, possible = self.compilation.left_at_once(func), False
            namespace.functions[func.index] = None
        function.__code__ = self._defined(compiled, namespace).__code__
        return possible

    def _interpreted(self, func: FuncInst) -> Function:
        """A function that the other tier runs, as generated code calls it."""
        return conversion_of(func.type).called(self._nested(func, partial(self.fallback.invoke, func)))

    def _side_exit_of(self, func: FuncInst) -> Function:
        """The side exit of a function: generated code calls it with the place, its variables and the operands."""
        locals = Locals(func)

        def resumed(args: Sequence[Any]) -> list[Any]:
            pc, variables, stack = args
            return self.choice.resume(func, pc, locals.among(variables), stack)

        return self._nested(func, resumed)

    def _nested(self, func: FuncInst, run: Callable[[Sequence[Any]], list[Any]]) -> Function:
        """What gives generated code the results of a function that the other tier runs. Each takes C stack."""
        result = conversion_of(func.type).result

        def call(*args: Any) -> Any:
            if self.nested > MAX_NESTED:
                raise Exhaustion("call stack exhausted")
            self.nested += 1
            try:
                return result(run(args))
            finally:
                self.nested -= 1

        return call

    def _defined(self, compiled: Compiled, namespace: Namespace) -> Function:
        """The Python function of some code."""
        namespace.bind(compiled.code)
        exec(compiled.code, namespace.names)
        function: Function = namespace.names.pop("f")
        code = function.__code__
        compiled.code = code
        self.entrance.places[id(code)] = compiled
        return trampoline(function) if "TailCall" in code.co_names else function

    def loop_of(self, func: FuncInst, pc: int, absent: bytes) -> Function | None:
        """A function that goes on at a loop, with all locals as arguments; None if there can't be one. It raises
        SideExit where it gets to instructions that are ``absent``."""
        try:
            compiled = self.compilation.loop_from(func, pc, absent)
        except Untranslatable:
            return None
        return self._defined(compiled, self._namespace(func.module))

    def save(self) -> None:
        """Write new code to the cache now."""
        self.compilation.save()

    def _namespace(self, instance: ModuleInst) -> Namespace:
        namespace: Namespace | None = instance.compiled
        if namespace is None or namespace.era is not self.era:
            settings = self.store.settings
            work = bulk.working(settings)
            own = {
                "referred": reference(self.callable_of, self._is_final),
                "poll": self.poll, "memory_copy": partial(bulk.memory_copy, work),
                "memory_fill": partial(bulk.memory_fill, work),
                "heavy": self.heavy, "light": self.light, "S": settings,
            }  # fmt: skip
            namespace = instance.compiled = Namespace(
                instance, own, self.callable_of, self._is_final, self.fallback.operation, self._side_exit_of, self.era
            )
            shared = self.entrance.shared
            shared += [memory for memory in instance.memories if memory.shared and memory not in shared]
        return namespace


__all__ = ["Compiler"]
