"""A cursor over tokens, and the index spaces that identifiers resolve in (specification 6.3.5, 6.1.4)."""

from __future__ import annotations

from typing import NoReturn

from refwasm.errors import Malformed, did_you_mean
from refwasm.text.keywords import KEYWORDS, is_known, is_string
from refwasm.text.lexer import END_OF_INPUT, Source, string_bytes
from refwasm.text.numbers import is_nat, parse_nat

NAME_ANNOTATION = "(@name"
#: What messages call the index spaces.
SPACE_NAMES = {"func": "function", "elem": "elem segment", "data": "data segment"}


def unexpected(token: str) -> str:
    """The message for a token that can't stand where it does."""
    if token == END_OF_INPUT:
        return "unexpected end of input"
    if is_known(token):
        return f"unexpected token {token}"
    return f"unknown operator {token}{did_you_mean(token, KEYWORDS)}"


class Cursor:
    """Reads ``tokens`` from ``i`` on. A token is consumed by moving ``i``."""

    __slots__ = ("source", "tokens", "i")

    def __init__(self, source: Source, i: int = 0) -> None:
        self.source = source
        self.tokens = source.tokens
        self.i = i

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        """Raise Malformed at a token (default: the next one)."""
        raise Malformed(message, self.i if position is None else position)

    def unexpected(self) -> NoReturn:
        """The next token can't stand here."""
        self.fail(unexpected(self.tokens[self.i]))

    def peek(self) -> str:
        """The next token."""
        return self.tokens[self.i]

    def next(self) -> str:
        """Consume a token."""
        token = self.tokens[self.i]
        if token == END_OF_INPUT:
            self.unexpected()
        self.i += 1
        return token

    def take(self, token: str) -> bool:
        """Consume that token if it comes next."""
        if self.tokens[self.i] == token:
            self.i += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Consume that token."""
        if self.tokens[self.i] != token:
            self.unexpected()
        self.i += 1

    def at_open(self, keyword: str) -> bool:
        """Whether ``(keyword`` comes next."""
        return self.tokens[self.i] == "(" and self.tokens[self.i + 1] == keyword

    def take_open(self, keyword: str) -> bool:
        """Consume ``(keyword`` if it comes next."""
        if self.tokens[self.i] == "(" and self.tokens[self.i + 1] == keyword:
            self.i += 2
            return True
        return False

    def open(self, keyword: str) -> None:
        """Consume ``(keyword``."""
        self.expect("(")
        self.expect(keyword)

    def close(self) -> None:
        """Consume ``)``."""
        self.expect(")")

    def string(self) -> bytes:
        """Consume a string, as bytes."""
        token = self.tokens[self.i]
        if not is_string(token):
            self.unexpected()
        try:
            value = string_bytes(token)
        except ValueError as error:
            self.fail(str(error))
        self.i += 1
        return value

    def strings(self) -> bytes:
        """Consume any number of strings, joined."""
        out = []
        while self.tokens[self.i][:1] == '"':
            out.append(self.string())
        return b"".join(out)

    def name(self) -> str:
        """Consume a name: a string that is UTF-8."""
        start = self.i
        try:
            return self.string().decode("utf-8")
        except UnicodeDecodeError:
            self.fail("malformed UTF-8 encoding", start)

    def nat(self, bits: int = 32) -> int:
        """Consume an unsigned integer."""
        try:
            value = parse_nat(self.tokens[self.i], bits)
        except ValueError as error:
            message = str(error)
            self.fail(message if message != "unexpected token" else unexpected(self.tokens[self.i]))
        self.i += 1
        return value

    def at_index(self) -> bool:
        """Whether an index comes next: a number or an identifier."""
        token = self.tokens[self.i]
        return token[:1] == "$" or is_nat(token)

    def identifier(self) -> str | None:
        """Consume an identifier if one comes next; returned as the name it denotes, without ``$``."""
        token = self.tokens[self.i]
        if token[:1] != "$":
            return None
        self.i += 1
        return identifier_name(self, token)

    def name_annotation(self) -> str | None:
        """The ``(@name "…")`` before the next token, if there is one (appendix "Name Annotations")."""
        found = [tokens for tokens in self.source.annotations.get(self.i, ()) if tokens[0] == NAME_ANNOTATION]
        if not found:
            return None
        if len(found) > 1:
            self.fail("@name annotation: at most one name can be given")
        self.source.used_names.add(self.i)
        return annotated_name(self, found[0], self.i)

    def skip_expression(self) -> None:
        """Move past the parenthesized expression that starts here."""
        depth = 0
        for i in range(self.i, len(self.tokens)):
            token = self.tokens[i]
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
                if depth == 0:
                    self.i = i + 1
                    return
        self.fail("unexpected end of input", len(self.tokens) - 1)


def annotated_name(cursor: Cursor, tokens: list[str], place: int) -> str:
    """The name in ``(@name "…")``."""
    if len(tokens) != 3 or not is_string(tokens[1]):
        cursor.fail("@name annotation: one string expected", place)
    try:
        return string_bytes(tokens[1]).decode("utf-8")
    except ValueError:
        cursor.fail("@name annotation: malformed UTF-8 encoding", place)


def identifier_name(cursor: Cursor, token: str) -> str:
    """The name of an identifier token: ``$x`` or ``$"any string"`` (6.3.5); Malformed if empty."""
    body = token[1:]
    if body and not is_known(token):
        cursor.fail(f"unknown operator {token}", cursor.i - 1)
    if body.startswith('"'):
        try:
            body = string_bytes(body).decode("utf-8")
        except UnicodeDecodeError:
            cursor.fail("malformed UTF-8 encoding", cursor.i - 1)
        except ValueError as error:
            cursor.fail(str(error), cursor.i - 1)
    if not body:
        cursor.fail("empty identifier", cursor.i - 1)
    return body


class Space:
    """An index space: how many there are, and which have identifiers."""

    __slots__ = ("kind", "count", "ids")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.count = 0
        self.ids: dict[str, int] = {}

    def add(self, cursor: Cursor, name: str | None) -> int:
        """Take the next index, under that name if there is one."""
        index = self.count
        self.count += 1
        if name is not None:
            if name in self.ids:
                cursor.fail(f"duplicate {self.kind} {name}", cursor.i - 1)
            self.ids[name] = index
        return index

    def index(self, cursor: Cursor) -> int:
        """Consume an index, written as a number or as an identifier."""
        token = cursor.tokens[cursor.i]
        if token[:1] != "$":
            return cursor.nat()
        index = self.ids.get(token[1:]) if token[1:2] != '"' else None
        if index is None:
            cursor.i += 1
            index = self.ids.get(identifier_name(cursor, token))
            if index is None:
                cursor.fail(f"unknown {SPACE_NAMES.get(self.kind, self.kind)} {token}", cursor.i - 1)
            return index
        cursor.i += 1
        return index

    def names(self) -> dict[int, str]:
        """Names by index."""
        return {index: name for name, index in self.ids.items()}
