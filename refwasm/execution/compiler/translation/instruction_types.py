"""How many operands an instruction takes, and the types of its results, from the rules of validation."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from refwasm.execution.compiler.translation.translator import type_name
from refwasm.execution.store import ModuleInst
from refwasm.syntax.instructions import Instr
from refwasm.validation import Validated
from refwasm.validation.context import Context
from refwasm.validation.features import NAMES
from refwasm.validation.instructions.rule import TYPINGS, instr_type

#: Instructions whose result is a reference of a type that depends on the operand's: how many operands they take.
_POLYMORPHIC = {
    "ref.as_non_null": 1, "any.convert_extern": 1, "extern.convert_any": 1, "ref.get_desc": 1, "ref.cast_desc_eq": 2,
    "ref.cast_desc_eq null": 2,
}  # fmt: skip


#: One for each module: what it looked up for a function serves the others.
_CONTEXTS: WeakKeyDictionary[Validated, Context] = WeakKeyDictionary()


def context_of(instance: ModuleInst) -> Context:
    """The context that functions of a module were validated in, as far as types of instructions depend on it."""
    found = _CONTEXTS.get(instance.validated)
    if found is None:
        found = _CONTEXTS[instance.validated] = _made(instance)
    return found


def _made(instance: ModuleInst) -> Context:
    context, module = Context(NAMES), instance.validated.module
    context.space = instance.validated.space
    context.funcs = list(instance.validated.func_types)
    context.tables = [table.type for table in instance.tables]
    context.memories = [memory.type for memory in instance.memories]
    context.elems = [context.space.ref(elem.type) for elem in module.elems]
    context.datas = len(module.datas)
    context.refs = set(range(len(context.funcs)))
    return context


def effect(context: Context, instr: Instr) -> tuple[int, list[str]]:
    """The number of operands, and the types of the results as :attr:`.values.Value.type` calls them."""
    form = instr.form
    if form in TYPINGS:
        params, results = instr_type(context, instr)
        return len(params), [type_name(t) for t in results]
    if form.params is not None and form.results is not None:
        return form.takes_address + len(form.params), [type_name(t) for t in form.results]
    if form.mnemonic == "array.new_fixed":
        return instr.args[1], [""]
    return _POLYMORPHIC[form.mnemonic], [""]
