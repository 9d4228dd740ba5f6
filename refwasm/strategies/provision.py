"""What an instruction is about, for modules that have nothing of the kind: the simplest definition of it.

Nothing is drawn for that: so the choices of what follows mean the same whether an earlier instruction was the first to
need something or not.
"""

from __future__ import annotations

from collections.abc import Iterable

from refwasm.strategies.leaves import constant
from refwasm.strategies.scope import Scope
from refwasm.strategies.tables import composite_of
from refwasm.syntax.instructions import END, FORMS, Form, instr
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
    PackedType,
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
            _provide_composite(scope, FORMS["struct.new"])
        elif t == RefType(False, "array"):
            _provide_composite(scope, FORMS["array.new"])


def _provide_composite(scope: Scope, form: Form) -> None:
    """Define a structure or an array, if none that the module has will do."""
    wanted: CompositeType
    if composite_of(form) is StructType:
        wanted = StructType((FieldType(I8, True), FieldType(I32, True)) if "field" in form.immediates else ())
    else:
        wanted = ArrayType(FieldType(FUNCREF if "elem" in form.immediates else I8, True))
    types = scope.context.space.types
    if not any(_will_do(types[i].composite, form) for i in scope.composites(type(wanted))):
        _define(scope, wanted)


def _will_do(composite: CompositeType, form: Form) -> bool:
    """Whether a structure or an array holds what a form is about."""
    fields = composite.fields if isinstance(composite, StructType) else (composite.field,)  # type: ignore[union-attr]
    held = [field.storage for field in fields]
    if form.is_packed:
        return any(isinstance(t, PackedType) for t in held)
    if "elem" in form.immediates or "data" in form.immediates:
        return any(isinstance(t, RefType) == ("elem" in form.immediates) for t in held)
    return bool(held) or "field" not in form.immediates


def _define(scope: Scope, composite: CompositeType) -> None:
    scope.define(RecType((SubType(True, (), composite),)))
    scope.forget()
