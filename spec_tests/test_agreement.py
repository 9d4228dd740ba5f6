"""Agreement with wasmtime: every numeric instruction on edge values, a module's functions, the example programs."""

from __future__ import annotations

import pytest

from refwasm.binary import encode
from refwasm.text import parse_module
from spec_tests import agreement


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
