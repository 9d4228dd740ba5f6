"""Numeric and vector instructions without immediates (specification 4.6.1, 4.6.12).

All call the numeric function of their name. The commonest have its template in line, compiled when first used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import MEANINGS, Op
from refwasm.execution.numerics import OPERATIONS, TEMPLATES, WIDE_OPERATIONS
from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import FORMS, Instr

_UNARY = """
def make(following):
    def op(t, s):
        a = s[-1]
        s[-1] = {expression}
        return following
    return op
"""
_BINARY = """
def make(following):
    def op(t, s):
        b = s.pop()
        a = s[-1]
        s[-1] = {expression}
        return following
    return op
"""


@cache
def _maker(mnemonic: str) -> Callable[[Op], Op]:
    """Makes closures with the template of an instruction in line."""
    params = FORMS[mnemonic].params
    assert params is not None
    source = (_UNARY if len(params) == 1 else _BINARY).format(expression=TEMPLATES[mnemonic])
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<template of {mnemonic}>", "exec"), namespace)
    return namespace["make"]  # type: ignore[no-any-return]


def _numeric(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    mnemonic = instr.form.mnemonic
    if mnemonic in TEMPLATES:
        return _maker(mnemonic)(following)
    function, params = OPERATIONS[mnemonic], instr.form.params
    assert params is not None
    if len(params) == 1:

        def unary(t: Any, s: list[Any]) -> Any:
            s[-1] = function(s[-1])
            return following

        return unary
    if len(params) == 2:

        def binary(t: Any, s: list[Any]) -> Any:
            b = s.pop()
            s[-1] = function(s[-1], b)
            return following

        return binary

    def ternary(t: Any, s: list[Any]) -> Any:
        c, b = s.pop(), s.pop()
        s[-1] = function(s[-1], b, c)
        return following

    return ternary


def _wide(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    """Two results, the lower half first."""
    function, params = WIDE_OPERATIONS[instr.form.mnemonic], instr.form.params
    assert params is not None
    count = len(params)

    def op(t: Any, s: list[Any]) -> Any:
        s[-count:] = function(*s[-count:])
        return following

    return op


MEANINGS.update({FORMS[mnemonic]: _wide for mnemonic in WIDE_OPERATIONS})
MEANINGS.update({form: _numeric for mnemonic, form in FORMS.items() if is_numeric(mnemonic)})
