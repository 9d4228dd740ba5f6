"""Deoptimization: from the variables of compiled code to the locals with which the interpreter goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from refwasm.execution.compiler.boundaries import types_of_locals
from refwasm.execution.compiler.linking.runtime import bits32, bits64, canonical32, canonical64
from refwasm.execution.store import FuncInst
from refwasm.syntax.types import NumType

_EXACT: dict[str, Callable[[float], int]] = {"f32": bits32, "f64": bits64}
_CANONICAL: dict[str, Callable[[float], int]] = {"f32": canonical32, "f64": canonical64}


class Locals:
    """Finds the locals of a function among the variables of the generated one, and makes them what they are everywhere
    else: floats are bit patterns there."""

    def __init__(self, func: FuncInst) -> None:
        self.func = func

    @cached_property
    def _names(self) -> list[str]:
        return [f"l{index}" for index in range(len(types_of_locals(self.func)))]

    @cached_property
    def _conversions(self) -> list[tuple[int, Callable[[float], int]]]:
        func = self.func
        types = enumerate(types_of_locals(func))
        floats = {index: t.name for index, t in types if isinstance(t, NumType) and t.name[0] == "f"}
        if not floats:
            return []
        from refwasm.execution.compiler.translation.survey import survey  # not at start-up

        arithmetic = survey(func.body, func.side, len(func.signature.params)).arithmetic
        return [(index, (_CANONICAL if index in arithmetic else _EXACT)[name]) for index, name in floats.items()]

    def among(self, variables: dict[str, Any]) -> list[Any]:
        """Their values, in order."""
        values = [variables[name] for name in self._names]
        for index, convert in self._conversions:
            values[index] = convert(values[index])
        return values
