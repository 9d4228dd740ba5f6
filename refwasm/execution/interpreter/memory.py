"""Memory instructions (specification 4.6.10).

A closure reads the memory's views at each access, since growing replaces them. The IndexError of a view is a trap,
unless another process has grown the memory: :meth:`Memory.check` tells. Loads and stores of each width are written out,
since a parameter for the width would be looked at in every access.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.execution import bulk
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.growing import fails
from refwasm.execution.interpreter.meaning import MEANINGS, Op, meaning
from refwasm.execution.interpreter.pausing import before_access
from refwasm.execution.memory import Memory
from refwasm.syntax.instructions import FORMS, Instr, MemArg

Access = Callable[[Memory, int, Op], Op]


def _load8(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        a = s[-1] + offset
        try:
            s[-1] = memory.u8[a]
        except IndexError:
            memory.check(a, 1)
            s[-1] = memory.u8[a]
        return following

    return op


def _load16(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        a = s[-1] + offset
        try:
            s[-1] = memory.u16[a & 1][a >> 1]
        except IndexError:
            memory.check(a, 2)
            s[-1] = memory.u16[a & 1][a >> 1]
        return following

    return op


def _load32(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        a = s[-1] + offset
        try:
            s[-1] = memory.u32[a & 3][a >> 2]
        except IndexError:
            memory.check(a, 4)
            s[-1] = memory.u32[a & 3][a >> 2]
        return following

    return op


def _load64(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        a = s[-1] + offset
        try:
            s[-1] = memory.u64[a & 7][a >> 3]
        except IndexError:
            memory.check(a, 8)
            s[-1] = memory.u64[a & 7][a >> 3]
        return following

    return op


def _store8(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop() & 0xFF
        a = s.pop() + offset
        try:
            memory.u8[a] = value
        except IndexError:
            memory.check(a, 1)
            memory.u8[a] = value
        return following

    return op


def _store16(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop() & 0xFFFF
        a = s.pop() + offset
        try:
            memory.u16[a & 1][a >> 1] = value
        except IndexError:
            memory.check(a, 2)
            memory.u16[a & 1][a >> 1] = value
        return following

    return op


def _store32(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop() & 0xFFFFFFFF
        a = s.pop() + offset
        try:
            memory.u32[a & 3][a >> 2] = value
        except IndexError:
            memory.check(a, 4)
            memory.u32[a & 3][a >> 2] = value
        return following

    return op


def _store64(memory: Memory, offset: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        value = s.pop()
        a = s.pop() + offset
        try:
            memory.u64[a & 7][a >> 3] = value
        except IndexError:
            memory.check(a, 8)
            memory.u64[a & 7][a >> 3] = value
        return following

    return op


_LOADS: dict[int, Access] = {1: _load8, 2: _load16, 4: _load32, 8: _load64}
_STORES: dict[int, Access] = {1: _store8, 2: _store16, 4: _store32, 8: _store64}


def sign_extension(width: int, bits: int, following: Op) -> Op:
    """Continue ``width`` bytes on top of the stack as a signed integer of ``bits`` bits."""
    sign, mask = 1 << (8 * width - 1), (1 << bits) - 1

    def op(t: Any, s: list[Any]) -> Any:
        s[-1] = (s[-1] ^ sign) - sign & mask
        return following

    return op


def _signed(load: Access, width: int, bits: int) -> Access:
    """A load followed by sign extension, as one instruction."""

    def make(memory: Memory, offset: int, following: Op) -> Op:
        extend = sign_extension(width, bits, following)
        loading = load(memory, offset, extend)

        def op(t: Any, s: list[Any]) -> Any:
            return loading(t, s)(t, s)

        return op

    return make


def _access(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    arg: MemArg = instr.args[0]
    memory = code.instance.memories[arg.memory]
    mnemonic, width = instr.form.mnemonic, instr.form.width
    is_store = instr.form.stores
    make = (_STORES if is_store else _LOADS)[width]
    if instr.form.extends_sign:
        make = _signed(make, width, int(mnemonic[1:3]))
    op = make(memory, arg.offset, following)
    return before_access(code.store, memory, instr, 1 if is_store else 0, op)


MEANINGS.update(
    {
        form: _access
        for mnemonic, form in FORMS.items()
        if form.width and form.prefix == 0  # the vector and atomic ones have modules of their own
    }
)


@meaning("memory.size")
def _memory_size(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory = code.instance.memories[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        s.append(memory.size())
        return following

    return before_access(code.store, memory, instr, 0, op)


@meaning("memory.grow")
def _memory_grow(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory = code.instance.memories[instr.args[0]]
    mask, choices = (1 << memory.type.address.bits) - 1, code.store.choices
    maximum = memory.type.limits.maximum
    declared = 1 << memory.type.address.bits - memory.type.page_bits if maximum is None else maximum

    def op(t: Any, s: list[Any]) -> Any:
        delta = s[-1]
        s[-1] = mask if fails(choices, memory.size() + delta, memory.limit, declared) else memory.grow(delta) & mask
        return following

    return before_access(code.store, memory, instr, 0, op)


@meaning("memory.fill")
def _memory_fill(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    memory = code.instance.memories[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        count, value, address = s.pop(), s.pop(), s.pop()
        bulk.memory_fill(t.work, memory, address, value, count)
        return following

    return before_access(code.store, memory, instr, 2, op)


@meaning("memory.copy")
def _memory_copy(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    target, source = (code.instance.memories[index] for index in instr.args)

    def op(t: Any, s: list[Any]) -> Any:
        count, source_address, address = s.pop(), s.pop(), s.pop()
        bulk.memory_copy(t.work, target, source, address, source_address, count)
        return following

    return before_access(code.store, target if target.shared else source, instr, 2, op)


@meaning("memory.init")
def _memory_init(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    data, memory = code.instance.datas[instr.args[0]], code.instance.memories[instr.args[1]]

    def op(t: Any, s: list[Any]) -> Any:
        count, source, address = s.pop(), s.pop(), s.pop()
        bulk.memory_init(t.work, memory, data, address, source, count)
        return following

    return before_access(code.store, memory, instr, 2, op)


@meaning("data.drop")
def _data_drop(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    data = code.instance.datas[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        data.content = b""
        return following

    return op
