"""An interpreter that asks :class:`refwasm.execution.choices.Choices` wherever the specification leaves something open.

Only stores that were made with choices execute this; all others execute the deterministic profile and pay nothing.
Growing asks where it is done (:mod:`.memory`, :mod:`.tables`), and who goes on is the scheduler's question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refwasm.errors import Exhaustion
from refwasm.execution.choices import AGENT, EXHAUSTION, GROUPING, NAN, ORDER, WAIT, Choices
from refwasm.execution.interpreter.meaning import Op
from refwasm.execution.interpreter.shadow_rules import arithmetic_lanes
from refwasm.execution.numerics.floats import is_nan
from refwasm.execution.numerics.nans import nans
from refwasm.execution.numerics.relaxed import RELAXED, Relaxed
from refwasm.execution.store import Store
from refwasm.syntax.instructions import Instr

#: Kinds that the scheduler and the devices ask for.
SCHEDULES = frozenset({AGENT, WAIT, ORDER, GROUPING})
_CALLS = frozenset({"call", "call_indirect", "call_ref"})


def choose_with(store: Store, choices: Choices) -> None:
    """Have the interpreter of a new store ask ``choices``."""
    store.choices = choices
    if choices.kinds <= SCHEDULES:
        return  # no instruction has to ask
    store.around = lambda code, instr, op: _asking(choices, instr, op)


def _asking(choices: Choices, instr: Instr, op: Op) -> Op:
    """The closure of an instruction, made to ask."""
    mnemonic = instr.form.mnemonic
    if mnemonic in RELAXED:
        return _relaxed(choices, instr, RELAXED[mnemonic], op)
    widths = arithmetic_lanes(mnemonic)
    if widths is not None:
        return _arithmetic(choices, instr, widths, op)
    return _calling(choices, op) if mnemonic in _CALLS else op


def _chosen_nans(choices: Choices, widths: tuple[int, int], result: int, operands: Sequence[int]) -> int:
    """A result of float arithmetic, each NaN in it another one perhaps. ``widths`` are those of its lanes and of the
    operands'; lanes belong together by their number."""
    lane, source = widths
    ones, source_ones = (1 << lane) - 1, (1 << source) - 1
    for number, shift in enumerate(range(0, result.bit_length(), lane)):
        if is_nan(lane, result >> shift & ones):
            found = nans(lane, [z >> source * number & source_ones for z in operands], source)
            chosen = found[choices.choose(NAN, len(found))]
            result = result & ~(ones << shift) | chosen << shift
    return result


def _arithmetic(choices: Choices, instr: Instr, widths: tuple[int, int], op: Op) -> Op:
    """Each NaN that comes out may be another one (3.0, 4.3.3 "NaN Propagation")."""
    count = len(instr.form.params or ())

    def arithmetic(t: Any, s: list[Any]) -> Any:
        operands = s[-count:]
        following = op(t, s)
        s[-1] = _chosen_nans(choices, widths, s[-1], operands)
        return following

    return arithmetic


def _relaxed(choices: Choices, instr: Instr, relaxed: Relaxed, usual: Op) -> Op:
    """One of the functions that the instruction may be, the same one all through the execution."""
    count = len(instr.form.params or ())
    widths = arithmetic_lanes(instr.form.mnemonic)

    def op(t: Any, s: list[Any]) -> Any:
        operands = s[-count:]
        option = choices.parameter(relaxed.parameter, len(relaxed.options))
        following = usual(t, s)
        if option:
            s[-1] = relaxed.options[option](*operands)
        if widths is not None and (not option or relaxed.parameter == "fmadd"):
            s[-1] = _chosen_nans(choices, widths, s[-1], operands)
        return following

    return op


def _calling(choices: Choices, op: Op) -> Op:
    """The stack may be exhausted at any call (appendix "Implementation Limitations")."""

    def calling(t: Any, s: list[Any]) -> Any:
        if choices.choose(EXHAUSTION, 2):
            t.pc = calling
            raise Exhaustion("call stack exhausted")
        return op(t, s)

    return calling


__all__ = ["choose_with"]
