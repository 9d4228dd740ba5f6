"""Where the arguments of a call come from: constants and parameters that are passed on.

A call's arguments are traced back through straight code only. What comes from elsewhere is unknown, and the callers of
this module get by without knowing.
"""

from __future__ import annotations

from typing import NamedTuple

from refwasm.syntax.instructions import Instr
from refwasm.syntax.modules import Func
from refwasm.syntax.types import FuncType
from refwasm.toolchain.program import Program

#: Instructions with a fixed number of operands and results that the table of forms leaves to rules.
_COUNTS = {
    "drop": (1, 0), "select": (3, 1), "select t": (3, 1), "local.get": (0, 1), "local.set": (1, 0), "local.tee": (1, 1),
    "global.get": (0, 1), "global.set": (1, 0), "memory.size": (0, 1), "memory.grow": (1, 1), "memory.init": (3, 0),
    "memory.copy": (3, 0), "memory.fill": (3, 0), "table.get": (1, 1), "table.set": (2, 0), "ref.null": (0, 1),
    "ref.func": (0, 1), "ref.is_null": (1, 1), "nop": (0, 0),
}  # fmt: skip


class Constant(NamedTuple):
    """A number that the code says."""

    value: int


class Parameter(NamedTuple):
    """A parameter of the function that the call stands in."""

    number: int


def argument(program: Program, func: Func, call: int, position: int) -> Constant | Parameter | None:
    """What argument number ``position`` of the call at instruction ``call`` is; None if that can't be told."""
    t = _called(program, func.body[call])
    above = len(t.params) - 1 - position if t is not None else 0
    return _value(program, func, call, above)


def _value(program: Program, func: Func, end: int, above: int) -> Constant | Parameter | None:
    """What the operand is that has ``above`` others on top of it before instruction ``end``."""
    for index in range(end - 1, -1, -1):
        instruction = func.body[index]
        counts = _counts(program, instruction)
        if counts is None:
            return None
        taken, left = counts
        if above < left:
            return _produced(program, func, index)
        above += taken - left
    return None


def _produced(program: Program, func: Func, index: int) -> Constant | Parameter | None:
    instruction = func.body[index]
    name = instruction.form.mnemonic
    if name == "i32.const":
        return Constant(instruction.args[0])
    if name == "local.tee":
        return _value(program, func, index, 0)
    return _local(program, func, instruction.args[0], index) if name == "local.get" else None


def _local(program: Program, func: Func, local: int, at: int) -> Constant | Parameter | None:
    """What a local holds at instruction ``at``: a parameter that was not written before, or what the one write gave
    it."""
    writes = [w for w in _writes(func, local) if w < at or _in_one_loop(func, w, at)]
    if local < len(program.type_of(func.type).params):
        return None if writes else Parameter(local)
    return _value(program, func, writes[0], 0) if len(writes) == 1 and writes[0] < at else None


def _writes(func: Func, local: int) -> list[int]:
    return [i for i, x in enumerate(func.body) if x.form.mnemonic in ("local.set", "local.tee") and x.args[0] == local]


def _in_one_loop(func: Func, later: int, at: int) -> bool:
    """Whether a loop goes back from instruction ``later`` to before ``at``."""
    opened: list[int] = []
    for index, instruction in enumerate(func.body[:later]):
        if "block" in instruction.form.immediates:
            opened.append(index)
        elif instruction.form.mnemonic == "end":
            opened.pop()
    return any(start < at and func.body[start].form.mnemonic == "loop" for start in opened)


def _called(program: Program, instruction: Instr) -> FuncType | None:
    """The type of what a call calls."""
    name = instruction.form.mnemonic
    if name == "call":
        return program.function_type(instruction.args[0])
    return program.type_of(instruction.args[0]) if name == "call_indirect" else None


def _counts(program: Program, instruction: Instr) -> tuple[int, int] | None:
    """How many operands an instruction takes and leaves; None for control instructions and what is not known."""
    form = instruction.form
    if form.params is not None and form.results is not None:
        return len(form.params) + form.takes_address, len(form.results)
    called = _called(program, instruction)
    if called is not None:
        return len(called.params) + (form.mnemonic == "call_indirect"), len(called.results)
    return _COUNTS.get(form.mnemonic)
