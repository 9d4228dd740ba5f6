"""Imports in the text format (6.6.4): one by itself, or a group of one module's (compact-import-section proposal).

The items of a group have a type each, or share one that stands at the end::

    (import "m" (item "f" (func)) (item "g" (global i32)))
    (import "m" (item "f") (item "g") (func))
"""

from __future__ import annotations

from collections.abc import Callable

from refwasm.syntax.modules import Import
from refwasm.syntax.types import ExternType
from refwasm.text.cursor import Cursor


def declare_import(c: Cursor, declare: Callable[[int], None]) -> None:
    """The first pass. ``declare`` reads ``(kind $identifier`` and is told how many items share the type; 0: it is an
    item's own."""
    c.name()
    if not c.at_open("item"):
        c.name()
        declare(0)
        return
    untyped = 0
    while c.at_open("item"):
        start = c.i
        c.take_open("item")
        c.name()
        if c.peek() == ")":
            untyped += 1
        elif untyped:
            c.unexpected()
        else:
            declare(0)
        c.i = start
        c.skip_expression()
    if untyped:
        declare(untyped)


def parse_import(c: Cursor, imported: Callable[[int], ExternType]) -> list[Import]:
    """The second pass. ``imported`` reads the type of so many imports."""
    module = c.name()
    if not c.at_open("item"):
        return [Import(module, c.name(), imported(1))]
    found, untyped = [], []
    while c.take_open("item"):
        name = c.name()
        if c.peek() == ")":
            untyped.append(name)
        else:
            found.append(Import(module, name, imported(1), True))
        c.close()
    if untyped:
        shared = imported(len(untyped))
        found += [Import(module, name, shared, True) for name in untyped]
    return found
