"""The interface's present form and its two older ones, of which programs exist.

The form of 2021 has no kernel modules: a kernel is a function in the caller's table. It runs in fresh instances of the
caller, over the caller's memory. Here that is brought back to the present form: :func:`kernel_module` turns the caller
into a kernel module, which all devices and policies then treat as any other.
"""

from __future__ import annotations

from enum import Enum

from refwasm import embedding as e
from refwasm.host.parallel.types import Errno, ParallelError
from refwasm.syntax.instructions import instr
from refwasm.syntax.modules import Data, Export, Func, Import, Module
from refwasm.syntax.types import I32, FuncType, FuncUse, Limits, MemType

#: Names under which a caller may export its function table.
TABLES = ("__indirect_function_table", "table")
#: Pages of a 32-bit memory without a maximum.
MAX_PAGES = 65536


class Form(Enum):
    """A form of the interface: the function that runs kernels, and its type."""

    EXEC = ("parallel_exec", "i32 i32 i32 i32 i32 i32 i32 i32 i32 -> i32")
    FOR_MODULE = ("parallel_for", "i32 i32 i32 i32 i32 i32 i32 i32 -> i32")
    FOR_FUNCTION = ("parallel_for", "i32 i32 i32 i32 i32 i32 i32 -> i32")

    def __init__(self, function: str, signature: str) -> None:
        self.function = function
        self.signature = signature


def form_of(validated: e.Validated, module: str) -> Form:
    """The form that a program was written for, by what it imports from the interface's module (PAR-FORM-01)."""
    for module_name, name, t in e.module_imports(validated):
        if module_name == module and isinstance(t, FuncUse):
            function: FuncType = t.type.composite  # type: ignore[union-attr, assignment]
            if form := older_form(name, function):
                return form
    return Form.EXEC


def older_form(name: str, function: FuncType) -> Form | None:
    """The form that a function of the interface belongs to, if that is an older one."""
    if name != "parallel_for":
        return None
    return Form.FOR_FUNCTION if len(function.params) == 7 else Form.FOR_MODULE


def function_in_table(instance: e.ModuleInst, memory: e.Memory, position: int) -> int:
    """The index of the caller's function at a position of its table; invalid_kernel if there is none."""
    table = next((t for name in TABLES if isinstance(t := instance.exports.get(name), e.TableInst)), None)
    if table is None:
        raise ParallelError(
            Errno.INVALID_KERNEL, "PAR-FORM-05", f"the caller exports no table {' or '.join(map(repr, TABLES))}"
        )
    func = table.elements[position] if position < len(table.elements) else None
    if not isinstance(func, e.FuncInst) or func.module is not instance:
        raise ParallelError(
            Errno.INVALID_KERNEL, "PAR-FORM-05", f"position {position} of the table holds no function of the caller's"
        )
    if not instance.memories or instance.memories[0] is not memory:
        raise ParallelError(Errno.UNSUPPORTED, "PAR-FORM-05", "the memory exported as 'memory' is not memory 0")
    return func.index


def kernel_module(module: Module, function: int) -> Module:
    """The caller as a kernel module whose ``kernel`` is one of its functions.

    Memory 0 becomes the one import, since the data are there already: active segments are gone, and no start function
    runs. Imported functions become ones that trap: kernels can't call the host. Indices stay as they were.
    """
    others = [i.name for i in module.imports if not isinstance(i.type, (FuncUse, MemType))]
    imported = [i.type for i in module.imports if isinstance(i.type, MemType)]
    if others or len(imported) + len(module.memories) > 1:
        why = f"it imports {', '.join(others)}" if others else "it has several memories"
        raise ParallelError(Errno.UNSUPPORTED, "PAR-FORM-05", f"the caller can't be instantiated again: {why}")
    stubs = [i for i in module.imports if isinstance(i.type, FuncUse)]
    names = dict(module.names.maps.get("func", {}))
    names.update({index: f"{i.module}.{i.name}, which kernels cannot call" for index, i in enumerate(stubs)})
    return module._replace(
        imports=(Import("", "memory", _shared((imported or list(module.memories))[0])),),
        memories=module.memories if imported else module.memories[1:],
        funcs=(*map(_stub, stubs), *module.funcs),
        datas=tuple(Data(b"", "passive") if data.mode == "active" else data for data in module.datas),
        exports=(*(e for e in module.exports if e.name != "kernel"), Export("kernel", "func", function)),
        start=None,
        digest=b"",
        customs=(),
        names=module.names._replace(maps={**module.names.maps, "func": names}),
    )


def _stub(item: Import) -> Func:
    assert isinstance(item.type, FuncUse) and isinstance(item.type.type, int), "as decoded"
    return Func(item.type.type, (), (instr("unreachable"), instr("end")))


def _shared(t: MemType) -> MemType:
    """The type of a shared memory in place of any."""
    if t.address is not I32:
        raise ParallelError(Errno.UNSUPPORTED, "PAR-FORM-05", "the caller's memory is not a 32-bit memory")
    maximum = MAX_PAGES if t.limits.maximum is None else t.limits.maximum
    return MemType(t.address, Limits(t.limits.minimum, maximum), True)
