"""The same functions on refwasm and on wasmtime: ``python -m spec_tests.agreement FILE.wasm…`` reports differences.

Functions with number parameters are called with edge values; results, traps and memories are compared bit by bit,
NaNs by being NaNs (an engine may choose their payload).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wasmtime

from refwasm import Instance, Module, Trap
from refwasm.binary import encode
from refwasm.engines.judging import EDGES
from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import FORMS
from refwasm.text import parse_module

Words = tuple[int, ...]

#: Instructions whose result an engine may choose among several.
FREE = frozenset(name for name in FORMS if "relaxed" in name)


def numeric_instructions() -> list[str]:
    """All that have one permitted result (up to the payload of NaNs)."""
    return [name for name in FORMS if is_numeric(name) and name not in FREE]


# Operands and results travel as i64 words, so that no host language touches a float: v128 takes two.
_INTO = {
    "i32": "(i32.wrap_i64 {0})", "i64": "{0}", "f32": "(f32.reinterpret_i32 (i32.wrap_i64 {0}))",
    "f64": "(f64.reinterpret_i64 {0})", "v128": "(i64x2.replace_lane 1 (i64x2.splat {0}) {1})",
}  # fmt: skip
_OUT_OF = {
    "i32": "(i64.extend_i32_u {0})", "i64": "{0}", "f32": "(i64.extend_i32_u (i32.reinterpret_f32 {0}))",
    "f64": "(i64.reinterpret_f64 {0})",
}  # fmt: skip


def wrapper(mnemonic: str) -> str:
    """A module that exports the instruction as ``f`` on words."""
    form = FORMS[mnemonic]
    assert form.params and form.results
    index, operands = 0, []
    for t in form.params:
        count = 2 if t.bits == 128 else 1
        operands.append(_INTO[t.name].format(*(f"(local.get {index + i})" for i in range(count))))
        index += count
    result = f"({mnemonic} {' '.join(operands)})"
    if form.results[0].bits == 128:
        body = f"(local.set $v {result}) (i64x2.extract_lane 0 (local.get $v)) (i64x2.extract_lane 1 (local.get $v))"
        results = "(result i64 i64) (local $v v128)"
    else:
        body, results = _OUT_OF[form.results[0].name].format(result), "(result i64)"
    return f'(module (func (export "f") (param {"i64 " * index}) {results} {body}))'


def cases(mnemonic: str) -> Iterator[Words]:
    """Edge operands as words."""
    params = FORMS[mnemonic].params
    assert params
    for row in itertools.product(*(EDGES[t.name] for t in params)):
        words: list[int] = []
        for value, t in zip(row, params):
            words += [value & (1 << 64) - 1, value >> 64] if t.bits == 128 else [value]
        yield tuple(words)


class Peer:
    """A module on wasmtime."""

    def __init__(self, data: bytes) -> None:
        config = wasmtime.Config()
        config.wasm_simd = config.wasm_bulk_memory = config.wasm_reference_types = config.wasm_multi_value = True
        self.store = wasmtime.Store(wasmtime.Engine(config))
        self.instance = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, data), [])

    def call(self, name: str, args: Words) -> Words | str:
        """Results as unsigned words, or "trap"."""
        signed = [a - (1 << 64) if a >> 63 else a for a in args]
        try:
            results = self.instance.exports(self.store)[name](self.store, *signed)
        except wasmtime.Trap:
            return "trap"
        values = results if isinstance(results, (list, tuple)) else [results]
        return tuple(value & (1 << 64) - 1 for value in values)


def call_ours(instance: Instance, name: str, args: Words) -> Words | str:
    """The same on refwasm."""
    try:
        return instance.exports[name].bits(*args)
    except Trap:
        return "trap"


def _float_lanes(mnemonic: str) -> int:
    """Width of the float lanes of an instruction's result, 0 if it has none."""
    form = FORMS[mnemonic]
    assert form.results
    kind = form.results[0].name if form.results[0].bits < 128 else mnemonic
    return int(kind[1:3]) if kind[0] == "f" else 0


def same(mnemonic: str, a: Words | str, b: Words | str) -> bool:
    """Whether two outcomes agree: bit by bit, but any NaN is like any other."""
    if a == b or isinstance(a, str) or isinstance(b, str):
        return a == b
    n = _float_lanes(mnemonic)
    if not n:
        return False
    mask = (1 << n) - 1
    infinity = 0x7F800000 if n == 32 else 0x7FF0000000000000
    for x, y in zip(a, b):
        for shift in range(0, 64, n):
            p, q = x >> shift & mask, y >> shift & mask
            if p != q and not (p & mask >> 1 > infinity and q & mask >> 1 > infinity):
                return False
    return True


def differences(mnemonic: str) -> list[str]:
    """Operands on which an instruction behaves differently."""
    text = wrapper(mnemonic)
    ours, peer = Instance(Module(text)), Peer(encode(parse_module(text)))
    found = []
    for words in cases(mnemonic):
        mine, theirs = call_ours(ours, "f", words), peer.call("f", words)
        if not same(mnemonic, mine, theirs):
            found.append(f"{mnemonic} {words}: refwasm {mine}, wasmtime {theirs}")
    return found


def file_differences(data: bytes) -> list[str]:
    """The same for the exported functions on integers of a module without imports."""
    ours, peer = Instance(Module(data)), Peer(data)
    found = []
    for name in ours.exports:
        function: Any = ours.exports[name]
        types = getattr(getattr(function, "type", None), "params", None)
        if types is None or any(t.name not in ("i32", "i64") for t in types):
            continue
        for row in itertools.product(*(EDGES[t.name] for t in types)):
            mine, theirs = call_ours(ours, name, row), _call_typed(peer, name, row, types)
            if mine != theirs:
                found.append(f"{name}{row}: refwasm {mine}, wasmtime {theirs}")
    return found


def _call_typed(peer: Peer, name: str, row: Words, types: Any) -> Words | str:
    signed = [a - (1 << t.bits) if a >> (t.bits - 1) else a for a, t in zip(row, types)]
    function = peer.instance.exports(peer.store)[name]
    try:
        results = function(peer.store, *signed)
    except wasmtime.Trap:
        return "trap"
    values = [] if results is None else results if isinstance(results, (list, tuple)) else [results]
    widths = [32 if str(t) == "i32" else 64 for t in function.type(peer.store).results]
    return tuple(int(v) & (1 << w) - 1 for v, w in zip(values, widths))


def main(paths: list[str]) -> int:
    """Compare the files named, or all numeric instructions if none is."""
    found = [line for path in paths for line in file_differences(Path(path).read_bytes())]
    if not paths:
        found = [line for mnemonic in numeric_instructions() for line in differences(mnemonic)]
    print("\n".join(found) or "no differences")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
