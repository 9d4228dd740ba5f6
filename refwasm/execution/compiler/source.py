"""Lines of a generated function, and the way back from a position in them to the instruction."""

from __future__ import annotations

import re

from refwasm.execution.compiler.values import END, MIDDLE, START

INDENT = " "
_MARKS = re.compile(f"({START}[0-9]+{MIDDLE}|{END})")

#: First column, column behind the last, instruction.
Span = tuple[int, int, int]
Spans = dict[int, list[Span]]
Line = tuple[str, list[Span]]


class Source:
    """Collects lines at a depth of indentation, each with the spans of its instructions, inner ones first."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.depth = 0
        self.deepest = 0

    def add(self, text: str) -> None:
        """A line at the present depth; its marks become spans."""
        if END not in text:
            self.lines.append((INDENT * self.depth + text, []))
            return
        line = INDENT * self.depth
        opened: list[tuple[int, int]] = []
        spans: list[Span] = []
        for part in _MARKS.split(text):
            if part[:1] == START:
                opened.append((len(line), int(part[1:-1])))
            elif part == END:
                first, pc = opened.pop()
                spans.append((first, len(line), pc))
            else:
                line += part
        self.lines.append((line, spans))

    def indent(self) -> None:
        """What follows belongs to the line before."""
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)

    def dedent(self) -> None:
        """The opposite; a body without lines gets one."""
        last = self.lines[-1][0]
        if last.endswith(":") and last.startswith(INDENT * (self.depth - 1)) and last[self.depth - 1] != INDENT:
            self.add("pass")
        self.depth -= 1

    def ends_in_jump(self) -> bool:
        """Whether the last line, at the present depth, leaves the block."""
        last = self.lines[-1][0]
        word = last[self.depth :]
        return last.startswith(INDENT * self.depth) and (
            word in ("break", "continue") or (word.startswith("return") and not word.startswith("return_"))
        )

    def taken_from(self, first: int) -> list[Line]:
        """Remove the lines from an index on."""
        found = self.lines[first:]
        del self.lines[first:]
        return found

    def text(self) -> str:
        """The whole."""
        return "\n".join(line for line, _ in self.lines) + "\n"

    def spans(self) -> Spans:
        """By line number, from 1."""
        return {number: spans for number, (_, spans) in enumerate(self.lines, 1) if spans}


def outdented(lines: list[Line]) -> list[Line]:
    """Lines one level further out."""
    step = len(INDENT)
    return [(line[step:], [(a - step, b - step, pc) for a, b, pc in spans]) for line, spans in lines]


def instruction_at(spans: Spans, line: int | None, column: int | None) -> int:
    """The instruction of the smallest span around a column (any of the line if the column is not known)."""
    found = [span for span in spans.get(line or 0, ()) if column is None or span[0] <= column < span[1]]
    return min(found, key=lambda span: span[1] - span[0])[2] if found else 0
