"""Typing rules of table, memory and vector lane instructions (specification 3.4.10, 3.4.11, 3.4.13)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import FORMS, Instr, MemArg
from refwasm.syntax.types import (
    I32,
    V128,
    NumType,
)
from refwasm.validation.instructions.rule import RULES, rule
from refwasm.validation.matching import (
    match_ref_type,
)
from refwasm.validation.stacks import Stacks


def _narrower(a: NumType, b: NumType) -> NumType:
    return I32 if I32 in (a, b) else a


@rule("table.get")
def _table_get(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop(table.address)
    v.push(table.element)


@rule("table.set")
def _table_set(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop_all([table.address, table.element])


@rule("table.size")
def _table_size(v: Stacks, i: Instr) -> None:
    v.push(v.context.table(i.args[0]).address)


@rule("table.grow")
def _table_grow(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop_all([table.element, table.address])
    v.push(table.address)


@rule("table.fill")
def _table_fill(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop_all([table.address, table.element, table.address])


@rule("table.copy")
def _table_copy(v: Stacks, i: Instr) -> None:
    target, source = v.context.table(i.args[0]), v.context.table(i.args[1])
    if not match_ref_type(source.element, target.element):
        raise Invalid(f"type mismatch: table.copy from {source.element!r} to {target.element!r}")
    v.pop_all([target.address, source.address, _narrower(target.address, source.address)])


@rule("table.init")
def _table_init(v: Stacks, i: Instr) -> None:
    elem_index, table_index = i.args
    table, elem = v.context.table(table_index), v.context.elem(elem_index)
    if not match_ref_type(elem, table.element):
        raise Invalid(f"type mismatch: table.init from {elem!r} to {table.element!r}")
    v.pop_all([table.address, I32, I32])


@rule("elem.drop")
def _elem_drop(v: Stacks, i: Instr) -> None:
    v.context.elem(i.args[0])


def _access(v: Stacks, i: Instr) -> None:
    """Loads and stores of every kind: rule Memarg_ok, then the fixed rest of the type from the table."""
    form = i.form
    arg: MemArg = i.args[0]
    memory = v.context.memory(arg.memory)
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
    if form.params:
        v.pop_all(form.params)
    v.pop(memory.address)
    v.operands += form.results


RULES.update({form: _access for form in FORMS.values() if form.width})


@rule("memory.size")
def _memory_size(v: Stacks, i: Instr) -> None:
    v.push(v.context.memory(i.args[0]).address)


@rule("memory.grow")
def _memory_grow(v: Stacks, i: Instr) -> None:
    address = v.context.memory(i.args[0]).address
    v.pop(address)
    v.push(address)


@rule("memory.fill")
def _memory_fill(v: Stacks, i: Instr) -> None:
    address = v.context.memory(i.args[0]).address
    v.pop_all([address, I32, address])


@rule("memory.copy")
def _memory_copy(v: Stacks, i: Instr) -> None:
    target, source = v.context.memory(i.args[0]).address, v.context.memory(i.args[1]).address
    v.pop_all([target, source, _narrower(target, source)])


@rule("memory.init")
def _memory_init(v: Stacks, i: Instr) -> None:
    data, memory = i.args
    address = v.context.memory(memory).address
    v.context.data(data)
    v.pop_all([address, I32, I32])


@rule("data.drop")
def _data_drop(v: Stacks, i: Instr) -> None:
    v.context.data(i.args[0])


def _lane(i: Instr, lanes: int) -> None:
    if i.args[-1] >= lanes:
        raise Invalid(f"invalid lane index {i.args[-1]}")


def _lane_rule(v: Stacks, i: Instr) -> None:
    shape = i.form.mnemonic.partition(".")[0]
    _lane(i, int(shape.partition("x")[2]))
    _fixed(v, i)


def _fixed(v: Stacks, i: Instr) -> None:
    assert i.form.params is not None and i.form.results is not None
    v.pop_all(i.form.params)
    v.operands += i.form.results


@rule("i8x16.shuffle")
def _shuffle(v: Stacks, i: Instr) -> None:
    if max(i.args[0]) >= 32:
        raise Invalid(f"invalid lane index {max(i.args[0])}")
    v.pop_all([V128, V128])
    v.push(V128)


RULES.update({form: _lane_rule for form in FORMS.values() if form.immediates == ("lane",)})
