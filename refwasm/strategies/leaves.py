"""Constants: what an expression is where it goes no deeper, and what constant expressions are made of."""

from __future__ import annotations

import re
from functools import cache

from refwasm.execution.numerics.edges import EDGES
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.scope import Scope
from refwasm.syntax.instructions import FORMS, PLAIN, Instr, instr
from refwasm.syntax.types import (
    I32,
    V128,
    ArrayType,
    DefType,
    FuncType,
    HeapType,
    NumType,
    StructType,
    ValType,
)
from refwasm.validation.matching import is_defaultable, unpacked

#: Values of lanes that implementations treat specially, by the shape of a vector.
_LANES = {
    "i8x16": (0, 1, 0x7F, 0x80, 0xFF),
    "i16x8": (0, 1, 0x7FFF, 0x8000, 0xFFFF),
    **{f"{name}x{128 // int(name[1:])}": EDGES[name] for name in ("i32", "i64", "f32", "f64")},
}


def _vectors(shape: str) -> tuple[int, ...]:
    """Vectors of such lanes: all the same, or every first, second or third value of the row, from any on."""
    lanes, width = _LANES[shape], 128 // int(shape.partition("x")[2])
    return tuple(
        sum(lanes[(start + step * i) % len(lanes)] << width * i for i in range(128 // width))
        for step in range(4)
        for start in range(len(lanes))
    )


_VECTORS = {shape: _vectors(shape) for shape in _LANES}
_SHAPE = re.compile("|".join(_LANES))


@cache
def edges_of(t: NumType, mnemonic: str) -> tuple[int, ...]:
    """Values of a type that implementations of an instruction treat specially, the simplest one first."""
    shapes = _SHAPE.findall(mnemonic)
    return EDGES[t.name] if t is not V128 or not shapes else _VECTORS[shapes[-1]]


_CONST = {name: FORMS[f"{name}.const"] for name in EDGES}
#: Every other integer is a small one: addresses, counts and indices are.
_SMALL = 16


def number(drawing: Drawing, t: NumType) -> int:
    """The bits of a number: an edge value, a small one (also as a float), or any."""
    edges = EDGES[t.name]
    k = drawing.below(len(edges) + _SMALL + 2)
    if k < len(edges):
        return edges[k]
    if k >= len(edges) + _SMALL:
        return drawing.bits(t.bits)
    k -= len(edges) - 1
    if t.name[0] == "i":
        return k
    if t.name == "v128":
        return sum(k << shift for shift in range(0, 128, (8, 16, 32, 64)[k % 4]))
    return _as_float(k, t.bits)


def _as_float(k: int, width: int) -> int:
    """The bits of k/2."""
    fraction, bias = (23, 127) if width == 32 else (52, 1023)
    top = k.bit_length() - 1
    return (bias + top - 1) << fraction | (k - (1 << top)) << fraction - top


def constant(t: NumType, bits: int) -> Instr:
    """The instruction that leaves these bits."""
    return Instr(_CONST[t.name], (bits,))


def leaf(scope: Scope, drawing: Drawing, out: list[Instr], goal: ValType, floor: int = 0) -> None:
    """Emit a constant expression of a type. Where no reference of it is :meth:`Scope.constructible`, nor in a global,
    the code traps, and is not constant. Arrays have ``floor`` elements at least."""
    if isinstance(goal, NumType):
        out.append(constant(goal, number(drawing, goal)))
    elif not goal.nullable and not scope.constructible(goal.heap):
        found = scope.constants(goal)
        null = [instr("ref.null", scope.open_heap(goal.heap)), PLAIN["ref.as_non_null"]]
        out.extend([instr("global.get", drawing.pick(found))] if found else null)
    elif goal.nullable and not (scope.constructible(goal.heap) and drawing.below(2)):
        out.append(instr("ref.null", scope.open_heap(goal.heap)))
    else:
        _reference(scope, drawing, out, goal.heap, floor)


def _reference(scope: Scope, drawing: Drawing, out: list[Instr], heap: HeapType, floor: int) -> None:
    """A new reference, or one to a function."""
    if heap == "extern":
        _reference(scope, drawing, out, "i31", floor)
        out.append(PLAIN["extern.convert_any"])
    elif heap in ("any", "eq", "i31"):
        out.extend([constant(I32, number(drawing, I32)), PLAIN["ref.i31"]])
    elif heap in ("struct", "array"):
        kind = StructType if heap == "struct" else ArrayType
        found = scope.composites(kind)
        aggregate(scope, drawing, out, scope.context.space.types[drawing.pick(found)], floor)
    elif isinstance(heap, DefType) and not isinstance(heap.composite, FuncType):
        aggregate(scope, drawing, out, heap, floor)
    else:
        function(scope, drawing, out, heap)


def function(scope: Scope, drawing: Drawing, out: list[Instr], heap: HeapType) -> None:
    """A reference to a function of a type, which becomes a declared one."""
    funcs = scope.context.funcs
    found = [i for i, t in enumerate(funcs) if heap == "func" or t is heap]
    index = drawing.pick(found)
    scope.context.refs.add(index)
    out.append(instr("ref.func", index))


def aggregate(scope: Scope, drawing: Drawing, out: list[Instr], deftype: DefType, floor: int) -> None:
    """A new structure or array whose contents are constant."""
    composite, index = deftype.composite, scope.index(deftype)
    if isinstance(composite, StructType):
        if all(is_defaultable(field.storage) for field in composite.fields):
            out.append(instr("struct.new_default", index))
            return
        for field in composite.fields:
            leaf(scope, drawing, out, unpacked(field.storage), floor)
        out.append(instr("struct.new", index))
        return
    assert isinstance(composite, ArrayType)
    k = drawing.below(8)
    opener = "array.new_default"
    if k > 3 or not is_defaultable(composite.field.storage):
        opener = "array.new"
        leaf(scope, drawing, out, unpacked(composite.field.storage), floor)
    out.extend([constant(I32, floor + k % 4), instr(opener, index)])
