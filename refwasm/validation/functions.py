"""Validation of function bodies and constant expressions (specification 3.4.13, 3.5.6): the algorithm's main loop."""

from __future__ import annotations

from typing import Any

from refwasm.errors import Invalid
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.modules import Expr
from refwasm.syntax.types import FuncType, ValType
from refwasm.validation.context import Context
from refwasm.validation.instructions import RULES
from refwasm.validation.stacks import Stacks, Types

SideTable = dict[int, Any]

#: Instructions allowed in constant expressions (3.4.13), by the feature that allows them.
CONSTANT = {
    FORMS[name]: feature
    for feature, names in {
        "mvp": ("i32.const", "i64.const", "f32.const", "f64.const", "global.get", "end"),
        "simd": ("v128.const",),
        "reference-types": ("ref.null", "ref.func"),
        "extended-const": ("i32.add", "i32.sub", "i32.mul", "i64.add", "i64.sub", "i64.mul"),
        "custom-descriptors": ("struct.new_desc", "struct.new_default_desc"),
        "gc": (
            "struct.new", "struct.new_default", "array.new", "array.new_default", "array.new_fixed", "ref.i31",
            "any.convert_extern", "extern.convert_any",
        ),
    }.items()
    for name in names
}  # fmt: skip


def validate_body(
    context: Context, func_type: FuncType, local_types: list[ValType], body: Expr, all_defaultable: bool
) -> SideTable:
    """Check a body; ``local_types`` include the parameters, ``all_defaultable`` is about the others. Returns its side
    table.

    Raises Invalid, with the index of the instruction.
    """
    stacks = Stacks(context, local_types, func_type.results, context.types)
    if not all_defaultable:
        stacks.first_local = len(func_type.params)
    return _run(stacks, func_type.results, body)


def _run(stacks: Stacks, results: Types, body: Expr) -> SideTable:
    stacks.open("func", (), results)
    operands, features = stacks.operands, stacks.context.features
    rules = RULES
    pc = 0
    try:
        for pc, instr in enumerate(body):
            form = instr[0]
            if form.feature not in features:
                stacks.context.need(form.feature, "unknown operator")
            rule = rules.get(form)
            if rule is not None:
                stacks.pc = pc
                rule(stacks, instr)
                continue
            params: list[ValType] = form.params  # type: ignore[assignment]
            if params:
                stacks.pop_all(params)
            operands += form.results  # type: ignore[arg-type]
    except Invalid as error:
        error.instruction = pc
        raise
    return stacks.side


def trace_body(
    context: Context, func_type: FuncType, local_types: list[ValType], body: Expr
) -> list[tuple[ValType, ...]]:  # fmt: skip
    """The operands before each instruction of a body that is valid."""
    stacks = Stacks(context, local_types, func_type.results, context.types)
    stacks.open("func", (), func_type.results)
    found = []
    for stacks.pc, instr in enumerate(body):
        found.append(tuple(stacks.operands))
        rule = RULES.get(instr.form)
        if rule is not None:
            rule(stacks, instr)
            continue
        stacks.pop_all(instr.form.params or [])
        stacks.operands += instr.form.results or ()
    return found


def validate_constant(context: Context, expr: Expr, wanted: ValType) -> None:
    """Check that an expression is constant (Expr_const) and has the type ``wanted``."""
    for pc, instr in enumerate(expr):
        feature = CONSTANT.get(instr.form)
        mutable = False
        if instr.form.mnemonic == "global.get":
            mutable = context.global_(instr.args[0]).mutable
            if instr.args[0] >= context.imported_globals:
                context.need("gc", "unknown global")  # before, constants could use imported globals only
        if feature is None or mutable:
            error = Invalid(f"constant expression required: {instr.form.mnemonic} is not constant")
            error.instruction = pc
            raise error
        context.need(feature, "constant expression required")
    _run(Stacks(context, [], (wanted,), {}), (wanted,), expr)
