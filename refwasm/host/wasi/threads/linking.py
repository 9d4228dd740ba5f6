"""What a program with threads imports and exports."""

from __future__ import annotations

from refwasm import embedding as e
from refwasm.errors import Unlinkable
from refwasm.syntax.types import FuncUse, MemType

MODULE, SPAWN, START = "wasi", "thread-spawn", "wasi_thread_start"
SIGNATURE = "i32 -> i32"
#: Threads at the same time, and the largest number of one (wasi-threads: below 2^29).
MAX_THREADS = 60
MAX_THREAD_ID = (1 << 29) - 1
#: What thread-spawn gives when there can be no further thread.
NO_THREAD = -1 & 0xFFFFFFFF


def seed_of(how: str) -> int | None:
    """How threads run, as text: None for ``processes``, the seed of ``interleaved`` or ``interleaved:SEED``.

    Raises ValueError.
    """
    kind, colon, seed = how.partition(":")
    is_seed = seed.isdecimal() and len(seed) < 20
    if how == "processes":
        return None
    if kind != "interleaved" or (colon and not is_seed):
        raise ValueError(f"threads {how}: write processes, interleaved or interleaved:SEED")
    return int(seed or 0)


def uses_threads(validated: e.Validated) -> bool:
    """Whether a program spawns threads."""
    return any((module, name) == (MODULE, SPAWN) for module, name, _ in e.module_imports(validated))


def shared_memory(validated: e.Validated) -> tuple[str, str, MemType] | None:
    """The shared memory that a program imports, which its host makes: the names of the import, and its type."""
    memories = [(module, name, t) for module, name, t in e.module_imports(validated) if isinstance(t, MemType)]
    return memories[0] if len(memories) == 1 and memories[0][2].shared else None


def check_program(validated: e.Validated) -> None:
    """Unlinkable unless a program that spawns threads imports their memory and exports what they start with."""
    if shared_memory(validated) is None:
        raise Unlinkable("a program with threads must import one memory, a shared one")
    exported = dict(e.module_exports(validated)).get(START)
    if not isinstance(exported, FuncUse) or repr(exported.type.composite) != "[i32 i32] -> []":  # type: ignore[union-attr]
        raise Unlinkable(f"a program with threads must export a function {START!r} with two i32 parameters")
