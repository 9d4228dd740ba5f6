"""Structures with custom descriptors (custom-descriptors proposal)."""

from __future__ import annotations

from typing import Any

from refwasm.errors import Trap
from refwasm.execution.interpreter.aggregates import struct_new, struct_new_default
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.control import jump
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.values import DescribedInst, check_descriptor, is_described_by
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import RefType


@meaning("struct.new_desc", "struct.new_default_desc")
def _struct_new_desc(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    deftype = code.instance.types[instr.args[0]]
    allocate = (struct_new_default if instr.form.is_default else struct_new)(code, instr, pc, following)

    def op(t: Any, s: list[Any]) -> Any:
        descriptor = s.pop()
        check_descriptor(descriptor)
        allocate(t, s)
        s[-1] = DescribedInst(deftype, s[-1].fields, descriptor)
        return following

    return op


@meaning("ref.get_desc")
def _ref_get_desc(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        if s[-1] is None:
            raise Trap("null reference")
        s[-1] = s[-1].descriptor
        return following

    return op


@meaning("ref.cast_desc_eq", "ref.cast_desc_eq null")
def _ref_cast_desc_eq(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    nullable = instr.form.is_nullable

    def op(t: Any, s: list[Any]) -> Any:
        descriptor, value = s.pop(), s[-1]
        check_descriptor(descriptor)
        if not (nullable if value is None else is_described_by(value, descriptor)):
            raise Trap("descriptor cast failure")
        return following

    return op


@meaning("br_on_cast_desc_eq", "br_on_cast_desc_eq_fail")
def _br_on_cast_desc_eq(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    target: RefType = instr.args[2]
    nullable, on_success = target.nullable, instr.form.mnemonic == "br_on_cast_desc_eq"
    taken = jump(code, code.side[pc])

    def op(t: Any, s: list[Any]) -> Any:
        descriptor, value = s.pop(), s[-1]
        check_descriptor(descriptor)
        succeeds = nullable if value is None else is_described_by(value, descriptor)
        return taken(t, s) if succeeds is on_success else following

    return op
