"""Typing rules of reference instructions (specification 3.4.6)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    BOT,
    I32,
    Exact,
    HeapType,
    RefType,
)
from refwasm.validation.context import Context
from refwasm.validation.descriptors import descriptor_of
from refwasm.validation.instructions.rule import InstrType, rule, typed
from refwasm.validation.matching import match_val_type, top_of
from refwasm.validation.stacks import Stacks


@typed("ref.null")
def _ref_null(c: Context, i: Instr) -> InstrType:
    heap = c.space.heap(i.args[0])
    c.need_heap(heap)
    return [], [RefType(True, heap)]


@typed("ref.func")
def _ref_func(c: Context, i: Instr) -> InstrType:
    index = i.args[0]
    deftype = c.func(index)
    if index not in c.refs:
        raise Invalid(f"undeclared function reference {index}")
    return [], [RefType(False, deftype) if index in c.inexact else c.new(deftype)]


@rule("ref.is_null")
def _ref_is_null(v: Stacks, i: Instr) -> None:
    v.pop_ref()
    v.push(I32)


@rule("ref.as_non_null")
def _ref_as_non_null(v: Stacks, i: Instr) -> None:
    v.push(RefType(False, v.pop_ref().heap))


@typed("ref.eq")
def _ref_eq(c: Context, i: Instr) -> InstrType:
    eq = RefType(True, "eq")
    return [eq, eq], [I32]


@typed("ref.test", "ref.test null")
def _ref_test(c: Context, i: Instr) -> InstrType:
    return [_cast(c, i)], [I32]


@typed("ref.cast", "ref.cast null")
def _ref_cast(c: Context, i: Instr) -> InstrType:
    return [_cast(c, i)], [RefType(i.form.is_nullable, c.space.heap(i.args[0]))]


def _cast(c: Context, i: Instr) -> RefType:
    """The type of what may be cast to the type that an instruction names."""
    heap = c.space.heap(i.args[0])
    c.need_heap(heap)
    c.check_castable(heap)
    return RefType(True, top_of(heap))


@rule("ref.get_desc")
def _ref_get_desc(v: Stacks, i: Instr) -> None:
    """The descriptor's type is known exactly if that of the operand is."""
    deftype = v.context.space.use(i.args[0])
    if deftype.sub.descriptor is None:
        raise Invalid(f"type without descriptor: type {i.args[0]}")
    t = v.pop(RefType(True, deftype))
    exact = Exact(deftype)
    heap = exact if t is BOT or match_val_type(t, RefType(True, exact)) else deftype
    v.push(RefType(False, descriptor_of(heap, i.args[0]).heap))


@rule("ref.cast_desc_eq", "ref.cast_desc_eq null")
def _ref_cast_desc_eq(v: Stacks, i: Instr) -> None:
    heap = v.context.space.heap(i.args[0])
    v.pop(descriptor_of(heap, i.args[0]))
    v.pop(RefType(True, top_of(heap)))
    v.push(RefType(i.form.is_nullable, heap))


@typed("ref.i31")
def _ref_i31(c: Context, i: Instr) -> InstrType:
    return [I32], [RefType(False, "i31")]


@typed("i31.get_s", "i31.get_u")
def _i31_get(c: Context, i: Instr) -> InstrType:
    return [RefType(True, "i31")], [I32]


def _convert(v: Stacks, source: HeapType, target: HeapType) -> None:
    v.push(RefType(_popped_nullable(v, source), target))


def _popped_nullable(v: Stacks, heap: HeapType) -> bool:
    t = v.pop(RefType(True, heap))
    return isinstance(t, RefType) and t.nullable


@rule("any.convert_extern")
def _any_convert_extern(v: Stacks, i: Instr) -> None:
    _convert(v, "extern", "any")


@rule("extern.convert_any")
def _extern_convert_any(v: Stacks, i: Instr) -> None:
    _convert(v, "any", "extern")
