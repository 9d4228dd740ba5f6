"""Parametric and variable instructions (specification 4.6.2, 4.6.7)."""

from __future__ import annotations

from typing import Any

from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.syntax.instructions import Instr


@meaning("drop")
def _drop(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        s.pop()
        return following

    return op


@meaning("select", "select t")
def _select(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        if s.pop():
            s.pop()
        else:
            s[-2] = s[-1]
            s.pop()
        return following

    return op


@meaning("local.get")
def _local_get(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index = instr.args[0]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(t.locals[index])
        return following

    return op


@meaning("local.set")
def _local_set(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index = instr.args[0]

    def op(t: Any, s: list[Any]) -> Any:
        t.locals[index] = s.pop()
        return following

    return op


@meaning("local.tee")
def _local_tee(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    index = instr.args[0]

    def op(t: Any, s: list[Any]) -> Any:
        t.locals[index] = s[-1]
        return following

    return op


@meaning("global.get")
def _global_get(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    cell = code.instance.globals[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(cell.value)
        return following

    return op


@meaning("global.set")
def _global_set(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    cell = code.instance.globals[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        cell.value = s.pop()
        return following

    return op


@meaning("i32.const", "i64.const", "f32.const", "f64.const", "v128.const")
def _const(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    value = instr.args[0]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(value)
        return following

    return op
