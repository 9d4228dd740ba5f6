"""Typing rules of parametric and variable instructions (specification 3.4.2, 3.4.5)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    BOT,
    I32,
    NumType,
    ValType,
)
from refwasm.validation.instructions.rule import rule
from refwasm.validation.matching import is_defaultable
from refwasm.validation.stacks import Stacks


@rule("unreachable")
def _unreachable(v: Stacks, i: Instr) -> None:
    v.unreachable()


@rule("drop")
def _drop(v: Stacks, i: Instr) -> None:
    v.pop_any()


@rule("select")
def _select(v: Stacks, i: Instr) -> None:
    v.pop(I32)
    second, first = v.pop_any(), v.pop_any()
    for t in (first, second):
        if not isinstance(t, NumType):
            raise Invalid(f"type mismatch: select without a type requires numbers or vectors, not {t!r}")
    if first is not second and BOT not in (first, second):
        raise Invalid(f"type mismatch: the alternatives of select are {first!r} and {second!r}")
    v.push(second if first is BOT else first)


@rule("select t")
def _select_typed(v: Stacks, i: Instr) -> None:
    types = i.args[0]
    if len(types) != 1:
        raise Invalid("invalid result arity: select takes one type")
    t = v.context.space.value(types[0])
    v.pop_all([t, t, I32])
    v.push(t)


def _local(v: Stacks, index: int) -> ValType:
    if index >= len(v.locals):
        raise Invalid(f"unknown local {index}")
    return v.locals[index]


@rule("local.get")
def _local_get(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    t = _local(v, index)
    if index >= v.first_local and index not in v.set_locals and not is_defaultable(t):
        raise Invalid(f"uninitialized local {index}")
    v.operands.append(t)


def _set_local(v: Stacks, index: int) -> None:
    if index >= v.first_local and index not in v.set_locals:
        v.set_locals.add(index)
        v.inits.append(index)


@rule("local.set")
def _local_set(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    v.pop(_local(v, index))
    _set_local(v, index)


@rule("local.tee")
def _local_tee(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    t = _local(v, index)
    v.pop(t)
    _set_local(v, index)
    v.operands.append(t)


@rule("global.get")
def _global_get(v: Stacks, i: Instr) -> None:
    v.push(v.context.global_(i.args[0]).value)


@rule("global.set")
def _global_set(v: Stacks, i: Instr) -> None:
    t = v.context.global_(i.args[0])
    if not t.mutable:
        raise Invalid(f"immutable global {i.args[0]}")
    v.pop(t.value)
