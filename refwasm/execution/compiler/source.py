"""Lines of a generated function, and the way back from a position in them to the instruction."""

from __future__ import annotations

from refwasm.execution.compiler.values import END, MIDDLE, START

INDENT = " "


class Source:
    """Collects lines. ``spans[line]`` are (first column, last column, instruction), inner ones after outer ones."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.deepest = 0
        self.spans: dict[int, list[tuple[int, int, int]]] = {}

    def add(self, text: str) -> None:
        """A line at the present depth; its marks become spans."""
        line = INDENT * self.depth
        open_marks: list[tuple[int, int]] = []
        spans: list[tuple[int, int, int]] = []
        rest = text
        while rest:
            at = next((i for i, c in enumerate(rest) if c in (START, END)), len(rest))
            line += rest[:at]
            if at == len(rest):
                break
            if rest[at] == START:
                pc, _, rest = rest[at + 1 :].partition(MIDDLE)
                open_marks.append((len(line), int(pc)))
            else:
                begin, number = open_marks.pop()
                spans.append((begin, len(line), number))
                rest = rest[at + 1 :]
        self.lines.append(line)
        if spans:
            self.spans[len(self.lines)] = spans

    def indent(self) -> None:
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)

    def dedent(self) -> None:
        self.depth -= 1

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def instruction_at(spans: dict[int, list[tuple[int, int, int]]], line: int | None, column: int | None) -> int:
    """The instruction of the smallest span around a column (any of the line if the column is not known)."""
    found = [span for span in spans.get(line or 0, ()) if column is None or span[0] <= column < span[1]]
    return min(found, key=lambda span: span[1] - span[0])[2] if found else 0
