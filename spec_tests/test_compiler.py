"""Compiled operations against the numeric functions: every text that the compiler may write, for what it may assume."""

from __future__ import annotations

import random
from typing import Any

import pytest

from refwasm import Instance, Module
from refwasm.errors import Trap
from refwasm.execution.compiler.linking.runtime import HELPERS, bits32, bits64, canonical32, canonical64, f32, f64
from refwasm.execution.compiler.translation import floats, integers, vectors
from refwasm.execution.compiler.translation.emitter import Emitter
from refwasm.execution.compiler.translation.expressions import Located, Name, Operation
from refwasm.execution.compiler.translation.instructions.table import HANDLERS
from refwasm.execution.compiler.translation.operands import Operands
from refwasm.execution.compiler.translation.printer import printed
from refwasm.execution.compiler.translation.statements import Assign
from refwasm.execution.compiler.translation.values import BITS, Value, integer
from refwasm.execution.numerics import OPERATIONS
from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import FORMS

SCALAR = [n for n in FORMS if is_numeric(n) and all(t.name in BITS for t in FORMS[n].params or ())
          and FORMS[n].results and FORMS[n].results[0].name in BITS]  # type: ignore[index]  # fmt: skip
VECTOR = sorted(vectors.MAKERS)
EDGES = {
    "v128": [0, 1, (1 << 128) - 1, 1 << 127, int("80" * 16, 16), int("7f" * 16, 16), int("80000000" * 4, 16),
             int("7fffffff" * 4, 16), int("7fc000003f800000" * 2, 16), (1 << 64) - 1],
    "i32": [0, 1, 2, 31, 32, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF],
    "i64": [0, 1, 2, 63, 64, 0x7FFFFFFF, 0x80000000, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1],
    "f32": [0, 1, 0x3F800000, 0x3F000000, 0xBF800000, 0x4F000000, 0xCF000000, 0x7F7FFFFF, 0x7F800000, 0xFF800000,
            0x7FC00000, 0x7FA00001, 0xFFC12345, 0x80000000, 0x5F000000],
    "f64": [0, 1, 1 << 63, 0x3FF0000000000000, 0xBFE0000000000000, 0x41E0000000000000, 0xC1E0000000200000,
            0x43E0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF << 52, 0xFFF << 52, 0x7FF8000000000000, 0xFFF4000000000001],
}  # fmt: skip


class Bench(Operands):
    """A translation reduced to operands: what it writes can be run."""

    def __init__(self) -> None:
        super().__init__(Emitter())

    def run(self, result: Value, names: dict[str, Any]) -> Any:
        """The value of an expression after the lines that it needs."""
        lines = [line for line, _ in printed([*self.emitter.body, Assign(Name("result"), result.expression)])]
        scope = {**HELPERS, **NUMERIC, "R": memoryview(bytearray(4)).cast("f"), **names}
        exec("\n".join(lines), scope)
        return scope["result"]


NUMERIC = {"o_" + name.replace(".", "_"): OPERATIONS[name] for name in SCALAR}


def operand(type: str, value: int, name: str, r: random.Random) -> tuple[Value, Any]:
    """A value of which something true is assumed, and what its name stands for."""
    if type[0] == "f":
        if r.random() < 0.2:
            return floats.constant(value, type), None
        found = Value(Name(name), type, atom=True)
        number: Any = f32(value) if type == "f32" else f64(value)
        if number != number and r.random() < 0.5:  # a NaN that stands for the canonical one
            found.loose = True
        return found, number
    n = BITS[type]
    if r.random() < 0.3:
        return integer(value, type), None
    shown = value - (1 << n) * r.choice((0, 0, 0, 1, -1, 3))  # congruent, and not always canonical
    low, high = (shown, shown) if r.random() < 0.3 else (min(shown, 0), max(shown, (1 << n) - 1))
    if r.random() < 0.3:
        low, high = shown - r.randrange(1 << 10), shown + r.randrange(1 << 10)
    found = Value(Name(name), type, low, high, atom=True)
    found.alignment = r.randrange((value & -value).bit_length() or 33)
    return found, shown


def meaning(value: Value, number: Any) -> int:
    """The WebAssembly value that a Python one stands for, as a bit pattern."""
    if value.type[0] == "i":
        assert value.lo <= number <= value.hi, (value, number)
        assert number % (1 << min(value.alignment, BITS[value.type])) == 0
        if value.truth:
            assert number in (0, 1)
        return int(number) & (1 << BITS[value.type]) - 1
    if value.type == "f64":
        return canonical64(number) if value.loose else bits64(number)
    return canonical32(number) if value.loose else bits32(number)


@pytest.mark.parametrize("mnemonic", SCALAR)
def test_what_an_operation_is_written_as(mnemonic: str) -> None:
    form = FORMS[mnemonic]
    assert form.params is not None
    types, r = [t.name for t in form.params], random.Random(mnemonic)
    for _ in range(300):
        patterns = [r.choice((*EDGES[t], r.getrandbits(BITS[t]))) for t in types]
        bench, names, operands = Bench(), {}, []
        for name, type, pattern in zip("ab", types, patterns):
            value, number = operand(type, pattern, name, r)
            operands.append(value)
            names[name] = number
        expected = [canonical(t, p) if v.loose else p for t, p, v in zip(types, patterns, operands)]
        try:
            wanted: Any = OPERATIONS[mnemonic](*expected)
        except Trap as trap:
            wanted = trap.message
        table = integers if types[0][0] == "i" and mnemonic[0] == "i" else floats
        found = table.operation(bench, mnemonic, operands)  # type: ignore[attr-defined]
        assert found is not None, mnemonic
        try:
            [result] = bench.rounded([found]) if found.unrounded else [found]
            got: Any = meaning(result, bench.run(result, names))
        except Trap as trap:
            got = trap.message
        assert got == wanted, (mnemonic, patterns, operands, found)


@pytest.mark.parametrize("mnemonic", VECTOR)
def test_what_a_vector_operation_is_written_as(mnemonic: str) -> None:
    form = FORMS[mnemonic]
    assert form.params is not None and form.results is not None
    types, r = [t.name for t in form.params], random.Random(mnemonic)
    for _ in range(200):
        patterns = [r.choice((*EDGES[t], r.getrandbits(BITS.get(t, 128)))) for t in types]
        bench, names, operands = Bench(), {}, []
        for name, type, pattern in zip("abc", types, patterns):
            if type == "v128":
                value, number = Value(Name(name), "", atom=r.random() < 0.5), pattern
            else:
                value, number = operand(type, pattern, name, r)
            operands.append(value)
            names[name] = number
        found = vectors.operation(bench, mnemonic, operands)
        assert found is not None
        assert bench.run(found, names) == OPERATIONS[mnemonic](*patterns), (mnemonic, patterns, operands, found)


LANES = [n for n in FORMS if ".extract_lane" in n or ".replace_lane" in n]


@pytest.mark.parametrize("tier", ["compile", "interpret"])
@pytest.mark.parametrize("mnemonic", LANES)
def test_lanes(mnemonic: str, tier: str) -> None:
    shape, _, name = mnemonic.partition(".")
    n = vectors.lane_bits(shape)
    scalar = (FORMS[mnemonic].params if "replace" in name else FORMS[mnemonic].results)[-1].name  # type: ignore[index]
    r = random.Random(mnemonic)
    for lane in range(128 // n):
        vector, value = r.getrandbits(128), r.choice((*EDGES[scalar], r.getrandbits(BITS[scalar])))
        shift = n * lane
        if "replace" in name:
            text = f"(param v128 {scalar}) (result v128) ({mnemonic} {lane} (local.get 0) (local.get 1))"
            mask = (1 << n) - 1
            wanted, args = vector & ~(mask << shift) | (value & mask) << shift, (vector, value)
        else:
            text = f"(param v128) (result {scalar}) ({mnemonic} {lane} (local.get 0))"
            wanted, args = vector >> shift & (1 << n) - 1, (vector,)
            if name.endswith("_s") and wanted >> (n - 1):
                wanted |= 0xFFFFFFFF ^ (1 << n) - 1
        assert Instance(Module(f'(module (func (export "f") {text}))'), tier=tier).exports.f.bits(*args) == (wanted,)


@pytest.mark.parametrize("offset", [0, 4, 8, 65528, 4294967295])
@pytest.mark.parametrize("address", [0, 3, 8, 16, 65508, 65516, 65520, 65521, 65528, 65535, 4294967288])
def test_vectors_in_memory(address: int, offset: int) -> None:
    """Loads and stores of 128 bits, aligned or not, at the end of memory, and nothing stored where they trap."""
    text = f"""(module (memory (export "m") 1)
      (func (export "load") (param i32) (result v128) (v128.load offset={offset} (local.get 0)))
      (func (export "splat") (param i32) (result v128) (v128.load32_splat offset={offset} (local.get 0)))
      (func (export "store") (param i32 v128) (v128.store offset={offset} (local.get 0) (local.get 1))))"""
    seen = []
    for tier in ("interpret", "compile"):
        exports = Instance(Module(text), tier=tier).exports
        exports.m.write(0, bytes(i % 251 for i in range(65536)))
        outcomes: list[Any] = []
        for name, args in (("load", ()), ("splat", ()), ("store", (int("0123456789abcdef" * 2, 16),))):
            try:
                outcomes.append(exports[name].bits(address, *args))
            except Trap as trap:
                outcomes.append((trap.message, [str(entry) for entry in trap.backtrace]))
        seen.append((outcomes, exports.m.read(0, 65536)))
    assert seen[0] == seen[1]


def canonical(type: str, pattern: int) -> int:
    return canonical32(f32(pattern)) if type == "f32" else canonical64(f64(pattern))


def test_every_instruction_is_translated() -> None:
    assert set(HANDLERS) == set(FORMS)


def test_a_wrong_text_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(helper: Any, n: int, a: Value, b: Value) -> Value:
        found = integers.sub(helper, n, a, b)
        found.lo += 1
        return found

    monkeypatch.setitem(integers.BINARY, "sub", wrong)
    with pytest.raises(AssertionError):
        test_what_an_operation_is_written_as("i32.sub")


def test_floats_travel_with_their_bits() -> None:
    for pattern in [*EDGES["f32"], 0x7F800001, 0xFFBFFFFF, 0x7FFFFFFF]:
        assert bits32(f32(pattern)) == pattern
    for pattern in [*EDGES["f64"], 0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF]:
        assert bits64(f64(pattern)) == pattern


def test_marks_lead_back_to_the_innermost_instruction() -> None:
    inner = Located(3, Operation("g()"))
    ((line, spans),) = printed([Assign(Name("x"), Located(7, Operation("f({})", inner)))])
    assert line == "x = f(g())"
    assert spans == [(6, 9, 3), (4, 10, 7)]
