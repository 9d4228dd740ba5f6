"""Strict mode (PAR-BUF-03): reports of kernels that write a ``read`` buffer or read a ``write`` buffer.

Access kinds are hints, and nothing here depends on them. But a device that takes them at their word may leave out the
transfer that such a kernel needs. Strict mode looks at every access of a shared memory, which is slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refwasm import embedding as e
from refwasm.errors import StackEntry
from refwasm.host.parallel.types import AccessKind, Violation
from refwasm.syntax.instructions import Instr

READ, WRITE = "reads", "writes"
#: What the bulk instructions do to the memory at their first operand.
BULK = ("memory.fill", "memory.copy", "memory.init")


class Region(NamedTuple):
    """Where a buffer lies in a kernel's memory."""

    start: int
    size: int
    handle: int
    kind: AccessKind

    def forbids(self, action: str) -> bool:
        """Whether the access kind speaks against the action."""
        return self.kind is (AccessKind.WRITE if action == READ else AccessKind.READ)


class AccessWatch:
    """Told of every access of a kernel; ``violations`` has one entry for each buffer, action and place."""

    def __init__(self, memory: e.Memory, regions: Sequence[Region]) -> None:
        self.memory = memory
        self.regions = regions
        self.iteration = 0
        self.found: dict[tuple[str, int, StackEntry], Violation] = {}

    @property
    def violations(self) -> list[Violation]:
        return list(self.found.values())

    def __call__(self, agent: Any, instruction: Instr, memory: e.Memory, address: int) -> None:
        name = instruction.form.mnemonic
        if name in BULK:
            self._look_at_bulk(agent, instruction, address)
        elif memory is self.memory and name != "memory.atomic.notify" and (width := instruction.form.width):
            if instruction.form.loads:
                self._look(agent, READ, address, width)
            if instruction.form.stores:
                self._look(agent, WRITE, address, width)

    def _look_at_bulk(self, agent: Any, instruction: Instr, address: int) -> None:
        """Operands end with the number of bytes; memory 0 is the one that a kernel imports."""
        count = agent.stack[-1]
        written = instruction.args[1 if instruction.form.mnemonic == "memory.init" else 0]
        if written == 0:
            self._look(agent, WRITE, address, count)
        if instruction.form.mnemonic == "memory.copy" and instruction.args[1] == 0:
            self._look(agent, READ, agent.stack[-2], count)

    def _look(self, agent: Any, action: str, address: int, size: int) -> None:
        if not size:
            return
        for region in self.regions:
            inside = address < region.start + region.size and region.start < address + size
            if inside and region.forbids(action):
                place = agent.backtrace()[0]
                key = (action, region.handle, place)
                self.found.setdefault(key, Violation(self.iteration, action, region.handle, region.kind, place))
