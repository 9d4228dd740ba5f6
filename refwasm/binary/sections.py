"""Sections of a module's file (specification 5.5.2) as they stand there, undecoded."""

from __future__ import annotations

from typing import NamedTuple

from refwasm.binary.values import Reader, encode_unsigned

CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT, TAG = range(14)
SECTION_NAMES = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data",
    "data count", "tag",
)  # fmt: skip


class Section(NamedTuple):
    """A section: where it starts in the file, its id, its name (that of a custom one), its content, in which a custom
    one's name comes first."""

    start: int
    id: int
    name: str
    content: bytes


def sections(data: bytes) -> list[Section]:
    """The sections of a well-formed file."""
    found = []
    reader = Reader(data, 8)
    while reader.pos < len(data):
        start = reader.pos
        number = reader.byte()
        end = reader.u32() + reader.pos
        content = reader.pos
        name = reader.name() if number == CUSTOM else ""
        found.append(Section(start, number, name, data[content:end]))
        reader.pos = end
    return found


def encode_section(section: int, content: bytes) -> bytes:
    """A section's bytes."""
    return bytes([section]) + encode_unsigned(len(content)) + content
