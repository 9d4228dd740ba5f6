"""Instantiation (specification 4.7.3). The numbered steps follow the specification's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from refwasm.errors import Unlinkable
from refwasm.execution.bulk import look_at, memory_init, table_init
from refwasm.execution.memory import Memory, SharedMemory
from refwasm.execution.store import (
    DataInst,
    ElemInst,
    Extern,
    FuncInst,
    GlobalInst,
    HostFunc,
    ModuleInst,
    Store,
    TableInst,
    TagInst,
    extern_type,
)
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.modules import Expr
from refwasm.syntax.types import EXTERN_KINDS, PAGE_BITS, DefType, ExternType, GlobalType, MemType, TableType
from refwasm.validation import Validated
from refwasm.validation.matching import match_extern_type

_CONSTANTS = {FORMS[f"{t}.const"] for t in ("i32", "i64", "f32", "f64", "v128")}
_REF_FUNC = FORMS["ref.func"]


def instantiate(
    store: Store,
    validated: Validated,
    externs: Sequence[Extern],
    prepare: Callable[[ModuleInst], None] | None = None,
) -> ModuleInst:
    """Make an instance of a valid module. ``externs`` are its imports in order.

    ``prepare`` gets the instance before any of its code runs: the start function may call host functions that want to
    know their caller.

    Raises Unlinkable; Trap, UncaughtException or ResourceLimit from segments and the start function. As the
    specification says, what active segments wrote before a trap stays written.
    """
    module = validated.module
    # 1.-3. The module is valid; the number and the types of the imports match.
    if len(externs) != len(module.imports):
        raise Unlinkable(f"{len(module.imports)} imports are needed, {len(externs)} were given")
    for item, given in zip(module.imports, externs):
        wanted = validated.space.extern(item.type)
        found = extern_type(given)
        if not match_extern_type(found, wanted):
            raise Unlinkable(
                f"incompatible import type for {item.module!r} {item.name!r}: "
                f"expected {describe(wanted)}, found {describe(found)}"
            )
    # 4.-9. Allocate: imports first, so that indices come out right.
    instance = ModuleInst(validated, store)
    store.switches = store.switches or validated.switches
    _take_imports(instance, externs)
    _allocate(instance)
    for export in module.exports:
        space: Sequence[Extern] = {
            "func": instance.funcs, "table": instance.tables, "memory": instance.memories,
            "global": instance.globals, "tag": instance.tags,
        }[export.kind]  # type: ignore[assignment]  # fmt: skip
        instance.exports[export.name] = space[export.index]
    if prepare is not None:
        prepare(instance)
    # 10.-13. Active segments in order, elements before data; then they are dropped, as declarative ones are. They take
    # no fuel: the guest has executed nothing yet.
    work = partial(look_at, store.settings)
    for elem, elem_inst in zip(module.elems, instance.elems):
        if elem.offset is not None:
            offset = evaluate(instance, elem.offset)
            table_init(work, instance.tables[elem.table], elem_inst, offset, 0, len(elem_inst.elements))
        if elem.mode != "passive":
            elem_inst.elements = []
    for data, data_inst in zip(module.datas, instance.datas):
        if data.offset is not None:
            offset = evaluate(instance, data.offset)
            memory_init(work, instance.memories[data.memory], data_inst, offset, 0, len(data_inst.content))
            data_inst.content = b""
    # 14. The start function.
    if module.start is not None:
        store.invoke(instance.funcs[module.start], [])
    return instance


def _take_imports(instance: ModuleInst, externs: Sequence[Extern]) -> None:
    for given in externs:
        if isinstance(given, (FuncInst, HostFunc)):
            instance.funcs.append(given)
        elif isinstance(given, TableInst):
            instance.tables.append(given)
        elif isinstance(given, Memory):
            instance.memories.append(given)
        elif isinstance(given, GlobalInst):
            instance.globals.append(given)
        else:
            instance.tags.append(given)


def _allocate(instance: ModuleInst) -> None:
    """Allocmodule: functions first, since constants may refer to them, then globals in order."""
    validated, module, space = instance.validated, instance.module, instance.validated.space
    imported = len(instance.funcs)
    for index, func in enumerate(module.funcs, imported):
        instance.funcs.append(FuncInst(validated.func_types[index], instance, func, index))
    for memory in module.memories:
        instance.memories.append(allocate_memory(memory, instance.store))
    for tag in module.tags:
        instance.tags.append(TagInst(space.func(tag.type)))
    for glob in module.globals:
        t = space.extern(glob.type)
        assert isinstance(t, GlobalType)
        instance.globals.append(GlobalInst(t, evaluate(instance, glob.init)))
    for table in module.tables:
        closed = space.extern(table.type)
        assert isinstance(closed, TableType)
        init = None if table.init is None else evaluate(instance, table.init)
        instance.tables.append(TableInst(closed, init))
    for elem in module.elems:
        instance.elems.append(ElemInst([evaluate(instance, init) for init in elem.inits]))
    instance.datas += [DataInst(data.init) for data in module.datas]


def allocate_memory(t: MemType, store: Store) -> Memory:
    """A new memory of that type, under the store's limits."""
    if not t.shared:
        return Memory(t, store.settings.memory_pages)
    from refwasm.execution.domain import current_domain  # multiprocessing takes 15 ms to import

    return SharedMemory(t, current_domain(), store.settings.memory_pages)


def evaluate(instance: ModuleInst, expr: Expr) -> Any:
    """The value of a constant expression; the commonest ones without starting an agent."""
    if len(expr) == 2:
        first = expr[0]
        if first.form in _CONSTANTS:
            return first.args[0]
        if first.form is _REF_FUNC:
            return instance.funcs[first.args[0]]
    return instance.store.tier.evaluate(instance, expr)


def describe(t: ExternType) -> str:
    """An external type for messages."""
    kind = EXTERN_KINDS[type(t)]
    if isinstance(t, MemType):
        bound = "" if t.limits.maximum is None else f" {t.limits.maximum}"
        address = "" if t.address.bits == 32 else " i64"
        pages = "" if t.page_bits == PAGE_BITS else f" with pages of {1 << t.page_bits}"
        return f"memory{address} {t.limits.minimum}{bound}{' shared' if t.shared else ''}{pages}"
    if isinstance(t, TableType):
        bound = "" if t.limits.maximum is None else f" {t.limits.maximum}"
        return f"table {t.limits.minimum}{bound} {t.element!r}"
    if isinstance(t, GlobalType):
        return f"global {'mut ' if t.mutable else ''}{t.value!r}"
    assert isinstance(t.type, DefType)
    return f"{kind} {t.type.composite!r}"
