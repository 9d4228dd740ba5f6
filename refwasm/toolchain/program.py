"""A linked program as the post-link step looks at it: functions by name and index, the function table, calls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from refwasm.syntax.modules import Func, Import, Module, func_types, subtypes
from refwasm.syntax.types import FuncType, FuncUse, MemType, SubType
from refwasm.toolchain.errors import ToolchainError

#: Names that the linker gives to the globals of a thread.
STACK_POINTER, THREAD_LOCALS = "__stack_pointer", "__tls_base"


class Program:
    """A module with look-ups. Function indices count imported functions first."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.imports: list[Import] = [i for i in module.imports if isinstance(i.type, FuncUse)]
        self.subs: list[SubType] = subtypes(module)
        self.exports = {e.name: e.index for e in module.exports if e.kind == "func"}

    @cached_property
    def types(self) -> list[int]:
        """The type index of each function."""
        return func_types(self.module)

    def type_of(self, index: int) -> FuncType:
        """The function type at a type index."""
        composite = self.subs[index].composite
        if not isinstance(composite, FuncType):
            raise ToolchainError("a program from C or C++ has function types only; this one is from something else")
        return composite

    def function_type(self, function: int) -> FuncType:
        """The type of a function."""
        return self.type_of(self.types[function])

    def func(self, function: int) -> Func | None:
        """A function's code; None for imported ones."""
        own = function - len(self.imports)
        return None if own < 0 else self.module.funcs[own]

    def name(self, function: int) -> str:
        """What to call a function in messages."""
        if function < len(self.imports):
            item = self.imports[function]
            return f"{item.module}.{item.name}"
        return self.module.names.of("func", function) or f"func[{function}]"

    def global_named(self, name: str) -> int:
        """The index of one of the linker's globals."""
        for index, found in self.module.names.maps.get("global", {}).items():
            if found == name:
                return index
        raise ToolchainError(f"the program has no global named {name}: link it without -s, and with --shared-memory")

    @property
    def memory(self) -> MemType:
        """The program's memory, which kernels share."""
        memories = self.module.memories
        if len(memories) != 1 or not memories[0].shared:
            raise ToolchainError("the program's memory is not shared: link it with --shared-memory and --max-memory")
        return memories[0]

    @cached_property
    def table(self) -> dict[int, int]:
        """Functions by their position in the function table: what function pointers point to."""
        found: dict[int, int] = {}
        for elem in self.module.elems:
            if elem.mode != "active" or elem.table != 0 or elem.offset is None:
                continue
            start = elem.offset[0]
            if start.form.mnemonic != "i32.const":
                raise ToolchainError(
                    "the program's function table has no fixed positions: link without -pie or -shared"
                )
            for place, init in enumerate(elem.inits, start.args[0]):
                if init[0].form.mnemonic == "ref.func":
                    found[place] = init[0].args[0]
        return found

    @cached_property
    def in_table(self) -> dict[FuncType, list[int]]:
        """Functions that can be called through pointers, by their types."""
        found: dict[FuncType, list[int]] = {}
        for function in dict.fromkeys(self.table.values()):
            found.setdefault(self.function_type(function), []).append(function)
        return found

    def calls_of(self, targets: set[int]) -> Iterator[tuple[int, Func, int]]:
        """Direct calls of some functions: the caller, its code, and the index of the instruction."""
        for function, func in enumerate(self.module.funcs, len(self.imports)):
            for index, instruction in enumerate(func.body):
                if instruction.form.mnemonic == "call" and instruction.args[0] in targets:
                    yield function, func, index
