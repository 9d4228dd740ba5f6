"""Memories of the devices' own, kept for the next execution of the same kernel.

A memory that workers have mapped, with instances of the kernel over it, is worth more than its contents: those are
zeros whenever it is taken.
"""

from __future__ import annotations

import gc
from threading import Lock

from refwasm import embedding as e
from refwasm.errors import ResourceLimit
from refwasm.execution.domain import current_domain
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.kernels import Kernel
from refwasm.syntax.types import Limits, MemType

#: Of so many kernels, the ones that were used last; and address space that they may hold together, in pages.
KEPT, MAX_RESERVED = 8, 1 << 17


class Staging:
    """The memories of one guest; ``settings`` limit them."""

    def __init__(self, settings: e.Settings) -> None:
        self.settings = settings
        self.kept: dict[Kernel, e.Memory] = {}  # guarded by lock: threads of the guest may run kernels side by side
        self.lock = Lock()

    def take(self, kernel: Kernel, pages: int) -> e.Memory:
        """A memory of the kernel's type with at least so many pages, all zeros. Raises ResourceLimit."""
        t = kernel.memory_type
        wanted = MemType(t.address, Limits(max(pages, t.limits.minimum), t.limits.maximum), True)
        with self.lock:
            memory = self.kept.pop(kernel, None)
        if isinstance(memory, SharedMemory) and memory.type == wanted and memory.domain is current_domain():
            return memory
        try:
            return e.mem_alloc(e.store_init(self.settings), wanted)
        except ResourceLimit:  # what is kept may be in the way
            self.close()
            gc.collect()  # instances are cycles, and hold mappings
            return e.mem_alloc(e.store_init(self.settings), wanted)

    def give_back(self, kernel: Kernel, memory: e.Memory) -> None:
        """Nobody uses the memory any more, and nothing went wrong. One that has grown is not kept."""
        if memory.size() != memory.type.limits.minimum:
            return
        memory.clear()
        with self.lock:
            self.kept[kernel] = memory
            while len(self.kept) > KEPT or sum(kept.limit for kept in self.kept.values()) > MAX_RESERVED:
                del self.kept[next(iter(self.kept))]

    def close(self) -> None:
        """Forget them all."""
        with self.lock:
            self.kept.clear()


__all__ = ["Staging"]
