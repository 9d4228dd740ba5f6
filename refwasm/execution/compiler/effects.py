"""How many operands an instruction takes, and the types of its results, where the table of forms does not say."""

from __future__ import annotations

from refwasm.execution.compiler.control import type_name
from refwasm.execution.store import ModuleInst
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import ArrayType, NumType, RefType, StorageType, StructType

_FIXED: dict[str, tuple[int, tuple[str, ...]]] = {
    "memory.init": (3, ()), "data.drop": (0, ()),
    "table.init": (3, ()), "elem.drop": (0, ()), "table.copy": (3, ()), "table.get": (1, ("",)), "table.set": (2, ()),
    "table.fill": (3, ()), "ref.null": (0, ("",)), "ref.is_null": (1, ("i32",)), "ref.func": (0, ("",)),
    "ref.as_non_null": (1, ("",)), "ref.eq": (2, ("i32",)), "struct.new_default": (0, ("",)), "struct.set": (2, ()),
    "array.new": (2, ("",)), "array.new_default": (1, ("",)), "array.new_data": (2, ("",)),
    "array.new_elem": (2, ("",)), "array.set": (3, ()), "array.len": (1, ("i32",)), "array.fill": (4, ()),
    "array.copy": (5, ()), "array.init_data": (4, ()), "array.init_elem": (4, ()), "ref.test": (1, ("i32",)),
    "ref.test null": (1, ("i32",)), "ref.cast": (1, ("",)), "ref.cast null": (1, ("",)),
    "any.convert_extern": (1, ("",)), "extern.convert_any": (1, ("",)), "ref.i31": (1, ("",)),
    "ref.get_desc": (1, ("",)), "ref.cast_desc_eq": (2, ("",)), "ref.cast_desc_eq null": (2, ("",)),
    "struct.new_default_desc": (1, ("",)), "i31.get_s": (1, ("i32",)), "i31.get_u": (1, ("i32",)),
}  # fmt: skip


def effect(instr: Instr, instance: ModuleInst) -> tuple[int, tuple[str, ...]]:
    """The number of operands, and the types of the results."""
    form = instr.form
    if form.params is not None and form.results is not None:
        return form.takes_address + len(form.params), tuple(map(type_name, form.results))
    mnemonic = form.mnemonic
    if (fixed := _FIXED.get(mnemonic)) is not None:
        return fixed
    if mnemonic in ("table.size", "table.grow"):
        address = instance.tables[instr.args[0]].type.address
        return 2 * (mnemonic == "table.grow"), (type_name(address),)
    if mnemonic == "array.new_fixed":
        return instr.args[1], ("",)
    composite = instance.types[instr.args[0]].composite
    if mnemonic in ("struct.new", "struct.new_desc"):
        assert isinstance(composite, StructType)
        return len(composite.fields) + (mnemonic == "struct.new_desc"), ("",)
    if mnemonic.startswith("struct.get"):
        assert isinstance(composite, StructType)
        return 1, (_field(composite.fields[instr.args[1]].storage),)
    assert mnemonic.startswith("array.get") and isinstance(composite, ArrayType), mnemonic
    return 2, (_field(composite.field.storage),)


def _field(storage: StorageType) -> str:
    """Packed fields are read as i32."""
    if isinstance(storage, NumType):
        return type_name(storage)
    return "" if isinstance(storage, RefType) else "i32"
