"""Vector instructions with immediates (specification 4.6.12): loads and stores, lanes, shuffle."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import MEANINGS, Op, meaning
from refwasm.execution.interpreter.pausing import before_access
from refwasm.execution.memory import Memory
from refwasm.execution.numerics import vectors as v
from refwasm.execution.numerics.integers import iextend_s
from refwasm.syntax.instructions import FORMS, Form, Instr, MemArg

_EXTENDING = re.compile(r"v128\.load(\d+)x(\d+)_([su])")


def _expander(form: Form) -> Callable[[int], int]:
    """How the bytes that a load reads become a vector."""
    if match := _EXTENDING.fullmatch(form.mnemonic):
        bits = int(match[1])
        return v.extend(bits, 2 * bits, "low", match[3])
    if form.splats:
        ones = v.ALL_ONES // ((1 << 8 * form.width) - 1)
        return lambda value: value * ones
    return lambda value: value


def _memory(code: Code, instr: Instr) -> tuple[Memory, int, int]:
    arg: MemArg = instr.args[0]
    return code.instance.memories[arg.memory], arg.offset, instr.form.width


def _load(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _memory(code, instr)
    expand = _expander(instr.form)

    def op(t: Any, s: list[Any]) -> Any:
        s[-1] = expand(memory.load(width, s[-1] + offset))
        return following

    return before_access(code.store, memory, instr, 0, op)


@meaning("v128.store")
def _store(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _memory(code, instr)

    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop()
        memory.store(width, s.pop() + offset, value)
        return following

    return before_access(code.store, memory, instr, 1, op)


def _load_lane(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _memory(code, instr)
    lane = instr.args[1]

    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop()
        s[-1] = v.replace(8 * width, value, lane, memory.load(width, s[-1] + offset))
        return following

    return before_access(code.store, memory, instr, 1, op)


def _store_lane(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory, offset, width = _memory(code, instr)
    lane = instr.args[1]

    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop()
        memory.store(width, s.pop() + offset, v.extract_u(8 * width, value, lane))
        return following

    return before_access(code.store, memory, instr, 1, op)


for _form in FORMS.values():
    if _form.prefix == 0xFD and _form.width and (_form.loads or _form.has_lane):
        MEANINGS[_form] = _load if not _form.has_lane else _load_lane if _form.loads else _store_lane


@meaning(*(name for name, form in FORMS.items() if form.has_lane and not form.width and len(form.params or ()) == 1))
def _extract_lane(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    bits, lane = int(instr.form.mnemonic[1:].split("x")[0]), instr.args[0]
    if not instr.form.extends_sign:

        def unsigned(t: Any, s: list[Any]) -> Any:
            s[-1] = v.extract_u(bits, s[-1], lane)
            return following

        return unsigned

    def op(t: Any, s: list[Any]) -> Any:
        s[-1] = iextend_s(32, bits, v.extract_u(bits, s[-1], lane))
        return following

    return op


@meaning(*(name for name, form in FORMS.items() if form.has_lane and not form.width and len(form.params or ()) == 2))
def _replace_lane(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    bits, lane = int(instr.form.mnemonic[1:].split("x")[0]), instr.args[0]

    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop()
        s[-1] = v.replace(bits, s[-1], lane, value)
        return following

    return op


@meaning("i8x16.shuffle")
def _shuffle(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    choice = instr.args[0]

    def op(t: Any, s: list[Any]) -> Any:
        b = s.pop()
        s[-1] = v.shuffle(s[-1], b, choice)
        return following

    return op
