"""Commands of a script, as data. ``position`` is the index of the command's first token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

from refwasm.script.patterns import Pattern
from refwasm.syntax.modules import Module


@dataclass(frozen=True)
class Definition:
    """A module in any of its three spellings. ``load`` decodes or parses it, and may raise Malformed.

    Its argument is that of :func:`refwasm.text.parse_module`: how wide addresses may be.
    """

    name: str | None
    kind: str  # "text", "binary" or "quote"
    load: Callable[[int], Module]


@dataclass(frozen=True)
class ModuleCommand:
    """``(module …)``: define and, unless only a definition is meant, instantiate."""

    position: int
    definition: Definition
    only_definition: bool = False


@dataclass(frozen=True)
class InstanceCommand:
    """``(module instance $name $definition)``."""

    position: int
    name: str | None
    definition: str | None


@dataclass(frozen=True)
class Register:
    """``(register "name" $module)``."""

    position: int
    name: str
    module: str | None


@dataclass(frozen=True)
class Invoke:
    """``(invoke $module "name" value…)``; values are internal ones."""

    position: int
    module: str | None
    name: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Get:
    """``(get $module "name")``."""

    position: int
    module: str | None
    name: str


Action = Union[Invoke, Get]


@dataclass(frozen=True)
class AssertReturn:
    """The action returns exactly these results."""

    position: int
    action: Action
    expected: tuple[Pattern, ...]


@dataclass(frozen=True)
class AssertFailure:
    """The action, or making the module, fails as ``kind`` says, with a message that starts with ``message``.

    Kinds are "trap", "exhaustion", "exception", "malformed", "invalid", "unlinkable", "malformed_custom" and
    "invalid_custom".
    """

    position: int
    kind: str
    subject: Action | Definition
    message: str


@dataclass(frozen=True)
class Thread:
    """``(thread $name (shared (module $m))… command…)`` of the threads proposal."""

    position: int
    name: str
    shared: tuple[str, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Wait:
    """``(wait $name)``: until that thread is done."""

    position: int
    thread: str


Command = Union[ModuleCommand, InstanceCommand, Register, Invoke, Get, AssertReturn, AssertFailure, Thread, Wait]
