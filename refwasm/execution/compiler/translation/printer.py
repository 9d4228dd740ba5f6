"""Statements as text, with the spans of the instructions in each line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from refwasm.execution.compiler.conventions import Span, Spans
from refwasm.execution.compiler.translation import statements as s
from refwasm.execution.compiler.translation.expressions import END, MIDDLE, START, Expression

INDENT = " "
#: A line of text, and what of it belongs to which instruction.
Line = tuple[str, list[Span]]
_MARKS = re.compile(f"({START}[0-9]+{MIDDLE}|{END})")


def printed(statements: Iterable[s.Statement]) -> list[Line]:
    """The lines of some statements."""
    lines: list[Line] = []
    _print(statements, "", lines)
    return lines


def printed_function(parameters: Iterable[str], body: Iterable[s.Statement]) -> list[Line]:
    """The lines of the function ``f``."""
    lines: list[Line] = [(f"def f({', '.join(parameters)}):", [])]
    _print(body, INDENT, lines)
    return lines


def text_of(lines: list[Line]) -> str:
    """The text of some lines."""
    return "\n".join(line for line, _ in lines) + "\n"


def spans_of(lines: list[Line]) -> Spans:
    """The spans of some lines, by line number from 1."""
    return {number: spans for number, (_, spans) in enumerate(lines, 1) if spans}


def _print(statements: Iterable[s.Statement], indent: str, lines: list[Line]) -> None:
    for statement in statements:
        kind = type(statement)
        if isinstance(statement, s.Assign):
            text = f"{indent}{statement.target.text} = {statement.value.text}"
            if END in text:
                _add(lines, text)
            else:
                lines.append((text, []))
        elif kind in _SIMPLE:
            for text in _SIMPLE[kind](statement):
                _add(lines, indent + text)
        else:
            _COMPOUND[kind](statement, indent, lines)


def _print_body(header: str, body: s.Body, indent: str, lines: list[Line]) -> None:
    """A header and what belongs to it; a body without statements gets one."""
    _add(lines, indent + header)
    if body:
        _print(body, indent + INDENT, lines)
    else:
        lines.append((indent + INDENT + "pass", []))


def _add(lines: list[Line], text: str) -> None:
    """A line: its marks become spans, inner ones first."""
    if END not in text:
        lines.append((text, []))
        return
    line = ""
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
    lines.append((line, spans))


def _texts(expressions: Iterable[Expression]) -> str:
    return ", ".join([expression.text for expression in expressions])


_SIMPLE: dict[type, Callable[[Any], tuple[str, ...]]] = {
    s.AssignAll: lambda x: (f"{_texts(x.left)} = {_texts(x.right)}",),
    s.Declare: lambda x: (f"{' = '.join(name.text for name in x.names)} = {x.value.text}",),
    s.Step: lambda x: (f"{x.target.text} {x.operator}= {x.amount.text}",),
    s.Evaluate: lambda x: (x.value.text,),
    s.Poll: lambda x: ("k -= 1", f"if k < 0: k = {x.call.text}"),
    s.Break: lambda x: ("break",),
    s.Continue: lambda x: ("continue",),
    s.Return: lambda x: (f"return {_texts(x.results)}",),
    s.SideExit: lambda x: (f"return {x.call.text}",),
    s.Raise: lambda x: ("raise" if x.error is None else f"raise {x.error.text}",),
}


def _if(x: s.If, indent: str, lines: list[Line]) -> None:
    _print_body(f"if {x.condition.text}:", x.body, indent, lines)
    if x.otherwise:
        _print_body("else:", x.otherwise, indent, lines)


def _while(x: s.While, indent: str, lines: list[Line]) -> None:
    _print_body(f"while {x.condition.text}:", x.body, indent, lines)


def _for(x: s.For, indent: str, lines: list[Line]) -> None:
    variable, step = x.variable.text, f", {x.step}" if x.step != 1 else ""
    _print_body(f"for {variable} in range({variable}, {x.bound.text}{step}):", x.body, indent, lines)
    if x.otherwise:
        _print_body("else:", x.otherwise, indent, lines)


def _try(x: s.Try, indent: str, lines: list[Line]) -> None:
    _print_body("try:", x.body, indent, lines)
    for handler in x.handlers:
        _print_body(f"except {handler.exception} as {handler.name.text}:", handler.body, indent, lines)
    if x.final:
        _print_body("finally:", x.final, indent, lines)


_COMPOUND: dict[type, Callable[[Any, str, list[Line]], None]] = {s.If: _if, s.While: _while, s.For: _for, s.Try: _try}
