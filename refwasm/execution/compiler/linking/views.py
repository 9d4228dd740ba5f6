"""Views of memories under the names that generated code uses (:mod:`.memory`), renewed whenever a memory grows."""

from __future__ import annotations

import re
from typing import Any

from refwasm.execution.compiler.conventions import SMALL
from refwasm.execution.memory import Memory

_NAME = re.compile(r"(small|[uf]8|[UuFfIi](?:16|32|64))_m(\d+)(?:_(\d+))?")
_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f32": "f", "f64": "d", "i32": "i", "i64": "q"}


class Views:
    """The views of one memory that one namespace names. The namespace keeps this object, the memory only knows it."""

    def __init__(self, memory: Memory, namespace: dict[str, Any]) -> None:
        self.memory = memory
        self.namespace = namespace
        self.names: dict[str, tuple[str, int]] = {}  # type and offset
        memory.listeners.add(self)

    def add(self, name: str, kind: str, offset: int) -> None:
        """Keep a name up to date."""
        if name not in self.names:
            self.names[name] = (kind, offset)
            self._bind(name, kind, offset)

    def renew(self) -> None:
        """The memory has another size now."""
        for name, (kind, offset) in self.names.items():
            self._bind(name, kind, offset)

    def _bind(self, name: str, kind: str, offset: int) -> None:
        data, namespace = self.memory.u8, self.namespace
        if kind == "small":
            namespace[name] = len(data) <= SMALL["i32"]
        elif kind == "u8":
            namespace[name] = data[offset:]
        elif kind[0] in "UFI":
            namespace[name] = _cast(data, kind.lower(), offset)
        else:
            width = int(kind[1:]) // 8
            namespace[name] = tuple(_cast(data, kind, offset + k) for k in range(width))


def _cast(data: memoryview, kind: str, offset: int) -> memoryview:
    """All whole elements from an offset on."""
    width = int(kind[1:]) // 8
    return data[offset : offset + max(len(data) - offset, 0) // width * width].cast(_CODES[kind])  # type: ignore[call-overload, no-any-return]


def parsed(name: str) -> tuple[str, int, int] | None:
    """Type, memory and offset, if a name is that of a view."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2]), int(match[3] or 0)) if match else None
