"""The module ``spectest`` that the official suite imports (its interpreter's README describes it)."""

from __future__ import annotations

from collections.abc import Callable

from refwasm import embedding as e
from refwasm.syntax.types import F32, F64, FUNCREF, I32, I64, FuncType, GlobalType, Limits, MemType, TableType, ValType

F32_666_6, F64_666_6 = 0x4426A666, 0x4084D4CCCCCCCCCD


def _print(write: Callable[[str], object]) -> Callable[..., tuple[()]]:
    def show(*args: object) -> tuple[()]:
        write(" ".join(map(str, args)))
        return ()

    return show


class _Exports(dict[str, e.Extern]):
    """The exports; the shared memory is made only for those who ask, since it takes semaphores."""

    def __init__(self, store: e.Store) -> None:
        super().__init__()
        self.store = store

    def __missing__(self, name: str) -> e.Extern:
        if name != "shared_memory":
            raise KeyError(name)
        memory = self[name] = e.mem_alloc(self.store, MemType(I32, Limits(1, 2), True))
        return memory


def make(store: e.Store, write: Callable[[str], object] = lambda line: None) -> dict[str, e.Extern]:
    """Its exports; the print functions pass a line to ``write``."""
    printers: dict[str, tuple[ValType, ...]] = {
        "print": (), "print_i32": (I32,), "print_i64": (I64,), "print_f32": (F32,), "print_f64": (F64,),
        "print_i32_f32": (I32, F32), "print_f64_f64": (F64, F64),
    }  # fmt: skip
    exports = _Exports(store)
    for name, params in printers.items():
        exports[name] = e.func_alloc(FuncType(params, ()), _print(write), name)
    for t, value in ((I32, 666), (I64, 666), (F32, F32_666_6), (F64, F64_666_6)):
        exports[f"global_{t.name}"] = e.global_alloc(GlobalType(t, False), value)
    exports["table"] = e.table_alloc(TableType(I32, Limits(10, 20), FUNCREF), None)
    exports["table64"] = e.table_alloc(TableType(I64, Limits(10, 20), FUNCREF), None)
    exports["memory"] = e.mem_alloc(store, MemType(I32, Limits(1, 2)))
    return exports
