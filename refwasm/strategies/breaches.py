"""Ways to break a rule of validation: each adds to a valid module what makes it invalid for this reason only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refwasm.syntax.instructions import END, FORMS, PLAIN, Catch, Instr, MemArg, instr
from refwasm.syntax.modules import Data, Elem, Export, Func, Global, Module, Table, subtypes
from refwasm.syntax.types import (
    EMPTY_BLOCK,
    EXTERNREF,
    FUNCREF,
    I8,
    I32,
    I64,
    ArrayType,
    BlockType,
    FieldType,
    FuncType,
    FuncUse,
    GlobalType,
    Limits,
    MemType,
    NumType,
    RecType,
    RefType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
)

#: An index that no module has.
FAR = 5000


class Breach(NamedTuple):
    """A rule with the section that it stands in, the feature that breaking it needs, and what breaks it in a module."""

    rule: str
    section: str
    feature: str
    make: Callable[[Module], Module] | None


def _types(module: Module) -> int:
    return len(subtypes(module))


def _count(module: Module, kind: type, own: Sequence[object]) -> int:
    return sum(isinstance(i.type, kind) for i in module.imports) + len(own)


def with_type(module: Module, sub: SubType) -> Module:
    """The module with another type."""
    return module._replace(types=(*module.types, RecType((sub,))), digest=b"")


def with_function(
    module: Module, body: Sequence[Instr], params: Sequence[ValType] = (), results: Sequence[ValType] = (),
    locals: Sequence[ValType] = (),
) -> Module:  # fmt: skip
    """The module with another function, which nothing mentions."""
    index = _types(module)
    whole = with_type(module, SubType(True, (), FuncType(tuple(params), tuple(results))))
    func = Func(index, tuple((1, t) for t in locals), (*body, END))
    needs_count = any("data" in i.form.immediates for i in body) and module.data_count is None
    count = len(module.datas) if needs_count else module.data_count
    return whole._replace(funcs=(*module.funcs, func), data_count=count)


def _body(*words: str | Instr, **others: Any) -> Callable[[Module], Module]:
    """Adds a function whose body is these instructions; a word is one without immediates."""
    made = [PLAIN[word] if isinstance(word, str) else word for word in words]
    return lambda module: with_function(module, made, **others)


_ZERO, _ONE = instr("i32.const", 0), instr("i64.const", 1)
_ZEROS = (_ZERO, _ZERO, _ZERO)
_NULL_FUNC, _NULL_EXTERN = instr("ref.null", "func"), instr("ref.null", "extern")
_INT = BlockType(None, I32)


def _first_memory(module: Module) -> tuple[Module, NumType]:
    """The module with a memory, and the type of addresses of its first one."""
    if not _count(module, MemType, module.memories):
        module = module._replace(memories=(MemType(I32, Limits(1, 1)),), digest=b"")
    imported = next((i.type.address for i in module.imports if isinstance(i.type, MemType)), None)
    return module, imported or module.memories[0].address


def _own_memory(*body: Instr, other: bool = False) -> Callable[[Module], Module]:
    """Adds a memory, unless there is one, and a function that has an address; or one of the ``other`` type."""

    def make(module: Module) -> Module:
        whole, address = _first_memory(module)
        t = address if not other else I64 if address is I32 else I32
        return with_function(whole, [instr(f"{t.name}.const", 0), *body])

    return make


def _with_data(module: Module, data: Data) -> Module:
    count = None if module.data_count is None else module.data_count + 1
    return module._replace(datas=(*module.datas, data), data_count=count, digest=b"")


def _offset(*body: Instr) -> Callable[[Module], Module]:
    """Adds an active data segment with an offset, of the wrong type if it is no other instruction."""

    def make(module: Module) -> Module:
        whole, address = _first_memory(module)
        offset = body or ((_ONE if address is I32 else _ZERO),)
        return _with_data(whole, Data(b"", "active", 0, (*offset, END)))

    return make


def _own_global(mutable: bool, name: str) -> Callable[[Module], Module]:
    def make(module: Module) -> Module:
        index = _count(module, GlobalType, module.globals)
        whole = module._replace(globals=(*module.globals, Global(GlobalType(I32, mutable), (_ZERO, END))))
        return with_function(whole, [_ZERO, instr(name, index)])

    return make


def _init(*body: Instr) -> Callable[[Module], Module]:
    """Adds a global of type i32 with an initial value."""
    return lambda module: module._replace(
        globals=(*module.globals, Global(GlobalType(I32, False), (*body, END))), digest=b""
    )


def _memory(t: MemType) -> Callable[[Module], Module]:
    return lambda module: module._replace(memories=(*module.memories, t), digest=b"")


def _unlimited(module: Module) -> Module:
    """A memory that is shared and has no maximum: another one, or, where a module has one only, that one."""
    if not module.memories:
        return _memory(MemType(I32, Limits(1, None), True))(module)
    *others, last = module.memories
    shared = last._replace(limits=Limits(last.limits.minimum, None), shared=True)
    return module._replace(memories=(*others, shared), digest=b"")


def _table(t: TableType, **others: Any) -> Callable[[Module], Module]:
    return lambda module: module._replace(tables=(*module.tables, Table(t, **others)), digest=b"")


def _with_tables(module: Module, *elements: RefType) -> tuple[Module, int]:
    """The module with tables of one element each, and the index of the first of these."""
    first = _count(module, TableType, module.tables)
    for element in elements:
        module = _table(TableType(I32, Limits(1, 1), element))(module)
    return module, first


def _at_table(*body: Instr | str) -> Callable[[Module], Module]:
    """Adds a table of functions and a function, in which a word stands for that instruction on this table."""

    def make(module: Module) -> Module:
        whole, index = _with_tables(module, FUNCREF)
        return with_function(whole, [instr(word, index) if isinstance(word, str) else word for word in body])

    return make


def _copy(module: Module) -> Module:
    """Elements of a table of functions go into one of external references."""
    whole, first = _with_tables(module, EXTERNREF, FUNCREF)
    return with_function(whole, [*_ZEROS, instr("table.copy", first, first + 1)])


def _table_init(module: Module) -> Module:
    """As :func:`_copy`, from a segment."""
    whole, index = _with_tables(module, EXTERNREF)
    whole = whole._replace(elems=(*module.elems, Elem(FUNCREF, (), "passive")))
    return with_function(whole, [*_ZEROS, instr("table.init", len(module.elems), index)])


def _typed(sub: SubType, *body: Instr | str | tuple[Any, ...]) -> Callable[[Module], Module]:
    """Adds a type and a function, in which a word, or one with more immediates behind it, stands for that instruction
    on this type."""

    def make(module: Module) -> Module:
        index = _types(module)
        made = []
        for item in body:
            name, *more = (item,) if isinstance(item, str) else item
            made.append(item if isinstance(item, Instr) else instr(name, index, *more))
        return with_function(with_type(module, sub), made)

    return make


_EXTERNS = SubType(True, (), ArrayType(FieldType(EXTERNREF, True)))


def _new_elem(module: Module) -> Module:
    """An array of external references is made of functions."""
    whole = module._replace(elems=(*module.elems, Elem(FUNCREF, (), "passive")), digest=b"")
    return _typed(_EXTERNS, _ZERO, _ZERO, ("array.new_elem", len(module.elems)), PLAIN["drop"])(whole)


def _new_data(module: Module) -> Module:
    """An array of external references is made of bytes."""
    whole = _with_data(module, Data(b"", "passive"))
    return _typed(_EXTERNS, _ZERO, _ZERO, ("array.new_data", len(module.datas)), PLAIN["drop"])(whole)


def _call(module: Module) -> Module:
    index = _count(module, FuncUse, module.funcs)
    return with_function(with_function(module, [], params=[I32]), [_ONE, instr("call", index)])


def _far_type(module: Module) -> Module:
    return module._replace(funcs=(*module.funcs, Func(FAR, (), (END,))), digest=b"")


def _far_table(module: Module) -> Module:
    return module._replace(elems=(*module.elems, Elem(FUNCREF, (), "active", FAR, (_ZERO, END))), digest=b"")


def _aggregate(sub: SubType, name: str, *args: Any) -> Callable[[Module], Module]:
    """Adds a structure or array type that can't be changed, and a function that does."""

    def make(module: Module) -> Module:
        index = _types(module)
        body = [instr("ref.null", index), *([_ZERO] if name == "array.set" else []), _ZERO, instr(name, index, *args)]
        return with_function(with_type(module, sub), body)

    return make


def _extending(parent: SubType, child: StructType | ArrayType | FuncType) -> Callable[[Module], Module]:
    def make(module: Module) -> Module:
        index = _types(module)
        return with_type(with_type(module, parent), SubType(True, (index,), child))

    return make


def _export(kind: str) -> Callable[[Module], Module]:
    return lambda module: module._replace(exports=(*module.exports, Export("far", kind, FAR)), digest=b"")


def _twice(module: Module) -> Module:
    whole = with_function(module, [])
    index = _count(module, FuncUse, module.funcs)
    found = (Export("twice", "func", index), Export("twice", "func", index))
    return whole._replace(exports=(*module.exports, *found))


def _start(*body: Instr, **type: Any) -> Callable[[Module], Module]:
    """Adds a function of a type, which is the start function."""

    def make(module: Module) -> Module:
        whole = with_function(module, body, **type)
        return whole._replace(start=_count(module, FuncUse, module.funcs))

    return make


def _tag(module: Module) -> Module:
    index = _types(module)
    whole = with_type(module, SubType(True, (), FuncType((), (I32,))))
    return whole._replace(tags=(*module.tags, TagType(index)))


def _undeclared(module: Module) -> Module:
    index = _count(module, FuncUse, module.funcs)
    return with_function(with_function(module, []), [instr("ref.func", index), PLAIN["drop"]])


def _segment(module: Module) -> Module:
    """An active segment of functions for a table of external references."""
    whole, index = _with_tables(module, EXTERNREF)
    return whole._replace(elems=(*module.elems, Elem(FUNCREF, (), "active", index, (_ZERO, END))))


def _far_data(module: Module) -> Module:
    return _with_data(module, Data(b"", "active", FAR, (_ZERO, END)))


def _arg(align: int) -> MemArg:
    return MemArg(0, align, 0)


_FIELD = FieldType(I32, False)
_OPEN = SubType(False, (), StructType((_FIELD,)))
_STRICT = RefType(False, "func")
_PACKED = SubType(True, (), StructType((FieldType(I8, True),)))
_FULL = FieldType(_STRICT, True)
_TARGETS = Instr(FORMS["br_table"], ((0,), 1))


def _indirect(module: Module) -> Module:
    whole = with_type(module, SubType(True, (), FuncType((), ())))
    return _through_table(whole, EXTERNREF, _types(module))


def _unknown_type(module: Module) -> Module:
    return _through_table(module, FUNCREF, FAR)


def _through_table(module: Module, element: RefType, type_index: int) -> Module:
    """A call through a table of its own."""
    whole, index = _with_tables(module, element)
    return with_function(whole, [_ZERO, instr("call_indirect", type_index, index)])


def _tail(module: Module) -> Module:
    index = _count(module, FuncUse, module.funcs)
    return with_function(with_function(module, [_ONE], results=[I64]), [instr("return_call", index)], results=[I32])


_MAYBE = (_NULL_FUNC, "ref.as_non_null", instr("local.set", 0))
_ANY, _I31 = RefType(True, "any"), RefType(True, "i31")


#: All ways that are known, the simplest one first.
BREACHES: tuple[Breach, ...] = (
    Breach("Instr_ok/binop: operands of two types", "3.4.10", "mvp", _body(_ZERO, _ONE, "i32.add", "drop")),
    Breach("Instr_ok/binop: an operand is missing", "3.4.10", "mvp", _body(_ZERO, "i32.add", "drop")),
    Breach("Instr_ok/drop: nothing to drop", "3.4.1", "mvp", _body("drop")),
    Breach("Instr_ok/select: alternatives of two types", "3.4.1", "mvp", _body(_ZERO, _ONE, _ZERO, "select", "drop")),
    Breach("Instr_ok/select: references without a type", "3.4.1", "reference-types",
           _body(_NULL_FUNC, _NULL_FUNC, _ZERO, "select", "drop")),
    Breach("Expr_ok: a value too many", "3.4.13", "mvp", _body(_ZERO)),
    Breach("Func_ok: the result is missing", "3.5.6", "mvp", _body(results=[I32])),
    Breach("Func_ok: a result of another type", "3.5.6", "mvp", _body(_ONE, results=[I32])),
    Breach("Instr_ok/local.get: unknown local", "3.4.3", "mvp", _body(instr("local.get", FAR), "drop")),
    Breach("Instr_ok/local.set: a value of another type", "3.4.3", "mvp",
           _body(_ONE, instr("local.set", 0), locals=[I32])),
    Breach("Instr_ok/local.get: a local without a value", "3.4.3", "function-references",
           _body(instr("local.get", 0), "drop", locals=[_STRICT])),
    Breach("Instr_ok/global.get: unknown global", "3.4.3", "mvp", _body(instr("global.get", FAR), "drop")),
    Breach("Instr_ok/global.set: unknown global", "3.4.3", "mvp", _body(_ZERO, instr("global.set", FAR))),
    Breach("Instr_ok/global.set: the global is immutable", "3.4.3", "mvp", _own_global(False, "global.set")),
    Breach("Instr_ok/call: unknown function", "3.4.2", "mvp", _body(instr("call", FAR))),
    Breach("Instr_ok/call_indirect: unknown type", "3.4.2", "reference-types", _unknown_type),
    Breach("Instr_ok/call_indirect: a table of no functions", "3.4.2", "reference-types",
           _indirect),
    Breach("Instr_ok/return_call: other results than the function's", "3.4.2", "tail-call",
           _tail),
    Breach("Instr_ok/br: unknown label", "3.4.2", "mvp", _body(instr("br", FAR))),
    Breach("Instr_ok/br_if: the condition is missing", "3.4.2", "mvp", _body(instr("br_if", 0))),
    Breach("Instr_ok/br_table: labels of two arities", "3.4.2", "mvp",
           _body(instr("block", EMPTY_BLOCK), instr("block", _INT), _ZERO, _ZERO, _TARGETS, END, "drop", END)),
    Breach("Instr_ok/if: no else, but a result", "3.4.2", "mvp", _body(_ZERO, instr("if", _INT), _ZERO, END, "drop")),
    Breach("Instr_ok/block: the result is missing", "3.4.2", "mvp", _body(instr("block", _INT), END, "drop")),
    Breach("Instr_ok/throw: unknown tag", "3.4.2", "exception-handling", _body(instr("throw", FAR))),
    Breach("Instr_ok/throw_ref: no exception", "3.4.2", "exception-handling", _body(_ZERO, "throw_ref")),
    Breach("Instr_ok/load: unknown memory", "3.4.5", "multi-memory",
           _body(_ZERO, instr("i32.load", MemArg(FAR, 0, 0)), "drop")),
    Breach("Memarg_ok: alignment larger than natural", "3.4.5", "mvp",
           _own_memory(instr("i32.load", _arg(3)), PLAIN["drop"])),
    Breach("Memarg_ok: alignment of an atomic access not natural", "threads", "threads",
           _own_memory(instr("i32.atomic.load", _arg(1)), PLAIN["drop"])),
    Breach("Instr_ok/vextract_lane: no such lane", "3.4.11", "simd",
           _body(instr("v128.const", 0), instr("i32x4.extract_lane", 4), "drop")),
    Breach("Instr_ok/vshuffle: no such lane", "3.4.11", "simd",
           _body(instr("v128.const", 0), instr("v128.const", 0), instr("i8x16.shuffle", (32, *range(15))), "drop")),
    Breach("Instr_ok/table.get: unknown table", "3.4.4", "reference-types",
           _body(_ZERO, instr("table.get", FAR), "drop")),
    Breach("Instr_ok/data.drop: unknown data segment", "3.4.5", "bulk-memory", _body(instr("data.drop", FAR))),
    Breach("Instr_ok/elem.drop: unknown element segment", "3.4.4", "bulk-memory", _body(instr("elem.drop", FAR))),
    Breach("Instr_ok/ref.func: the function is not declared", "3.4.6", "reference-types", _undeclared),
    Breach("Instr_ok/ref.is_null: no reference", "3.4.6", "reference-types", _body(_ZERO, "ref.is_null", "drop")),
    Breach("Instr_ok/ref.cast: another hierarchy", "3.4.6", "gc",
           _body(_NULL_FUNC, instr("ref.cast", "i31"), "drop")),
    Breach("Instr_ok/struct.set: the field is immutable", "3.4.7", "gc", _aggregate(_OPEN, "struct.set", 0)),
    Breach("Instr_ok/struct.set: unknown field", "3.4.7", "gc", _aggregate(_OPEN, "struct.set", 1)),
    Breach("Instr_ok/array.set: the array is immutable", "3.4.7", "gc",
           _aggregate(SubType(True, (), ArrayType(_FIELD)), "array.set")),
    Breach("Expr_const: an instruction that is not constant", "3.4.13", "mvp", _init(_ZERO, PLAIN["i32.clz"])),
    Breach("Global_ok: an initial value of another type", "3.5.3", "mvp", _init(_ONE)),
    Breach("Global_ok: no initial value", "3.5.3", "mvp", _init()),
    Breach("Export_ok: unknown function", "3.5.12", "mvp", _export("func")),
    Breach("Export_ok: unknown memory", "3.5.12", "mvp", _export("memory")),
    Breach("Export_ok: unknown global", "3.5.12", "mvp", _export("global")),
    Breach("Module_ok: a name is exported twice", "3.5.13", "mvp", _twice),
    Breach("Start_ok: the function takes a value", "3.5.10", "mvp", _start(params=[I32])),
    Breach("Start_ok: unknown function", "3.5.10", "mvp", lambda module: module._replace(start=FAR, digest=b"")),
    Breach("Limits_ok: a minimum above the maximum (memory)", "3.2.12", "multi-memory",
           _memory(MemType(I32, Limits(2, 1)))),
    Breach("Limits_ok: more than 65536 pages", "3.2.12", "multi-memory",
           _memory(MemType(I32, Limits(65537, None)))),
    Breach("Memtype_ok: a shared memory without a maximum", "threads", "threads",
           _unlimited),
    Breach("Limits_ok: a minimum above the maximum (table)", "3.2.12", "reference-types",
           _table(TableType(I32, Limits(2, 1), FUNCREF))),
    Breach("Table_ok: elements without a default value", "3.5.5", "function-references",
           _table(TableType(I32, Limits(1, 1), _STRICT))),
    Breach("Tag_ok: a tag with results", "3.5.2", "exception-handling", _tag),
    Breach("Data_ok: unknown memory", "3.5.8", "multi-memory", _far_data),
    Breach("Elem_ok: elements of another type than the table's", "3.5.9", "reference-types", _segment),
    Breach("Subtype_ok: the supertype is final", "3.2.11", "gc",
           _extending(SubType(True, (), StructType((_FIELD,))), StructType((_FIELD,)))),
    Breach("Subtype_ok: a field of another type", "3.2.11", "gc",
           _extending(_OPEN, StructType((FieldType(I64, False),)))),
    Breach("Subtype_ok: a field is missing", "3.2.11", "gc", _extending(_OPEN, StructType(()))),
    Breach("Subtype_ok: an array of other elements", "3.2.11", "gc",
           _extending(SubType(False, (), ArrayType(_FIELD)), ArrayType(FieldType(I64, False)))),
    Breach("Subtype_ok: a function with other results", "3.2.11", "gc",
           _extending(SubType(False, (), FuncType((), (I32,))), FuncType((), (I64,)))),
    Breach("Blocktype_ok: unknown type", "3.2.8", "multi-value", _body(instr("block", BlockType(FAR)), END)),
    Breach("Heaptype_ok: unknown type", "3.2.4", "function-references", _body(instr("ref.null", FAR), "drop")),
    Breach("Func_ok: unknown type", "3.5.6", "mvp", _far_type),
    Breach("Start_ok: the function has a result", "3.5.10", "mvp", _start(_ZERO, results=[I32])),
    Breach("Export_ok: unknown table", "3.5.12", "mvp", _export("table")),
    Breach("Export_ok: unknown tag", "3.5.12", "exception-handling", _export("tag")),
    Breach("Data_ok: an offset of another type", "3.5.8", "mvp", _offset()),
    Breach("Data_ok: an offset that is not constant", "3.5.8", "mvp", _offset(_ZERO, PLAIN["i32.clz"])),
    Breach("Elem_ok: unknown table", "3.5.9", "reference-types", _far_table),
    Breach("Instr_ok/select: two types", "3.4.1", "reference-types",
           _body(_ZERO, _ZERO, _ZERO, instr("select t", (I32, I32)), "drop", "drop")),
    Breach("Instr_ok/call: an argument of another type", "3.4.2", "mvp", _call),
    Breach("Instr_ok/return: a result of another type", "3.4.2", "mvp", _body(_ONE, "return", results=[I32])),
    Breach("Instr_ok/br_on_null: no reference", "3.4.2", "function-references",
           _body(_ZERO, instr("br_on_null", 0), "drop")),
    Breach("Instr_ok/br_on_cast: another hierarchy", "3.4.2", "gc",
           _body(instr("block", BlockType(None, FUNCREF)), instr("ref.null", "any"),
                 instr("br_on_cast", 0, _ANY, FUNCREF), "drop", _NULL_FUNC, END, "drop")),
    Breach("Instr_ok/try_table: a handler without the label's value", "3.4.2", "exception-handling",
           _body(instr("block", _INT), instr("try_table", EMPTY_BLOCK, (Catch("catch_all", None, 0),)), END, _ZERO,
                 END, "drop")),
    Breach("Instr_ok/local.get: a local that has a value in a block only", "3.4.3", "function-references",
           _body(instr("block", EMPTY_BLOCK), *_MAYBE, END, instr("local.get", 0), "drop", locals=[_STRICT])),
    Breach("Instr_ok/load: an address of another type", "3.4.5", "mvp",
           _own_memory(instr("i32.load", _arg(0)), PLAIN["drop"], other=True)),
    Breach("Instr_ok/memory.grow: unknown memory", "3.4.5", "multi-memory",
           _body(_ZERO, instr("memory.grow", FAR), "drop")),
    Breach("Instr_ok/table.set: a value of another type", "3.4.4", "reference-types",
           _at_table(_ZERO, _NULL_EXTERN, "table.set")),
    Breach("Instr_ok/table.grow: a value of another type", "3.4.4", "reference-types",
           _at_table(_NULL_EXTERN, _ZERO, "table.grow", PLAIN["drop"])),
    Breach("Instr_ok/table.fill: a value of another type", "3.4.4", "reference-types",
           _at_table(_ZERO, _NULL_EXTERN, _ZERO, "table.fill")),
    Breach("Instr_ok/table.copy: elements of another type", "3.4.4", "reference-types", _copy),
    Breach("Instr_ok/table.init: elements of another type", "3.4.4", "reference-types", _table_init),
    Breach("Instr_ok/ref.eq: no reference that can be compared", "3.4.6", "gc",
           _body(_NULL_FUNC, instr("ref.null", "eq"), "ref.eq", "drop")),
    Breach("Instr_ok/struct.new: a field is missing", "3.4.7", "gc", _typed(_OPEN, "struct.new", PLAIN["drop"])),
    Breach("Instr_ok/struct.new_default: a field without a default value", "3.4.7", "gc",
           _typed(SubType(True, (), StructType((_FULL,))), "struct.new_default", PLAIN["drop"])),
    Breach("Instr_ok/struct.get: a packed field without a sign", "3.4.7", "gc",
           _typed(_PACKED, "struct.new_default", ("struct.get", 0), PLAIN["drop"])),
    Breach("Instr_ok/struct.get_s: a field that is not packed", "3.4.7", "gc",
           _typed(_OPEN, "struct.new_default", ("struct.get_s", 0), PLAIN["drop"])),
    Breach("Instr_ok/array.new_default: elements without a default value", "3.4.7", "gc",
           _typed(SubType(True, (), ArrayType(_FULL)), _ZERO, "array.new_default", PLAIN["drop"])),
    Breach("Instr_ok/array.new_elem: elements of another type", "3.4.7", "gc", _new_elem),
    Breach("Instr_ok/array.new_data: elements that are references", "3.4.7", "gc", _new_data),
    Breach("Instr_ok/i31.get: another reference", "3.4.8", "gc",
           _body(instr("ref.null", "any"), "i31.get_s", "drop")),
    Breach("Instr_ok/extern.convert_any: another hierarchy", "3.4.9", "gc",
           _body(_NULL_EXTERN, "extern.convert_any", "drop")),
    Breach("Instr_ok/vtestop: no vector", "3.4.11", "simd", _body(_ZERO, "v128.any_true", "drop")),
)  # fmt: skip
