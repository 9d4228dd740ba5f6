"""Typing rules of reference instructions (specification 3.4.6)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    I32,
    HeapType,
    RefType,
)
from refwasm.validation.instructions.rule import rule
from refwasm.validation.matching import (
    top_of,
)
from refwasm.validation.stacks import Stacks


@rule("ref.null")
def _ref_null(v: Stacks, i: Instr) -> None:
    v.push(RefType(True, v.context.space.heap(i.args[0])))


@rule("ref.func")
def _ref_func(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    deftype = v.context.func(index)
    if index not in v.context.refs:
        raise Invalid(f"undeclared function reference {index}")
    v.push(RefType(False, deftype))


@rule("ref.is_null")
def _ref_is_null(v: Stacks, i: Instr) -> None:
    v.pop_ref()
    v.push(I32)


@rule("ref.as_non_null")
def _ref_as_non_null(v: Stacks, i: Instr) -> None:
    v.push(RefType(False, v.pop_ref().heap))


@rule("ref.eq")
def _ref_eq(v: Stacks, i: Instr) -> None:
    eq = RefType(True, "eq")
    v.pop_all([eq, eq])
    v.push(I32)


@rule("ref.test", "ref.test null", "ref.cast", "ref.cast null")
def _ref_cast(v: Stacks, i: Instr) -> None:
    heap = v.context.space.heap(i.args[0])
    target = RefType(i.form.mnemonic.endswith("null"), heap)
    v.pop(RefType(True, top_of(heap)))
    v.push(I32 if i.form.mnemonic.startswith("ref.test") else target)


@rule("ref.i31")
def _ref_i31(v: Stacks, i: Instr) -> None:
    v.pop(I32)
    v.push(RefType(False, "i31"))


@rule("i31.get_s", "i31.get_u")
def _i31_get(v: Stacks, i: Instr) -> None:
    v.pop(RefType(True, "i31"))
    v.push(I32)


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
