"""Typing rules of control instructions and exceptions (specification 3.4.2)."""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Catch, Instr
from refwasm.syntax.types import (
    I32,
    BlockType,
    DefType,
    FuncType,
    RefType,
    ValType,
)
from refwasm.validation.context import Context
from refwasm.validation.descriptors import descriptor_of
from refwasm.validation.instructions.rule import InstrType, rule, typed
from refwasm.validation.matching import (
    match_ref_type,
    match_result_type,
    match_val_type,
    top_of,
)
from refwasm.validation.stacks import END_OF_TRY, Label, Stacks, Types


def _block_type(v: Stacks, t: BlockType) -> tuple[Types, Types]:
    if t.index is None:
        if t.result is None:
            return (), ()
        result = v.context.space.value(t.result)
        v.context.need_type(result)
        return (), (result,)
    composite = v.context.space.func(t.index).composite
    assert isinstance(composite, FuncType)
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
    v.side[v.pc] = len(v.operands)


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
        v.check_all(types)
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


def _tail_call(v: Stacks, t: FuncType) -> None:
    if not match_result_type(t.results, v.results):
        raise Invalid(
            f"type mismatch: the tail call returns [{' '.join(map(repr, t.results))}], "
            f"the function [{' '.join(map(repr, v.results))}]"
        )
    v.side[v.pc] = v.branch(v.controls[0], len(t.params))
    v.pop_all(t.params)
    v.unreachable()


@typed("call")
def _call(c: Context, i: Instr) -> InstrType:
    t = _func_type(c.func(i.args[0]))
    return [*t.params], [*t.results]


@rule("return_call")
def _return_call(v: Stacks, i: Instr) -> None:
    _tail_call(v, _func_type(v.context.func(i.args[0])))


def _indirect(c: Context, i: Instr) -> tuple[ValType, FuncType]:
    """The address type of the table, and what is called."""
    type_index, table_index = i.args
    table = c.table(table_index)
    if not match_ref_type(table.element, RefType(True, "func")):
        raise Invalid(f"type mismatch: call_indirect requires a table of functions, not of {table.element!r}")
    return table.address, _func_type(c.space.func(type_index))


@typed("call_indirect")
def _call_indirect(c: Context, i: Instr) -> InstrType:
    address, t = _indirect(c, i)
    return [*t.params, address], [*t.results]


@rule("return_call_indirect")
def _return_call_indirect(v: Stacks, i: Instr) -> None:
    address, t = _indirect(v.context, i)
    v.pop(address)
    _tail_call(v, t)


@typed("call_ref")
def _call_ref(c: Context, i: Instr) -> InstrType:
    deftype = c.space.func(i.args[0])
    t = _func_type(deftype)
    return [*t.params, RefType(True, deftype)], [*t.results]


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


@rule("br_on_cast", "br_on_cast_fail", "br_on_cast_desc_eq", "br_on_cast_desc_eq_fail")
def _br_on_cast(v: Stacks, i: Instr) -> None:
    depth, source, target_type = i.args
    source, cast = v.context.space.ref(source), v.context.space.ref(target_type)
    v.context.need_type(cast)
    v.context.check_castable(cast.heap)
    if i.form.takes_descriptor:
        v.pop(descriptor_of(cast.heap, target_type.heap))
    if not _may_cast(v, source, cast):
        raise Invalid(f"type mismatch: {i.form.mnemonic} casts to {cast!r}, which is no subtype of {source!r}")
    # What is left after a successful cast: null has moved to the target if that admits it.
    rest = RefType(source.nullable and not cast.nullable, source.heap)
    carried, stays = (rest, cast) if i.form.on_failure else (cast, rest)
    target = v.target(depth)
    types = target.label_types
    if not types or not match_val_type(carried, types[-1]):
        raise Invalid(f"type mismatch: the label of {i.form.mnemonic} must take {carried!r} last")
    v.side[v.pc] = v.branch(target)
    v.pop(source)
    v.pop_all(types[:-1])
    v.operands += types[:-1]
    v.push(stays)


def _may_cast(v: Stacks, source: RefType, cast: RefType) -> bool:
    """Only to a subtype, or within one hierarchy (custom-descriptors proposal)."""
    if "custom-descriptors" in v.context.features:
        return top_of(source.heap) == top_of(cast.heap)
    return match_ref_type(cast, source)


@rule("throw")
def _throw(v: Stacks, i: Instr) -> None:
    v.pop_all(v.context.exception_tag(i.args[0]).params)
    v.unreachable()


@rule("throw_ref")
def _throw_ref(v: Stacks, i: Instr) -> None:
    v.pop(RefType(True, "exn"))
    v.unreachable()


def _catch_types(v: Stacks, clause: Catch) -> Types:
    payload = () if clause.tag is None else v.context.exception_tag(clause.tag).params
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
