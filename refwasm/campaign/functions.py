"""Modules of many small functions, as the systematic sources make them."""

from __future__ import annotations

from collections.abc import Mapping

from refwasm.syntax.instructions import END, instr
from refwasm.syntax.modules import Data, Export, Expr, Func, Global, Module
from refwasm.syntax.types import (
    F32,
    F64,
    I32,
    I64,
    V128,
    FuncType,
    GlobalType,
    Limits,
    MemType,
    RecType,
    SubType,
)

#: What is at both ends of the memory.
PATTERN = bytes((7 * i + 0x81) & 0xFF for i in range(64))


def module_of(functions: Mapping[str, tuple[FuncType, Expr]], with_memory: bool, shows_memory: bool = False) -> Module:
    """A module that exports these functions; with a memory of one page, which is exported if it ``shows_memory``."""
    types = list(dict.fromkeys(t for t, _ in functions.values()))
    exports = [Export(name, "func", index) for index, name in enumerate(functions)]
    module = Module(
        types=tuple(RecType((SubType(True, (), t),)) for t in types),
        funcs=tuple(Func(types.index(t), (), body) for t, body in functions.values()),
        exports=tuple(exports),
    )
    if not with_memory:
        return module
    if shows_memory:
        exports.append(Export("memory", "memory", 0))
    active = [Data(PATTERN, "active", 0, (instr("i32.const", at), END)) for at in (0, 65536 - len(PATTERN))]
    return module._replace(
        memories=(MemType(I32, Limits(1, 1)),), datas=tuple(active), exports=tuple(exports)
    )  # fmt: skip


#: The types of the globals that functions may read.
GLOBALS = ("i32", "i64", "f32", "f64", "v128")
_VALUES = (0x80000001, 0x8000000000000001, 0xBFC00000, 0xC004000000000000, 0x0102030405060708090A0B0C0D0E0F10)
_TYPES = (I32, I64, F32, F64, V128)


def with_globals(module: Module, count: int) -> Module:
    """The module with the first of these globals, which are mutable and never changed."""
    made = zip(_TYPES[:count], GLOBALS, _VALUES)
    found = tuple(Global(GlobalType(t, True), (instr(f"{name}.const", value), END)) for t, name, value in made)
    return module._replace(globals=found)
