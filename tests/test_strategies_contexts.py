"""Strategies of parts of modules: types and features of the module that is the context, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import SearchStrategy

from refwasm import embedding as e
from refwasm.strategies import (
    arguments,
    bodies,
    calls,
    choices,
    const_exprs,
    expressions,
    functypes,
    instructions,
    mutations,
    parallel_programs,
    values,
)
from refwasm.strategies.sampling import sample
from refwasm.syntax.types import I32, V128, BlockType, FuncType, RefType

TYPES = '(module (type (struct)) (type (array (mut i32))) (type (func)) (func (export "f") (type 2)))'
IMPORTED = '(module (import "a" "g" (global (ref exn))))'
STRICT = RefType(False, "exn")


def names(expr: Any) -> set[str]:
    return {i.form.mnemonic for i in expr}


def after_null(expr: Any) -> set[str]:
    """What takes a null: with ``ref.as_non_null`` it traps."""
    return {b.form.mnemonic for a, b in pairwise(expr) if a.form.mnemonic == "ref.null"}


@pytest.mark.parametrize("index, maker", [(0, "struct.new_default"), (1, "array.new"), (2, "ref.func")])
def test_types_by_index_are_those_of_the_context(index: int, maker: str) -> None:
    t = RefType(False, index)
    made = sample(expressions(t, TYPES, locals=[t], traps="none"), 60)
    for fragment in made:
        e.module_validate(fragment.whole.module)
    found = set().union(*(names(fragment.instructions) for fragment in made))
    assert maker in found and "local.get" in found
    assert not any("ref.as_non_null" in after_null(fragment.instructions) for fragment in made)
    assert any(maker in names(expr) for expr in sample(const_exprs(t, TYPES), 20))
    for fragment in sample(bodies(FuncType((t,), (t,)), TYPES), 30):
        e.module_validate(fragment.whole.module)


def test_what_only_a_global_or_a_parameter_has() -> None:
    assert {repr(expr) for expr in sample(const_exprs(STRICT, IMPORTED), 10)} == {"global.get 0 end"}
    for fragment in sample(expressions(STRICT, IMPORTED, traps="none"), 30):
        assert "ref.as_non_null" not in after_null(fragment.instructions)
    for fragment in sample(bodies(FuncType((STRICT,), (STRICT,)), traps="none"), 30):
        e.module_validate(fragment.whole.module)


def test_structures_that_need_what_nothing_makes_are_no_constants() -> None:
    context = "(module (type (struct (field (ref exn)))) (rec (type (struct (field (ref 1))))))"
    for index in (0, 1):
        with pytest.raises(InvalidArgument, match="nothing makes"):
            sample(const_exprs(RefType(False, index), context), 1)


CLOSED = e.module_validate(e.module_parse("(module (type (struct (field f64))) (func (param (ref null 0))))"))
REFUSED: list[tuple[Callable[[], SearchStrategy[Any]], str]] = [
    (lambda: expressions("v128", features="1.0"), "needs the feature simd"),
    (lambda: expressions("i32", locals=["v128"], features="1.0"), "needs the feature simd"),
    (lambda: expressions("i32", "(module (memory i64 1))", features="2.0"), "needs the feature memory64"),
    (lambda: expressions(RefType(False, "cont")), "stack-switching"),
    (lambda: bodies(FuncType((), (I32, I32)), features="1.0"), "multi-value"),
    (lambda: bodies(FuncType((), (RefType(False, "none"),)), traps="none"), "could only trap"),
    (lambda: const_exprs("v128", features="1.0"), "needs the feature simd"),
    (lambda: const_exprs(STRICT), "nothing makes"),
    (lambda: expressions(RefType(True, 99)), "unknown type 99"),
    (lambda: expressions(RefType(True, CLOSED.func_types[0])), "another module"),
    (lambda: expressions(RefType(True, "bogus")), "no value type"),
    (lambda: expressions("i32", locals=None), "types in a row"),  # type: ignore[arg-type]
    (lambda: expressions("i32", locals="i32"), "types in a row"),
    (lambda: expressions("i32", "(module (func (result i32)))"), "no module: .*type mismatch"),
    (lambda: bodies(3), "no function type"),  # type: ignore[arg-type]
    (lambda: arguments(None), "no function type"),  # type: ignore[arg-type]
    (lambda: values(RefType(True, "bogus")), "no value type"),
    (lambda: functypes("1.0", max_results=-1), "max_size"),
    (lambda: choices(5), "names of kinds"),  # type: ignore[arg-type]
    (lambda: choices("agent"), "names of kinds"),
    (lambda: calls('(module (func (export "f") (result i32)))'), "no module"),
    (lambda: mutations('(module (func (export "f") (result i32)))'), "no module"),
    (lambda: parallel_programs(max_iterations="x"), "expected a number from 0"),  # type: ignore[arg-type]
    (lambda: parallel_programs(max_iterations=-5), "expected a number from 0"),
    (lambda: parallel_programs(max_executions=128), "expected a number from 0 to 100"),
]  # fmt: skip


@pytest.mark.parametrize("strategy, reason", REFUSED)
def test_what_can_not_be_is_refused(strategy: Callable[[], SearchStrategy[Any]], reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        sample(strategy(), 1)


@pytest.mark.parametrize("features", ["1.0", "2.0", "reference-types", "simd"])
def test_immediates_of_single_instructions_belong_to_the_features(features: str) -> None:
    known = sample(instructions(features), 1500)
    for instruction in known:
        words = [word for word in instruction.form.immediates if word != "zero"]
        for word, arg in zip(words, instruction.args):
            if word == "memory" or (word == "table" and features in ("1.0", "simd")):
                assert arg == 0, instruction
            elif word == "heap":
                assert arg in ("func", "extern"), instruction
            elif isinstance(arg, BlockType) and features != "2.0":
                assert arg.index is None and (arg.result is not V128 or features == "simd"), instruction


def test_immediates_that_only_newer_features_have() -> None:
    known = sample(instructions(), 6000)
    blocks = [i.args[0] for i in known if i.form.mnemonic in ("block", "loop", "if")]
    assert any(isinstance(block.result, RefType) for block in blocks)
    assert any(getattr(arg, "offset", 0) >= 1 << 32 for i in known for arg in i.args)
    selected = [i.args[0][0] for i in known if i.form.mnemonic == "select t"]
    assert any(isinstance(t, RefType) for t in selected)
