"""Validation of modules (specification 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from refwasm.errors import Invalid, Malformed, Trap
from refwasm.garbage import makes_what_stays
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.modules import Data, Elem, Export, Expr, Func, Global, Module, Table
from refwasm.syntax.types import (
    I32,
    PAGE_BITS,
    ArrayType,
    ContType,
    DefType,
    ExternType,
    FuncType,
    FuncUse,
    GlobalType,
    Limits,
    MemType,
    RefType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
)
from refwasm.validation.context import Context
from refwasm.validation.features import ALL, UNFINISHED
from refwasm.validation.functions import SideTable, trace_body, validate_body, validate_constant
from refwasm.validation.matching import is_defaultable, match_ref_type
from refwasm.validation.types import TypeSpace

PAGE_LIMITS = {32: (1 << 16, "65536 pages (4GiB)"), 64: (1 << 48, "2^48 pages")}
TABLE_LIMITS = {32: (1 << 32) - 1, 64: (1 << 64) - 1}

_REF_FUNC = FORMS["ref.func"]


class Validated:
    """A valid module and what validation found out: who holds one may trust it.

    ``func_types`` are the types of all functions, imported ones first; ``side_tables`` belong to the module's own.
    ``switches`` tells that it may use instructions of stack switching; ``code`` is for execution: what it made of
    functions, for all instances.
    """

    __slots__ = ("module", "space", "func_types", "side_tables", "switches", "code", "__weakref__")

    def __init__(
        self, module: Module, space: TypeSpace, func_types: tuple[DefType, ...], side_tables: Sequence[SideTable]
    ) -> None:
        self.module = module
        self.space = space
        self.func_types = func_types
        self.side_tables = side_tables
        self.switches = False
        self.code: dict[Any, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:  # code stays in this process
        return _again, (self.module, self.space, self.func_types, self.side_tables, self.switches)

    def side_table(self, function: int) -> SideTable:
        """The side table of a function that is not imported."""
        return self.side_tables[function - len(self.func_types)]


def _again(module: Module, space: TypeSpace, func_types: Any, side_tables: Any, switches: bool) -> Validated:
    validated = Validated(module, space, func_types, side_tables)
    validated.switches = switches
    return validated


class _SideTables(Sequence[SideTable]):
    """The side tables of a module whose validation is deferred: each is made when it is first asked for."""

    def __init__(self, length: int, check: Callable[[int], SideTable]) -> None:
        self.tables: list[SideTable | None] = [None] * length
        self.check = check

    def __len__(self) -> int:
        return len(self.tables)

    def __getitem__(self, index: Any) -> Any:
        place = range(len(self))[index]
        if isinstance(place, range):
            return [self[i] for i in place]
        if self.tables[place] is None:
            self.tables[place] = self.check(place)
        return self.tables[place]


@makes_what_stays
def validate(module: Module, features: frozenset[str] = ALL, deferred: bool = False) -> Validated:
    """Check a module under a feature set. Raises Invalid, located by function and instruction where it can be.

    With ``deferred``, each body is checked when its side table is first asked for, and a Trap says what is wrong with
    it (appendix "Implementation Limitations", section "Validation").
    """
    try:
        validated = _validate(module, features, deferred)
        validated.switches = "stack-switching" in features and (deferred or _switches(module))
        return validated
    except Invalid as error:
        _locate(error, module)
        raise


def _switches(module: Module) -> bool:
    return any(i.form.feature == "stack-switching" for func in module.funcs for i in func.body)


def operand_types(validated: Validated, functions: Iterable[int]) -> dict[int, list[tuple[ValType, ...]]]:
    """The types of the operands on the stack before each instruction of some functions (by their indices among the
    module's own). In code that can't be reached there may be more of them."""
    context = _context(validated.module, ALL)
    return {function: _operand_types(context, validated.module.funcs[function]) for function in functions}


def _operand_types(context: Context, func: Func) -> list[tuple[ValType, ...]]:
    t = context.space.func(func.type).composite
    assert isinstance(t, FuncType), "validated"
    local_types = [*t.params, *(context.space.value(valtype) for n, valtype in func.locals for _ in range(n))]
    return trace_body(context, t, local_types, func.body)


def _validate(module: Module, features: frozenset[str], deferred: bool) -> Validated:
    context = _context(module, features)
    imported_funcs = len(context.funcs) - len(module.funcs)

    def side_table(own: int) -> SideTable:
        index, func = imported_funcs + own, module.funcs[own]
        try:
            return _check_func(context, func, index)
        except Invalid as error:
            error.function = index
            if error.instruction is not None and error.instruction < len(func.positions):
                error.position = func.positions[error.instruction]
            raise

    def deferred_side_table(own: int) -> SideTable:
        try:
            return side_table(own)
        except (Malformed, Invalid) as error:
            if isinstance(error, Invalid):
                _locate(error, module)
            raise Trap(f"invalid function: {error}") from None

    side_tables: Sequence[SideTable]
    if deferred:
        side_tables = _SideTables(len(module.funcs), deferred_side_table)
    else:
        side_tables = [side_table(own) for own in range(len(module.funcs))]
    _check_exports(context, module.exports)
    return Validated(module, context.space, tuple(context.funcs), side_tables)


def _context(module: Module, features: frozenset[str]) -> Context:
    """What function bodies see of the module, all of which is checked but the bodies and exports."""
    context = Context(features)
    for rec in module.types:
        with _about(f"type {len(context.space.types)}"):
            context.space.define(rec)
            first = len(context.space.types) - len(rec.subtypes)
            own = [] if features >= ALL | UNFINISHED else context.space.types[first:]
            for deftype in own:
                _check_type_features(context, deftype.sub, own)
            if len(rec.subtypes) != 1 or rec.subtypes[0].supertypes or not rec.subtypes[0].final:
                context.need("gc")
    for item in module.imports:
        with _about(f"import {item.module!r} {item.name!r}"):
            if item.grouped:
                context.need("compact-import-section")
            _add_import(context, item.type)
    imported_globals = context.imported_globals = len(context.globals)
    try:
        for func in module.funcs:
            context.funcs.append(context.space.func(func.type))
    except Invalid as error:
        error.function = len(context.funcs)
        raise
    for tag in module.tags:
        _add_tag(context, tag)
    context.refs = _declared_functions(module)
    for index, glob in enumerate(module.globals, imported_globals):
        with _about(f"global {index}"):
            _add_global(context, glob)
    own_globals = context.globals[imported_globals:]
    del context.globals[imported_globals:]  # tables see the imported ones only
    for table in module.tables:
        with _about(f"table {len(context.tables)}"):
            _add_table(context, table)
    context.globals += own_globals
    for memory in module.memories:
        with _about(f"memory {len(context.memories)}"):
            _add_memory(context, memory)
    context.elems = [context.space.ref(elem.type) for elem in module.elems]
    context.datas = len(module.datas)
    for index, elem in enumerate(module.elems):
        with _about(f"elem segment {index}"):
            _check_elem(context, elem)
    for index, data in enumerate(module.datas):
        with _about(f"data segment {index}"):
            _check_data(context, data)
    if module.start is not None:
        start = context.func(module.start).composite
        if start != FuncType((), ()):
            raise Invalid(f"start function: must have type [] -> [], not {start!r}")
    return context


# ---- locating errors ------------------------------------------------------------------------------------------------


@contextmanager
def _about(what: str) -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        error.context = error.context or f"in {what}"
        raise


def _locate(error: Invalid, module: Module) -> None:
    if error.position is not None and module.locate is not None:
        error.location = module.locate(error.position)
    if error.function is None:
        return
    name = module.names.of("func", error.function)
    error.context = f"in func[{error.function}]" + (f" ${name}" if name else "")
    own = error.function - sum(isinstance(i.type, FuncUse) for i in module.imports)
    if error.instruction is not None:
        mnemonic = module.funcs[own].body[error.instruction].form.mnemonic
        error.context += f", instruction {error.instruction}: {mnemonic}"


# ---- types ----------------------------------------------------------------------------------------------------------


def _check_type_features(context: Context, sub: SubType, own: Sequence[DefType]) -> None:
    t = sub.composite
    if sub.describes is not None or sub.descriptor is not None:
        context.need("custom-descriptors", "malformed definition type")
    if isinstance(t, (StructType, ArrayType)):
        context.need("gc")
        for field in t.fields if isinstance(t, StructType) else (t.field,):
            context.need_type(field.storage)
        return
    if isinstance(t, ContType):
        context.need("stack-switching")
        return
    for valtype in (*t.params, *t.results):
        context.need_type(valtype)
        if isinstance(valtype, RefType) and valtype.heap in own:
            context.need("gc")  # which made types recursive
    if len(t.results) > 1:
        context.need("multi-value", "invalid result arity")


def _check_limits(size: Limits, bound: int, message: str) -> None:
    """Rule Limits_ok."""
    if size.minimum > bound or (size.maximum is not None and size.maximum > bound):
        raise Invalid(message)
    if size.maximum is not None and size.minimum > size.maximum:
        raise Invalid("size minimum must not be greater than maximum")


def _add_memory(context: Context, t: MemType) -> None:
    bound, text = PAGE_LIMITS[t.address.bits]
    if t.page_bits != PAGE_BITS:
        context.need("custom-page-sizes", "malformed limits flags")
        if t.page_bits:
            raise Invalid("invalid custom page size: it must be 1 or 65536")
        bound, text = (1 << t.address.bits) - 1, f"2^{t.address.bits} - 1 bytes"
    _check_limits(t.limits, bound, f"memory size must be at most {text}")
    if t.shared:
        context.need("threads")
        if t.limits.maximum is None:
            raise Invalid("shared memory must have maximum")
    if t.address is not I32:
        context.need("memory64")
    if context.memories:
        context.need("multi-memory", "multiple memories")
    context.memories.append(t)


def _add_table_type(context: Context, t: TableType) -> TableType:
    closed = context.space.extern(t)
    assert isinstance(closed, TableType)
    bound = TABLE_LIMITS[t.address.bits]
    _check_limits(t.limits, bound, f"table size must be at most {bound}")
    if t.address is not I32:
        context.need("memory64")
    if context.tables:
        context.need("reference-types", "multiple tables")
    if t.element != RefType(True, "func"):
        context.need_type(closed.element)
    context.tables.append(closed)
    return closed


def _add_tag(context: Context, tag: TagType) -> None:
    context.need("exception-handling")
    deftype = context.space.func(tag.type)
    assert isinstance(deftype.composite, FuncType)
    if deftype.composite.results and "stack-switching" not in context.features:
        raise Invalid("non-empty tag result type")
    context.tags.append(deftype)


def _add_import(context: Context, t: ExternType) -> None:
    if isinstance(t, FuncUse):
        if t.exact:
            context.need("custom-descriptors", "malformed import kind")
        else:
            context.inexact.add(len(context.funcs))
        context.funcs.append(context.space.func(t.type))
    elif isinstance(t, TableType):
        _add_table_type(context, t)
    elif isinstance(t, MemType):
        _add_memory(context, t)
    elif isinstance(t, GlobalType):
        if t.mutable:
            context.need("mutable-globals")
        context.need_type(context.space.value(t.value))
        context.globals.append(GlobalType(context.space.value(t.value), t.mutable))
    else:
        _add_tag(context, t)


# ---- definitions ----------------------------------------------------------------------------------------------------


def _add_global(context: Context, glob: Global) -> None:
    """Rule Global_ok: the initial value may use the globals before it."""
    value = context.space.value(glob.type.value)
    context.need_type(value)
    validate_constant(context, glob.init, value)
    context.globals.append(GlobalType(value, glob.type.mutable))


def _add_table(context: Context, table: Table) -> None:
    """Rule Table_ok."""
    t = _add_table_type(context, table.type)
    if table.init is not None:
        context.need("function-references")
        validate_constant(context, table.init, t.element)
    elif not is_defaultable(t.element):
        raise Invalid(f"type mismatch: a table of {t.element!r} needs an initial value")


def _check_elem(context: Context, elem: Elem) -> None:
    """Rule Elem_ok."""
    element = context.space.ref(elem.type)
    if elem.type.heap != "func":  # which 2.0 writes as a kind, not as a type
        context.need_type(element)
    for init in elem.inits:
        if elem.mode == "active" and elem.type.heap == "func" and len(init) == 2 and init[0].form is _REF_FUNC:
            context.func(init[0].args[0])  # written as an index, which 1.0 has
        else:
            validate_constant(context, init, element)
    if elem.offset is not None:
        table = context.table(elem.table)
        if not match_ref_type(element, table.element):
            raise Invalid(f"type mismatch: elements of type {element!r} in a table of {table.element!r}")
        validate_constant(context, elem.offset, table.address)
    elif elem.mode == "declarative":
        context.need("reference-types")
    else:
        context.need("bulk-memory")


def _check_data(context: Context, data: Data) -> None:
    """Rule Data_ok."""
    if data.offset is not None:
        validate_constant(context, data.offset, context.memory(data.memory).address)
    else:
        context.need("bulk-memory")


def _check_func(context: Context, func: Func, index: int) -> SideTable:
    """Rule Func_ok."""
    composite = context.funcs[index].composite
    assert isinstance(composite, FuncType)
    local_types: list[ValType] = list(composite.params)
    all_defaultable = True
    for count, t in func.locals:
        closed = context.space.value(t)
        context.need_type(closed)
        local_types += [closed] * count
        all_defaultable = all_defaultable and is_defaultable(closed)
    return validate_body(context, composite, local_types, func.body, all_defaultable)


def _check_exports(context: Context, exports: tuple[Export, ...]) -> None:
    """Rule Export_ok, and that names are distinct."""
    find: dict[str, Callable[[int], object]] = {
        "func": context.func, "table": context.table, "memory": context.memory, "global": context.global_,
        "tag": context.tag,
    }  # fmt: skip
    seen: set[str] = set()
    for export in exports:
        with _about(f"export {export.name!r}"):
            t = find[export.kind](export.index)
            if export.name in seen:
                raise Invalid(f"duplicate export name {export.name!r}")
            if isinstance(t, GlobalType) and t.mutable:
                context.need("mutable-globals")
        seen.add(export.name)


def _declared_functions(module: Module) -> set[int]:
    """Functions mentioned in the module outside of bodies and the start function (C.REFS of 3.5.13)."""

    def in_exprs(exprs: Iterable[Expr | None]) -> Iterator[int]:
        for expr in exprs:
            for instr in expr or ():
                if instr.form is _REF_FUNC:
                    yield instr.args[0]

    declared = {export.index for export in module.exports if export.kind == "func"}
    declared.update(in_exprs(g.init for g in module.globals))
    declared.update(in_exprs(t.init for t in module.tables))
    for elem in module.elems:
        declared.update(in_exprs(elem.inits))
        declared.update(in_exprs([elem.offset]))
    declared.update(in_exprs(d.offset for d in module.datas))
    return declared
