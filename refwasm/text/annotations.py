"""Annotations with a meaning (specification, appendix "Custom Sections and Annotations"): the rest is white space.

``(@custom "name" placement? "bytes")``, ``(@name "…")`` and ``(@metadata.code.branch_hint "\\00")``.
"""

from __future__ import annotations

from typing import NoReturn

from refwasm.errors import Malformed
from refwasm.syntax.modules import BranchHint, Custom
from refwasm.text.cursor import NAME_ANNOTATION, Cursor, annotated_name
from refwasm.text.keywords import is_string
from refwasm.text.lexer import string_bytes
from refwasm.text.operands import Body

CUSTOM = "(@custom"
#: Section ids by the words that placements use.
SECTION_IDS = {
    "type": 1, "import": 2, "func": 3, "table": 4, "memory": 5, "tag": 13, "global": 6, "export": 7, "start": 8,
    "elem": 9, "datacount": 12, "code": 10, "data": 11,
}  # fmt: skip
_RANKS = {section: rank for rank, section in enumerate((0, *SECTION_IDS.values()))}
_BEFORE = {section: before for section, before in zip(SECTION_IDS.values(), (0, *SECTION_IDS.values()))}


class Annotations:
    """The annotations of one module."""

    def __init__(self, c: Cursor) -> None:
        self.c = c
        self.definition_names: dict[tuple[str, int], str] = {}

    def definition(self, kind: str, index: int) -> None:
        """Take the ``(@name …)`` that may follow the keyword and identifier of a definition."""
        name = self.c.name_annotation()
        if name is not None:
            self.definition_names[kind, index] = name

    def module_annotations(
        self, first: int, starts: list[int], end: int, name: str | None
    ) -> tuple[list[Custom], str | None]:
        """Custom sections, and the module's name; annotations in wrong places are refused.

        ``first`` and ``end`` bound the module's tokens, ``starts`` are the places between fields.
        """
        customs: list[Custom] = []
        between = {first, end, *starts}
        names = 0
        for place in sorted(self.c.source.annotations):
            if not first <= place <= end:
                continue
            for tokens in self.c.source.annotations[place]:
                if tokens[0] == CUSTOM:
                    if place not in between:
                        self._fail("misplaced @custom annotation", place)
                    customs.append(self._custom(tokens, place))
                elif tokens[0] == NAME_ANNOTATION:
                    if place in self.c.source.used_names:
                        continue
                    if place != first:
                        self._fail("misplaced @name annotation", place)
                    names += 1
                    if names > 1:
                        self._fail("@name annotation: multiple module names", place)
                    name = annotated_name(self.c, tokens, place)
                elif tokens[0] == "(@metadata.code.branch_hint" and place in between:
                    self._fail("@metadata.code.branch_hint annotation: not in a function", place)
        return sorted(customs, key=lambda custom: _RANKS[custom.after]), name

    def _fail(self, message: str, place: int) -> NoReturn:
        raise Malformed(message, place)

    def _text(self, token: str, place: int, what: str) -> str:
        try:
            return string_bytes(token).decode("utf-8")
        except ValueError:
            raise Malformed(f"{what} annotation: malformed UTF-8 encoding", place) from None

    def _custom(self, tokens: list[str], place: int) -> Custom:
        """``(@custom "name" (before first|before|after section|after last)? "bytes"*)``."""
        body = tokens[1:-1]
        if not body or not is_string(body[0]):
            self._fail("@custom annotation: missing section name", place)
        name = self._text(body[0], place, "@custom")
        rest, after = body[1:], 11
        if rest[:1] == ["("]:
            after, rest = self._placement(rest, place)
        if not all(map(is_string, rest)):
            self._fail("@custom annotation: unexpected token", place)
        try:
            content = b"".join(map(string_bytes, rest))
        except ValueError as error:
            raise Malformed(f"@custom annotation: {error}", place) from None
        return Custom(name, content, after)

    def _placement(self, rest: list[str], place: int) -> tuple[int, list[str]]:
        if rest[1] not in ("before", "after"):
            self._fail("@custom annotation: malformed placement", place)
        if len(rest) < 4 or rest[3] != ")":
            self._fail("@custom annotation: malformed section kind", place)
        side, word = rest[1], rest[2]
        if (side, word) == ("before", "first"):
            return 0, rest[4:]
        if (side, word) == ("after", "last"):
            return 11, rest[4:]
        if word not in SECTION_IDS:
            self._fail("@custom annotation: malformed section kind", place)
        section = SECTION_IDS[word]
        return section if side == "after" else _BEFORE[section], rest[4:]


def branch_hints(c: Cursor, function: int, body: Body) -> list[BranchHint]:
    """The hints of a parsed body, at the instructions that they stand before."""
    if not body.hints:
        return []
    by_place = {position: index for index, position in enumerate(body.positions)}
    hints = []
    for place, likely in body.hints:
        index = by_place.get(place, by_place.get(place + 1))
        if index is None or body.instrs[index].form.mnemonic not in ("if", "br_if"):
            raise Malformed("@metadata.code.branch_hint annotation: invalid target", place)
        hints.append(BranchHint(function, index, likely))
    return sorted(hints, key=lambda hint: hint.instruction)
