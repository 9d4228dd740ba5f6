"""refwasm: the executable reference for wasi-parallel, on a WebAssembly implementation in pure Python."""

from refwasm.api import Exports, ExportType, Func, Global, ImportType, Instance, Memory, Module, Table, Tag
from refwasm.errors import (
    Crash,
    Deadlock,
    Exhaustion,
    Exit,
    Invalid,
    Malformed,
    ResourceLimit,
    Trap,
    UncaughtException,
    Unlinkable,
    UnsupportedFeature,
    WasmError,
)

__version__ = "0.1.0"

__all__ = [
    "Crash", "Deadlock", "Exhaustion", "Exit", "ExportType", "Exports", "Func", "Global", "ImportType", "Instance",
    "Invalid", "Malformed", "Memory", "Module", "ResourceLimit", "Table", "Tag", "Trap", "UncaughtException",
    "Unlinkable", "UnsupportedFeature", "WasmError", "__version__",
]  # fmt: skip
