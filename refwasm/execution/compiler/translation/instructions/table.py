"""The table: what to do with each instruction."""

from __future__ import annotations

from refwasm.execution.compiler.translation.instructions import (
    calls,
    control,
    exceptions,
    memory,
    numeric,
    references,
    variables,
)
from refwasm.execution.compiler.translation.translator import Translated
from refwasm.execution.numerics.table import is_numeric, is_wide
from refwasm.syntax.instructions import FORMS

#: By mnemonic. Instructions without a handler of their own call the interpreter's meaning.
HANDLERS: dict[str, Translated] = {
    **{name: calls.interpreted for name in FORMS},
    **{name: numeric.numeric for name in FORMS if is_numeric(name)},
    **{name: numeric.wide for name in FORMS if is_wide(name)},
    **{name: memory.store if form.stores else memory.load for name, form in FORMS.items()
       if form.width and form.prefix == 0},
    **{name: numeric.const for name, form in FORMS.items() if form.is_const},
    "local.get": variables.local_get, "local.set": variables.local_set, "local.tee": variables.local_tee,
    "global.get": variables.global_get, "global.set": variables.global_set,
    "drop": variables.drop, "select": variables.select, "select t": variables.select,
    "nop": control.nop, "unreachable": control.unreachable,
    "memory.size": memory.memory_size, "memory.grow": memory.memory_grow,
    "memory.copy": memory.memory_copy, "memory.fill": memory.memory_fill,
    "call": calls.call_direct, "call_indirect": calls.call_found, "call_ref": calls.call_found,
    **dict.fromkeys(("return_call", "return_call_indirect", "return_call_ref"), calls.return_call),
    **dict.fromkeys(("block", "loop", "if"), control.open_block), "else": control.else_, "end": control.end,
    "br": control.br, "br_if": control.br_if, "br_table": control.br_table, "return": control.return_,
    "br_on_null": references.br_on_null, "br_on_non_null": references.br_on_non_null,
    **dict.fromkeys(("br_on_cast", "br_on_cast_desc_eq"), references.br_on_cast),
    **dict.fromkeys(("br_on_cast_fail", "br_on_cast_desc_eq_fail"), references.br_on_cast_fail),
    "throw": exceptions.throw, "throw_ref": exceptions.throw_ref, "try_table": exceptions.try_table,
    **{name: numeric.extract_lane if len(form.params or ()) == 1 else numeric.replace_lane
       for name, form in FORMS.items() if form.has_lane and not form.width and not form.extends_sign},
    "v128.load": memory.load_vector, "v128.store": memory.store_vector,
    **{f"v128.load{n}_splat": memory.load_splat for n in (8, 16, 32, 64)},
    "ref.null": references.ref_null, "ref.is_null": references.ref_is_null,
}  # fmt: skip
