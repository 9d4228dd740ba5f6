"""Instructions (specification 6.5), plain and folded, driven by the table of forms.

Folded expressions are unfolded while they are read, with an explicit stack: nesting costs nothing and breaks nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from refwasm.syntax.instructions import CATCH_KINDS, FORMS, PLAIN, Catch, Form, Instr, MemArg
from refwasm.syntax.modules import Expr
from refwasm.syntax.types import RefType
from refwasm.text.cursor import Cursor, Space, unexpected
from refwasm.text.keywords import is_known, looks_numeric
from refwasm.text.numbers import is_nat, parse_float, parse_int, parse_nat
from refwasm.text.types import TypeSection

HINT = "(@metadata.code.branch_hint"


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
        self.labels.append(name)

    def label(self, c: Cursor) -> int:
        """A label index; names count from the innermost block."""
        if c.tokens[c.i][:1] != "$":
            return c.nat()
        start = c.i
        name = c.identifier()
        for depth, candidate in enumerate(reversed(self.labels)):
            if candidate == name:
                return depth
        c.fail(f"unknown label ${name}", start)

    def check_label(self, c: Cursor) -> None:
        """The optional identifier after ``else`` and ``end`` must repeat the block's."""
        start = c.i
        name = c.identifier()
        if name is not None and (not self.labels or name != self.labels[-1]):
            c.fail("mismatching label", start)


Operand = Callable[[Cursor, Body], tuple[Any, ...]]


def _index(kind: str) -> Operand:
    return lambda c, b: (b.spaces[kind].index(c),)


def _optional(kind: str) -> Operand:
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
    if any(name is not None for name, _ in params):
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
    if not is_nat(token) or parse_nat(token, 64) > 255:
        c.fail("i8 constant out of range" if is_known(token) else unexpected(token))
    return c.nat()


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


#: How each immediate word is read.
OPERANDS: dict[str, Operand] = {
    "label": lambda c, b: (b.label(c),),
    "labels": _labels,
    **{kind: _index(kind) for kind in ("func", "table", "memory", "global", "tag", "elem", "data")},
    "local": lambda c, b: (b.locals.index(c),),
    "type": _type,
    "heap": lambda c, b: (b.spaces.types.heap(c),),
    "cast": _cast,
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
    ("memory",): _optional("memory"),
    ("memory", "memory"): _optional_pair("memory"),
    ("data", "memory"): _segment("data", "memory"),
    ("table", "table"): _optional_pair("table"),
    ("elem", "table"): _segment("elem", "table"),
    ("type", "table"): _indirect,
    ("type", "field"): _type_and_field,
}

InstrParser = Callable[[Cursor, Body], Instr]


def _instr_parser(form: Form) -> InstrParser:
    if form.immediates == ("table",):
        operand = _optional("table")
        return lambda c, b: Instr(form, operand(c, b))
    combined = COMBINED.get(form.immediates)
    if combined is not None:
        return lambda c, b: Instr(form, combined(c, b))
    operands = [OPERANDS[word] for word in form.immediates]
    if len(operands) == 1:
        only = operands[0]
        return lambda c, b: Instr(form, only(c, b))

    def parse(c: Cursor, b: Body) -> Instr:
        args: tuple[Any, ...] = ()
        for operand in operands:
            args += operand(c, b)
        return Instr(form, args) if args else PLAIN[form.mnemonic]

    return parse


def _select(c: Cursor, b: Body) -> Instr:
    if not c.at_open("result"):
        return PLAIN["select"]
    return Instr(FORMS["select t"], (tuple(t for _, t in b.spaces.types.params(c, "result")),))


def _ref_test(mnemonic: str) -> InstrParser:
    def parse(c: Cursor, b: Body) -> Instr:
        t: RefType = b.spaces.types.ref(c)
        return Instr(FORMS[f"{mnemonic} null" if t.nullable else mnemonic], (t.heap,))

    return parse


_BLOCKS = {"block": FORMS["block"], "loop": FORMS["loop"], "if": FORMS["if"], "try_table": FORMS["try_table"]}
_STRUCTURE = {*_BLOCKS, "else", "end", "then"}
_SIMPLE: dict[str, Instr] = {
    name: i for name, i in PLAIN.items() if name not in ("else", "end", "select", "atomic.fence")
}
_SIMPLE["atomic.fence"] = PLAIN["atomic.fence"]


class _InstrParsers(dict[str, InstrParser]):
    """Parsers by mnemonic, made when first needed."""

    def __missing__(self, mnemonic: str) -> InstrParser:
        form = FORMS.get(mnemonic)
        if form is None or mnemonic in _STRUCTURE:
            raise KeyError(mnemonic)
        parser = self[mnemonic] = _instr_parser(form)
        return parser


_PARSERS = _InstrParsers({"select": _select, "ref.test": _ref_test("ref.test"), "ref.cast": _ref_test("ref.cast")})

# States of a folded ``if``, and the other things that a closing parenthesis or an ``end`` can close.
_FOLDED, _FOLDED_BLOCK, _BLOCK, _IF, _CONDITION, _THEN, _AFTER_THEN, _ELSE, _ELSE_PART = range(9)
_TAKES_INSTRUCTIONS = {_FOLDED_BLOCK, _BLOCK, _IF, _ELSE, _THEN, _ELSE_PART}


def parse_instrs(c: Cursor, b: Body, single: bool = False) -> None:
    """Parse instructions up to the ``)`` that closes the surrounding field, which is left there.

    With ``single``, parse one folded instruction only.
    """
    tokens = c.tokens
    instrs, positions = b.instrs, b.positions
    opened: list[tuple[int, Instr | None, int]] = []  # what is open: state, instruction to emit at its end, its place
    annotations = c.source.annotations
    i = c.i
    while True:
        token = tokens[i]
        if annotations and i in annotations:
            _take_hint(c, b, i)
        if token == "(":
            keyword = tokens[i + 1]
            if opened and opened[-1][0] in (_CONDITION, _AFTER_THEN) and keyword in ("then", "else"):
                i = _part_of_if(c, b, i, keyword, opened)
                continue
            if opened and opened[-1][0] == _AFTER_THEN:
                c.fail(unexpected(token), i)
            simple = _SIMPLE.get(keyword)
            if simple is not None:
                opened.append((_FOLDED, simple, i + 1))
                i += 2
                continue
            c.i = i + 2
            if keyword in _BLOCKS:
                opened.append(_folded_block(c, b, keyword, i + 1))
            else:
                opened.append((_FOLDED, _plain(c, b, keyword, i + 1), i + 1))
            i = c.i
        elif token == ")":
            if not opened:
                c.i = i
                return
            state, instr, place = opened.pop()
            if state == _FOLDED:
                instrs.append(instr)  # type: ignore[arg-type]
                positions.append(place)
            elif state in (_FOLDED_BLOCK, _AFTER_THEN):
                instrs.append(PLAIN["end"])
                positions.append(i)
                b.labels.pop()
            elif state == _THEN:
                opened.append((_AFTER_THEN, None, place))
            elif state == _ELSE_PART:
                instrs.append(PLAIN["end"])
                positions.append(i)
                b.labels.pop()
                i += 1
                if tokens[i] != ")":
                    c.fail(unexpected(tokens[i]), i)
            else:
                c.fail(unexpected(token), i)
            i += 1
            if single and not opened:
                c.i = i
                return
        else:
            if opened and opened[-1][0] not in _TAKES_INSTRUCTIONS:
                c.i = i
                c.unexpected()
            simple = _SIMPLE.get(token)
            if simple is not None:
                instrs.append(simple)
                positions.append(i)
                i += 1
                continue
            c.i = i + 1
            if token in _STRUCTURE:
                _structure(c, b, token, i, opened)
            else:
                instr = _plain(c, b, token, i)
                instrs.append(instr)
                positions.append(i)
            i = c.i


def _plain(c: Cursor, b: Body, mnemonic: str, place: int) -> Instr:
    try:
        parser = _PARSERS[mnemonic]
    except KeyError:
        if mnemonic[:1] == "$":
            c.i = place
            c.identifier()  # it may be malformed itself
        c.fail(unexpected(mnemonic), place)
    return parser(c, b)


def _block(c: Cursor, b: Body, keyword: str) -> Instr:
    """Label, type and clauses of a structured instruction. Clauses see the labels outside."""
    b.enter(c)
    block_type = b.spaces.types.block(c)
    if keyword != "try_table":
        return Instr(_BLOCKS[keyword], (block_type,))
    own = b.labels.pop()
    catches = []
    while c.tokens[c.i] == "(" and c.tokens[c.i + 1] in CATCH_KINDS:
        kind = c.tokens[c.i + 1]
        c.i += 2
        tag = b.spaces["tag"].index(c) if kind in ("catch", "catch_ref") else None
        catches.append(Catch(kind, tag, b.label(c)))
        c.close()
    b.labels.append(own)
    return Instr(_BLOCKS[keyword], (block_type, tuple(catches)))


def _folded_block(c: Cursor, b: Body, keyword: str, place: int) -> tuple[int, Instr | None, int]:
    instr = _block(c, b, keyword)
    if keyword == "if":
        b.pending_labels.append(b.labels.pop())  # the condition is outside of the block
        return (_CONDITION, instr, place)
    b.instrs.append(instr)
    b.positions.append(place)
    return (_FOLDED_BLOCK, None, place)


def _part_of_if(c: Cursor, b: Body, i: int, keyword: str, opened: list[tuple[int, Instr | None, int]]) -> int:
    """``(then`` or ``(else`` of a folded if; returns where its instructions start."""
    state, instr, place = opened.pop()
    if state == _CONDITION and keyword == "then":
        assert instr is not None
        b.labels.append(b.pending_labels.pop())
        b.instrs.append(instr)
        b.positions.append(place)
        opened.append((_THEN, None, place))
    elif state == _AFTER_THEN and keyword == "else":
        b.instrs.append(PLAIN["else"])
        b.positions.append(i + 1)
        opened.append((_ELSE_PART, None, place))
    else:
        c.fail(unexpected(keyword), i + 1)
    return i + 2


def _structure(c: Cursor, b: Body, token: str, i: int, opened: list[tuple[int, Instr | None, int]]) -> None:
    """An unfolded ``block``, ``loop``, ``if``, ``try_table``, ``else`` or ``end`` (already consumed)."""
    if token in _BLOCKS:
        b.instrs.append(_block(c, b, token))
        b.positions.append(i)
        opened.append((_IF if token == "if" else _BLOCK, None, i))
        return
    state = opened[-1][0] if opened else None
    if token == "else" and state == _IF:
        opened[-1] = (_ELSE, None, i)
    elif token == "end" and state in (_IF, _BLOCK, _ELSE):
        opened.pop()
    else:
        c.fail(unexpected(token), i)
    b.check_label(c)
    if token == "end":
        b.labels.pop()
    b.instrs.append(PLAIN[token])
    b.positions.append(i)


def _take_hint(c: Cursor, b: Body, i: int) -> None:
    """A branch hint annotation before the token at ``i`` (appendix "Custom Sections")."""
    hints = [a for a in c.source.annotations[i] if a[0] == HINT]
    if not hints:
        return
    if len(hints) > 1:
        c.fail("@metadata.code.branch_hint annotation: duplicate annotation", i)
    content = hints[0][1:-1]
    if content not in (['"\\00"'], ['"\\01"']):
        c.fail("@metadata.code.branch_hint annotation: unexpected token", i)
    b.hints.append((i, content == ['"\\01"']))


def parse_expr(c: Cursor, b: Body) -> Expr:
    """An expression up to the ``)`` of its field; the closing ``end`` is added."""
    parse_instrs(c, b)
    b.instrs.append(PLAIN["end"])
    b.positions.append(c.i)
    return tuple(b.instrs)


def positions_of(b: Body) -> array[int]:
    """Token indices of the instructions of a parsed body."""
    return array("I", b.positions)


def parse_folded(c: Cursor, b: Body) -> Expr:
    """One folded instruction, as the abbreviations of offsets and items allow; the closing ``end`` is added."""
    if c.peek() != "(":
        c.unexpected()
    parse_instrs(c, b, single=True)
    b.instrs.append(PLAIN["end"])
    return tuple(b.instrs)
