"""Source maps (revision 3): places in the source by position in the module's file.

All of a module's code is line 1 of what is mapped; the column is the position (tool-conventions, "Debugging").
"""

from __future__ import annotations

import base64
import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from refwasm.binary.values import Reader, encode_name
from refwasm.errors import Malformed

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS = {digit: value for value, digit in enumerate(_ALPHABET)}
#: Larger files are no source maps.
MAX_BYTES = 256 << 20


class SourceMap:
    """A map that was read; one that is malformed maps nothing."""

    def __init__(self, text: bytes) -> None:
        self.positions: list[int] = []
        self.places: list[tuple[str, int, int] | None] = []
        try:
            self._read(json.loads(text))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self.positions, self.places = [], []

    def find(self, position: int) -> tuple[str, int, int] | None:
        """File, line and column of a position."""
        index = bisect_right(self.positions, position) - 1
        return self.places[index] if index >= 0 else None

    def _read(self, found: Any) -> None:
        sources, root = found["sources"], found.get("sourceRoot") or ""
        position = source = line = column = 0
        rows: list[tuple[int, tuple[str, int, int] | None]] = []
        for segment in found["mappings"].partition(";")[0].split(","):
            numbers = list(_numbers(segment))
            if not numbers:
                continue
            position += numbers[0]
            if len(numbers) < 4:
                rows.append((position, None))
                continue
            source, line, column = source + numbers[1], line + numbers[2], column + numbers[3]
            rows.append((position, (os.path.join(root, sources[source]), line + 1, column + 1)))
        rows.sort(key=lambda row: row[0])
        self.positions, self.places = [row[0] for row in rows], [row[1] for row in rows]


def _numbers(segment: str) -> Iterator[int]:
    """The numbers in base 64, each with its sign in the lowest bit."""
    value = shift = 0
    for digit in segment:
        bits = _DIGITS[digit]
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            yield -(value >> 1) if value & 1 else value >> 1
            value = shift = 0


def read_source_map(section: bytes, folder: str) -> bytes | None:
    """The map that a section names: in its ``data:`` address, or in a file below ``folder``; None if there is none."""
    try:
        address = Reader(section).name() if section else ""
    except Malformed:
        return None
    if address.startswith("data:"):
        head, _, data = address.partition(",")
        try:
            return base64.b64decode(data, validate=True) if head.endswith(";base64") else None
        except ValueError:
            return None
    if not address or not folder or "://" in address or os.path.isabs(address) or ".." in address.split("/"):
        return None
    try:
        path = os.path.join(folder, address)
        if os.path.getsize(path) > MAX_BYTES:
            return None
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


#: A position in the module, and the file, line and column (from 1 on) that it comes from.
Row = tuple[int, "tuple[str, int, int] | None"]


def encode_source_map(rows: Iterable[Row]) -> bytes:
    """The content of a section that holds a map itself, as a ``data:`` address. Rows are in the order of positions."""
    sources: dict[str, int] = {}
    segments, last = [], (0, 0, 0, 0)
    for position, place in rows:
        if place is None:
            segments.append(_digits(position - last[0]))
            last = (position, *last[1:])
            continue
        name, line, column = place
        now = (position, sources.setdefault(name, len(sources)), line - 1, max(column - 1, 0))
        segments.append("".join(_digits(a - b) for a, b in zip(now, last)))
        last = now
    found = {"version": 3, "sources": list(sources), "names": [], "mappings": ",".join(segments)}
    text = base64.b64encode(json.dumps(found, separators=(",", ":")).encode())
    return encode_name("data:application/json;base64," + text.decode())


def _digits(value: int) -> str:
    """A number in base 64 with its sign in the lowest bit."""
    rest = -value << 1 | 1 if value < 0 else value << 1
    out = ""
    while True:
        digit, rest = rest & 31, rest >> 5
        out += _ALPHABET[digit | (32 if rest else 0)]
        if not rest:
            return out
