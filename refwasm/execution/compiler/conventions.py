"""What translating a function and running it agree on. A process may run what another one translated: nothing here
imports the translation."""

from __future__ import annotations

from refwasm.errors import ResourceLimit

#: Iterations of loops between two looks at the limits.
POLL = 20_000
#: What fast versions of loops call small, by type; memories that are not larger are small, too.
SMALL = {"i32": 1 << 28, "i64": 1 << 60}

#: First column, column behind the last, instruction.
Span = tuple[int, int, int]
#: The spans of a function's lines, by line number from 1.
Spans = dict[int, list[Span]]


class Untranslatable(ResourceLimit):
    """The function nests too deeply for CPython."""


def instruction_at(spans: Spans, line: int | None, column: int | None) -> int:
    """The instruction of the smallest span around a column (any of the line if the column is not known)."""
    found = [span for span in spans.get(line or 0, ()) if column is None or span[0] <= column < span[1]]
    return min(found, key=lambda span: span[1] - span[0])[2] if found else 0
