"""Single instructions with edge operands: systematic and complete.

Each numeric, vector and memory instruction is executed with its operands as parameters, with one value as all operands,
and with constants, which an optimiser folds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from refwasm import embedding as e
from refwasm.campaign.functions import module_of
from refwasm.campaign.source import Item
from refwasm.engines.judging import Call
from refwasm.execution.numerics.edges import EDGES
from refwasm.syntax.instructions import END, FORMS, Form, Instr, MemArg, instr
from refwasm.syntax.modules import Expr
from refwasm.syntax.types import I32, FuncType, NumType, ValType

#: Calls of one function, and functions with constants, of one instruction.
MOST_CALLS, MOST_CONSTANTS = 160, 24
#: Addresses at and over the ends of a memory of one page.
ADDRESSES = (0, 1, 8, 65520, 65528, 65532, 65535, 65536, 0x80000000, 0xFFFFFFFF)
OFFSETS = (0, 3, 65535, 0xFFFFFFFF)
SHUFFLES = (
    tuple(range(16)), tuple(range(15, -1, -1)), tuple(range(16, 32)), (0,) * 16, (31,) * 16,
    tuple(i if i % 2 else 16 + i for i in range(16)), tuple((5 * i + 3) % 32 for i in range(16)),
)  # fmt: skip


def singles(features: frozenset[str]) -> Iterator[Item]:
    """An item for each instruction and immediate that the features allow; those that can trap often come last."""
    for form in sorted(FORMS.values(), key=lambda form: form.takes_address):
        if form.feature in features and form.params is not None and (form.results or form.width):
            for instruction in _instances(form):
                yield _item(instruction)


def _instances(form: Form) -> Iterator[Instr]:
    """The instruction with some of its immediates."""
    words = form.immediates
    if not words and form.params:
        yield instr(form.mnemonic)
    elif words == ("lane",):
        yield from (instr(form.mnemonic, lane) for lane in range(_lanes(form)))
    elif words == ("lanes",):
        yield from (instr(form.mnemonic, lanes) for lanes in SHUFFLES)
    elif form.takes_address and form.width:
        align = form.width.bit_length() - 1
        for offset in OFFSETS:
            arg = MemArg(0, align, offset)
            yield Instr(form, (arg,) if len(words) == 1 else (arg, 1 if form.width < 16 else 0))


def _lanes(form: Form) -> int:
    return int(form.mnemonic.split(".")[0].partition("x")[2])


def _item(instruction: Instr) -> Item:
    form = instruction.form
    params: list[ValType] = [*([I32] if form.takes_address else []), *(form.params or [])]
    results = tuple(form.results or ())
    functions: dict[str, tuple[FuncType, Expr]] = {}
    taken = [instr("local.get", i) for i in range(len(params))]
    functions["f"] = FuncType(tuple(params), results), (*taken, instruction, END)
    if len(params) > 1 and len(set(map(repr, params))) == 1:
        body = [instr("local.get", 0)] * len(params)
        functions["same"] = FuncType((params[0],), results), (*body, instruction, END)
    rows = list(_rows(form, params))
    calls: list[Call] = [("f", row) for row in rows]
    calls += [("same", (value,)) for value in _values(params[0])] if "same" in functions else []
    choose = random.Random(form.mnemonic)
    for number, row in enumerate(choose.sample(rows, min(len(rows), MOST_CONSTANTS))):
        constants = [instr(f"{t.name}.const", value) for t, value in zip(params, row) if isinstance(t, NumType)]
        functions[f"constant {number}"] = FuncType((), results), (*constants, instruction, END)
        calls.append((f"constant {number}", ()))
    if len(params) == 2:  # a constant as the last operand, which compilers have rules for
        for value in _values(params[1]):
            body = [instr("local.get", 0), instr(f"{params[1]!r}.const", value), instruction, END]
            functions[f"last {value}"] = FuncType((params[0],), results), tuple(body)
            firsts = ADDRESSES if form.takes_address else _values(params[0])
            calls += [(f"last {value}", (first,)) for first in firsts]
    for amount in _amounts(instruction):
        body = [instr("local.get", 0), instr(f"{params[1]!r}.const", amount), instruction, END]
        functions[f"by {amount}"] = FuncType((params[0],), results), tuple(body)
        calls += [(f"by {amount}", (value,)) for value in _values(params[0])]
    stores = form.takes_address and not any(t.results for t, _ in functions.values())
    module = e.module_encode(module_of(functions, form.takes_address, stores))
    return Item(_label(instruction), module, calls, kind=form.mnemonic)


def _amounts(instruction: Instr) -> range:
    """The constants that a shift or rotation may have: compilers have a case for each few of them."""
    shape, _, name = instruction.form.mnemonic.partition(".")
    if name.split("_")[0] not in ("shl", "shr", "rotl", "rotr"):
        return range(0)
    return range(int(shape.partition("x")[0][1:]) + 2)


def _label(instruction: Instr) -> str:
    if not instruction.args or isinstance(instruction.args[0], MemArg):
        return instruction.form.mnemonic
    return f"{instruction.form.mnemonic} {instruction.args[0]}"


def _values(t: ValType) -> tuple[int, ...]:
    assert isinstance(t, NumType)
    return EDGES[t.name]


def _rows(form: Form, params: list[ValType]) -> Iterator[tuple[int, ...]]:
    """Operands: all combinations of edge values, or so many of them."""
    choices = [ADDRESSES if form.takes_address and i == 0 else _values(t) for i, t in enumerate(params)]
    rows = list(itertools.product(*choices))
    if len(rows) > MOST_CALLS:
        rows = random.Random(form.mnemonic).sample(rows, MOST_CALLS)
    yield from rows
