"""Operands of instructions (specification 6.5): how each immediate word of the table of forms is read.

``OPERANDS`` has one reader per word; ``COMBINED`` those of whole lists that the text format abbreviates or reorders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.syntax.instructions import Instr, MemArg, On
from refwasm.text.cursor import Cursor, Space, unexpected
from refwasm.text.keywords import is_known, looks_numeric
from refwasm.text.numbers import is_nat, parse_float, parse_int, parse_nat
from refwasm.text.types import TypeSection


class Spaces:
    """The index spaces of a module."""

    def __init__(self) -> None:
        self.types = TypeSection()
        self.by_kind: dict[str, Space] = {
            kind: Space(kind) for kind in ("func", "table", "memory", "global", "tag", "elem", "data")
        }

    def __getitem__(self, kind: str) -> Space:
        return self.by_kind[kind]


class Body:
    """A body being parsed: what its operands resolve in, and the instructions so far."""

    def __init__(self, spaces: Spaces, local_space: Space | None = None) -> None:
        self.spaces = spaces
        self.locals = local_space or Space("local")
        self.labels: list[str | None] = []
        self.depths: dict[str, list[int]] = {}  # by name: how many labels were open when each of that name was opened
        self.pending_labels: list[str | None] = []  # of folded ifs whose condition is being read
        self.label_names: dict[int, str] = {}
        self.blocks = 0
        self.instrs: list[Instr] = []
        self.positions: list[int] = []
        self.hints: list[tuple[int, bool]] = []  # token index of the annotated instruction, likely

    # -- labels ------------------------------------------------------------------------------------------------------

    def enter(self, c: Cursor) -> None:
        """Open a label, named if an identifier comes next."""
        name = c.identifier()
        if name is not None:
            self.label_names[self.blocks] = name
        self.blocks += 1
        self.open(name)

    def open(self, name: str | None) -> None:
        """Open a label."""
        if name is not None:
            self.depths.setdefault(name, []).append(len(self.labels))
        self.labels.append(name)

    def close(self) -> str | None:
        """Close the innermost label; returns its name."""
        name = self.labels.pop()
        if name is not None:
            self.depths[name].pop()
        return name

    def label(self, c: Cursor) -> int:
        """A label index; names count from the innermost block."""
        if c.tokens[c.i][:1] != "$":
            return c.nat()
        start = c.i
        name = c.identifier()
        depths = self.depths.get(name or "")
        if not depths:
            c.fail(f"unknown label ${name}", start)
        return len(self.labels) - 1 - depths[-1]

    def check_label(self, c: Cursor) -> None:
        """The optional identifier after ``else`` and ``end`` must repeat the block's."""
        start = c.i
        name = c.identifier()
        if name is not None and (not self.labels or name != self.labels[-1]):
            c.fail("mismatching label", start)


Operand = Callable[[Cursor, Body], tuple[Any, ...]]


def _index(kind: str) -> Operand:
    return lambda c, b: (b.spaces[kind].index(c),)


def optional_index(kind: str) -> Operand:
    return lambda c, b: (b.spaces[kind].index(c) if c.at_index() else 0,)


def _optional_pair(kind: str) -> Operand:
    def parse(c: Cursor, b: Body) -> tuple[Any, ...]:
        if not c.at_index():
            return 0, 0
        return b.spaces[kind].index(c), b.spaces[kind].index(c)

    return parse


def _segment(segment: str, target: str) -> Operand:
    """memory.init and table.init: ``target? segment`` in the text, segment first in the binary format."""

    def parse(c: Cursor, b: Body) -> tuple[Any, ...]:
        start = c.i
        if not c.at_index():
            c.unexpected()
        c.i += 1
        two = c.at_index()
        c.i = start
        into = b.spaces[target].index(c) if two else 0
        return b.spaces[segment].index(c), into

    return parse


def _indirect(c: Cursor, b: Body) -> tuple[Any, ...]:
    start = c.i
    table = b.spaces["table"].index(c) if c.at_index() else 0
    index, params = b.spaces.types.use(c)
    if any(param.id is not None for param in params):
        c.fail("unexpected token: parameters of call_indirect have no names", start)
    return index, table


def _type(c: Cursor, b: Body) -> tuple[Any, ...]:
    return (b.spaces.types.space.index(c),)


def _type_and_field(c: Cursor, b: Body) -> tuple[Any, ...]:
    index = b.spaces.types.space.index(c)
    fields = b.spaces.types.fields.get(index)
    return index, fields.index(c) if fields is not None else c.nat()


def _labels(c: Cursor, b: Body) -> tuple[Any, ...]:
    labels = [b.label(c)]
    while c.at_index():
        labels.append(b.label(c))
    return tuple(labels[:-1]), labels[-1]


def _cast(c: Cursor, b: Body) -> tuple[Any, ...]:
    label = b.label(c)
    return label, b.spaces.types.ref(c), b.spaces.types.ref(c)


def _number_error(error: ValueError, token: str) -> str:
    """The message for a number that is out of range, or for a token that is none."""
    return str(error) if "range" in str(error) else unexpected(token)


def _number(parse: Callable[[str, int], int], bits: int) -> Operand:
    def operand(c: Cursor, b: Body) -> tuple[Any, ...]:
        token = c.tokens[c.i]
        try:
            value = parse(token, bits)
        except ValueError as error:
            c.fail(_number_error(error, token))
        c.i += 1
        return (value,)

    return operand


def _lane(c: Cursor, b: Body) -> tuple[Any, ...]:
    token = c.tokens[c.i]
    if not is_nat(token):
        c.unexpected()
    return (_byte(c),)


def _byte(c: Cursor) -> int:
    token = c.tokens[c.i]
    try:
        value = parse_nat(token, 8)
    except ValueError:
        c.fail("i8 constant out of range" if is_known(token) else unexpected(token))
    c.i += 1
    return value


def _lanes(c: Cursor, b: Body) -> tuple[Any, ...]:
    start, lanes = c.i, []
    while looks_numeric(c.tokens[c.i]):
        lanes.append(_byte(c))
    if len(lanes) != 16:
        c.fail("invalid lane length", start)
    return (tuple(lanes),)


def vector(c: Cursor, lane: Callable[[str, int], int | None] | None = None) -> tuple[int | None, ...]:
    """Shape and lanes of a vector constant: ``(lane bits, lane, …)``. ``lane`` parses what the script format adds."""
    shape = c.next()
    if shape not in ("i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"):
        c.fail(unexpected(shape), c.i - 1)
    bits, count = map(int, shape[1:].split("x"))
    parse = parse_float if shape[0] == "f" else parse_int
    lanes: list[int | None] = []
    end = c.i
    while looks_numeric(c.tokens[end]):
        end += 1
    if end - c.i < count and c.tokens[end] not in ("(", ")"):
        c.fail(unexpected(c.tokens[end]), end)
    if end - c.i != count:
        c.fail("wrong number of lane literals")
    for _ in range(count):
        token = c.tokens[c.i]
        try:
            lanes.append(parse(token, bits) if lane is None else lane(token, bits))
        except ValueError as error:
            c.fail(_number_error(error, token))
        c.i += 1
    return (bits, *lanes)


def _v128(c: Cursor, b: Body) -> tuple[Any, ...]:
    bits, *lanes = vector(c)
    assert bits is not None
    return (sum((lane or 0) << (bits * index) for index, lane in enumerate(lanes)),)


def _memarg(width: int) -> Operand:
    natural = width.bit_length() - 1

    def parse(c: Cursor, b: Body) -> tuple[Any, ...]:
        memory = 0
        token = c.tokens[c.i]
        if token[:1] == "$" or (is_nat(token) and not _is_lone_lane(c)):
            memory = b.spaces["memory"].index(c)
            token = c.tokens[c.i]
        offset, align = 0, natural
        if token.startswith("offset="):
            offset = _attribute(c, token[7:], 64)
            token = c.tokens[c.i]
        if token.startswith("align="):
            value = _attribute(c, token[6:], 64)
            if value == 0 or value & (value - 1):
                c.fail("alignment must be a power of two", c.i - 1)
            align = value.bit_length() - 1
        return (MemArg(memory, align, offset),)

    return parse


def _is_lone_lane(c: Cursor) -> bool:
    """Whether the number here is the lane of a ``…_lane`` instruction rather than a memory index."""
    if not c.tokens[c.i - 1].endswith("_lane"):
        return False
    following = c.tokens[c.i + 1]
    return not (following[:1].isdigit() or following.startswith(("offset=", "align=")))


def _attribute(c: Cursor, text: str, bits: int) -> int:
    """The number of ``offset=`` or ``align=``; consumes the token."""
    try:
        value = parse_nat(text, bits)
    except ValueError as error:
        c.fail(_number_error(error, c.tokens[c.i]))
    c.i += 1
    return value


def _nothing(c: Cursor, b: Body) -> tuple[Any, ...]:
    return ()


def _handlers(c: Cursor, b: Body) -> tuple[Any, ...]:
    """Any number of ``(on $tag $label)`` and ``(on $tag switch)``."""
    found = []
    while c.take_open("on"):
        tag = b.spaces["tag"].index(c)
        found.append(On(tag, None if c.take("switch") else b.label(c)))
        c.close()
    return (tuple(found),)


#: How each immediate word is read.
OPERANDS: dict[str, Operand] = {
    "label": lambda c, b: (b.label(c),),
    "labels": _labels,
    **{kind: _index(kind) for kind in ("func", "table", "memory", "global", "tag", "elem", "data")},
    "local": lambda c, b: (b.locals.index(c),),
    "type": _type,
    "heap": lambda c, b: (b.spaces.types.heap(c),),
    "cast": _cast,
    "handlers": _handlers,
    "count": lambda c, b: (c.nat(),),
    **{f"memarg{width * 8}": _memarg(width) for width in (1, 2, 4, 8, 16)},
    "lane": _lane,
    "lanes": _lanes,
    "i32": _number(parse_int, 32),
    "i64": _number(parse_int, 64),
    "f32": _number(parse_float, 32),
    "f64": _number(parse_float, 64),
    "v128": _v128,
    "zero": _nothing,
}
#: How whole lists of immediates are read where the text format abbreviates or reorders them.
COMBINED: dict[tuple[str, ...], Operand] = {
    ("memory",): optional_index("memory"),
    ("memory", "memory"): _optional_pair("memory"),
    ("data", "memory"): _segment("data", "memory"),
    ("table", "table"): _optional_pair("table"),
    ("elem", "table"): _segment("elem", "table"),
    ("type", "table"): _indirect,
    ("type", "field"): _type_and_field,
}
