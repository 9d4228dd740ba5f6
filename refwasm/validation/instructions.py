"""Typing rules (specification 3.4) of the instructions whose type depends on context, one function each.

Those with a fixed type have it in the table of forms. The names of SpecTec rules are given as ``Instr_ok/…``.
"""

from __future__ import annotations

from collections.abc import Callable

from refwasm.errors import Invalid
from refwasm.syntax.instructions import FORMS, Catch, Form, Instr, MemArg
from refwasm.syntax.types import (
    BOT,
    I32,
    V128,
    ArrayType,
    BlockType,
    DefType,
    FieldType,
    FuncType,
    HeapType,
    NumType,
    PackedType,
    RefType,
    StorageType,
    StructType,
    ValType,
)
from refwasm.validation.matching import (
    is_defaultable,
    match_ref_type,
    match_result_type,
    match_storage_type,
    match_val_type,
    top_of,
)
from refwasm.validation.stacks import END_OF_TRY, LOOP, Label, Stacks, Types

Rule = Callable[[Stacks, Instr], None]
RULES: dict[Form, Rule] = {}


def rule(*mnemonics: str) -> Callable[[Rule], Rule]:
    """Register a rule for instructions."""

    def register(function: Rule) -> Rule:
        for mnemonic in mnemonics:
            RULES[FORMS[mnemonic]] = function
        return function

    return register


# ---- parametric and variable instructions (3.4.2, 3.4.5) ------------------------------------------------------------


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


@rule("select t")
def _select_typed(v: Stacks, i: Instr) -> None:
    types = i.args[0]
    if len(types) != 1:
        raise Invalid("invalid result arity: select takes one type")
    t = v.context.space.value(types[0])
    v.pop_all([t, t, I32])
    v.push(t)


def _local(v: Stacks, index: int) -> ValType:
    if index >= len(v.locals):
        raise Invalid(f"unknown local {index}")
    return v.locals[index]


@rule("local.get")
def _local_get(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    t = _local(v, index)
    if index in v.unset:
        raise Invalid(f"uninitialized local {index}")
    v.operands.append(t)


def _set_local(v: Stacks, index: int) -> None:
    if index in v.unset:
        v.unset.discard(index)
        v.inits.append(index)


@rule("local.set")
def _local_set(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    v.pop(_local(v, index))
    _set_local(v, index)


@rule("local.tee")
def _local_tee(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    t = _local(v, index)
    v.pop(t)
    _set_local(v, index)
    v.operands.append(t)


@rule("global.get")
def _global_get(v: Stacks, i: Instr) -> None:
    v.push(v.context.global_(i.args[0]).value)


@rule("global.set")
def _global_set(v: Stacks, i: Instr) -> None:
    t = v.context.global_(i.args[0])
    if not t.mutable:
        raise Invalid(f"immutable global {i.args[0]}")
    v.pop(t.value)


# ---- control (3.4.3) ------------------------------------------------------------------------------------------------


def _block_type(v: Stacks, t: BlockType) -> tuple[Types, Types]:
    if t.index is None:
        return (), () if t.result is None else (v.context.space.value(t.result),)
    composite = v.context.space.func(t.index).composite
    assert isinstance(composite, FuncType)
    if composite.params or len(composite.results) > 1:
        v.context.need("multi-value")
    return composite.params, composite.results


@rule("block")
def _block(v: Stacks, i: Instr) -> None:
    params, results = _block_type(v, i.args[0])
    v.pop_all(params)
    v.open("block", params, results)


@rule("loop")
def _loop(v: Stacks, i: Instr) -> None:
    params, results = _block_type(v, i.args[0])
    v.pop_all(params)
    v.open("loop", params, results).label.pc = v.pc
    v.side[v.pc] = LOOP


@rule("if")
def _if(v: Stacks, i: Instr) -> None:
    params, results = _block_type(v, i.args[0])
    v.pop(I32)
    v.pop_all(params)
    control = v.open("if", params, results)
    v.side[v.pc] = control.else_label = Label()


@rule("else")
def _else(v: Stacks, i: Instr) -> None:
    control = v.close()
    assert control.opener == "if" and control.else_label is not None, "the formats check the nesting"
    control.else_label.pc = v.pc + 1
    reopened = v.open("else", control.params, control.results)
    reopened.label = control.label
    v.side[v.pc] = control.label


@rule("end")
def _end(v: Stacks, i: Instr) -> None:
    control = v.close()
    if control.opener != "loop":
        control.label.pc = v.pc
    if control.opener == "if":
        if not match_result_type(control.params, control.results):
            raise Invalid("type mismatch: an if without else must leave what it takes")
        assert control.else_label is not None
        control.else_label.pc = v.pc
    elif control.opener == "try_table":
        v.side[v.pc] = END_OF_TRY
        v.tries -= 1
    if v.controls:
        v.control = v.controls[-1]
    v.operands += control.results


@rule("br")
def _br(v: Stacks, i: Instr) -> None:
    target = v.target(i.args[0])
    v.side[v.pc] = v.branch(target)
    v.pop_all(target.label_types)
    v.unreachable()


@rule("br_if")
def _br_if(v: Stacks, i: Instr) -> None:
    v.pop(I32)
    target = v.target(i.args[0])
    v.side[v.pc] = v.branch(target)
    types = target.label_types
    v.pop_all(types)
    v.operands += types


@rule("br_table")
def _br_table(v: Stacks, i: Instr) -> None:
    """Every label takes the same number of values; each must accept what is on the stack."""
    labels, default = i.args
    v.pop(I32)
    arity = len(v.target(default).label_types)
    branches = {}
    for depth in dict.fromkeys((*labels, default)):
        target = v.target(depth)
        types = target.label_types
        if len(types) != arity:
            raise Invalid(f"type mismatch: the labels of br_table take {arity} and {len(types)} values")
        branches[depth] = v.branch(target)
        saved = list(v.operands)
        v.pop_all(types)
        v.operands[:] = saved
    v.side[v.pc] = tuple(branches[depth] for depth in (*labels, default))
    v.pop_all(v.target(default).label_types)
    v.unreachable()


@rule("return")
def _return(v: Stacks, i: Instr) -> None:
    if not v.controls:
        raise Invalid("unknown label")
    v.side[v.pc] = v.branch(v.controls[0])
    v.pop_all(v.results)
    v.unreachable()


def _func_type(deftype: DefType) -> FuncType:
    assert isinstance(deftype.composite, FuncType)
    return deftype.composite


def _apply(v: Stacks, t: FuncType) -> None:
    v.pop_all(t.params)
    v.operands += t.results


def _tail_call(v: Stacks, t: FuncType) -> None:
    if not match_result_type(t.results, v.results):
        raise Invalid(
            f"type mismatch: the tail call returns [{' '.join(map(repr, t.results))}], "
            f"the function [{' '.join(map(repr, v.results))}]"
        )
    v.side[v.pc] = v.branch(v.controls[0], len(t.params))
    v.pop_all(t.params)
    v.unreachable()


@rule("call")
def _call(v: Stacks, i: Instr) -> None:
    _apply(v, _func_type(v.context.func(i.args[0])))


@rule("return_call")
def _return_call(v: Stacks, i: Instr) -> None:
    _tail_call(v, _func_type(v.context.func(i.args[0])))


def _indirect(v: Stacks, i: Instr) -> FuncType:
    type_index, table_index = i.args
    table = v.context.table(table_index)
    if not match_ref_type(table.element, RefType(True, "func")):
        raise Invalid(f"type mismatch: call_indirect requires a table of functions, not of {table.element!r}")
    deftype = v.context.space.func(type_index)
    v.pop(table.address)
    return _func_type(deftype)


@rule("call_indirect")
def _call_indirect(v: Stacks, i: Instr) -> None:
    _apply(v, _indirect(v, i))


@rule("return_call_indirect")
def _return_call_indirect(v: Stacks, i: Instr) -> None:
    _tail_call(v, _indirect(v, i))


@rule("call_ref")
def _call_ref(v: Stacks, i: Instr) -> None:
    deftype = v.context.space.func(i.args[0])
    v.pop(RefType(True, deftype))
    _apply(v, _func_type(deftype))


@rule("return_call_ref")
def _return_call_ref(v: Stacks, i: Instr) -> None:
    deftype = v.context.space.func(i.args[0])
    v.pop(RefType(True, deftype))
    _tail_call(v, _func_type(deftype))


@rule("br_on_null")
def _br_on_null(v: Stacks, i: Instr) -> None:
    ref = v.pop_ref()
    target = v.target(i.args[0])
    v.side[v.pc] = v.branch(target)
    types = target.label_types
    v.pop_all(types)
    v.operands += types
    v.push(RefType(False, ref.heap))


@rule("br_on_non_null")
def _br_on_non_null(v: Stacks, i: Instr) -> None:
    target = v.target(i.args[0])
    types = target.label_types
    if not types or not isinstance(types[-1], RefType):
        raise Invalid("type mismatch: the label of br_on_non_null must take a reference last")
    v.side[v.pc] = v.branch(target)
    v.pop(RefType(True, types[-1].heap))
    v.pop_all(types[:-1])
    v.operands += types[:-1]


@rule("br_on_cast", "br_on_cast_fail")
def _br_on_cast(v: Stacks, i: Instr) -> None:
    depth, source, target_type = i.args
    source, cast = v.context.space.ref(source), v.context.space.ref(target_type)
    if not match_ref_type(cast, source):
        raise Invalid(f"type mismatch: {i.form.mnemonic} casts to {cast!r}, which is no subtype of {source!r}")
    # What is left after a successful cast: null has moved to the target if that admits it.
    rest = RefType(source.nullable and not cast.nullable, source.heap)
    carried, stays = (cast, rest) if i.form.mnemonic == "br_on_cast" else (rest, cast)
    target = v.target(depth)
    types = target.label_types
    if not types or not match_val_type(carried, types[-1]):
        raise Invalid(f"type mismatch: the label of {i.form.mnemonic} must take {carried!r} last")
    v.side[v.pc] = v.branch(target)
    v.pop(source)
    v.pop_all(types[:-1])
    v.operands += types[:-1]
    v.push(stays)


# ---- exceptions (3.4.4) ---------------------------------------------------------------------------------------------


@rule("throw")
def _throw(v: Stacks, i: Instr) -> None:
    v.pop_all(v.context.tag(i.args[0]).params)
    v.unreachable()


@rule("throw_ref")
def _throw_ref(v: Stacks, i: Instr) -> None:
    v.pop(RefType(True, "exn"))
    v.unreachable()


def _catch_types(v: Stacks, clause: Catch) -> Types:
    payload = () if clause.tag is None else v.context.tag(clause.tag).params
    return (*payload, RefType(False, "exn")) if clause.kind.endswith("_ref") else payload


@rule("try_table")
def _try_table(v: Stacks, i: Instr) -> None:
    block, clauses = i.args
    params, results = _block_type(v, block)
    v.pop_all(params)
    branches = []
    for clause in clauses:
        target = v.target(clause.label)
        types = _catch_types(v, clause)
        if not match_result_type(types, target.label_types):
            raise Invalid(
                f"type mismatch: {clause.kind} passes [{' '.join(map(repr, types))}] "
                f"to a label that takes [{' '.join(map(repr, target.label_types))}]"
            )
        branch = v.branch(target, 0)  # from the height at entry; the payload comes on top
        branches.append(branch._replace(arity=len(types)))
    v.side[v.pc] = tuple(branches)
    control = v.open("try_table", params, results)
    v.tries += 1
    control.tries = v.tries  # a branch to its own end meets END_OF_TRY there


# ---- references (3.4.6) ---------------------------------------------------------------------------------------------


@rule("ref.null")
def _ref_null(v: Stacks, i: Instr) -> None:
    v.push(RefType(True, v.context.space.heap(i.args[0])))


@rule("ref.func")
def _ref_func(v: Stacks, i: Instr) -> None:
    index = i.args[0]
    deftype = v.context.func(index)
    if index not in v.context.refs:
        raise Invalid(f"undeclared function reference {index}")
    v.push(RefType(False, deftype))


@rule("ref.is_null")
def _ref_is_null(v: Stacks, i: Instr) -> None:
    v.pop_ref()
    v.push(I32)


@rule("ref.as_non_null")
def _ref_as_non_null(v: Stacks, i: Instr) -> None:
    v.push(RefType(False, v.pop_ref().heap))


@rule("ref.eq")
def _ref_eq(v: Stacks, i: Instr) -> None:
    eq = RefType(True, "eq")
    v.pop_all([eq, eq])
    v.push(I32)


@rule("ref.test", "ref.test null", "ref.cast", "ref.cast null")
def _ref_cast(v: Stacks, i: Instr) -> None:
    heap = v.context.space.heap(i.args[0])
    target = RefType(i.form.mnemonic.endswith("null"), heap)
    v.pop(RefType(True, top_of(heap)))
    v.push(I32 if i.form.mnemonic.startswith("ref.test") else target)


@rule("ref.i31")
def _ref_i31(v: Stacks, i: Instr) -> None:
    v.pop(I32)
    v.push(RefType(False, "i31"))


@rule("i31.get_s", "i31.get_u")
def _i31_get(v: Stacks, i: Instr) -> None:
    v.pop(RefType(True, "i31"))
    v.push(I32)


def _convert(v: Stacks, source: HeapType, target: HeapType) -> None:
    v.push(RefType(_popped_nullable(v, source), target))


def _popped_nullable(v: Stacks, heap: HeapType) -> bool:
    t = v.pop(RefType(True, heap))
    return isinstance(t, RefType) and t.nullable


@rule("any.convert_extern")
def _any_convert_extern(v: Stacks, i: Instr) -> None:
    _convert(v, "extern", "any")


@rule("extern.convert_any")
def _extern_convert_any(v: Stacks, i: Instr) -> None:
    _convert(v, "any", "extern")


# ---- aggregates (3.4.7, 3.4.8) --------------------------------------------------------------------------------------


def _unpacked(t: StorageType) -> ValType:
    return I32 if isinstance(t, PackedType) else t


def _struct(v: Stacks, index: int) -> tuple[DefType, StructType]:
    deftype = v.context.space.use(index)
    if not isinstance(deftype.composite, StructType):
        raise Invalid(f"type mismatch: type {index} is not a structure type")
    return deftype, deftype.composite


def _array(v: Stacks, index: int) -> tuple[DefType, FieldType]:
    deftype = v.context.space.use(index)
    if not isinstance(deftype.composite, ArrayType):
        raise Invalid(f"type mismatch: type {index} is not an array type")
    return deftype, deftype.composite.field


def _struct_field(v: Stacks, i: Instr) -> tuple[DefType, FieldType]:
    deftype, struct = _struct(v, i.args[0])
    if i.args[1] >= len(struct.fields):
        raise Invalid(f"unknown field {i.args[1]}")
    return deftype, struct.fields[i.args[1]]


def _check_extension(i: Instr, storage: StorageType) -> None:
    extends = i.form.mnemonic.endswith(("_s", "_u"))
    if extends != isinstance(storage, PackedType):
        raise Invalid(f"type mismatch: {i.form.mnemonic} on {'an unpacked' if extends else 'a packed'} type")


def _mutable(field: FieldType, what: str) -> None:
    if not field.mutable:
        raise Invalid(f"immutable {what}")


def _defaultable(storage: StorageType) -> None:
    if not is_defaultable(storage):
        raise Invalid(f"type mismatch: {storage!r} is not defaultable")


@rule("struct.new")
def _struct_new(v: Stacks, i: Instr) -> None:
    deftype, struct = _struct(v, i.args[0])
    v.pop_all([_unpacked(field.storage) for field in struct.fields])
    v.push(RefType(False, deftype))


@rule("struct.new_default")
def _struct_new_default(v: Stacks, i: Instr) -> None:
    deftype, struct = _struct(v, i.args[0])
    for field in struct.fields:
        _defaultable(field.storage)
    v.push(RefType(False, deftype))


@rule("struct.get", "struct.get_s", "struct.get_u")
def _struct_get(v: Stacks, i: Instr) -> None:
    deftype, field = _struct_field(v, i)
    _check_extension(i, field.storage)
    v.pop(RefType(True, deftype))
    v.push(_unpacked(field.storage))


@rule("struct.set")
def _struct_set(v: Stacks, i: Instr) -> None:
    deftype, field = _struct_field(v, i)
    _mutable(field, "field")
    v.pop_all([RefType(True, deftype), _unpacked(field.storage)])


@rule("array.new")
def _array_new(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    v.pop_all([_unpacked(field.storage), I32])
    v.push(RefType(False, deftype))


@rule("array.new_default")
def _array_new_default(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _defaultable(field.storage)
    v.pop(I32)
    v.push(RefType(False, deftype))


@rule("array.new_fixed")
def _array_new_fixed(v: Stacks, i: Instr) -> None:
    """The operands are popped one by one, so that a huge count costs nothing in reachable code."""
    deftype, field = _array(v, i.args[0])
    count = i.args[1]
    t = _unpacked(field.storage)
    available = len(v.operands) - v.control.height
    if count > available and not v.control.unreachable:
        v.mismatch([t] * min(count, available + 1))
    for _ in range(min(count, available)):
        v.pop(t)
    v.push(RefType(False, deftype))


@rule("array.new_data")
def _array_new_data(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _numeric_elements(field)
    v.context.data(i.args[1])
    v.pop_all([I32, I32])
    v.push(RefType(False, deftype))


def _numeric_elements(field: FieldType) -> None:
    if isinstance(field.storage, RefType):
        raise Invalid("array type is not numeric or vector")


def _elements_match(v: Stacks, field: FieldType, index: int) -> None:
    source = v.context.elem(index)
    if not isinstance(field.storage, RefType) or not match_ref_type(source, field.storage):
        raise Invalid(f"type mismatch: elements of type {source!r} in an array of {field.storage!r}")


@rule("array.new_elem")
def _array_new_elem(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _elements_match(v, field, i.args[1])
    v.pop_all([I32, I32])
    v.push(RefType(False, deftype))


@rule("array.get", "array.get_s", "array.get_u")
def _array_get(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _check_extension(i, field.storage)
    v.pop_all([RefType(True, deftype), I32])
    v.push(_unpacked(field.storage))


@rule("array.set")
def _array_set(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _mutable(field, "array")
    v.pop_all([RefType(True, deftype), I32, _unpacked(field.storage)])


@rule("array.len")
def _array_len(v: Stacks, i: Instr) -> None:
    v.pop(RefType(True, "array"))
    v.push(I32)


@rule("array.fill")
def _array_fill(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _mutable(field, "array")
    v.pop_all([RefType(True, deftype), I32, _unpacked(field.storage), I32])


@rule("array.copy")
def _array_copy(v: Stacks, i: Instr) -> None:
    target, target_field = _array(v, i.args[0])
    source, source_field = _array(v, i.args[1])
    _mutable(target_field, "array")
    if not match_storage_type(source_field.storage, target_field.storage):
        raise Invalid("array types do not match")
    v.pop_all([RefType(True, target), I32, RefType(True, source), I32, I32])


@rule("array.init_data")
def _array_init_data(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _mutable(field, "array")
    _numeric_elements(field)
    v.context.data(i.args[1])
    v.pop_all([RefType(True, deftype), I32, I32, I32])


@rule("array.init_elem")
def _array_init_elem(v: Stacks, i: Instr) -> None:
    deftype, field = _array(v, i.args[0])
    _mutable(field, "array")
    _elements_match(v, field, i.args[1])
    v.pop_all([RefType(True, deftype), I32, I32, I32])


# ---- tables (3.4.10) ------------------------------------------------------------------------------------------------


def _narrower(a: NumType, b: NumType) -> NumType:
    return I32 if I32 in (a, b) else a


@rule("table.get")
def _table_get(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop(table.address)
    v.push(table.element)


@rule("table.set")
def _table_set(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop_all([table.address, table.element])


@rule("table.size")
def _table_size(v: Stacks, i: Instr) -> None:
    v.push(v.context.table(i.args[0]).address)


@rule("table.grow")
def _table_grow(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop_all([table.element, table.address])
    v.push(table.address)


@rule("table.fill")
def _table_fill(v: Stacks, i: Instr) -> None:
    table = v.context.table(i.args[0])
    v.pop_all([table.address, table.element, table.address])


@rule("table.copy")
def _table_copy(v: Stacks, i: Instr) -> None:
    target, source = v.context.table(i.args[0]), v.context.table(i.args[1])
    if not match_ref_type(source.element, target.element):
        raise Invalid(f"type mismatch: table.copy from {source.element!r} to {target.element!r}")
    v.pop_all([target.address, source.address, _narrower(target.address, source.address)])


@rule("table.init")
def _table_init(v: Stacks, i: Instr) -> None:
    elem_index, table_index = i.args
    table, elem = v.context.table(table_index), v.context.elem(elem_index)
    if not match_ref_type(elem, table.element):
        raise Invalid(f"type mismatch: table.init from {elem!r} to {table.element!r}")
    v.pop_all([table.address, I32, I32])


@rule("elem.drop")
def _elem_drop(v: Stacks, i: Instr) -> None:
    v.context.elem(i.args[0])


# ---- memories (3.4.11) ----------------------------------------------------------------------------------------------


def _access(v: Stacks, i: Instr) -> None:
    """Loads and stores of every kind: rule Memarg_ok, then the fixed rest of the type from the table."""
    form = i.form
    arg: MemArg = i.args[0]
    memory = v.context.memory(arg.memory)
    if form.prefix == 0xFE:
        if 1 << arg.align != form.width:
            raise Invalid("atomic alignment must be natural")
    elif 1 << arg.align > form.width:
        raise Invalid("alignment must not be larger than natural")
    if arg.offset >> memory.address.bits:
        raise Invalid("offset out of range")
    if len(i.args) > 1:
        _lane(i, 16 // form.width)
    assert form.params is not None and form.results is not None
    if form.params:
        v.pop_all(form.params)
    v.pop(memory.address)
    v.operands += form.results


RULES.update({form: _access for form in FORMS.values() if form.width})


@rule("memory.size")
def _memory_size(v: Stacks, i: Instr) -> None:
    v.push(v.context.memory(i.args[0]).address)


@rule("memory.grow")
def _memory_grow(v: Stacks, i: Instr) -> None:
    address = v.context.memory(i.args[0]).address
    v.pop(address)
    v.push(address)


@rule("memory.fill")
def _memory_fill(v: Stacks, i: Instr) -> None:
    address = v.context.memory(i.args[0]).address
    v.pop_all([address, I32, address])


@rule("memory.copy")
def _memory_copy(v: Stacks, i: Instr) -> None:
    target, source = v.context.memory(i.args[0]).address, v.context.memory(i.args[1]).address
    v.pop_all([target, source, _narrower(target, source)])


@rule("memory.init")
def _memory_init(v: Stacks, i: Instr) -> None:
    data, memory = i.args
    address = v.context.memory(memory).address
    v.context.data(data)
    v.pop_all([address, I32, I32])


@rule("data.drop")
def _data_drop(v: Stacks, i: Instr) -> None:
    v.context.data(i.args[0])


# ---- vectors (3.4.13): fixed types, but lane numbers to check -------------------------------------------------------


def _lane(i: Instr, lanes: int) -> None:
    if i.args[-1] >= lanes:
        raise Invalid(f"invalid lane index {i.args[-1]}")


def _lane_rule(v: Stacks, i: Instr) -> None:
    shape = i.form.mnemonic.partition(".")[0]
    _lane(i, int(shape.partition("x")[2]))
    _fixed(v, i)


def _fixed(v: Stacks, i: Instr) -> None:
    assert i.form.params is not None and i.form.results is not None
    v.pop_all(i.form.params)
    v.operands += i.form.results


@rule("i8x16.shuffle")
def _shuffle(v: Stacks, i: Instr) -> None:
    if max(i.args[0]) >= 32:
        raise Invalid(f"invalid lane index {max(i.args[0])}")
    v.pop_all([V128, V128])
    v.push(V128)


RULES.update({form: _lane_rule for form in FORMS.values() if form.immediates == ("lane",)})
