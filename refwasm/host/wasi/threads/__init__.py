"""wasi-threads: ``wasi.thread-spawn``, and one instance of the program for each thread, over its imported memory.

:mod:`.processes` runs each thread in a process of its own, :mod:`.interleaved` runs them by turns in this process, in
an order that a seed decides. Either way descriptors are shared, and the program ends with all its threads at once: when
``_start`` returns, when any thread exits or traps, whatever the others are doing.
"""

from refwasm.host.wasi.threads.interleaved import Interleaving
from refwasm.host.wasi.threads.linking import (
    MODULE,
    SIGNATURE,
    SPAWN,
    check_program,
    seed_of,
    shared_memory,
    uses_threads,
)

__all__ = ["MODULE", "SIGNATURE", "SPAWN", "Interleaving", "check_program", "seed_of", "shared_memory", "uses_threads"]
