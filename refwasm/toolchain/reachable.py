"""What a kernel consists of: the functions that are reached from a region's function.

Inside kernels some functions have others in their place (``__refwasm_kernel_X`` for ``X``), since a kernel can't call
the host and since the C library knows nothing of threads. Calls through pointers may reach every function of their type
whose address is taken. Calls of the host that direct calls lead to are refused at link time, with the way that leads
there; those that only a call through a pointer may reach become traps, since most of them never happen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from refwasm.syntax.types import FuncType
from refwasm.toolchain.program import Program
from refwasm.toolchain.regions import IN_KERNELS

#: Names of functions that call what has another in its place.
ORIGINAL = "__refwasm_original_"
#: Functions of the host that end the program: in kernels they trap.
_ENDINGS = frozenset({"proc_exit", "proc_raise"})


class Replacements:
    """Which function takes the place of which inside kernels."""

    def __init__(self, program: Program) -> None:
        self.by_function: dict[int, int] = {}
        for name, function in program.exports.items():
            original = _original(program, name.removeprefix(IN_KERNELS)) if name.startswith(IN_KERNELS) else None
            if original is not None:
                self.by_function[original] = function

    def callee(self, caller: int, function: int) -> int:
        """What a call in ``caller`` calls: a replacement calls the original itself."""
        other = self.by_function.get(function, function)
        return function if other == caller else other

    def pointed_to(self, function: int) -> int:
        """What a function pointer points to."""
        return self.by_function.get(function, function)


def _original(program: Program, name: str) -> int | None:
    """A function that has another in its place: an exported one, or what one that is exported for that calls."""
    caller = program.exports.get(ORIGINAL + name)
    func = None if caller is None else program.func(caller)
    calls = [] if func is None else [i.args[0] for i in func.body if i.form.mnemonic == "call"]
    return calls[0] if calls else program.exports.get(name)


class Reachable:
    """The functions of a kernel, in the order in which they were found. ``reason`` says who called each first."""

    def __init__(self, program: Program, replacements: Replacements, roots: Iterable[int]) -> None:
        self.program, self.replacements = program, replacements
        self.reason: dict[int, int | None] = dict.fromkeys(roots)
        self.indirect: set[FuncType] = set()
        #: Functions that direct calls lead to.
        self.direct: set[int] = set()
        self._follow(deque(self.reason))
        self.direct = set(self.reason)
        while new := self._pointed_to():
            self.reason.update(new)
            self._follow(deque(new))

    def _follow(self, left: deque[int]) -> None:
        while left:
            caller = left.popleft()
            for callee in self.callees(caller):
                if callee not in self.reason:
                    self.reason[callee] = caller
                    left.append(callee)
            self.indirect |= self.types_called(caller)

    def _pointed_to(self) -> dict[int, None]:
        """Functions that calls through pointers may reach, and that were not found yet."""
        found = (f for t in self.indirect for f in self.program.in_table.get(t, ()))
        return {g: None for f in found if (g := self.replacements.pointed_to(f)) not in self.reason}

    def callees(self, caller: int) -> Iterator[int]:
        """Functions that a function calls, or takes a reference of."""
        func = self.program.func(caller)
        for instruction in () if func is None else dict.fromkeys(func.body):
            if "func" in instruction.form.immediates:
                yield self.replacements.callee(caller, instruction.args[0])

    def types_called(self, caller: int) -> set[FuncType]:
        """Types of the functions that a function calls through pointers."""
        func = self.program.func(caller)
        calls = ("call_indirect", "return_call_indirect")
        body = () if func is None else set(func.body)
        return {self.program.type_of(i.args[0]) for i in body if i.form.mnemonic in calls}

    def host_calls(self) -> list[list[int]]:
        """The ways, from a root on, to functions of the host that direct calls lead to."""
        found = []
        for function in sorted(self.direct):
            if function < len(self.program.imports) and self.program.imports[function].name not in _ENDINGS:
                found.append(self.way_to(function))
        return found

    def way_to(self, function: int) -> list[int]:
        """The calls that lead from a root to a function."""
        way = [function]
        while (caller := self.reason[way[-1]]) is not None:
            way.append(caller)
        return way[::-1]

    def reaching(self, target: int) -> set[int]:
        """Functions from which ``target`` can be reached, itself among them."""
        found = {target} & set(self.reason)
        size = -1
        while len(found) != size:
            size = len(found)
            types = {
                t
                for t, fs in self.program.in_table.items()
                if found.intersection(map(self.replacements.pointed_to, fs))
            }
            found.update(f for f in self.reason if found.intersection(self.callees(f)) or types & self.types_called(f))
        return found
