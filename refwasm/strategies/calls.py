"""Sequences of calls of what a module exports."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn, SearchStrategy

from refwasm import embedding as e
from refwasm.errors import WasmError
from refwasm.oracle.outcomes import Value
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.modules import DrawnModule
from refwasm.strategies.values import NULL, value
from refwasm.syntax.modules import Module
from refwasm.syntax.types import FuncType, NumType
from refwasm.text.printer import quote

#: What strategies about a given module take: a drawn one, its syntax, or one of the two formats.
AnyModule = DrawnModule | Module | bytes | bytearray | str


class Call(NamedTuple):
    """A call of an exported function."""

    name: str
    args: tuple[Value, ...]

    @property
    def bits(self) -> tuple[int | None, ...]:
        """The arguments as unsigned integers; None for null."""
        return tuple(None if arg == NULL else arg.bits for arg in self.args)

    def __repr__(self) -> str:
        shown = ["(ref.null)" if arg == NULL else repr(arg) for arg in self.args]
        return f"(invoke {' '.join([quote(self.name.encode()), *shown])})"


def drawn(module: AnyModule) -> DrawnModule:
    """Any module as a drawn one. Raises InvalidArgument if it is none, or not valid."""
    if not isinstance(module, (DrawnModule, Module, bytes, bytearray, str)):
        raise InvalidArgument(f"{module!r} is no module: expected a drawn one, its syntax, its bytes, or its text")
    try:
        found = module if isinstance(module, DrawnModule) else DrawnModule(_syntax(module))
        found.validated  # noqa: B018 - which validates it
    except WasmError as error:
        raise InvalidArgument(f"no module: {error}") from None
    return found


def _syntax(module: Module | bytes | bytearray | str) -> Module:
    if isinstance(module, Module):
        return module
    return e.module_load(module if isinstance(module, str) else bytes(module))


def calls(module: AnyModule, max_calls: int = 5) -> SearchStrategy[list[Call]]:
    """Sequences of calls of the functions that a module exports: one to ``max_calls``, or none if there is nothing to
    call. Functions with parameters that are references which can't be null are not called."""
    callable = {
        name: t for name, t in drawn(module).functions.items()
        if all(isinstance(p, NumType) or p.nullable for p in t.params)
    }  # fmt: skip
    if not callable or max_calls == 0:
        return st.just([])
    # Most examples of a test are mutations of others, and what does not fit there becomes the simplest choice: if that
    # were no call, two thirds of all modules would be tried for nothing.
    return st.lists(_call(list(callable.items())), min_size=1, max_size=max_calls)


@st.composite
def _call(draw: DrawFn, functions: list[tuple[str, FuncType]]) -> Call:
    drawing = Drawing(draw)
    name, t = drawing.pick(functions)
    return Call(name, tuple(value(drawing, p) for p in t.params))
