"""Kernels as functions of the program itself, for the form of 2021: there a kernel is a function in the caller's table.

The kernel modules are appended to the program: each with its global variables and a function table of its own, since
inside kernels some functions have others in their place. The entry functions come to the end of the program's table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.syntax.instructions import END, Instr, instr
from refwasm.syntax.modules import Elem, Export, Func, Module, Table
from refwasm.syntax.types import BlockType, Limits, RefType
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.program import Program

#: Under this name the host looks for the table.
TABLE = "__indirect_function_table"


class _Shift(NamedTuple):
    """How far the indices of a kernel module move; types and globals up to the program's own stay."""

    types: int
    types_from: int
    globals: int
    globals_from: int
    funcs: int
    table: int

    def type(self, index: int) -> int:
        return index if index < self.types_from else index + self.types

    def instr(self, x: Instr) -> Instr:
        kinds = x.form.immediates
        if not {"func", "type", "table", "global", "block"}.intersection(kinds):
            return x
        return instr(x.form.mnemonic, *(self._operand(k, a) for k, a in zip(kinds, x.args)), *x.args[len(kinds) :])

    def _operand(self, kind: str, value: object) -> object:
        if isinstance(value, BlockType):
            return value if value.index is None else BlockType(self.type(value.index), None)
        if not isinstance(value, int):
            return value
        if kind == "func":
            return value + self.funcs
        if kind == "type":
            return self.type(value)
        if kind == "table":
            return self.table
        return value + self.globals if kind == "global" and value >= self.globals_from else value


def merged(module: Module, codes: Sequence[bytes]) -> tuple[Module, list[int]]:
    """The program with kernel modules appended, and the positions of their entries in its table."""
    program = Program(module)
    limits = module.tables[0].type.limits
    made = module
    entries: list[Instr] = []
    for code in codes:
        kernel = e.module_decode(code)
        if kernel.datas:
            raise ToolchainError("kernels with data segments can't be functions of the program; use another --form")
        shift = _Shift(
            len(made.types) - len(module.types), len(module.types), len(made.globals) - len(module.globals),
            len(module.globals), len(program.imports) + len(made.funcs), len(made.tables),
        )  # fmt: skip
        made = _appended(made, kernel, shift)
        entry = next(export.index for export in kernel.exports if export.kind == "func")
        entries.append(instr("ref.func", entry + shift.funcs))
    first = limits.minimum
    size = first + len(codes)
    table = module.tables[0].type._replace(limits=Limits(size, None if limits.maximum is None else size))
    elem = Elem(RefType(False, "func"), tuple((x, END) for x in entries), "active", 0, (instr("i32.const", first), END))
    exports = tuple(export for export in made.exports if export.name != TABLE)
    return made._replace(
        tables=(Table(table), *made.tables[1:]),
        elems=(*made.elems, elem),
        exports=(*exports, Export(TABLE, "table", 0)),
    ), list(range(first, size))


def _appended(made: Module, kernel: Module, shift: _Shift) -> Module:
    funcs = tuple(
        Func(shift.type(f.type), f.locals, tuple(map(shift.instr, f.body)), f.positions) for f in kernel.funcs
    )
    elems = tuple(
        Elem(elem.type, tuple(tuple(map(shift.instr, init)) for init in elem.inits), "active", shift.table, elem.offset)
        for elem in kernel.elems
    )
    names = dict(made.names.maps.get("func", {}))
    names.update({index + shift.funcs: name for index, name in kernel.names.maps.get("func", {}).items()})
    return made._replace(
        types=(*made.types, *kernel.types[shift.types_from :]),
        funcs=(*made.funcs, *funcs),
        globals=(*made.globals, *kernel.globals[shift.globals_from :]),
        tables=(*made.tables, kernel.tables[0]),
        elems=(*made.elems, *elems),
        names=made.names._replace(maps={**made.names.maps, "func": names}),
        digest=b"",
    )
