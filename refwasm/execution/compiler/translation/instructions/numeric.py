"""Numeric and vector instructions."""

from __future__ import annotations

from refwasm.execution.compiler.translation import floats, integers, vectors
from refwasm.execution.compiler.translation.expressions import call, hexadecimal
from refwasm.execution.compiler.translation.operands import PLAIN
from refwasm.execution.compiler.translation.translator import Translator, as_bits, from_bits, type_name
from refwasm.execution.compiler.translation.values import Value, combined, expr, integer, plain
from refwasm.syntax.instructions import Instr

#: Prefix byte of vector instructions.
VECTOR = 0xFD


def numeric(t: Translator, pc: int, instr: Instr) -> None:
    """One result that depends on the operands only."""
    form, operands = instr.form, t.operands
    assert form.params is not None and form.results is not None
    values = operands.pop(len(form.params))
    if len(values) == 2 and values[0].ordered and not values[0].atom and form.mnemonic not in PLAIN:
        values = operands.in_effect_order(values)
    ordered = values[0].ordered or values[-1].ordered or (len(values) > 2 and values[1].ordered)
    if form.prefix == VECTOR:
        found = vectors.operation(operands, form.mnemonic, values)
    elif values[0].type[:1] == "i" and form.mnemonic[0] == "i":
        found = integers.operation(operands, form.mnemonic, values)
    else:
        found = floats.operation(operands, form.mnemonic, values)
    if found is None:
        found = _calculated(t, form.mnemonic, values, type_name(form.results[0]))
    elif (found.ordered and not ordered) or form.may_trap:
        found.locate(pc)
    operands.push(found)


def _calculated(t: Translator, mnemonic: str, values: list[Value], type: str) -> Value:
    """The numeric function itself."""
    args = as_bits(t.operands.settled(values))
    result = call(_function(mnemonic), [v.expression for v in args])
    found = plain(call(f"{type}_of", [result]) if type[:1] == "f" else result, type)
    for argument in args:
        found.locals |= argument.locals
        found.ordered = found.ordered or argument.ordered
    return found


def _function(mnemonic: str) -> str:
    return f"o_{mnemonic.replace('.', '_')}"


def wide(t: Translator, pc: int, instr: Instr) -> None:
    """Two results: the numeric function itself."""
    form = instr.form
    assert form.params is not None and form.results is not None
    args = [v.expression for v in t.arguments(len(form.params))]
    t.effect(call(_function(form.mnemonic), args), list(map(type_name, form.results)))


def const(t: Translator, pc: int, instr: Instr) -> None:
    """A constant."""
    type = instr.form.mnemonic[:3]
    value: int = instr.args[0]
    if type[0] == "f":
        t.operands.push(floats.constant(value, type))
    elif type == "v12":
        t.operands.push(Value(hexadecimal(value), "", atom=True))
    else:
        t.operands.push(integer(value, type))


def extract_lane(t: Translator, pc: int, instr: Instr) -> None:
    """The bits of one lane."""
    form = instr.form
    assert form.results is not None
    shape, type = form.mnemonic.partition(".")[0], type_name(form.results[0])
    (vector,) = t.operands.pop(1)
    bits = vectors.extracted(shape, instr.args[0], vector)
    high = 0 if type[0] == "f" else (1 << vectors.lane_bits(shape)) - 1
    t.operands.push(combined(from_bits(bits, type).expression, type, 0, high, vector))


def replace_lane(t: Translator, pc: int, instr: Instr) -> None:
    """A vector with other bits in one lane."""
    shape, operands = instr.form.mnemonic.partition(".")[0], t.operands
    vector, value = as_bits(operands.settled(operands.in_effect_order(operands.pop(2))))
    n = vectors.lane_bits(shape)
    bits = value.expression if n >= 32 else expr("({} & {})", value, hexadecimal((1 << n) - 1))
    operands.push(combined(vectors.replaced(shape, instr.args[0], vector, bits), "", 0, 0, vector, value))
