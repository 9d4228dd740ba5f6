"""Deferred validation: what is wrong with a function is found when it is called, and nothing else changes."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from refwasm import Program
from refwasm import embedding as e
from refwasm.errors import Invalid, Malformed, ResourceLimit, Trap
from refwasm.strategies import modules
from refwasm.strategies.sampling import sample

TEXT = """(module
  (global $before (export "before") (mut i32) (i32.const 0))
  (func $bad (result i32) (i64.const 1))
  (func (export "good") (result i32) (i32.const 7))
  (func (export "calls") (result i32)
    (global.set $before (i32.add (global.get $before) (i32.const 1)))
    (call $bad))
  (func (export "_start") (if (i32.const 0) (then (drop (call $bad))))))"""
BAD = e.module_encode(e.module_parse(TEXT))


@pytest.mark.parametrize("tier", list(e.TIERS))
def test_a_call_of_an_invalid_function_traps(tier: str) -> None:
    with pytest.raises(Invalid, match="type mismatch"):
        e.module_open(BAD)
    store = e.store_init(tier=tier)
    exports = e.module_instantiate(store, e.module_open(BAD, deferred=True), []).exports
    assert store.invoke(exports["good"], []) == [7]
    for times in (1, 2, 3):
        with pytest.raises(Trap, match=r"invalid function: 0x[0-9a-f]+: type mismatch.*in func\[0\]") as caught:
            store.invoke(exports["calls"], [])
        assert exports["before"].value == times, "the caller is fine"
        assert caught.value.backtrace[-1].func == 2
    assert store.invoke(exports["good"], []) == [7]


@pytest.mark.parametrize("tier", list(e.TIERS))
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x0a\x06\x01\x04\x00\xff\x01\x0b", "illegal opcode ff"),
        (b"\x0a\x06\x01\x04\x00\x01\x0b\x0b", "section size mismatch"),
        (b"\x0a\x06\x01\x04\x00\x42\x01\x01", "unexpected end"),
        (b"\x0a\x07\x01\x05\x00\xfc\x09\x00\x0b", "data count section required"),
        (b"\x0a\x06\x01\x04\x01\x01\x01\x0b", "malformed value type"),
    ],
)
def test_a_malformed_body_traps_too(body: bytes, message: str, tier: str) -> None:
    whole = e.module_encode(e.module_parse('(module (func (export "f") (drop (i64.const 1))))'))
    start = whole.index(b"\x0a\x07\x01\x05")
    data = whole[:start] + body
    with pytest.raises(Malformed, match=message):
        e.module_open(data)
    store = e.store_init(tier=tier)
    exports = e.module_instantiate(store, e.module_open(data, deferred=True), []).exports
    for _ in range(2):
        with pytest.raises(Trap, match=f"invalid function: .*{message}"):
            store.invoke(exports["f"], [])


def _is_fine(data: bytes, deferred: bool) -> bool:
    try:
        validated = e.module_open(data, deferred=deferred)
        return all(table is not None for table in validated.side_tables)
    except (Malformed, Invalid, ResourceLimit):
        return False
    except Trap:
        assert deferred
        return False


def test_sooner_or_later_the_same_modules_are_refused() -> None:
    generator = random.Random(7)
    fine = 0
    for module in sample(modules(), 40, 7):
        whole = module.bytes
        for _ in range(40):
            data = bytearray(whole)
            data[generator.randrange(8, len(data))] = generator.randrange(256)
            wanted = _is_fine(bytes(data), False)
            assert _is_fine(bytes(data), True) == wanted, data.hex()
            fine += wanted
    assert 200 < fine < 1400


def test_programs_start_without_being_checked(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        Program(BAD)
    with Program(BAD, deferred=True) as program:
        assert program.run() == 0
    path = tmp_path / "bad.wasm"
    path.write_bytes(BAD)
    command = [sys.executable, "-m", "refwasm", "run", "--no-cache"]
    refused = subprocess.run([*command, str(path)], capture_output=True, text=True)
    assert refused.returncode == 1 and "type mismatch" in refused.stderr
    assert subprocess.run([*command, "--defer-validation", str(path)]).returncode == 0
    called = subprocess.run(
        [*command, "--defer-validation", "--invoke", "calls", str(path)], capture_output=True, text=True
    )
    assert called.returncode not in (0, 1) and "trap: invalid function" in called.stderr, called
