"""Where control may pass between compiled code and the interpreter, in the middle of a function."""

from __future__ import annotations

from refwasm.execution.store import FuncInst
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.types import FuncType, ValType

END, LOOP, TRY = FORMS["end"], FORMS["loop"], FORMS["try_table"]


def can_be_left(func: FuncInst) -> bool:
    """Whether compiled code of a function may be left. Not if it makes tail calls, since its Python function is of
    another kind, which it can't become later. Nor if there is a loop that can't be entered: the interpreter would stay
    there, however long that takes."""
    return not any(instr.form.is_tail_call for instr in func.body) and not closed_loops(func)


def closed_loops(func: FuncInst) -> set[int]:
    """Loops that compiled code can't be entered at: there are operands below, or they stand in a ``try_table`` or in a
    block that takes values."""
    side, types, closed = func.side, func.module.types, [False]
    found = set()
    for pc, instr in enumerate(func.body):
        form = instr.form
        if form.opens:
            index = instr.args[0].index
            composite = None if index is None else types[index].composite
            takes = isinstance(composite, FuncType) and bool(composite.params)
            if form is LOOP and (closed[-1] or side[pc]):
                found.add(pc)
            closed.append(closed[-1] or takes or form is TRY)
        elif form is END:
            closed.pop()
    return found


def types_of_locals(func: FuncInst) -> list[ValType]:
    """Parameters and declared locals."""
    return [*func.signature.params, *(t for count, t in func.func.locals for _ in range(count))]
