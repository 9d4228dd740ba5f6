"""refwasm: the executable reference for wasi-parallel, on a WebAssembly implementation in pure Python."""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from refwasm.api import Exports, ExportType, Func, Global, ImportType, Instance, Memory, Module, Table, Tag
    from refwasm.concurrency import Agents, Exploration, explore
    from refwasm.host.parallel import ParallelLimits, Policies
    from refwasm.program import Program, ProgramSettings

__version__ = "0.1.0"

__all__ = [
    "Agents", "Crash", "Deadlock", "Exhaustion", "Exit", "Exploration", "ExportType", "Exports", "Func", "Global",
    "ImportType", "Instance",
    "Invalid", "Malformed", "Memory", "Module", "ParallelLimits", "Policies", "Program", "ProgramSettings",
    "ResourceLimit", "Table",
    "Tag", "Trap", "UncaughtException", "Unlinkable", "UnsupportedFeature", "WasmError", "__version__",
    "explore",
]  # fmt: skip


_HOMES = {
    "Program": "refwasm.program",
    "ProgramSettings": "refwasm.program",
    "Policies": "refwasm.host.parallel",
    "ParallelLimits": "refwasm.host.parallel",
    "Agents": "refwasm.concurrency",
    "Exploration": "refwasm.concurrency",
    "explore": "refwasm.concurrency",
}


def __getattr__(name: str) -> Any:
    """The classes of the API, imported when first used: the command line does without them."""
    if name not in __all__:
        raise AttributeError(f"module 'refwasm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "refwasm.api")), name)
