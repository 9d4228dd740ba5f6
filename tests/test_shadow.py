"""Shadow bits: what is said to be settled is the same in every execution that the specification allows."""

from __future__ import annotations

import random
from functools import cache
from itertools import islice
from typing import Any

import pytest

from refwasm import embedding as e
from refwasm.campaign.smith import smith
from refwasm.campaign.source import Item
from refwasm.engines.judging import plan
from refwasm.errors import Trap, UncaughtException, WasmError
from refwasm.execution import choices
from refwasm.execution.interpreter.shadow import LAST, MOVES
from refwasm.execution.interpreter.shadow_rules import ARITHMETIC, RULES, Open, mask_of
from refwasm.execution.numerics import OPERATIONS
from refwasm.execution.numerics.floats import is_nan
from refwasm.execution.numerics.table import is_numeric
from refwasm.oracle import Oracle, Returned, Value
from refwasm.oracle.case import value_of
from refwasm.oracle.ended import outcome_of
from refwasm.syntax.instructions import FORMS, instr
from refwasm.syntax.types import NumType
from refwasm.validation.features import ALL

NUMERIC = [name for name in FORMS if is_numeric(name) and "relaxed" not in name]
FRACTION = {32: 23, 64: 52}


def test_each_numeric_instruction_has_a_rule() -> None:
    assert {name for name in NUMERIC if name in ARITHMETIC or name in RULES} == set(NUMERIC)
    assert set(FORMS) >= MOVES | LAST


def operand(t: Any, choose: random.Random, lane: int) -> int:
    """A value, open or not; with lanes that are surely NaN half the time where the instruction works on floats."""
    assert isinstance(t, NumType)
    value = choose.getrandbits(t.bits)
    if lane and lane <= t.bits and choose.random() < 0.7:
        mask = 0
        for shift in range(0, t.bits, lane):
            if choose.random() < 0.5:
                quiet = 1 << (FRACTION[lane] - 1)
                exponent = ((1 << (lane - 1)) - 1) ^ ((1 << FRACTION[lane]) - 1)
                value = value & ~(((1 << lane) - 1) << shift) | (exponent | quiet | choose.getrandbits(8)) << shift
                mask |= choose.choice([0, 1 << (lane - 1), 1 << (lane - 1) | quiet - 1]) << shift
        return Open(value, mask, lane) if mask else value
    if choose.random() < 0.5:
        return value
    mask = choose.getrandbits(t.bits) & choose.getrandbits(t.bits) & choose.getrandbits(t.bits)
    return Open(value, mask) if mask else value


def another(value: int, choose: random.Random) -> int:
    """What another execution may have in its place."""
    return int(value) ^ (mask_of(value) & choose.getrandbits(128))


def evaluated(mnemonic: str, operands: list[int]) -> int | None:
    try:
        return OPERATIONS[mnemonic](*operands)
    except Trap:
        return None


def shadowed(mnemonic: str, operands: list[int], result: int | None) -> int | None:
    """The result with its open bits; None where nothing can be said."""
    form = FORMS[mnemonic]
    if mnemonic in ARITHMETIC:
        assert result is not None
        return ARITHMETIC[mnemonic](result, operands)
    if not any(type(value) is Open for value in operands):
        return result
    found = RULES[mnemonic](instr(mnemonic), operands)
    if found is None:
        return None
    mask, lanes = found
    t = (form.results or [None])[0]
    assert isinstance(t, NumType)
    return result if result is None else Open(result, mask & ((1 << t.bits) - 1), lanes)


@pytest.mark.parametrize("mnemonic", NUMERIC)
def test_settled_bits_are_the_same_whatever_the_open_ones_are(mnemonic: str) -> None:
    choose, form = random.Random(mnemonic), FORMS[mnemonic]
    lanes = [int(w) for w in ("32", "64") if f"f{w}" in mnemonic] if "f" in mnemonic else []
    for _ in range(60):
        lane = choose.choice(lanes) if lanes else 0
        operands = [operand(t, choose, lane) for t in form.params or ()]
        result = evaluated(mnemonic, [int(v) for v in operands])
        found = shadowed(mnemonic, operands, result)
        if found is None and result is not None:
            continue  # undetermined
        rule = RULES.get(mnemonic)
        if result is None and rule is not None and rule(instr(mnemonic), operands) is None:
            continue
        for _ in range(5):
            other = evaluated(mnemonic, [another(v, choose) for v in operands])
            if result is None or other is None:
                assert result == other, (mnemonic, operands)
                continue
            assert found is not None
            assert not (found ^ other) & ~mask_of(found), (mnemonic, operands, found, hex(other))
            if type(found) is Open and found.lanes:
                for shift in range(0, 128, found.lanes):
                    if found.mask >> shift & (1 << found.lanes) - 1:
                        assert is_nan(found.lanes, other >> shift & (1 << found.lanes) - 1)


MODULE = """(module (memory (export "m") 1) (global (export "g") (mut f64) (f64.const 0))
  (func $nan (result f64) (f64.div (f64.const 0) (f64.const 0)))
  (func (export "nan") (result f64) (call $nan))
  (func (export "payload") (result f64) (f64.add (f64.const nan:0x8000000000001) (f64.const 1)))
  (func (export "constant") (result f64) (f64.const nan:0x4000000000001))
  (func (export "canonicalised") (result f64) (local f64)
    (local.set 0 (call $nan)) (select (f64.const nan) (local.get 0) (f64.ne (local.get 0) (local.get 0))))
  (func (export "bits") (result i64) (i64.and (i64.reinterpret_f64 (call $nan)) (i64.const 0xff)))
  (func (export "sign") (result i32) (i64.lt_s (i64.reinterpret_f64 (call $nan)) (i64.const 0)))
  (func (export "control") (result i32)
    (if (result i32) (i64.lt_s (i64.reinterpret_f64 (call $nan)) (i64.const 0))
      (then (i32.const 1)) (else (i32.const 2))))
  (func (export "store") (f64.store (i32.const 8) (call $nan)) (memory.copy (i32.const 32) (i32.const 8) (i32.const 8)))
  (func (export "load") (result i32) (i32.load8_u (i32.const 39)))
  (func (export "kept") (global.set 0 (call $nan)))
  (func (export "copysign") (result f64) (f64.copysign (f64.const 1) (call $nan)))
  (func (export "address") (i32.store8 (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (call $nan)) (i64.const 63)))
    (i32.const 1)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
)"""

NAN, MINUS_NAN = 0x7FF8000000000000, 0xFFF8000000000000


@pytest.mark.parametrize(
    ("name", "observed", "verdict"),
    [
        ("nan", Value("f64", NAN), "agrees"),
        ("nan", Value("f64", MINUS_NAN), "agrees"),
        ("nan", Value("f64", NAN | 1), "differs"),
        ("nan", Value("f64", 0), "differs"),
        ("payload", Value("f64", NAN | 7), "agrees"),
        ("payload", Value("f64", NAN ^ 1 << 51 | 1), "differs"),
        ("constant", Value("f64", 0x7FF4000000000001), "agrees"),
        ("constant", Value("f64", NAN), "differs"),
        ("canonicalised", Value("f64", NAN), "agrees"),
        ("canonicalised", Value("f64", MINUS_NAN), "differs"),
        ("bits", Value("i64", 0), "agrees"),
        ("bits", Value("i64", 1), "differs"),
        ("sign", Value("i32", 1), "agrees"),
        ("sign", Value("i32", 2), "differs"),
        ("control", Value("i32", 1), "undecided"),
        ("copysign", Value("f64", 0xBFF0000000000000), "agrees"),
        ("copysign", Value("f64", 0xBFF0000000000001), "differs"),
        ("grow", Value("i32", 0xFFFFFFFF), "agrees"),
    ],
)
def test_verdicts_on_what_depends_on_nans(name: str, observed: Value, verdict: str) -> None:
    case = Oracle().instantiate(MODULE)
    case.call(name, [])
    assert case.admits(Returned((observed,))).kind == verdict


def test_open_bytes_of_memories_travel_with_copies() -> None:
    case = Oracle().instantiate(MODULE)
    case.call("store", [])
    memory = bytearray(case.get_memory("m"))
    memory[39] ^= 0x80
    assert case.admits_memory("m", bytes(memory)).kind == "agrees"
    case.call("load", [])
    assert case.admits(Returned((Value("i32", 0xFF),))).kind == "agrees"
    memory[40] ^= 1
    assert case.admits_memory("m", bytes(memory)).kind == "differs"


def test_open_globals() -> None:
    case = Oracle().instantiate(MODULE)
    case.call("kept", [])
    assert case.admits_global("g", Value("f64", MINUS_NAN)).kind == "agrees"
    assert case.admits_global("g", Value("f64", 0)).kind == "differs"


def test_a_settled_difference_stays_one_after_open_ones() -> None:
    """After a difference that is allowed, later calls are compared where the state is settled, and not where not."""
    case = Oracle().instantiate(MODULE)
    case.call("kept", [])
    assert case.admits_global("g", Value("f64", MINUS_NAN))
    case.call("bits", [])
    assert case.admits(Returned((Value("i64", 3),))).kind == "differs"
    case.call("constant", [])
    assert case.admits(Returned((Value("f64", 0),))).kind == "undecided"  # a case ends with its first difference


def test_an_open_address_decides_nothing() -> None:
    case = Oracle().instantiate(MODULE)
    case.call("address", [])
    memory = bytearray(case.get_memory("m"))
    memory[0], memory[1] = 0, 1
    assert case.admits(Returned(())).kind == "agrees"
    assert case.admits_memory("m", bytes(memory)).kind == "undecided"


N = "(f32.div (f32.const 0) (f32.const 0))"
V = "(f32x4.div (v128.const f32x4 1 2 3 0) (v128.const f32x4 1 1 1 0))"  # a NaN in lane 3
STORED = f"(f32.store (i32.const 0) {N}) (i32.store (i32.const 4) (i32.const 7))"
TOP = f"(i32.shr_u (i32.reinterpret_f32 {N}) (i32.const 24))"


@pytest.mark.parametrize(
    ("types", "results", "body", "observed", "verdict"),
    [
        # packed fields take some bits of a value that is open
        ("(type $a (array i8))", "i32", f"(array.get_u $a (array.new_fixed $a 1 {TOP}) (i32.const 0))",
         0xFF, "undecided"),
        ("(type $s (struct (field i8) (field i16)))", "i32", f"(struct.get_u $s 0 (struct.new $s {TOP} (i32.const 1)))",
         0xFF, "undecided"),
        ("(type $s (struct (field f32) (field i32)))", "f32", f"(struct.get $s 0 (struct.new $s {N} (i32.const 1)))",
         0xFFC00000, "agrees"),
        # memories know which bits are open
        ("(memory 1)", "f32", f"(f32.store (i32.const 0) {N}) (f32.load (i32.const 0))", 0, "differs"),
        ("(memory 1)", "f32", f"(f32.store (i32.const 0) {N}) (f32.load (i32.const 0))", 0xFFC00000, "agrees"),
        ("(memory 1)", "i32", f"(f32.store (i32.const 0) {N}) (i32.load8_s (i32.const 3))", 0xFFFFFFFF, "agrees"),
        ("(memory 1)", "i64", f"{STORED} (i64.load (i32.const 0))",
         0xDEADBEEF12345678, "differs"),
        ("(memory 1)", "i64", f"{STORED} (i64.load (i32.const 0))",
         0x7FFC00000, "agrees"),
        ("(memory 1)", "v128", f"(v128.store (i32.const 0) {V}) (v128.load (i32.const 0))", 0, "differs"),
        # so do lanes, shuffles, shifts and extensions
        ("", "v128", f"(i8x16.shuffle 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 {V} {V})", 0, "differs"),
        ("", "v128", f"(i32x4.add {V} (v128.const i32x4 1 1 1 1))", 0, "differs"),
        ("", "i32", f"(i32.shr_u (i32.reinterpret_f32 {N}) (i32.const 31))", 1, "agrees"),
        ("", "i32", f"(i32.shr_u (i32.reinterpret_f32 {N}) (i32.const 31))", 74565, "differs"),
        ("", "i64", f"(i64.extend_i32_s (i32.reinterpret_f32 {N}))", 0xFFFFFFFFFFC00000, "agrees"),
        ("", "i64", f"(i64.extend_i32_s (i32.reinterpret_f32 {N}))", 0x12345, "differs"),
    ],
)  # fmt: skip
def test_open_bits_are_neither_lost_nor_too_many(
    types: str, results: str, body: str, observed: int, verdict: str
) -> None:
    case = Oracle().instantiate(f'(module {types} (func (export "f") (result {results}) {body}))')
    case.call("f", [])
    assert case.admits(Returned((Value(results, observed),))).kind == verdict


def test_structures_of_many_packed_fields_lose_no_open_bits() -> None:
    fields = "(field i8)" * 10
    text = f"""(module (type $s (struct {fields})) (func (export "f") (result i32)
      (struct.get_u $s 0 (struct.new $s {TOP} {"(i32.const 1)" * 9}))))"""
    case = Oracle().instantiate(text)
    case.call("f", [])
    assert case.admits(Returned((Value("i32", 0xFF),))).kind == "undecided"


@pytest.mark.parametrize("seed", range(60))
def test_other_executions_of_generated_modules_are_admitted(seed: int) -> None:
    """The interpreter under other choices is an engine that does what is allowed."""
    source = _items()
    item = source[seed]
    oracle = Oracle()
    case = oracle.instantiate(item.module)
    if case.now is None or case.now.instance is None:
        return
    store = oracle.store(choices.Seeded(seed, (choices.NAN, choices.RELAXED, choices.GROW)))
    try:
        instance = e.module_instantiate(store, case.validated, [])
    except WasmError as error:
        assert case.admits(outcome_of(error)).kind != "differs"
        return
    for name, args in plan(case.types, item.seed):
        case.call(name, args)
        function = instance.exports[name]
        assert isinstance(function, e.FuncInst)
        store.settings.fuel = oracle.fuel
        try:
            values = e.func_invoke(store, function, list(args))
            observed: Any = Returned(tuple(map(value_of, values, function.signature.results)))
        except UncaughtException:
            return
        except WasmError as error:
            observed = outcome_of(error)
        assert case.admits(observed).kind != "differs"


@cache
def _items() -> list[Item]:
    return list(islice(smith(ALL, 4_000), 60))
