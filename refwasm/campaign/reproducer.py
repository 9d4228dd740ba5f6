"""The reproducer of a finding: the least module and calls that show it, as a script that passes on the oracle."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from refwasm import embedding as e
from refwasm.campaign.findings import difference
from refwasm.campaign.reduce import reduced
from refwasm.engines.judging import Call, Judgement, judge
from refwasm.engines.protocol import Died, Engine
from refwasm.oracle.assertions import assertion, constant
from refwasm.oracle.case import Oracle
from refwasm.oracle.closing import with_types
from refwasm.oracle.outcomes import DIFFERS, Byte, Value
from refwasm.syntax.instructions import END, MemArg, instr
from refwasm.syntax.modules import Export, Func, Module, func_types, subtypes
from refwasm.syntax.types import I32, FuncType, NumType
from refwasm.text.printer import print_module


def reproducer(
    oracle: Oracle, engine: Engine, module: bytes, judgement: Judgement, until: float = math.inf
) -> tuple[Module, list[Call]]:
    """A module and calls that show the same difference as a judgement, found by reducing both, ``until`` that time."""
    wanted = difference(judgement)
    calls: list[Call] = [(made.name, made.args) for made in judgement.made]

    def shows(candidate: Module, made: Sequence[Call]) -> bool:
        names = {export.name for export in candidate.exports if export.kind == "func"}
        if any(name not in names for name, _ in made):
            return False
        try:
            again = judge(oracle, engine, e.module_encode(candidate), made)
        except Died:
            return False
        return again.verdict.kind == DIFFERS and difference(again) == wanted

    parsed = e.module_decode(module)
    for last in (calls[-1:], calls[-2:]):
        if len(last) < len(calls) and shows(parsed, last):
            calls = last
            break
    return reduced(parsed, lambda candidate: shows(candidate, calls), until=until), calls


#: Instructions that a reduced module has anyway.
_PLAIN = re.compile(r"(local|global)\..*|.*\.const|end|else|block|loop|drop|return|nop|call|ref\.null")
#: Instructions that a bucket names at most.
MOST_NAMED = 3


def about(module: Module, kind: str = "") -> str:
    """What a reduced module is about: the instruction that the item was about, if that is still there; else its
    instructions, but for those that move values and give structure."""
    names = sorted({i.form.mnemonic for func in module.funcs for i in func.body})
    if kind in names:
        return kind
    telling = [name for name in names if not _PLAIN.fullmatch(name)]
    return " + ".join(telling[:MOST_NAMED]) + (" + more" if len(telling) > MOST_NAMED else "") or "moving values"


def script(module: Module, judgement: Judgement, title: str) -> str:
    """A script of the official suite's format with the module, its calls and what the oracle expects; if the
    difference is in a global or a memory, with a look at that."""
    look = ""
    verdict = judgement.verdict
    where, _, name = verdict.where.partition(" ")
    if where == "global" and isinstance(verdict.expected, Value):
        look = f"(assert_return (get {json.dumps(name)}) {constant(verdict.expected)})"
    elif where == "memory" and isinstance(verdict.expected, Byte):
        module, t = _with_reader(module, name)
        address, value = verdict.expected
        look = f'(assert_return (invoke "{READER}" ({t.name}.const {address})) (i32.const {value}))'
    lines = [f";; {line}" for line in title.splitlines()] + [print_module(module).rstrip()]
    lines += [assertion(made.action(constant), made.outcome) for made in judgement.made]
    return "\n".join(filter(None, [*lines, look])) + "\n"


#: The function that is added to read a byte of a memory.
READER = "byte at"


def _with_reader(module: Module, name: str) -> tuple[Module, NumType]:
    """The module with a function that reads a byte of an exported memory; the type of its addresses."""
    index = next(export.index for export in module.exports if export.kind == "memory" and export.name == name)
    address = module.memories[index].address
    types, funcs = subtypes(module), func_types(module)
    whole = with_types(module, {FuncType((address,), (I32,)): len(types)})
    body = (instr("local.get", 0), instr("i32.load8_u", MemArg(index, 0, 0)), END)
    return whole._replace(
        funcs=(*module.funcs, Func(len(types), (), body)),
        exports=(*module.exports, Export(READER, "func", len(funcs))),
    ), address
