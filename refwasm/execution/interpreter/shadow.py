"""Shadow bits: which bits of values and memories depend on what the specification leaves open.

An interpreter for oracles only. It executes the deterministic profile (3.0, appendix "Profiles"), and every value that
another execution could have otherwise is an :class:`Open`: an integer that knows which of its bits are not settled. The
interpreter moves values as objects, so locals, globals, calls and branches keep them as they are. Whatever *computes*
looks at its operands first (:func:`watched`): where none is open, the ordinary meaning is executed; where one is, a
rule says what of the result is open, or, if there is no rule, the execution ends with :class:`Undetermined`.

Bits are open too often rather than too seldom: two uses of one open bit are taken as independent. So whatever is said
to be settled is the same in each execution that the specification allows and that makes the same choices otherwise:
whether memories and tables grow (:mod:`refwasm.execution.choices`).
"""

from __future__ import annotations

from typing import Any

from refwasm.errors import WasmError
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op
from refwasm.execution.interpreter.shadow_rules import (
    ARITHMETIC,
    RULES,
    Arithmetic,
    Open,
    Rule,
    arithmetic_lanes,
    refused,
    relaxed_mask,
    result_width,
)
from refwasm.execution.memory import Memory
from refwasm.execution.numerics.relaxed import RELAXED, Relaxed
from refwasm.execution.numerics.table import is_numeric
from refwasm.execution.store import Store
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import ArrayType, PackedType, StructType

#: Instructions that move their operands and look at none of them.
MOVES = frozenset(
    {
        "local.get", "local.set", "local.tee", "global.get", "global.set", "drop", "call", "return", "return_call",
        "block", "loop", "try_table", "throw", "end", "else", "nop", "br", "unreachable", "i32.const", "i64.const",
        "f32.const", "f64.const", "v128.const", "ref.null", "ref.func", "struct.get",
        "memory.size", "table.size", "data.drop", "elem.drop",
    }
)  # fmt: skip
#: Instructions that look at their last operand only.
LAST = frozenset(
    {
        "if", "br_if", "br_table", "select", "select t", "call_indirect", "call_ref", "return_call_indirect",
        "return_call_ref",
    }
)  # fmt: skip
#: As many operands are looked at where the table of forms does not say how many there are; too many do no harm.
MOST_OPERANDS = 8


class Undetermined(WasmError):
    """What happens next depends on what the specification leaves open."""


class Shadow:
    """What is open of a store besides values: bits of memories, a mask for each byte, by the memory's identity."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes: dict[int, dict[int, int]] = {}

    def of(self, memory: Memory) -> dict[int, int]:
        """The open bits of a memory's bytes, by address."""
        return self.bytes.setdefault(id(memory), {})


def watched(shadow: Shadow, code: Code, instr: Instr, op: Op) -> Op:
    """The closure of an instruction, made to look for open operands."""
    form, mnemonic = instr.form, instr.form.mnemonic
    if mnemonic in MOVES:
        return op
    if mnemonic in LAST:
        return _looking(instr, op, 1)
    if mnemonic in RELAXED:
        return _relaxed(instr, RELAXED[mnemonic], op)
    if is_numeric(mnemonic) or mnemonic in RULES:
        return _computing(instr, op)
    if form.takes_address:
        return _accessing(shadow, code, instr, op)
    if mnemonic in ("memory.copy", "memory.fill", "memory.init"):
        return _bulk(shadow, code, instr, op)
    if mnemonic in ("struct.new", "struct.new_desc", "array.new_fixed"):
        return _making(code, instr, op)
    return _looking(instr, op, MOST_OPERANDS if form.params is None else len(form.params))


def _undetermined(instr: Instr) -> Undetermined:
    return Undetermined(f"{instr.form.mnemonic} depends on bits that the specification leaves open")


def _looking(instr: Instr, op: Op, count: int) -> Op:
    """Nothing may be open among so many operands."""
    if not count:
        return op

    def looking(t: Any, s: list[Any]) -> Any:
        for value in s[-count:]:
            if type(value) is Open:
                raise _undetermined(instr)
        return op(t, s)

    return looking


def _making(code: Code, instr: Instr, op: Op) -> Op:
    """A structure or an array: values are moved into its fields, but for packed ones, which take some of their bits."""
    composite = code.instance.types[instr.args[0]].composite
    if isinstance(composite, StructType):
        packed = [isinstance(field.storage, PackedType) for field in composite.fields]
    else:
        assert isinstance(composite, ArrayType)
        packed = [isinstance(composite.field.storage, PackedType)] * instr.args[1]
    if not any(packed):
        return op
    count = len(packed) + (instr.form.mnemonic == "struct.new_desc")

    def making(t: Any, s: list[Any]) -> Any:
        for value, is_packed in zip(s[len(s) - count :], packed):
            if is_packed and type(value) is Open:
                raise _undetermined(instr)
        return op(t, s)

    return making


def _computing(instr: Instr, op: Op) -> Op:
    """A numeric instruction, or one on vector lanes: open operands have a rule, and NaNs that come out are open."""
    form = instr.form
    count, everything = len(form.params or ()), (1 << result_width(form)) - 1
    arithmetic: Arithmetic | None = ARITHMETIC.get(form.mnemonic)
    rule: Rule = RULES.get(form.mnemonic, refused)

    def computing(t: Any, s: list[Any]) -> Any:
        operands = s[-count:]
        found = None
        if arithmetic is None and any(type(value) is Open for value in operands):
            found = rule(instr, operands)
            if found is None:
                raise _undetermined(instr)
        following = op(t, s)
        if arithmetic is not None:
            s[-1] = arithmetic(s[-1], operands)
        elif found is not None:
            mask, lanes = found
            s[-1] = Open(s[-1], mask & everything, lanes) if mask & everything else int(s[-1])
        return following

    return computing


def _relaxed(instr: Instr, relaxed: Relaxed, op: Op) -> Op:
    """What a relaxed instruction's options differ in, is open."""
    count, everything = len(instr.form.params or ()), (1 << 128) - 1
    lane, _ = arithmetic_lanes(instr.form.mnemonic) or (0, 0)

    def computing(t: Any, s: list[Any]) -> Any:
        operands = s[-count:]
        is_open = any(type(value) is Open for value in operands)
        mask = everything if is_open else relaxed_mask(relaxed, operands, lane)
        following = op(t, s)
        s[-1] = Open(s[-1], mask) if mask else int(s[-1])
        return following

    return computing


def _accessing(shadow: Shadow, code: Code, instr: Instr, op: Op) -> Op:
    """A load, store or atomic access: the address must be settled; what is stored may be open."""
    form, arg = instr.form, instr.args[0]
    memory, width, count = code.instance.memories[arg.memory], form.width, len(form.params or ())
    stores = form.stores and not form.is_atomic
    everything = (1 << result_width(form)) - 1 if form.results else 0
    plain = not form.extends_sign and (form.mnemonic[:9] != "v128.load" or form.width == 16)
    shift = 8 * width * instr.args[1] if stores and form.has_lane else 0

    def accessing(t: Any, s: list[Any]) -> Any:
        address, values = s[-1 - count], s[len(s) - count :] if count else []
        is_open = any(type(value) is Open for value in values)
        if type(address) is Open or (is_open and not stores):
            raise _undetermined(instr)
        following = op(t, s)
        marks = shadow.bytes.get(id(memory))
        if not marks and not is_open:
            return following
        touched = range(address + arg.offset, address + arg.offset + width)
        marks = shadow.of(memory)
        if stores:
            for i, at in enumerate(touched):
                marks.pop(at, None)
                if is_open and (mask := values[0].mask >> shift + 8 * i & 0xFF):
                    marks[at] = mask
        elif mask := sum(marks.get(at, 0) << 8 * i for i, at in enumerate(touched)):
            if count:  # a vector lane, or an atomic access
                raise _undetermined(instr)
            s[-1] = Open(s[-1], mask if plain else everything)
        return following

    return accessing


def _bulk(shadow: Shadow, code: Code, instr: Instr, op: Op) -> Op:
    """Copies carry open bytes along; what is filled is settled."""
    copies = instr.form.mnemonic == "memory.copy"
    target = instr.args[1] if instr.form.mnemonic == "memory.init" else instr.args[0]
    into = code.instance.memories[target]
    look = _looking(instr, op, 3)
    source = code.instance.memories[instr.args[1]] if copies else None

    def bulk(t: Any, s: list[Any]) -> Any:
        at, start, count = s[-3:]
        following = look(t, s)
        moved: dict[int, int] = {}
        if source is not None and (marks := shadow.bytes.get(id(source))):
            moved = {at + a - start: mask for a, mask in marks.items() if start <= a < start + count}
        if moved or shadow.bytes.get(id(into)):
            marks = shadow.of(into)
            for address in [a for a in marks if at <= a < at + count]:
                del marks[address]
            marks |= moved
        return following

    return bulk


def shadowed_store(store: Store) -> Shadow:
    """Have the interpreter of a new store track which bits are open; returns where it notes what is open besides
    values. Executions may raise Undetermined then."""
    shadow = Shadow()
    store.around = lambda code, instr, op: watched(shadow, code, instr, op)
    return shadow


__all__ = ["Open", "Shadow", "Undetermined", "shadowed_store"]
