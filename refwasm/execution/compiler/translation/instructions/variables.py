"""Local and global variables, and the parametric instructions."""

from __future__ import annotations

from functools import lru_cache

from refwasm.execution.compiler.translation import integers
from refwasm.execution.compiler.translation.expressions import Comparison, Literal, local
from refwasm.execution.compiler.translation.statements import Assign, If
from refwasm.execution.compiler.translation.translator import Translator, as_bits, from_bits, type_name
from refwasm.execution.compiler.translation.values import BITS, SCRATCH, Value, expr
from refwasm.syntax.instructions import Instr

NAN = Literal("NAN")
_MOST = {"i32": (1 << 32) - 1, "i64": (1 << 64) - 1}


@lru_cache(1024)
def _only(index: int) -> frozenset[int]:
    """The set of one local."""
    return frozenset((index,))


def local_get(t: Translator, pc: int, instr: Instr) -> None:
    index = instr[1][0]
    type = t.types[index]
    if type in ("i32", "i64"):
        fact = t.facts.get(index)
        if fact is None:
            found = Value(local(index), type, 0, _MOST[type], _only(index), atom=True)
        else:
            found = Value(local(index), type, fact[0], fact[1], _only(index), atom=True)
            found.alignment = fact[2]
        found.parts, found.adds = (index,), index
        if t.speculation.assumptions is not None:
            found.linear = t.sums.get(index, {index: 1})
            found.locals |= {i for i in found.linear if i != SCRATCH}
    else:
        found = Value(local(index), type, 0, 0, _only(index), atom=True)
        found.loose = bool(type) and index in t.survey.arithmetic
    t.operands.stack.append(found)


def local_set(t: Translator, pc: int, instr: Instr) -> None:
    (value,) = t.operands.pop(1)
    index = instr.args[0]
    t.operands.settle_local(index)
    t.operands.doubles.pop(f"l{index}", None)
    if t.sums:
        t.sums = {i: linear for i, linear in t.sums.items() if i != index and index not in linear}
    if value.type in ("i32", "i64"):
        _set_integer(t, index, value)
    elif value.type:
        _set_float(t, index, value)
    else:
        t.operands.emit(Assign(local(index), value.expression), value.ordered)


def _set_integer(t: Translator, index: int, value: Value) -> None:
    n, variable, speculation = BITS[value.type], local(index), t.speculation
    t.facts.pop(index, None)
    speculation.is_stepped(index, value)
    if (value.lo < 0 or value.hi >> n) and speculation.accumulates(index, value):
        t.operands.emit(Assign(variable, value.expression), value.ordered)
        return
    if value.signed is not None and speculation.holds_signed(index, value):
        t.operands.emit(Assign(variable, value.signed), value.ordered)
        t.facts[index] = (-(1 << (n - 1)), (1 << (n - 1)) - 1, 0)
        return
    value = integers.canonical(t.operands, value, n)
    t.operands.emit(Assign(variable, value.expression), value.ordered)
    if value.lo > 0 or value.hi < (1 << n) - 1 or value.alignment:
        t.facts[index] = (value.lo, value.hi, value.alignment)
    if speculation.is_fast and value.linear is not None and value.locals and index not in value.linear:
        t.sums[index] = value.linear


def _set_float(t: Translator, index: int, value: Value) -> None:
    (value,) = t.operands.rounded([value]) if value.unrounded else [value]
    if value.bits and index in value.locals:  # they are looked at again when the local has changed
        value = t.operands.stored(value)
    variable = local(index)
    t.operands.emit(Assign(variable, value.expression), value.ordered)
    t.operands.note_payload(variable, value)
    if value.loose and index not in t.survey.arithmetic:
        t.emitter.add(If(Comparison(variable, "!=", variable), [Assign(variable, NAN)]))


def local_tee(t: Translator, pc: int, instr: Instr) -> None:
    local_set(t, pc, instr)
    local_get(t, pc, instr)


def global_get(t: Translator, pc: int, instr: Instr) -> None:
    type = type_name(t.instance.globals[instr.args[0]].type.value)
    found = from_bits(Literal(f"g{instr.args[0]}.value"), type)
    found.ordered, found.atom = True, False
    t.operands.push(found)


def global_set(t: Translator, pc: int, instr: Instr) -> None:
    (value,) = as_bits(t.operands.settled(t.operands.pop(1)))
    t.operands.emit(Assign(Literal(f"g{instr.args[0]}.value"), value.expression), True)


def drop(t: Translator, pc: int, instr: Instr) -> None:
    (value,) = t.operands.pop(1)
    if value.ordered:
        t.operands.emit_effect(value.expression)


def select(t: Translator, pc: int, instr: Instr) -> None:
    operands = t.operands
    first, second, condition = operands.pop(3)
    if first.ordered or second.ordered or first.unrounded or second.unrounded:
        first, second, condition = operands.in_order([first, second, condition])
    first, second = operands.settled([first, second])
    condition = integers.canonical(operands, condition, 32)
    chosen = expr("({} if {} else {})", first, condition.condition, second)
    reads = first.locals | second.locals | condition.locals
    found = Value(chosen, first.type, min(first.lo, second.lo), max(first.hi, second.hi), reads, condition.ordered)
    found.alignment = min(first.alignment, second.alignment)
    operands.push(found)
