"""Table instructions (specification 4.6.9)."""

from __future__ import annotations

from typing import Any

from refwasm.errors import Trap
from refwasm.execution import bulk
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.growing import fails
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.store import MAX_TABLE_ELEMENTS
from refwasm.syntax.instructions import Instr


@meaning("table.get")
def _table_get(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    table = code.instance.tables[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        index = s[-1]
        if index >= len(table.elements):
            raise Trap(bulk.OUT_OF_TABLE)
        s[-1] = table.elements[index]
        return following

    return op


@meaning("table.set")
def _table_set(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    table = code.instance.tables[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        value, index = s.pop(), s.pop()
        if index >= len(table.elements):
            raise Trap(bulk.OUT_OF_TABLE)
        table.elements[index] = value
        return following

    return op


@meaning("table.size")
def _table_size(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    table = code.instance.tables[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(len(table.elements))
        return following

    return op


@meaning("table.grow")
def _table_grow(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    table = code.instance.tables[instr.args[0]]
    mask, choices = (1 << table.type.address.bits) - 1, code.store.choices
    maximum = table.type.limits.maximum
    declared = mask if maximum is None else maximum

    def op(t: Any, s: list[Any]) -> Any:
        count = s.pop()
        if table.has_room(count):
            t.work(count)
        refused = fails(choices, len(table.elements) + count, MAX_TABLE_ELEMENTS, declared)
        s[-1] = mask if refused else table.grow(count, s[-1]) & mask
        return following

    return op


@meaning("table.fill")
def _table_fill(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    table = code.instance.tables[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        count, value, index = s.pop(), s.pop(), s.pop()
        bulk.table_fill(t.work, table, index, value, count)
        return following

    return op


@meaning("table.copy")
def _table_copy(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    target, source = (code.instance.tables[index] for index in instr.args)

    def op(t: Any, s: list[Any]) -> Any:
        count, source_index, index = s.pop(), s.pop(), s.pop()
        bulk.table_copy(t.work, target, source, index, source_index, count)
        return following

    return op


@meaning("table.init")
def _table_init(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    elem, table = code.instance.elems[instr.args[0]], code.instance.tables[instr.args[1]]

    def op(t: Any, s: list[Any]) -> Any:
        count, source, index = s.pop(), s.pop(), s.pop()
        bulk.table_init(t.work, table, elem, index, source, count)
        return following

    return op


@meaning("elem.drop")
def _elem_drop(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    elem = code.instance.elems[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        elem.elements = []
        return following

    return op
