"""Reference instructions (specification 4.6.6)."""

from __future__ import annotations

from typing import Any

from refwasm.errors import Trap
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.values import I31, is_of_heap
from refwasm.syntax.instructions import Instr


@meaning("ref.null")
def _ref_null(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        s.append(None)
        return following

    return op


@meaning("ref.func")
def _ref_func(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    func = code.instance.funcs[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(func)
        return following

    return op


@meaning("ref.is_null")
def _ref_is_null(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        s[-1] = 1 if s[-1] is None else 0
        return following

    return op


@meaning("ref.as_non_null")
def _ref_as_non_null(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        if s[-1] is None:
            raise Trap("null reference")
        return following

    return op


@meaning("ref.eq")
def _ref_eq(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        b = s.pop()
        a = s[-1]
        s[-1] = 1 if a is b or (isinstance(a, I31) and isinstance(b, I31) and a == b) else 0
        return following

    return op


@meaning("ref.test", "ref.test null")
def _ref_test(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    heap = code.instance.validated.space.heap(instr.args[0])
    null = int(instr.form.is_nullable)

    def op(t: Any, s: list[Any]) -> Any:
        value = s[-1]
        s[-1] = null if value is None else 1 if is_of_heap(value, heap) else 0
        return following

    return op


@meaning("ref.cast", "ref.cast null")
def _ref_cast(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    heap = code.instance.validated.space.heap(instr.args[0])
    nullable = instr.form.is_nullable

    def op(t: Any, s: list[Any]) -> Any:
        value = s[-1]
        if not (nullable if value is None else is_of_heap(value, heap)):
            raise Trap("cast failure")
        return following

    return op


@meaning("ref.i31")
def _ref_i31(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        s[-1] = I31(s[-1] & 0x7FFFFFFF)
        return following

    return op


@meaning("i31.get_s", "i31.get_u")
def _i31_get(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    signed = instr.form.extends_sign

    def op(t: Any, s: list[Any]) -> Any:
        value = s[-1]
        if value is None:
            raise Trap("null i31 reference")
        s[-1] = int(value) | 0x80000000 if signed and value >> 30 else int(value)
        return following

    return op


@meaning("any.convert_extern", "extern.convert_any")
def _convert(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    """The same object on both sides, see :mod:`refwasm.execution.values`."""

    def op(t: Any, s: list[Any]) -> Any:
        return following

    return op
