"""Typing rules of table, memory and vector lane instructions (specification 3.4.4, 3.4.5, 3.4.11)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import FORMS, Instr, MemArg
from refwasm.syntax.types import (
    I32,
    V128,
    NumType,
)
from refwasm.validation.context import Context
from refwasm.validation.instructions.rule import InstrType, typed
from refwasm.validation.matching import (
    match_ref_type,
)


def _narrower(a: NumType, b: NumType) -> NumType:
    return I32 if I32 in (a, b) else a


@typed("table.get")
def _table_get(c: Context, i: Instr) -> InstrType:
    table = c.table(i.args[0])
    return [table.address], [table.element]


@typed("table.set")
def _table_set(c: Context, i: Instr) -> InstrType:
    table = c.table(i.args[0])
    return [table.address, table.element], []


@typed("table.size")
def _table_size(c: Context, i: Instr) -> InstrType:
    return [], [c.table(i.args[0]).address]


@typed("table.grow")
def _table_grow(c: Context, i: Instr) -> InstrType:
    table = c.table(i.args[0])
    return [table.element, table.address], [table.address]


@typed("table.fill")
def _table_fill(c: Context, i: Instr) -> InstrType:
    table = c.table(i.args[0])
    return [table.address, table.element, table.address], []


@typed("table.copy")
def _table_copy(c: Context, i: Instr) -> InstrType:
    target, source = c.table(i.args[0]), c.table(i.args[1])
    if not match_ref_type(source.element, target.element):
        raise Invalid(f"type mismatch: table.copy from {source.element!r} to {target.element!r}")
    return [target.address, source.address, _narrower(target.address, source.address)], []


@typed("table.init")
def _table_init(c: Context, i: Instr) -> InstrType:
    elem_index, table_index = i.args
    table, elem = c.table(table_index), c.elem(elem_index)
    if not match_ref_type(elem, table.element):
        raise Invalid(f"type mismatch: table.init from {elem!r} to {table.element!r}")
    return [table.address, I32, I32], []


@typed("elem.drop")
def _elem_drop(c: Context, i: Instr) -> InstrType:
    c.elem(i.args[0])
    return [], []


@typed(*[name for name, form in FORMS.items() if form.width])
def _access(c: Context, i: Instr) -> InstrType:
    """Loads and stores of every kind: rule Memarg_ok, then the fixed rest of the type from the table."""
    form = i.form
    arg: MemArg = i.args[0]
    memory = c.memory(arg.memory)
    if form.prefix == 0xFE:
        if 1 << arg.align != form.width:
            raise Invalid("atomic alignment must be natural")
    elif 1 << arg.align > form.width:
        raise Invalid("alignment must not be larger than natural")
    if arg.offset >> memory.address.bits:
        raise Invalid("offset out of range")
    if len(i.args) > 1:
        _lane(i, 16 // form.width)
    assert form.params is not None and form.results is not None
    return [memory.address, *form.params], form.results


@typed("memory.size")
def _memory_size(c: Context, i: Instr) -> InstrType:
    return [], [c.memory(i.args[0]).address]


@typed("memory.grow")
def _memory_grow(c: Context, i: Instr) -> InstrType:
    address = c.memory(i.args[0]).address
    return [address], [address]


@typed("memory.fill")
def _memory_fill(c: Context, i: Instr) -> InstrType:
    address = c.memory(i.args[0]).address
    return [address, I32, address], []


@typed("memory.copy")
def _memory_copy(c: Context, i: Instr) -> InstrType:
    target, source = c.memory(i.args[0]).address, c.memory(i.args[1]).address
    return [target, source, _narrower(target, source)], []


@typed("memory.init")
def _memory_init(c: Context, i: Instr) -> InstrType:
    data, memory = i.args
    address = c.memory(memory).address
    c.data(data)
    return [address, I32, I32], []


@typed("data.drop")
def _data_drop(c: Context, i: Instr) -> InstrType:
    c.data(i.args[0])
    return [], []


def _lane(i: Instr, lanes: int) -> None:
    if i.args[-1] >= lanes:
        raise Invalid(f"invalid lane index {i.args[-1]}")


@typed(*[name for name, form in FORMS.items() if form.immediates == ("lane",)])
def _lane_access(c: Context, i: Instr) -> InstrType:
    """Lanes of vectors: all but the lane number is fixed by the table."""
    form = i.form
    _lane(i, int(form.mnemonic.partition(".")[0].partition("x")[2]))
    assert form.params is not None and form.results is not None
    return form.params, form.results


@typed("i8x16.shuffle")
def _shuffle(c: Context, i: Instr) -> InstrType:
    if max(i.args[0]) >= 32:
        raise Invalid(f"invalid lane index {max(i.args[0])}")
    return [V128, V128], [V128]
