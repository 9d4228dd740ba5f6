"""Instructions (specification 6.5), plain and folded, driven by the table of forms.

Folded expressions are unfolded while they are read, with an explicit stack: nesting costs nothing and breaks nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from refwasm.syntax.instructions import CATCH_KINDS, FORMS, PLAIN, Catch, Form, Instr
from refwasm.syntax.modules import Expr
from refwasm.syntax.types import RefType
from refwasm.text.cursor import Cursor, unexpected
from refwasm.text.operands import COMBINED, OPERANDS, Body, optional_index

HINT = "(@metadata.code.branch_hint"


InstrParser = Callable[[Cursor, Body], Instr]


def _instr_parser(form: Form) -> InstrParser:
    if form.immediates == ("table",):
        operand = optional_index("table")
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
    return Instr(FORMS["select t"], (tuple(p.type for p in b.spaces.types.params(c, "result")),))


def _ref_test(mnemonic: str) -> InstrParser:
    def parse(c: Cursor, b: Body) -> Instr:
        t: RefType = b.spaces.types.ref(c)
        return Instr(FORMS[f"{mnemonic} null" if t.nullable else mnemonic], (t.heap,))

    return parse


_BLOCKS = {"block": FORMS["block"], "loop": FORMS["loop"], "if": FORMS["if"], "try_table": FORMS["try_table"]}
_STRUCTURE = {*_BLOCKS, "else", "end", "then"}
_SIMPLE: dict[str, Instr] = {name: i for name, i in PLAIN.items() if name not in ("else", "end", "select")}


class _InstrParsers(dict[str, InstrParser]):
    """Parsers by mnemonic, made when first needed."""

    def __missing__(self, mnemonic: str) -> InstrParser:
        form = FORMS.get(mnemonic)
        if form is None or mnemonic in _STRUCTURE:
            raise KeyError(mnemonic)
        parser = self[mnemonic] = _instr_parser(form)
        return parser


_PARSERS = _InstrParsers(
    {"select": _select, **{name: _ref_test(name) for name in ("ref.test", "ref.cast", "ref.cast_desc_eq")}}
)

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
                c.fail(f"{unexpected(token)}: behind (then …), only (else …) can follow", i)
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
                b.close()
            elif state == _THEN:
                opened.append((_AFTER_THEN, None, place))
            elif state == _ELSE_PART:
                instrs.append(PLAIN["end"])
                positions.append(i)
                b.close()
                i += 1
                if tokens[i] != ")":
                    c.fail(unexpected(tokens[i]), i)
            elif state == _CONDITION:  # its condition may be several instructions: only now it is sure what is missing
                c.fail(f"{unexpected(token)}: (then …) is expected behind the condition of this if", place)
            else:
                c.fail(unexpected(token), i)
            i += 1
            if single and not opened:
                c.i = i
                return
        else:
            if (
                opened
                and opened[-1][0] not in _TAKES_INSTRUCTIONS
                and not (c.source.lenient and opened[-1][0] == _FOLDED)
            ):
                if opened[-1][0] == _CONDITION:
                    c.fail(f"{unexpected(token)}: (then …) is expected behind the condition of an if", i)
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
    own = b.close()
    catches = []
    while c.tokens[c.i] == "(" and c.tokens[c.i + 1] in CATCH_KINDS:
        kind = c.tokens[c.i + 1]
        c.i += 2
        tag = b.spaces["tag"].index(c) if kind in ("catch", "catch_ref") else None
        catches.append(Catch(kind, tag, b.label(c)))
        c.close()
    b.open(own)
    return Instr(_BLOCKS[keyword], (block_type, tuple(catches)))


def _folded_block(c: Cursor, b: Body, keyword: str, place: int) -> tuple[int, Instr | None, int]:
    instr = _block(c, b, keyword)
    if keyword == "if":
        b.pending_labels.append(b.close())  # the condition is outside of the block
        return (_CONDITION, instr, place)
    b.instrs.append(instr)
    b.positions.append(place)
    return (_FOLDED_BLOCK, None, place)


def _part_of_if(c: Cursor, b: Body, i: int, keyword: str, opened: list[tuple[int, Instr | None, int]]) -> int:
    """``(then`` or ``(else`` of a folded if; returns where its instructions start."""
    state, instr, place = opened.pop()
    if state == _CONDITION and keyword == "then":
        assert instr is not None
        b.open(b.pending_labels.pop())
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
        b.close()
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
