"""What an instruction is about, for modules that have nothing of the kind: the simplest definition of it.

Nothing is drawn for that: so the choices of what follows mean the same whether an earlier instruction was the first to
need something or not.
"""

from __future__ import annotations

from collections.abc import Iterable

from refwasm.strategies.leaves import constant
from refwasm.strategies.scope import Scope
from refwasm.syntax.instructions import END, Form, instr
from refwasm.syntax.modules import Data, Elem
from refwasm.syntax.types import (
    FUNCREF,
    I8,
    I32,
    ArrayType,
    CompositeType,
    FieldType,
    GlobalType,
    Limits,
    MemType,
    NumType,
    RecType,
    RefType,
    StructType,
    SubType,
    TableType,
    ValType,
)

#: Elements of tables and segments; bytes of segments.
_ELEMENTS, _BYTES = 4, bytes(range(1, 9))


def provide(scope: Scope, form: Form) -> None:
    """Define what a form names in its immediates, if the module has nothing of the kind and may have some."""
    limits, features, context = scope.config.limits, scope.features, scope.context
    for word in form.immediates:
        if word == "memory" and not context.memories and limits.memories:
            provide_memory(scope)
        elif word == "table" and not context.tables and limits.tables:
            scope.add_table(TableType(I32, Limits(_ELEMENTS, 2 * _ELEMENTS), FUNCREF))
        elif word == "data" and not scope.datas and limits.segments and "bulk-memory" in features:
            scope.add_data(Data(_BYTES, "passive"))
        elif word == "elem" and not scope.elems and limits.segments and not scope.tables_are_few:
            scope.add_elem(_element(scope, form), _ELEMENTS, Elem(FUNCREF, (), "passive"))
        elif word == "global" and not scope.spaces["global"]:
            provide_global(scope, I32)
        elif word == "type" and "gc" in features and limits.types:
            _provide_composite(scope, form)


def provide_memory(scope: Scope, shared: bool = False) -> None:
    """Define a memory."""
    scope.add_memory(MemType(I32, Limits(1, max(scope.config.limits.memory_pages, 1)), shared))


def provide_global(scope: Scope, t: ValType) -> None:
    """Define a global that holds values of a type, if the module may have another one."""
    most = scope.config.limits.globals
    if most and len(scope.globals) < most + (scope.fuel is not None):
        if isinstance(t, RefType):
            scope.add_global(GlobalType(RefType(True, t.heap), True), (instr("ref.null", scope.open_heap(t.heap)), END))
        else:
            assert isinstance(t, NumType)
            scope.add_global(GlobalType(t, True), (constant(t, 0), END))


def _element(scope: Scope, form: Form) -> RefType:
    """The type of a segment's elements: that of the last table, if the instruction is about tables."""
    tables = scope.context.tables
    return tables[-1].element if "table" in form.immediates and tables and tables[-1].element.nullable else FUNCREF


def provide_values(scope: Scope, types: Iterable[object]) -> None:
    """Define what references to any structure or array, which are not null, can refer to."""
    for t in types:
        if t == RefType(False, "struct"):
            provide_structure(scope)
        elif t == RefType(False, "array") and not scope.composites(ArrayType):
            _define(scope, ArrayType(FieldType(I8, True)))


def provide_structure(scope: Scope) -> None:
    """Define a structure without fields, if the module has no structure and may have one."""
    if "gc" in scope.features and scope.config.limits.types and not scope.composites(StructType):
        _define(scope, StructType(()))


def _provide_composite(scope: Scope, form: Form) -> None:
    """Define a structure, of which a form names a field, or else an array."""
    if "field" in form.immediates:
        types = scope.context.space.types
        if not any(getattr(types[i].composite, "fields", ()) for i in scope.composites(StructType)):
            _define(scope, StructType((FieldType(I8, True), FieldType(I32, True))))
    elif not scope.composites(ArrayType):
        _define(scope, ArrayType(FieldType(FUNCREF if "elem" in form.immediates else I8, True)))


def _define(scope: Scope, composite: CompositeType) -> None:
    scope.define(RecType((SubType(True, (), composite),)))
    scope.forget()
