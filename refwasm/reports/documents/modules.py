"""Modules: checked, taken apart, explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass
class Module:
    """A module that was checked."""

    file: str
    ok: bool
    kind: Annotated[str, "malformed, invalid, or another class of error"] = ""
    location: str = ""
    message: str = ""


@dataclass
class Validation:
    """Modules: refwasm validate --json FILE."""

    modules: list[Module]


@dataclass
class Section:
    """A section of a binary module."""

    offset: int
    name: str
    size: Annotated[int, "bytes of its content"]
    custom: Annotated[str, "the name of a custom section"] = ""


@dataclass
class External:
    """An import or an export."""

    name: str
    type: str
    module: Annotated[str, "of an import"] = ""
    index: Annotated[int | None, "of an export"] = None


@dataclass
class Instruction:
    """An instruction with its place."""

    offset: int
    depth: Annotated[int, "how many blocks it is in"]
    text: str
    source: Annotated[str, "the source line, where the module says"] = ""


@dataclass
class Function:
    """A function with its code."""

    index: int
    name: str
    type: str
    locals: list[str]
    code: list[Instruction]


@dataclass
class Dump:
    """A binary module: refwasm dump --json FILE."""

    file: str
    size: int
    sections: list[Section]
    imports: list[External]
    exports: list[External]
    functions: list[Function]


@dataclass
class PythonLine:
    """A line of generated Python."""

    text: str
    places: Annotated[list[str], "of the instructions that can trap or call in it"]


@dataclass
class Explanation:
    """What a function is compiled to: refwasm explain --json FILE."""

    file: str
    function: Function
    python: list[PythonLine]
    facts: list[str]
