"""Agreement with wasmtime: every numeric instruction on edge values, a module's functions, the example programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from refwasm.binary import encode
from refwasm.text import parse_module
from spec_tests import agreement
from spec_tests.parallel_peer import ParallelPeer

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("mnemonic", agreement.numeric_instructions())
def test_numeric_instruction(mnemonic: str) -> None:
    found = agreement.differences(mnemonic)
    assert not found, "\n".join(found[:10])


def test_functions_of_a_module() -> None:
    text = """(module (memory (export "m") 1)
      (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
      (func (export "load") (param i32) (result i64) (i64.load32_s offset=7 align=1 (local.get 0)))
      (func (export "store") (param i32 i64) (i64.store16 (local.get 0) (local.get 1)))
      (func (export "two") (param i64 i64) (result i64 i64) (local.get 1) (i64.rotl (local.get 0) (local.get 1))))"""
    assert agreement.file_differences(encode(parse_module(text))) == []


def test_a_difference_is_found() -> None:
    assert not agreement.same("i32.add", (1,), (2,))
    assert not agreement.same("f32.add", (0x7FC00000,), (0x7F800000,))
    assert agreement.same("f32.add", (0x7FC00000,), (0xFFC00001,))
    assert not agreement.same("f32x4.add", (0x7FC00000_00000000, 0), (0x7FC00000_00000001, 0))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("nstream", ["500"]),
        ("sum", ["3000"]),
        ("matmul", ["9"]),
        ("histogram", ["2000"]),
        ("mandelbrot", ["24", "16"]),
    ],
)
def test_example_programs_print_the_same(name: str, args: list[str]) -> None:
    """Byte by byte, but for the line with time and device."""
    path = EXAMPLES / f"{name}.wasm"
    peer = ParallelPeer(path, args)
    ours = subprocess.run(
        [sys.executable, "-m", "refwasm", "run", str(path), *args], capture_output=True, timeout=60, check=True
    )
    mine, theirs = (text.splitlines() for text in (ours.stdout.decode(), peer.output))
    assert peer.code == 0 and mine[:-1] == theirs[:-1]
    assert mine[-1].startswith(f"{name}: correct in ") and theirs[-1].startswith(f"{name}: correct in ")
