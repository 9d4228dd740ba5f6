"""Ways out of compiled code, in the middle of a function: the interpreter goes on with all locals and operands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from refwasm.execution.compiler.runtime import bits32, bits64, canonical32, canonical64
from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import FORMS, OPENERS
from refwasm.syntax.types import FuncType, NumType, ValType

TAIL_CALLS = frozenset(form for name, form in FORMS.items() if name.startswith("return_call"))


def can_be_left(func: FuncInst) -> bool:
    """Whether compiled code of a function may be left. Not if it makes tail calls, since its Python function is of
    another kind, which it can't become later. Nor if there is a loop that can't be entered: the interpreter would stay
    there, however long that takes."""
    return TAIL_CALLS.isdisjoint(instr.form for instr in func.body) and not closed_loops(func)


def closed_loops(func: FuncInst) -> set[int]:
    """Loops that compiled code can't be entered at: there are operands below, or they stand in a ``try_table`` or in a
    block that takes values."""
    side, types, closed = func.side, func.module.types, [False]
    found = set()
    for pc, instr in enumerate(func.body):
        kind = instr.form.mnemonic
        if kind in OPENERS:
            index = instr.args[0].index
            composite = None if index is None else types[index].composite
            takes = isinstance(composite, FuncType) and bool(composite.params)
            if kind == "loop" and (closed[-1] or side[pc]):
                found.add(pc)
            closed.append(closed[-1] or takes or kind == "try_table")
        elif kind == "end":
            closed.pop()
    return found


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
        from refwasm.execution.compiler.survey import survey

        arithmetic = survey(func.body, func.side, len(func.signature.params)).arithmetic
        return [(index, (_CANONICAL if index in arithmetic else _EXACT)[name]) for index, name in floats.items()]

    def among(self, variables: dict[str, Any]) -> list[Any]:
        """Their values, in order."""
        values = [variables[name] for name in self._names]
        for index, convert in self._conversions:
            values[index] = convert(values[index])
        return values


def types_of_locals(func: FuncInst) -> list[ValType]:
    """Parameters and declared locals."""
    return [*func.signature.params, *(t for count, t in func.func.locals for _ in range(count))]
