"""Mutations of modules that somebody has, in turns: ``wasm-tools mutate`` that keeps what they mean, so that their own
calls can be made; the same without that; and one instruction exchanged for another of its type."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from refwasm import embedding as e
from refwasm.campaign.smith import BATCH, Shell, program
from refwasm.campaign.source import Item
from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import FORMS, Form, Instr, instr
from refwasm.syntax.modules import Func

#: How a mutation is made, in turns.
KEEPS, CHANGES, EXCHANGES = "keeps the meaning", "changes it", "exchanges an instruction"
WAYS = (KEEPS, CHANGES, EXCHANGES)


class Mutated:
    """Mutations without end of some items, each from a seed of its own. Those that can't be mutated are left out."""

    count: int | None = None

    def __init__(self, items: Sequence[Item], seed: int = 0) -> None:
        self.originals, self.seed = items, seed
        self.program = program()

    def items(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        for first in range(start, stop, BATCH):
            numbers = range(first, min(first + BATCH, stop))
            ways = {number: WAYS[(self.seed + number) % len(WAYS)] for number in numbers}
            by_tool = {n: self._command(self.seed + n, way) for n, way in ways.items() if way != EXCHANGES}
            made = Shell(by_tool).made()
            for number, way in ways.items():
                seed = self.seed + number
                original = self._original(seed)
                module = exchanged(original.module, seed) if way == EXCHANGES else made.get(number)
                if module is not None:
                    label = f"mutation {seed} of {original.label}, which {way}"
                    calls = None if way == CHANGES else original.calls
                    yield number, Item(label, module, calls, seed)

    def close(self) -> None:
        pass

    def _original(self, seed: int) -> Item:
        """What is mutated."""
        return random.Random(seed).choice(self.originals)

    def _command(self, seed: int, way: str) -> tuple[list[str], bytes]:
        options = ["--seed", str(seed), *(["--preserve-semantics"] if way == KEEPS else [])]
        return [self.program, "mutate", *options, "-"], self._original(seed).module


def exchanged(module: bytes, seed: int) -> bytes | None:
    """The module with one numeric instruction exchanged for another that has the same type; None if it has none."""
    choose = random.Random(seed)
    decoded = e.module_decode(module)
    places = [(f, i) for f, func in enumerate(decoded.funcs) for i, x in enumerate(func.body) if _alike(x)]
    if not places:
        return None
    where, at = choose.choice(places)
    func = decoded.funcs[where]
    other = instr(choose.choice(_alike(func.body[at])))
    funcs = list(decoded.funcs)
    funcs[where] = Func(func.type, func.locals, (*func.body[:at], other, *func.body[at + 1 :]))
    return e.module_encode(decoded._replace(funcs=tuple(funcs), digest=b""))


def _alike(instruction: Instr) -> tuple[str, ...]:
    """Other numeric instructions of the same type and feature."""
    form = instruction.form
    if not is_numeric(form.mnemonic):
        return ()
    return tuple(name for name in _BY_TYPE[_type(form)] if name != form.mnemonic)


def _type(form: Form) -> tuple[object, ...]:
    return tuple(form.params or ()), tuple(form.results or ()), form.feature


_BY_TYPE: dict[tuple[object, ...], list[str]] = {}
for _name, _form in FORMS.items():
    if is_numeric(_name):
        _BY_TYPE.setdefault(_type(_form), []).append(_name)
