"""Buffers of a guest (PAR-BUF)."""

from __future__ import annotations

from refwasm.host.parallel.types import AccessKind


class Buffer:
    """A buffer. What it holds is in ``content``, or (policy alias) in ``region`` of the caller's memory.

    ``region`` is where the last ``write_buffer`` took it from. The access kind is a hint that only strict mode uses.
    """

    __slots__ = ("handle", "device", "size", "kind", "content", "region")

    def __init__(self, handle: int, device: int, size: int, kind: AccessKind) -> None:
        self.handle = handle
        self.device = device
        self.size = size
        self.kind = kind
        self.content = bytes(size)
        self.region: int | None = None
