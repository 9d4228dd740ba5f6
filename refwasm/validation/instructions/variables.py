"""Typing rules of parametric and variable instructions (specification 3.4.1, 3.4.3)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    BOT,
    I32,
    NumType,
    ValType,
)
from refwasm.validation.context import Context
from refwasm.validation.instructions.rule import InstrType, rule, typed
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


@typed("select t")
def _select_typed(c: Context, i: Instr) -> InstrType:
    types = i.args[0]
    if len(types) != 1:
        raise Invalid("invalid result arity: select takes one type")
    t = c.space.value(types[0])
    c.need_type(t)
    return [t, t, I32], [t]


def _local(v: Stacks, index: int) -> ValType:
    if index >= len(v.locals):
        raise Invalid(f"unknown local {index}")
    return v.locals[index]


@rule("local.get")
def _local_get(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    if index >= v.first_local and index not in v.set_locals and not is_defaultable(_local(v, index)):
        raise Invalid(f"uninitialized local {index}")
    v.operands.append(v.locals[index])


@rule("local.set")
def _local_set(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    v.pop(_local(v, index))
    if index >= v.first_local and index not in v.set_locals:
        v.set_locals.add(index)
        v.inits.append(index)


@rule("local.tee")
def _local_tee(v: Stacks, i: Instr) -> None:
    _local_set(v, i)
    v.operands.append(v.locals[i.args[0]])


@typed("global.get")
def _global_get(c: Context, i: Instr) -> InstrType:
    return [], [c.global_(i.args[0]).value]


@typed("global.set")
def _global_set(c: Context, i: Instr) -> InstrType:
    t = c.global_(i.args[0])
    if not t.mutable:
        raise Invalid(f"immutable global {i.args[0]}")
    return [t.value], []
