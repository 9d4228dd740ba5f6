"""The operand stack of a translation: what is still an expression, and what must have been evaluated by now."""

from __future__ import annotations

from collections.abc import Callable

from refwasm.execution.compiler.source import Source
from refwasm.execution.compiler.values import Value, name

#: Longer expressions get a variable: CPython's parser recurses.
MAX_TEXT = 2000


class Operands:
    """``stack`` holds operands, innermost last; ``source`` the lines so far; ``temporaries`` counts our variables."""

    def __init__(self) -> None:
        self.source = Source()
        self.stack: list[Value] = []
        self.temporaries = 0

    def _fresh(self, count: int) -> list[str]:
        """Names of new variables."""
        first = self.temporaries
        self.temporaries += count
        return [f"t{i}" for i in range(first, first + count)]

    def _push(self, value: Value) -> None:
        if len(value.text) > MAX_TEXT:
            value = self._stored(value)
        self.stack.append(value)

    def _stored(self, value: Value) -> Value:
        """A value in a variable of its own."""
        (variable,) = self._fresh(1)
        self._emit(f"{variable} = {value.text}", value.ordered)
        return name(variable)

    def _atom(self, value: Value) -> Value:
        return value if value.atom else self._stored(value)

    def _in_order(self, operands: list[Value]) -> list[Value]:
        """The operands as atoms, evaluated one after the other."""
        return [self._atom(operand) for operand in operands]

    def _pop(self, count: int) -> list[Value]:
        first = len(self.stack) - count
        values = self.stack[first:]
        del self.stack[first:]
        return values

    def _settle(self, which: Callable[[Value], bool]) -> None:
        """Put operands that are still to be evaluated into variables; ordered ones keep their order."""
        chosen = [index for index, value in enumerate(self.stack) if which(value)]
        last = max((index for index in chosen if self.stack[index].ordered), default=-1)
        for index, value in enumerate(self.stack):
            if index in chosen or (value.ordered and index < last):
                (variable,) = self._fresh(1)
                self._line(f"{variable} = {value.text}")
                self.stack[index] = name(variable)

    def _settle_all(self) -> None:
        """Before a block: nothing but constants and variables of our own is carried over."""
        self._settle(lambda value: not value.atom or bool(value.locals))

    def _emit(self, line: str, ordered: bool) -> None:
        """A line; with ``ordered``, what is pending and must come before it comes first."""
        if ordered:
            self._settle(lambda value: value.ordered)
        self._line(line)

    def _line(self, text: str) -> None:
        self.source.add(text)
