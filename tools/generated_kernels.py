"""Generated modules as kernels: what a device makes of one, against SEQUENTIAL.

A kernel runs one iteration on a buffer that holds its function's arguments, and leaves the results there. The module's
memory is the one that kernels import, so the whole of it is compared.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from hypothesis import strategies as st

from refwasm import embedding as e
from refwasm.execution.numerics.edges import EDGES
from refwasm.strategies import DrawnModule, Limits, modules
from refwasm.syntax.instructions import END, Instr, MemArg, instr
from refwasm.syntax.modules import Data, Export, Func, Import
from refwasm.syntax.modules import Module as SyntaxModule
from refwasm.syntax.types import F32, F64, I32, I64, FuncType, MemType, RecType, SubType
from refwasm.syntax.types import Limits as MemoryLimits
from refwasm.validation.features import ALL
from tools.guests import program

SMALL = Limits(
    functions=3, statements=4, instructions=120, depth=4, nesting=3, locals=3, globals=3, types=3, segments=2
)
TYPES = (I32, I64, F32, F64)
NAME = "generated"
#: What any kernel may contain whose results are not left open, apart from memories of its own; and what translated
#: ones may.
ANY = ALL - {"multi-memory", "memory64", "relaxed-simd"}
SCALAR = frozenset({
    "mvp", "mutable-globals", "sign-extension", "nontrapping-fptoint", "multi-value", "bulk-memory", "simd",
    "wide-arithmetic", "tail-call", "extended-const",
})  # fmt: skip
PAGES, PLACE = 4, 3 * 65536


def drawn_kernels(features: str | frozenset[str], nan: str) -> st.SearchStrategy[DrawnModule]:
    """Modules that become kernels."""
    t = FuncType(TYPES, TYPES)
    return modules(features, SMALL, imports={}, exports={NAME: t}, traps="allowed", nan=nan)


def as_kernel(module: SyntaxModule) -> bytes:
    """The module with the one import that kernels have, and a kernel that calls its function."""
    function = next(x.index for x in module.exports if x.name == NAME)
    t = FuncType((I32,) * 5, ())
    pairs = list(zip(TYPES, (0, 8, 16, 24)))
    memory = [(x, MemArg(0, 0, at)) for x, at in pairs]
    body: list[Instr] = [
        *(i for x, arg in memory for i in (instr("local.get", 3), instr(f"{x.name}.load", arg))),
        instr("call", function),
        *(i for x, arg, local in zip(TYPES[::-1], [arg for _, arg in memory][::-1], (8, 7, 6, 5))
          for i in (instr("local.set", local), instr("local.get", 3), instr("local.get", local),
                    instr(f"{x.name}.store", arg))),
        END,
    ]  # fmt: skip
    datas = tuple(
        data._replace(offset=(instr("i32.const", index * 64), END)) if data.mode == "active" else data
        for index, data in enumerate(module.datas)
    )
    return e.module_encode(
        module._replace(
            types=(*module.types, RecType((SubType(True, (), t),))),
            imports=(Import("", "memory", MemType(I32, MemoryLimits(PAGES, PAGES), True)),),
            memories=(),
            datas=tuple(Data(data.init[:64], data.mode, 0, data.offset) for data in datas),
            funcs=(*module.funcs, Func(_type_count(module), tuple((1, x) for x in TYPES), tuple(body))),
            exports=(Export("kernel", "func", len(module.funcs)),),
            start=None,
            digest=b"",
        )
    )


def _type_count(module: SyntaxModule) -> int:
    return sum(len(rec.subtypes) for rec in module.types)


class Told(NamedTuple):
    """What came of a kernel's executions: error numbers and messages, and the memory; why another device did it."""

    ends: tuple[tuple[int, str], ...]
    memory: bytes
    instead: str


def told(kernel: bytes, device: str | int, seed: int, times: int = 3) -> Told:
    """What a device makes of a kernel on some arguments."""
    p = program(kernel, f"{PAGES} {PAGES} shared")
    handle, ends = p.device(device), []
    buffer = p.buffer(handle, 32)
    assert p.call("write_buffer", PLACE, 32, buffer) == 0
    choose, instead = random.Random(seed), ""
    for _ in range(times):
        for t, at in zip(TYPES, (0, 8, 16, 24)):
            value = choose.choice(EDGES[t.name]) if choose.random() < 0.5 else choose.getrandbits(t.bits)
            p.memory.store(8, PLACE + at, value)
        code = p.exec(handle, 1, buffer)
        ends.append((code, p.failures[-1].message if code else ""))
        instead = (p.context.runs[-1].instead if p.context.runs else "") or instead
    return Told(tuple(ends), p.memory.read(0, PAGES * 65536), instead)


def _same_trap(ours: str, theirs: str) -> bool:
    """Messages may tell less than refwasm's, and which of two reasons comes first is open."""
    return (
        ours.startswith(theirs)
        or (ours.startswith("null ") and theirs.startswith("null "))
        or {ours, theirs} == {"out of bounds memory access", "unaligned atomic"}
    )


def difference(kernel: bytes, device: str, seed: int) -> str:
    """What a device makes else of a kernel than SEQUENTIAL, or ""."""
    right, got = told(kernel, 0, seed), told(kernel, device, seed)
    for place, (a, b) in enumerate(zip(right.ends, got.ends)):
        if a[0] != b[0] or not _same_trap(a[1], b[1]):
            return f"execution {place}: {b}, not {a}"
    if right.memory != got.memory:
        at = next(k for k, (a, b) in enumerate(zip(right.memory, got.memory)) if a != b)
        return f"memory at {at}: {got.memory[at : at + 8].hex()}, not {right.memory[at : at + 8].hex()}"
    return ""
