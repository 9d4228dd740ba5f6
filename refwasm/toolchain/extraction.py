"""Extracting some functions of a program into a module of their own, which works in the program's memory.

Types and global variables stay as they are; functions are renumbered; the function table keeps its positions, since
function pointers are baked into data, and is empty where nothing of the module stands. Imported functions become ones
that trap. Data segments go: the data are in the memory already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from refwasm.syntax.instructions import END, PLAIN, Instr, instr
from refwasm.syntax.modules import Data, Elem, Func, Import, Module, Names
from refwasm.syntax.types import RefType
from refwasm.toolchain.program import Program
from refwasm.toolchain.reachable import Reachable, Replacements


class Extracted(NamedTuple):
    """A module, and the new indices of its functions by their old ones."""

    module: Module
    new: Mapping[int, int]


def extracted(program: Program, reachable: Reachable) -> Extracted:
    """The functions that are reachable. Positions of instructions stay those of the program."""
    module = program.module
    kept = sorted(reachable.reason)
    index = {old: new for new, old in enumerate(kept)}
    funcs = tuple(_func(program, old, reachable.replacements, index) for old in kept)
    names = {index[old]: _name(program, old) for old in kept}
    data_used = {i.args[0] for f in funcs for i in set(f.body) if "data" in i.form.immediates}
    new = Module(
        types=module.types,
        imports=(Import("env", "memory", program.memory),),
        funcs=funcs,
        tables=module.tables,
        tags=module.tags,
        globals=module.globals,
        elems=tuple(_elems(program, reachable.replacements, index)),
        datas=tuple(_data(number, data, data_used) for number, data in enumerate(module.datas)) if data_used else (),
        names=Names(module.names.module, {"func": names, "global": module.names.maps.get("global", {})}, {}),
    )
    return Extracted(new, index)


def _func(program: Program, old: int, replacements: Replacements, index: Mapping[int, int]) -> Func:
    func = program.func(old)
    if func is None:
        return Func(program.types[old], (), (PLAIN["unreachable"], END))
    memo: dict[Instr, Instr] = {}
    for x in set(func.body):
        if "func" in x.form.immediates:
            memo[x] = instr(x.form.mnemonic, index[replacements.callee(old, x.args[0])], *x.args[1:])
    return Func(func.type, func.locals, tuple(memo.get(x, x) for x in func.body), func.positions)


def _name(program: Program, old: int) -> str:
    if old < len(program.imports):
        return f"{program.name(old)}, which kernels cannot call"
    return program.name(old)


def _elems(program: Program, replacements: Replacements, index: Mapping[int, int]) -> Iterable[Elem]:
    """One segment for each row of neighbours in the table."""
    found = ((p, replacements.pointed_to(f)) for p, f in sorted(program.table.items()))
    placed = [(p, index[f]) for p, f in found if f in index]
    for _, row in groupby(enumerate(placed), key=lambda numbered: numbered[1][0] - numbered[0]):
        items = [item for _, item in row]
        inits = tuple((instr("ref.func", function), END) for _, function in items)
        yield Elem(RefType(False, "func"), inits, "active", 0, (instr("i32.const", items[0][0]), END))


def _data(number: int, data: Data, used: set[int]) -> Data:
    """Passive data that code uses stay; all others keep their number only."""
    return data if number in used and data.mode == "passive" else Data(b"", "passive")
