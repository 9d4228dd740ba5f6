"""Lexical format (specification 6.2 and 6.3): characters to tokens.

Tokens are plain strings, cut by one regular expression at C speed. Their places are not recorded: an error (rare)
finds its place by cutting again, see :meth:`Source.place`. A token's *position* is its index.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from refwasm.errors import Malformed

_STRING = r'"(?:[^"\\\x00-\x1f\x7f]++|\\[^\n\r])*+"'
_IDCHAR = r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]"
# White space and comments that don't nest; then one token. A "(;" left over starts a comment that nests (or does not
# end), and any other single character is no token at all.
_TOKEN = re.compile(
    r"(?:[ \t\n\r]++|;;[^\n\r]*+|\(;(?:[^;(]|;(?!\))|\((?!;))*+;\))*+"
    rf"(\(@(?:{_IDCHAR}++|{_STRING})?|\(;|[()]|(?:{_IDCHAR}++|{_STRING}|[,\[\]{{}}])++|[^\x00-\x20]|[\x00-\x1f]|\Z)"
)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_NESTED = re.compile(r"\(;|;\)")

#: The last token of every source.
END_OF_INPUT = ""


class Source:
    """A text and its tokens, annotations left out.

    ``tokens`` ends with END_OF_INPUT. ``annotations`` maps a token index to the annotations before that token, each a
    list of tokens from ``(@name`` to its ``)``.
    """

    def __init__(self, text: str | bytes) -> None:
        self.text = _decode(text)
        self.lenient = False  # a dialect of scripts: see refwasm.script.dialects
        self._lexed = self.text
        self._kept: list[int] | None = None  # original indices, where annotations were taken out
        self.annotations: dict[int, list[list[str]]] = {}
        self.used_names: set[int] = set()  # places of ``(@name …)`` annotations that named something
        self._offsets: list[int] = []  # of the tokens, and of the lines: filled by the first error
        self._lines: list[int] = []
        self.tokens: list[str] = _TOKEN.findall(self._lexed)
        vocabulary = set(self.tokens)
        if "(;" in vocabulary:
            self._lexed = self._blank_nested_comments()
            self.tokens = _TOKEN.findall(self._lexed)
            vocabulary = set(self.tokens)
        while self.tokens and self.tokens[-1] == END_OF_INPUT:
            self.tokens.pop()
        self.tokens.append(END_OF_INPUT)
        illegal = {t for t in vocabulary - {END_OF_INPUT} if not "!" <= t[0] <= "~" or t == '"'}
        if illegal:
            self._refuse(next(token for token in self.tokens if token in illegal))
        if any(token.startswith("(@") for token in vocabulary):
            self._take_out_annotations()
        if ";" in vocabulary and ";" in self.tokens:
            position = self.tokens.index(";")
            error = Malformed("unexpected token ;", position)
            error.location = self.locate(position)
            raise error

    def place(self, position: int) -> tuple[int, int]:
        """Line and column (both from 1) of the token at an index."""
        if self._kept is not None:
            position = self._kept[min(position, len(self._kept) - 1)]
        if not self._offsets:
            self._offsets = [match.start(1) for match in _TOKEN.finditer(self._lexed)]
        offset = self._offsets[position] if position < len(self._offsets) else len(self._lexed)
        return self._line_and_column(offset)

    def locate(self, position: int) -> str:
        """The place of a token as ``line:column``."""
        line, column = self.place(position)
        return f"{line}:{column}"

    def excerpt(self, position: int) -> str:
        """The source line of a token with a caret below it."""
        line, column = self.place(position)
        text = _NEWLINE.split(self.text)[line - 1]
        return f"{text}\n{' ' * (column - 1)}^"

    def _line_and_column(self, offset: int) -> tuple[int, int]:
        if not self._lines:
            self._lines = [0, *(match.end() for match in _NEWLINE.finditer(self.text))]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def _fail(self, message: str, offset: int) -> None:
        error = Malformed(message)
        line, column = self._line_and_column(offset)
        error.location = f"{line}:{column}"
        raise error

    def _refuse(self, token: str) -> None:
        """Report a character that starts no token."""
        offset = next(m.start(1) for m in _TOKEN.finditer(self._lexed) if m.group(1) == token)
        if token == '"':
            rest = re.match(r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\n\r])*', self._lexed[offset:])
            end = offset + (rest.end() if rest else 1)
            if self._lexed[offset - 1 : offset] == "$":
                self._fail("empty identifier", offset)
            if self._lexed[offset - 2 : offset] == "(@":
                self._fail("empty annotation id", offset)
            unclosed = end >= len(self._lexed) or self._lexed[end] in "\n\r"
            self._fail("unclosed string" if unclosed else "illegal character", offset)
        self._fail(f"illegal character {token!r}", offset)

    def _blank_nested_comments(self) -> str:
        """The text with nesting comments replaced by blanks; "unclosed comment" if one has no end."""
        out = list(_pieces(self.text))
        depth, opened, offset = 0, 0, 0
        for index, piece in enumerate(out):
            if depth == 0 and piece == "(;":
                opened = offset
            if piece == "(;":
                depth += 1
            offset += len(piece)
            if depth:
                out[index] = re.sub(r"[^\n\r]", " ", piece)
                depth -= piece == ";)"
        if depth:
            self._fail("unclosed comment", opened)
        return "".join(out)

    def _take_out_annotations(self) -> None:
        kept: list[int] = []
        tokens = self.tokens
        index = 0
        while index < len(tokens):
            if not tokens[index].startswith("(@"):
                kept.append(index)
                index += 1
                continue
            end = self._end_of_annotation(index)
            self.annotations.setdefault(len(kept), []).append(tokens[index:end])
            index = end
        self._kept = kept
        self.tokens = [tokens[i] for i in kept]

    def _end_of_annotation(self, start: int) -> int:
        tokens = self.tokens
        name = tokens[start][2:]
        if name in ("", '""'):
            self._annotation_error("empty annotation id", start)
        if name.startswith('"'):
            try:
                _name_of(name)
            except UnicodeDecodeError:
                self._annotation_error("malformed UTF-8 encoding", start)
            except ValueError as error:
                self._annotation_error(str(error), start)
        depth, index = 1, start + 1
        while depth:
            token = tokens[index]
            if token == END_OF_INPUT:
                self._annotation_error("unclosed annotation", start)
            depth += (token[0] == "(") - (token == ")")
            index += 1
        return index

    def _annotation_error(self, message: str, position: int) -> None:
        self._kept = None
        error = Malformed(message, position)
        error.location = self.locate(position)
        raise error


def _decode(text: str | bytes) -> str:
    if isinstance(text, str):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise Malformed("malformed UTF-8 encoding: a lone surrogate") from None
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        failure = Malformed("malformed UTF-8 encoding")
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        failure.location = f"{line}:{column}"
        raise failure from None


_PIECES = re.compile(rf"\(;|;;[^\n\r]*|{_STRING}")


def _pieces(text: str) -> list[str]:
    """The text cut so that comment delimiters stand alone; inside a comment strings and line comments mean nothing."""
    pieces: list[str] = []
    depth = index = 0
    while index < len(text):
        pattern = _NESTED if depth else _PIECES
        match = pattern.search(text, index)
        if match is None:
            pieces.append(text[index:])
            break
        if match.start() > index:
            pieces.append(text[index : match.start()])
        piece = match.group()
        pieces.append(piece)
        depth += (piece == "(;") - (piece == ";)" and depth > 0)
        index = match.end()
    return pieces


_ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}
_ESCAPE = re.compile(r"\\(?:u\{([^}]*)\}|([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_HEX_NUMBER = re.compile(r"[0-9A-Fa-f](?:_?[0-9A-Fa-f])*")


def string_bytes(token: str) -> bytes:
    """The bytes that a string token denotes (6.3.3). Raises ValueError with the suite's wording."""
    body = token[1:-1]
    if "\\" not in body:
        return body.encode("utf-8")
    out: list[bytes] = []
    index = 0
    for match in _ESCAPE.finditer(body):
        out.append(body[index : match.start()].encode("utf-8"))
        index = match.end()
        scalar, two_digits, letter = match.groups()
        if two_digits is not None:
            out.append(bytes([int(two_digits, 16)]))
        elif letter in _ESCAPES:
            out.append(_ESCAPES[letter])
        elif scalar is not None and _HEX_NUMBER.fullmatch(scalar):
            code = int(scalar.replace("_", ""), 16)
            if code >= 0x110000 or 0xD800 <= code < 0xE000:
                raise ValueError("malformed UTF-8 encoding: no such scalar value")
            out.append(chr(code).encode("utf-8"))
        else:
            raise ValueError("illegal escape")
    out.append(body[index:].encode("utf-8"))
    return b"".join(out)


def _name_of(token: str) -> str:
    return string_bytes(token).decode("utf-8")
