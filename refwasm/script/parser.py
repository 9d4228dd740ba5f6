"""Parser of scripts. Modules are parsed when their command runs, so that one bad module does not hide the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.binary import decode
from refwasm.embedding import HostRef
from refwasm.script import syntax as s
from refwasm.script.patterns import ARITHMETIC, CANONICAL, KINDS, Either, Number, Pattern, Reference, Vector
from refwasm.syntax.modules import Module
from refwasm.text.cursor import Cursor
from refwasm.text.lexer import END_OF_INPUT, Source
from refwasm.text.modules import ModuleParser, locate_errors, parse_module
from refwasm.text.numbers import parse_float, parse_int
from refwasm.text.operands import vector

_FAILURES = {
    "assert_trap": "trap", "assert_suspension": "suspension", "assert_exhaustion": "exhaustion",
    "assert_exception": "exception", "assert_malformed": "malformed", "assert_invalid": "invalid",
    "assert_unlinkable": "unlinkable",
    "assert_malformed_custom": "malformed_custom", "assert_invalid_custom": "invalid_custom",
}  # fmt: skip


def parse_script(source: Source) -> list[s.Command]:
    """The commands of a script; a text that starts with a module field is a script of one module."""
    c = Cursor(source)
    with locate_errors(source):
        if c.peek() == "(" and c.tokens[c.i + 1] not in _COMMANDS:
            return [s.ModuleCommand(0, s.Definition(None, "text", lambda bits: parse_module(source, bits)))]
        return _commands(c, END_OF_INPUT)


def _commands(c: Cursor, end: str, depth: int = 0) -> list[s.Command]:
    _check_nesting(c, depth)
    commands: list[s.Command] = []
    while c.peek() != end:
        position = c.i
        c.expect("(")
        keyword = c.next()
        parse = _COMMANDS.get(keyword)
        if parse is None:
            c.fail(f"unknown command {keyword}", position + 1)
        if parse is _thread:
            commands.append(_thread(c, position, depth + 1))
        else:
            commands.append(parse(c, position))
        c.close()
    return commands


# ---- modules --------------------------------------------------------------------------------------------------------


def _skip_to_close(c: Cursor, opening: int) -> None:
    """Move to the ``)`` that closes the expression whose ``(`` is at ``opening``."""
    c.i = opening
    c.skip_expression()
    c.i -= 1


def _definition(c: Cursor, position: int) -> s.Definition:
    """What follows ``(module`` (and ``definition``)."""
    name = c.identifier()
    if c.take("binary"):
        raw = c.strings()
        return s.Definition(name, "binary", lambda bits: decode(raw))
    if c.take("quote"):
        text = c.strings()
        return s.Definition(name, "quote", lambda bits: parse_module(text, bits))
    start = c.i
    source = c.source

    def load(address_bits: int) -> Module:
        with locate_errors(source):
            return ModuleParser(Cursor(source, start), address_bits).parse(name)

    _skip_to_close(c, position)
    return s.Definition(name, "text", load)


def _module(c: Cursor, position: int) -> s.Command:
    if c.take("instance"):
        return s.InstanceCommand(position, c.identifier(), c.identifier())
    only_definition = c.take("definition")
    return s.ModuleCommand(position, _definition(c, position), only_definition)


def _register(c: Cursor, position: int) -> s.Command:
    return s.Register(position, c.name(), c.identifier())


# ---- actions and values ---------------------------------------------------------------------------------------------


def _checked(c: Cursor, parse: Callable[[str], Any]) -> Any:
    try:
        value = parse(c.tokens[c.i])
    except ValueError as error:
        c.fail(f"{error} {c.tokens[c.i]}")
    c.i += 1
    return value


def _value(c: Cursor) -> Any:
    """An argument, in internal representation."""
    c.expect("(")
    word = c.next()
    value: Any
    if word in ("i32.const", "i64.const"):
        value = _checked(c, lambda token: parse_int(token, int(word[1:3])))
    elif word in ("f32.const", "f64.const"):
        value = _checked(c, lambda token: parse_float(token, int(word[1:3])))
    elif word == "v128.const":
        bits, *lanes = vector(c)
        value = sum((lane or 0) << (bits or 0) * i for i, lane in enumerate(lanes))
    elif word == "ref.null":
        c.next()
        value = None
    elif word in ("ref.extern", "ref.host"):
        value = HostRef(c.nat())
    else:
        c.fail(f"unknown value {word}", c.i - 1)
    c.close()
    return value


def _invoke(c: Cursor, position: int) -> s.Invoke:
    module = c.identifier()
    name = c.name()
    args = []
    while c.peek() == "(":
        args.append(_value(c))
    return s.Invoke(position, module, name, tuple(args))


def _get(c: Cursor, position: int) -> s.Get:
    return s.Get(position, c.identifier(), c.name())


def _action(c: Cursor) -> s.Action:
    position = c.i
    c.expect("(")
    keyword = c.next()
    if keyword not in ("invoke", "get"):
        c.fail(f"unknown action {keyword}", position + 1)
    action = _invoke(c, position) if keyword == "invoke" else _get(c, position)
    c.close()
    return action


def _float_pattern(token: str, bits: int) -> int | str:
    return token if token in (CANONICAL, ARITHMETIC) else parse_float(token, bits)


#: Threads in threads, and alternatives in alternatives, nest no deeper than this.
MAX_NESTING = 50


def _check_nesting(c: Cursor, depth: int) -> None:
    if depth > MAX_NESTING:
        c.fail("nested too deeply")


def _pattern(c: Cursor, depth: int = 0) -> Pattern:
    _check_nesting(c, depth)
    c.expect("(")
    word = c.next()
    pattern: Pattern
    if word in ("i32.const", "i64.const"):
        pattern = Number(word[:3], _checked(c, lambda token: parse_int(token, int(word[1:3]))))
    elif word in ("f32.const", "f64.const"):
        pattern = Number(word[:3], _checked(c, lambda token: _float_pattern(token, int(word[1:3]))))
    elif word == "v128.const":
        pattern = _vector_pattern(c)
    elif word == "either":
        options = []
        while c.peek() == "(":
            options.append(_pattern(c, depth + 1))
        pattern = Either(tuple(options))
    elif word in KINDS:
        number = None
        if word == "ref.null":
            if c.peek() != ")":
                c.next()
        elif c.peek() != ")":
            number = c.nat()
            if word == "ref.func" and c.source.lenient:
                number = None  # engines number functions as they like
        pattern = Reference(word, number)
    else:
        c.fail(f"unknown result {word}", c.i - 1)
    c.close()
    return pattern


def _vector_pattern(c: Cursor) -> Vector:
    shape = c.peek()
    is_float = shape[:1] == "f"
    patterns: list[int | str] = []

    def lane(token: str, bits: int) -> int:
        patterns.append(_float_pattern(token, bits) if is_float else parse_int(token, bits))
        return 0

    bits = vector(c, lane)[0]
    return Vector(shape, tuple(Number(f"{shape[0]}{bits}", p) for p in patterns))


# ---- assertions -----------------------------------------------------------------------------------------------------


def _assert_return(c: Cursor, position: int) -> s.Command:
    action = _action(c)
    expected = []
    while c.peek() == "(":
        expected.append(_pattern(c))
    return s.AssertReturn(position, action, tuple(expected))


def _assert_failure(kind: str) -> Callable[[Cursor, int], s.Command]:
    def parse(c: Cursor, position: int) -> s.Command:
        subject: s.Action | s.Definition
        opening = c.i
        if c.take_open("module"):
            subject = _definition(c, opening)
            c.close()
        else:
            subject = _action(c)
        message = c.string().decode("utf-8", "replace") if c.peek()[:1] == '"' else ""
        return s.AssertFailure(position, kind, subject, message)

    return parse


# ---- threads --------------------------------------------------------------------------------------------------------


def _required_identifier(c: Cursor) -> str:
    name = c.identifier()
    if name is None:
        c.unexpected()
    return name


def _thread(c: Cursor, position: int, depth: int = 0) -> s.Command:
    name = _required_identifier(c)
    shared = []
    while c.take_open("shared"):
        c.open("module")
        shared.append(_required_identifier(c))
        c.close()
        c.close()
    return s.Thread(position, name, tuple(shared), tuple(_commands(c, ")", depth)))


def _wait(c: Cursor, position: int) -> s.Command:
    return s.Wait(position, _required_identifier(c))


_COMMANDS: dict[str, Callable[[Cursor, int], s.Command]] = {
    "module": _module,
    "register": _register,
    "invoke": _invoke,
    "get": _get,
    "assert_return": _assert_return,
    **{word: _assert_failure(kind) for word, kind in _FAILURES.items()},
    "thread": _thread,
    "wait": _wait,
}
