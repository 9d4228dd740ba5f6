"""Pairs of instructions: what compilers fuse, fold and move.

For each instruction there is a module in which every other one computes one of its operands: scalar instructions
completely, vector instructions a part of them that the name decides. Loads (also the last ones that a memory allows,
and at constant addresses), globals and comparisons compute operands too; ``select``, branches and stores use results.
Constants stand for the other operands half of the time. Operands are shared between the two, and read again afterwards.
Loads have their addresses computed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.campaign.functions import GLOBALS, module_of, with_globals
from refwasm.campaign.source import Item
from refwasm.engines.judging import Call
from refwasm.execution.numerics.edges import EDGES
from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import END, FORMS, Form, Instr, MemArg, instr
from refwasm.syntax.modules import Expr
from refwasm.syntax.types import I32, BlockType, FuncType, NumType, ValType

#: Calls of one function, and producers of one vector instruction.
CALLS, VECTOR_PRODUCERS = 5, 60
#: Addresses that loads take: aligned and not, the last ones for each width, and one beyond.
ADDRESSES = (0, 8, 17, 65520, 65528, 65532, 65534, 65535, 65536)


class Producer(NamedTuple):
    """Something that computes a value: what it takes, what comes out, and its instruction."""

    name: str
    params: tuple[NumType, ...]
    result: NumType
    instruction: Instr


def pairs(features: frozenset[str]) -> Iterator[Item]:
    """An item for each instruction that uses values."""
    producers = list(_producers(features))
    by_result: dict[NumType, list[Producer]] = {}
    for producer in producers:
        by_result.setdefault(producer.result, []).append(producer)
    for form in FORMS.values():
        if form.feature in features and is_numeric(form.mnemonic):
            yield from _item(form, by_result, "multi-value" in features)
    yield from _uses(by_result, features)


def _numbers(types: Sequence[ValType] | None) -> tuple[NumType, ...]:
    return tuple(t for t in types or () if isinstance(t, NumType))


def _producers(features: frozenset[str]) -> Iterator[Producer]:
    for form in FORMS.values():
        if form.feature not in features:
            continue
        if is_numeric(form.mnemonic):
            params, results = _numbers(form.params), _numbers(form.results)
            yield Producer(form.mnemonic, params, results[0], instr(form.mnemonic))
        elif form.loads and form.width and not form.params and not form.is_atomic:
            arg = MemArg(0, 0, 0)
            yield Producer(form.mnemonic, (I32,), _numbers(form.results)[0], Instr(form, (arg,)))


class _Functions:
    """The functions of one module, which may have ``several`` results, and the calls to make of them."""

    def __init__(self, name: str, several: bool = False) -> None:
        self.choose, self.several = random.Random(name), several
        self.functions: dict[str, tuple[FuncType, Expr]] = {}
        self.calls: list[Call] = []

    def add(self, name: str, params: Sequence[NumType], results: tuple[ValType, ...], body: list[Instr],
            addresses: frozenset[int] = frozenset()) -> None:  # fmt: skip
        """A function; parameters with these numbers are addresses."""
        self.functions[name] = FuncType(tuple(params), results), (*body, END)
        for _ in range(CALLS if params else 1):
            row = [self.choose.choice(ADDRESSES if i in addresses else EDGES[t.name]) for i, t in enumerate(params)]
            self.calls.append((name, tuple(row)))

    def operand(self, t: NumType, params: list[NumType]) -> Instr:
        """A constant, or a new parameter."""
        if self.choose.random() < 0.5:
            return instr(f"{t.name}.const", self.choose.choice(EDGES[t.name]))
        params.append(t)
        return instr("local.get", len(params) - 1)

    def item(self, label: str, kind: str) -> Iterator[Item]:
        """The item, unless there is nothing in it."""
        if self.functions:
            loads = any(i.form.takes_address for _, body in self.functions.values() for i in body)
            uses = {i.args[0] for _, body in self.functions.values() for i in body if i.form.mnemonic == "global.get"}
            module = with_globals(module_of(self.functions, loads), max(uses) + 1 if uses else 0)
            yield Item(label, e.module_encode(module), self.calls, kind=kind)


def _item(form: Form, by_result: dict[NumType, list[Producer]], several: bool) -> Iterator[Item]:
    """An instruction whose operands other instructions compute."""
    made = _Functions(form.mnemonic, several)
    for place, t in enumerate(_numbers(form.params)):
        producers = by_result.get(t, [])
        if t.name == "v128" and len(producers) > VECTOR_PRODUCERS:
            producers = made.choose.sample(producers, VECTOR_PRODUCERS)
        for producer in producers:
            _computed(made, form, place, producer)
            _shared(made, form, place, producer)
            _folded(made, form, place, producer)
        _from_global(made, form, place, t)
    yield from made.item(f"{form.mnemonic} of", f"pairs with {form.mnemonic}")


def _computed(made: _Functions, form: Form, place: int, producer: Producer) -> None:
    """Another instruction computes one operand; a load may have a constant address."""
    params = list(producer.params)
    is_load = producer.instruction.form.takes_address
    if is_load and made.choose.random() < 0.5:
        inner, params = [instr("i32.const", made.choose.choice(ADDRESSES))], []
    else:
        inner = [instr("local.get", i) for i in range(len(params))]
    addresses = frozenset(range(len(params))) if is_load else frozenset()
    body: list[Instr] = []
    for i, other in enumerate(_numbers(form.params)):
        body += [*inner, producer.instruction] if i == place else [made.operand(other, params)]
    body.append(instr(form.mnemonic))
    made.add(f"{producer.name} as operand {place}", params, _numbers(form.results), body, addresses)


def _shared(made: _Functions, form: Form, place: int, producer: Producer) -> None:
    """Both instructions take the same values, or the same constant, and the operands are read again afterwards."""
    if producer.instruction.form.takes_address:
        return
    params = list(dict.fromkeys(producer.params))  # one for each type
    constant = {t: instr(f"{t.name}.const", made.choose.choice(EDGES[t.name])) for t in params}
    is_constant = len(producer.params) > 1 and made.choose.random() < 0.5

    def operand(i: int, t: NumType) -> Instr:
        if t not in params:
            params.append(t)
        return constant[t] if is_constant and i and t in constant else instr("local.get", params.index(t))

    body: list[Instr] = []
    for i, t in enumerate(_numbers(form.params)):
        if i == place:
            body += [*(operand(j, u) for j, u in enumerate(producer.params)), producer.instruction]
        else:
            body.append(operand(i, t))
    body.append(instr(form.mnemonic))
    results = list(_numbers(form.results))
    if made.several and made.choose.random() < 0.5:
        body += [instr("local.get", i) for i in range(len(params))]
        results += params
    made.add(f"{producer.name} as operand {place}, shared", params, tuple(results), body)


def _folded(made: _Functions, form: Form, place: int, producer: Producer) -> None:
    """The inner instruction has constant operands: compilers compute it, or make a constant of the whole."""
    if producer.instruction.form.takes_address:
        return
    constants = [instr(f"{t.name}.const", made.choose.choice(EDGES[t.name])) for t in producer.params]
    params: list[NumType] = []
    body: list[Instr] = []
    for i, t in enumerate(_numbers(form.params)):
        body += [*constants, producer.instruction] if i == place else [made.operand(t, params)]
    body.append(instr(form.mnemonic))
    made.add(f"{producer.name} of constants as operand {place}", params, _numbers(form.results), body)


def _from_global(made: _Functions, form: Form, place: int, t: NumType) -> None:
    """A global is one operand."""
    params: list[NumType] = []
    body = []
    for i, other in enumerate(_numbers(form.params)):
        body.append(instr("global.get", GLOBALS.index(t.name)) if i == place else made.operand(other, params))
    body.append(instr(form.mnemonic))
    made.add(f"a global as operand {place}", params, _numbers(form.results), body)


def _uses(by_result: dict[NumType, list[Producer]], features: frozenset[str]) -> Iterator[Item]:
    """Control and ``select`` that use a condition, and stores that use a value."""
    for producer in by_result[I32]:
        made = _Functions(producer.name)
        params = list(producer.params)
        condition = [*(instr("local.get", i) for i in range(len(params))), producer.instruction]
        addresses = frozenset([0]) if producer.instruction.form.takes_address else frozenset()
        for t in by_result:
            first, second = instr("local.get", len(params)), instr("local.get", len(params) + 1)
            block, whole = BlockType(None, t), [*params, t, t]
            made.add(f"select {t.name}", whole, (t,), [first, second, *condition, instr("select")], addresses)
            branch = [instr("block", block), first, *condition, instr("br_if", 0), instr("drop"), second, END]
            made.add(f"br_if {t.name}", whole, (t,), branch, addresses)
            both = [*condition, instr("if", block), first, instr("else"), second, END]
            made.add(f"if {t.name}", whole, (t,), both, addresses)
        numbers = [instr("i32.const", 1), instr("else"), instr("i32.const", 2), END]
        negated = [*condition, instr("i32.eqz"), instr("if", BlockType(None, I32)), *numbers]
        made.add("if not", params, (I32,), negated, addresses)
        yield from made.item(f"uses of {producer.name}", f"uses of {producer.name}")
    for form in FORMS.values():
        stores = form.stores and form.takes_address and not form.is_rmw and not form.has_lane
        if stores and form.feature in features:
            yield from _stores(form, by_result)
        loads = form.loads and form.takes_address and not form.params and not form.is_atomic
        if loads and form.feature in features:
            yield from _computed_addresses(form, by_result[I32])


#: Amounts that addresses are shifted by, and constants that are added to them.
SCALES, OFFSETS = (1, 2, 3), (0, 16)


def _computed_addresses(form: Form, producers: list[Producer]) -> Iterator[Item]:
    """A load from an address that an instruction computes, which wraps to 32 bits."""
    made = _Functions(f"address of {form.mnemonic}")
    for producer in producers:
        if producer.params != (I32, I32):
            continue
        for offset in OFFSETS:
            load = Instr(form, (MemArg(0, 0, offset),))
            taken = [instr("local.get", 0), instr("local.get", 1), producer.instruction, load]
            made.add(f"{producer.name} + {offset}", (I32, I32), _numbers(form.results), taken)
            scales = SCALES if producer.name == "i32.shl" else made.choose.sample(EDGES["i32"], 3)
            for scale in scales:
                body = [instr("local.get", 0), instr("i32.const", scale), producer.instruction, load]
                made.add(f"{producer.name} {scale} + {offset}", (I32,), _numbers(form.results), body)
    yield from made.item(f"address of {form.mnemonic}", f"pairs with {form.mnemonic}")


def _stores(form: Form, by_result: dict[NumType, list[Producer]]) -> Iterator[Item]:
    """A store of what an instruction computes, read back."""
    made, (t,) = _Functions(form.mnemonic), _numbers(form.params)
    for producer in by_result.get(t, [])[:VECTOR_PRODUCERS]:
        params = list(producer.params)
        value = [*(instr("local.get", i) for i in range(len(params))), producer.instruction]
        addresses = frozenset([0]) if producer.instruction.form.takes_address else frozenset()
        arg = MemArg(0, form.width.bit_length() - 1, 256)
        body = [instr("i32.const", 0), *value, Instr(form, (arg,)), instr("i32.const", 0),
                instr("i64.load", MemArg(0, 0, 256))]  # fmt: skip
        made.add(f"of {producer.name}", params, _I64, body, addresses)
    yield from made.item(f"{form.mnemonic} of", f"pairs with {form.mnemonic}")


_I64: tuple[ValType, ...] = tuple(FORMS["i64.load"].results or ())
