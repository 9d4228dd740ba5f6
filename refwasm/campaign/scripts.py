"""The modules of scripts (the official suite's format), with the calls that their assertions make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refwasm import embedding as e
from refwasm.campaign.source import Item
from refwasm.engines.judging import Call
from refwasm.errors import WasmError
from refwasm.oracle.closing import signature
from refwasm.script import syntax as s
from refwasm.script.parser import parse_script
from refwasm.syntax.modules import func_types, subtypes
from refwasm.syntax.types import NumType, ValType
from refwasm.text.lexer import Source

#: Calls of one module at most.
MOST = 200


def from_script(file: Path) -> Iterator[Item]:
    """An item for each module of a script that its commands call. What does not parse is left out."""
    try:
        commands = parse_script(Source(file.read_bytes()))
    except WasmError:
        return
    module: bytes | None = None
    calls: list[Call] = []
    number = -1
    for command in commands:
        if isinstance(command, s.ModuleCommand):
            yield from _item(file, number, module, calls)
            module, calls, number = _binary(command), [], number + 1
        elif (call := _call(command)) is not None and len(calls) < MOST:
            calls.append(call)
    yield from _item(file, number, module, calls)


def _item(file: Path, number: int, module: bytes | None, calls: list[Call]) -> Iterator[Item]:
    if module is not None:
        calls = _fitting(module, calls)
        yield Item(f"{file.name}, module {number}", module, calls or None, number)


def _fitting(module: bytes, calls: list[Call]) -> list[Call]:
    """The calls of functions that the module exports, with arguments of their types."""
    decoded = e.module_decode(module)
    types, by_index = subtypes(decoded), func_types(decoded)
    exported = {x.name: signature(types, by_index[x.index]).params for x in decoded.exports if x.kind == "func"}

    def fits(value: int | None, t: ValType) -> bool:
        return value is not None and value >> t.bits == 0 if isinstance(t, NumType) else value is None and t.nullable

    return [
        (name, args)
        for name, args in calls
        if name in exported and len(args) == len(exported[name]) and all(map(fits, args, exported[name]))
    ]


def _binary(command: s.ModuleCommand) -> bytes | None:
    """The module in the binary format; None if it is only defined, or bad."""
    if command.only_definition:
        return None
    try:
        module = command.definition.load(64)
        e.module_validate(module)
        return e.module_encode(module)
    except WasmError:
        return None


def _call(command: s.Command) -> Call | None:
    """The call of the last module that a command makes, if references among its arguments are null."""
    if isinstance(command, s.AssertReturn):
        action: object = command.action
    else:
        action = command.subject if isinstance(command, s.AssertFailure) else command
    if not isinstance(action, s.Invoke) or action.module is not None:
        return None
    if any(not isinstance(arg, int) and arg is not None for arg in action.args):
        return None
    return action.name, tuple(action.args)
