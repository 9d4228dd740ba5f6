"""Guarding the stacks of workers: a function that would leave the worker's stack traps.

A C program's stack lies in memory, and its functions move a global variable to make room. In a kernel many stacks lie
side by side; without a guard, a deep recursion would overwrite the neighbour's. Each such move is followed by a
comparison with the end of the stack, but where a function gives room back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refwasm.syntax.instructions import END, PLAIN, Instr, instr
from refwasm.syntax.modules import Func, Module, Names
from refwasm.syntax.types import I32, FuncType, RecType, SubType
from refwasm.toolchain.entry import IF, Specialised, variable

#: The function that a trap names.
OVERFLOW = "the stack of a worker is full (OMP_STACKSIZE makes it larger)"


def guarded(module: Module, index: Mapping[int, int], made: Specialised) -> Module:
    """The module with guards in all functions but the entry and those that switch stacks."""
    unguarded = {index[f] for f in (made.entry, *made.runners) if f in index}
    overflow = len(module.funcs)
    types = [sub.composite for rec in module.types for sub in rec.subtypes]
    funcs = [
        func if number in unguarded else _guarded(func, types, made, overflow)
        for number, func in enumerate(module.funcs)
    ]
    funcs.append(Func(len(types), (), (PLAIN["unreachable"], END)))
    names = {**module.names.maps["func"], overflow: OVERFLOW}
    return module._replace(
        types=(*module.types, RecType((SubType(True, (), FuncType((), ())),))),
        funcs=tuple(funcs),
        names=Names(module.names.module, {**module.names.maps, "func": names}, {}),
    )


def _guarded(func: Func, types: Sequence[object], made: Specialised, overflow: int) -> Func:
    moves = instr("global.set", made.stack_pointer)
    if moves not in func.body:
        return func
    t = types[func.type]
    assert isinstance(t, FuncType)
    new = len(t.params) + sum(count for count, _ in func.locals)
    body: list[Instr] = []
    positions: list[int] = []
    for number, instruction in enumerate(func.body):
        out = [instruction]
        if instruction == moves and (number == 0 or func.body[number - 1].form.mnemonic != "i32.add"):
            check = [variable(made.stack_limit), instr("i32.lt_u"), IF, instr("call", overflow), END]
            out = [instr("local.tee", new), *check, instr("local.get", new), instruction]
        body += out
        if func.positions:
            positions += [func.positions[number]] * len(out)
    return Func(func.type, (*func.locals, (1, I32)), tuple(body), positions)
