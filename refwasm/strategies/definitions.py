"""What a module defines besides its functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from refwasm.strategies import configuration
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.leaves import constant, leaf
from refwasm.strategies.provision import provide_memory, provide_values
from refwasm.strategies.scope import Scope
from refwasm.syntax.instructions import END, PLAIN, Instr, instr
from refwasm.syntax.modules import Data, Elem
from refwasm.syntax.types import (
    EXTERN_KINDS,
    F32,
    F64,
    FUNCREF,
    I8,
    I16,
    I32,
    I64,
    ArrayType,
    FieldType,
    FuncType,
    GlobalType,
    Limits,
    MemType,
    RecType,
    RefType,
    StorageType,
    StructType,
    SubType,
    TableType,
    ValType,
)

#: Elements of a table, and elements and bytes of a segment, at least; where something starts.
_LEAST, _SEGMENT, _OFFSETS = 4, 4, (0, 1, 8, 64)


def begin(scope: Scope) -> None:
    """What a module has in any case: what it imports, and fuel."""
    config = scope.config
    _imports(scope)
    named = () if isinstance(config.exports, str) else config.exports
    provide_values(scope, configuration.mentioned(t for _, t in (*config.imports, *named)))
    if scope.config.termination == "fuel":
        scope.fuel = len(scope.context.globals)
        scope.add_global(GlobalType(I32, True), (constant(I32, scope.config.limits.fuel), END))


def most_definitions(limits: configuration.Limits) -> int:
    """How many definitions are drawn at most; some of them come to nothing."""
    return limits.types + limits.memories + limits.tables + limits.globals + limits.tags + 2 * limits.segments


def definition(scope: Scope, drawing: Drawing) -> None:
    """Draw a definition of any kind, unless there are enough of it."""
    kind = drawing.pick(_KINDS)
    if kind.feature in scope.features and len(kind.known(scope)) < kind.most(scope.config.limits):
        kind.define(scope, drawing)


def _imports(scope: Scope) -> None:
    context = scope.context
    for _, t in scope.config.imports:
        kind = "func" if isinstance(t, FuncType) else EXTERN_KINDS[type(t)]
        scope.imported[kind] = scope.imported.get(kind, 0) + 1
        if isinstance(t, FuncType):
            context.funcs.append(context.space.types[scope.func_index(t)])
        elif isinstance(t, MemType):
            context.memories.append(t)
        elif isinstance(t, TableType):
            context.tables.append(t)
        else:
            context.globals.append(t)
            context.imported_globals += 1


# ---- types ----------------------------------------------------------------------------------------------------------


def _type(scope: Scope, drawing: Drawing) -> None:
    """A structure, one that extends another, two that mention each other, or an array."""
    kind = drawing.below(7)
    own = len(scope.context.space.types)
    if kind > 3:
        packed = drawing.below(4)
        field = _field(scope, drawing) if packed < 2 else FieldType((I8, I16)[packed - 2], True)
        _define(scope, SubType(True, (), ArrayType(field)))
    elif kind < 2:
        _define(scope, SubType(kind == 0, (), StructType(_fields(scope, drawing))))
    elif kind == 2:
        types = scope.context.space.types
        open_ = [i for i in scope.composites(StructType) if not types[i].sub.final]
        parent = drawing.pick(open_) if open_ else None
        inherited = _written(scope, parent) if parent is not None else ()
        supers = () if parent is None else (parent,)
        _define(scope, SubType(False, supers, StructType(inherited + _fields(scope, drawing))))
    else:
        first = StructType((FieldType(RefType(True, own + 1), True), *_fields(scope, drawing)))
        second = StructType((*_fields(scope, drawing), FieldType(RefType(True, own), True)))
        _define(scope, SubType(True, (), first), SubType(True, (), second))


def _define(scope: Scope, *subs: SubType) -> None:
    scope.define(RecType(subs))


def _written(scope: Scope, index: int) -> tuple[FieldType, ...]:
    """The fields of a structure type, as the module writes them."""
    subs = [sub for rec in scope.types for sub in rec.subtypes]
    composite = subs[index].composite
    assert isinstance(composite, StructType)
    return composite.fields


def _fields(scope: Scope, drawing: Drawing) -> tuple[FieldType, ...]:
    return tuple(_field(scope, drawing) for _ in drawing.several(3, 1.5))


def _field(scope: Scope, drawing: Drawing) -> FieldType:
    numbers = scope.numbers()
    k = drawing.below(16)
    storage: StorageType
    if k < 8:
        storage = (I32, I64, F32, F64, I8, I16, I32, numbers[-1])[k]
    else:
        heap = drawing.pick(scope.heaps())
        strict = k > 12 and scope.constructible(heap) and not isinstance(heap, str)
        storage = RefType(not strict, scope.open_heap(heap))
    return FieldType(storage, not drawing.rarely(4))


def _tag(scope: Scope, drawing: Drawing) -> None:
    params: tuple[ValType, ...] = tuple(drawing.pick(scope.numbers()) for _ in range(drawing.below(3)))
    index = scope.func_index(FuncType(params, ()))
    scope.context.tags.append(scope.context.space.types[index])


# ---- memories, tables, globals --------------------------------------------------------------------------------------


def _memory(scope: Scope, drawing: Drawing) -> None:
    memories, features = scope.context.memories, scope.features
    if memories and "multi-memory" not in features:
        return
    k = drawing.below(16)
    most = max(scope.config.limits.memory_pages, 1)
    least = 0 if k == 15 else 1 + drawing.below(most)
    address = I64 if k in (13, 14) and "memory64" in features else I32
    shared = k in (11, 12) and "threads" in features
    scope.add_memory(MemType(address, Limits(least, max(most, least)), shared))


def _table(scope: Scope, drawing: Drawing) -> None:
    tables, features = scope.context.tables, scope.features
    if tables and scope.tables_are_few:
        return
    elements = scope.nullable() if "reference-types" in features else []
    element = drawing.pick([FUNCREF, *elements])
    least = _LEAST + drawing.below(max(scope.config.limits.table_elements - _LEAST, 0) + 1)
    address = I64 if "memory64" in features and drawing.rarely(8) else I32
    assert isinstance(element, RefType)
    scope.add_table(TableType(address, Limits(least, least + 4), element))


def _global(scope: Scope, drawing: Drawing) -> None:
    numbers = scope.numbers()
    k = drawing.below(16)
    found = scope.nullable()
    order = (0, 1, 2, 3, -1)
    t = drawing.pick(found) if k > 12 and found else numbers[order[k % len(order)]]
    out: list[Instr] = []
    constant_expression(scope, drawing, out, t)
    scope.add_global(GlobalType(t, not drawing.rarely(5)), (*out, END))


def constant_expression(scope: Scope, drawing: Drawing, out: list[Instr], goal: ValType, depth: int = 2) -> None:
    """Emit a constant expression of a type (3.4.13): a constant, another global, or a sum of some."""
    k = drawing.below(6) if depth else 0
    others = scope.constants(goal)
    if k == 4 and others:
        out.append(instr("global.get", drawing.pick(others)))
    elif k == 5 and goal in (I32, I64) and "extended-const" in scope.features:
        constant_expression(scope, drawing, out, goal, depth - 1)
        constant_expression(scope, drawing, out, goal, depth - 1)
        out.append(PLAIN[f"{goal!r}.{drawing.pick(('add', 'sub', 'mul'))}"])
    else:
        leaf(scope, drawing, out, goal, _LEAST)


# ---- segments -------------------------------------------------------------------------------------------------------


def _data(scope: Scope, drawing: Drawing) -> None:
    """A passive segment, or an active one within the first page of a memory. All choices are made for both."""
    content, is_active = drawing.draw(_CONTENTS), drawing.below(2) == 0
    at = drawing.pick(_OFFSETS)
    if is_active and not scope.context.memories and scope.config.limits.memories:
        provide_memory(scope)
    usable = [i for i, m in enumerate(scope.context.memories) if m.limits.minimum]
    if usable and (is_active or "bulk-memory" not in scope.features):
        memory = drawing.pick(usable)
        offset = constant(scope.context.memories[memory].address, at)
        scope.add_data(Data(content, "active", memory, (offset, END)))
    elif "bulk-memory" in scope.features:
        scope.add_data(Data(content, "passive"))


_CONTENTS = st.binary(max_size=48)


def _elem(scope: Scope, drawing: Drawing) -> None:
    """A segment whose elements are null until all functions are known."""
    count = _SEGMENT + drawing.below(3)
    tables = [i for i, t in enumerate(scope.context.tables) if i != scope.call_table and t.element.nullable]
    table = drawing.pick(tables) if tables else 0
    if tables and (drawing.below(2) == 0 or scope.tables_are_few):
        t = scope.context.tables[table]
        count = min(count, t.limits.minimum)
        offset = constant(t.address, drawing.below(t.limits.minimum - count + 1))
        scope.add_elem(t.element, count, Elem(t.element, (), "active", table, (offset, END)))
    elif not scope.tables_are_few:
        element = drawing.pick([FUNCREF, *_of_tables(scope), *_in_arrays(scope), *scope.nullable()])
        assert isinstance(element, RefType)
        scope.add_elem(element, count, Elem(element, (), "passive"))


def _of_tables(scope: Scope) -> list[ValType]:
    """The types of the elements of tables, each as often as others: ``table.init`` needs a segment of the same one."""
    return [t.element for t in scope.context.tables for _ in range(4) if t.element.nullable]


def _in_arrays(scope: Scope) -> list[ValType]:
    """The types of references that arrays hold, each as often as all others: these need segments."""
    types = [scope.context.space.types[i].composite for i in scope.composites(ArrayType)]
    held = [t.field.storage for t in types if isinstance(t, ArrayType) and isinstance(t.field.storage, RefType)]
    return [t for t in held for _ in range(8) if t.nullable]


def fill_elements(scope: Scope, drawing: Drawing) -> None:
    """Draw the elements of all segments, which may refer to any function."""
    for index, elem in enumerate(scope.elems):
        inits = []
        for _ in elem.inits:
            out: list[Instr] = []
            if "reference-types" not in scope.features:
                out.append(instr("ref.func", drawing.below(scope.callable())))
            else:
                leaf(scope, drawing, out, scope.context.elems[index], _LEAST)
            inits.append((*out, END))
        scope.elems[index] = elem._replace(inits=tuple(inits))


class Kind(NamedTuple):
    """A kind of definition: what draws one, the feature that it needs, those that there are, and how many there may
    be."""

    define: Callable[[Scope, Drawing], None]
    feature: str
    known: Callable[[Scope], Sequence[object]]
    most: Callable[[configuration.Limits], int]


_GLOBAL = Kind(_global, "mvp", lambda scope: scope.globals[scope.fuel is not None :], lambda limits: limits.globals)
_MEMORY = Kind(_memory, "mvp", lambda scope: scope.memories, lambda limits: limits.memories)
_TABLE = Kind(_table, "mvp", lambda scope: scope.tables[scope.call_table is not None :], lambda limits: limits.tables)
_TYPE = Kind(_type, "gc", lambda scope: scope.types, lambda limits: limits.types)
_TAG = Kind(_tag, "exception-handling", lambda scope: scope.context.tags, lambda limits: limits.tags)
_DATA = Kind(_data, "mvp", lambda scope: scope.datas, lambda limits: limits.segments)
_ELEM = Kind(_elem, "mvp", lambda scope: scope.elems, lambda limits: limits.segments)
#: No definition: the simplest choice, to which the shrinker reduces a whole definition, and then deletes it.
_NONE = Kind(lambda scope, drawing: None, "mvp", lambda scope: (), lambda limits: 1)
_KINDS = (_NONE, _GLOBAL, _MEMORY, _TABLE, _TYPE, _DATA, _ELEM, _GLOBAL, _GLOBAL, _TYPE, _TYPE, _TYPE, _TAG, _DATA,
          _ELEM, _TABLE, _MEMORY)  # fmt: skip
