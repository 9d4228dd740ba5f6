"""The global names of generated code: one letter and an index, as the translation writes them.

=====  ======================================================  =====  ===============================================
``f``  function                                                ``g``  global
``m``  memory                                                  ``e``  functions of a table, by their type
``a``  tag                                                     ``o``  numeric function, by mnemonic
``x``  instruction of a function, interpreted                  ``v``  what a br_on_cast of a function tests
``R``  the cell that rounds to f32                             ``r``  the side exit of a function
=====  ======================================================  =====  ===============================================

Names are bound when code that names them is about to run, so code itself depends on the module only.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from refwasm.execution.compiler.linking.runtime import HELPERS, Function, table_lookup
from refwasm.execution.compiler.linking.views import Views, parsed
from refwasm.execution.numerics import OPERATIONS, WIDE_OPERATIONS
from refwasm.execution.store import AnyFunc, FuncInst, ModuleInst
from refwasm.syntax.instructions import FORMS

#: Mnemonics by the names of numeric functions.
_MNEMONICS = {"o_" + mnemonic.replace(".", "_"): mnemonic for mnemonic in FORMS}


class Namespace:
    """The names of one instance's functions, and the functions. ``callable_of`` translates a function, ``operation``
    makes one of an instruction; ``side_exit_of`` what leaves a function in the middle; ``era`` tells whether all this
    is still good."""

    def __init__(
        self,
        instance: ModuleInst,
        own: dict[str, Any],
        callable_of: Callable[[AnyFunc], Function],
        is_final: Callable[[AnyFunc], bool],
        operation: Callable[[FuncInst, int], Function],
        side_exit_of: Callable[[FuncInst], Function],
        era: object,
    ) -> None:
        self.era = era
        self.instance = instance
        self.functions: dict[int, Function | None] = {}  # compiled ones, None for what can't be compiled
        self.waiting: dict[int, Function] = {}  # others, as compiled code calls them
        self.callable_of = callable_of
        self.is_final = is_final
        self.operation = operation
        self.side_exit_of = side_exit_of
        self.names: dict[str, Any] = {**HELPERS, **own, "R": memoryview(bytearray(4)).cast("f"), "views": []}
        self.views: dict[int, Views] = {}
        self.spaces: dict[str, Any] = {
            "m": instance.memories, "g": instance.globals, "a": instance.tags,
        }  # fmt: skip

    def bind(self, code: CodeType) -> None:
        """Give the names that some code uses their meaning."""
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                for name in constant.co_names:
                    if name not in self.names:
                        self._bind(name)

    def _bind(self, name: str) -> None:
        if (view := parsed(name)) is not None:
            kind, memory, offset = view
            if memory not in self.views:
                self.views[memory] = Views(self.instance.memories[memory], self.names)
                self.names["views"].append(self.views[memory])
            self.views[memory].add(name, kind, offset)
        elif name in _MNEMONICS:
            mnemonic = _MNEMONICS[name]
            self.names[name] = WIDE_OPERATIONS.get(mnemonic) or OPERATIONS[mnemonic]
        elif name[1:].isdigit() and name[0] in self.spaces:
            self.names[name] = self.spaces[name[0]][int(name[1:])]
        elif name[0] == "e" and "_" in name:
            table, type = map(int, name[1:].split("_"))
            instance = self.instance
            self.names[name] = table_lookup(
                instance.tables[table], instance.types[type], self.callable_of, self.is_final
            )
        elif name[0] == "f" and name[1:].isdigit():
            self.names[name] = self._first_call(name, self.instance.funcs[int(name[1:])])
        elif name[0] == "r" and name[1:].isdigit():
            func = self.instance.funcs[int(name[1:])]
            assert isinstance(func, FuncInst)
            self.names[name] = self.side_exit_of(func)
        elif name[0] in "xv" and "_" in name:
            function, pc = map(int, name[1:].split("_"))
            func = self.instance.funcs[function]
            assert isinstance(func, FuncInst)
            self.names[name] = self.operation(func, pc) if name[0] == "x" else self._target(func, pc)

    def _target(self, func: FuncInst, pc: int) -> tuple[bool, Any]:
        target = self.instance.validated.space.ref(func.func.body[pc].args[2])
        return target.nullable, target.heap

    def _first_call(self, name: str, func: AnyFunc) -> Function:
        """Translates a function when it is called, and gives it its own place."""

        def call(*args: Any) -> Any:
            function = self.callable_of(func)
            if self.is_final(func):
                self.names[name] = function
            return function(*args)

        return call
