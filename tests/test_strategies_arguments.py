"""Arguments of the strategies: each that is told is kept to, and each that can't be is refused."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from typing import Any

import pytest
from hypothesis.errors import InvalidArgument

from refwasm import Module as LoadedModule
from refwasm import Program
from refwasm import embedding as e
from refwasm.campaign.smith import program as wasm_tools
from refwasm.strategies import (
    Call,
    DrawnModule,
    Limits,
    ParallelProgram,
    calls,
    expressions,
    instructions,
    modules,
    parallel_programs,
    schedules,
    threads,
)
from refwasm.strategies.configuration import configuration
from refwasm.strategies.sampling import sample
from refwasm.strategies.scripts import script
from refwasm.syntax.types import I32, I64, FuncType, GlobalType, MemType, RefType, TableType
from refwasm.syntax.types import Limits as Sizes

STRICT = [RefType(False, heap) for heap in ("struct", "array", "exn", "none", "func", "any", "extern")]
SIZES = Sizes(4, 9)


@pytest.mark.parametrize("t", [*STRICT, RefType(True, "extern"), RefType(True, "exn")], ids=repr)
@pytest.mark.parametrize("traps", ["rare", "none"])
def test_imports_of_any_type(t: RefType, traps: str) -> None:
    """A module that imports a type has the features that it needs, and values of it or code that traps."""
    imports: dict[tuple[str, str], Any] = {
        ("a", "g"): GlobalType(t, True), ("a", "t"): TableType(I32, SIZES, t), ("a", "f"): FuncType((t,), (t,)),
        ("a", "m"): MemType(I64, SIZES, False),
    }  # fmt: skip
    for module in sample(modules(imports=imports, traps=traps), 20):
        e.module_validate(e.module_decode(module.bytes))


@pytest.mark.parametrize("t", STRICT, ids=repr)
def test_exports_of_any_type(t: RefType) -> None:
    for module in sample(modules(exports={"f": FuncType((), (t,))}), 20):
        e.module_validate(e.module_decode(module.bytes))
    if t.heap in ("exn", "none"):
        with pytest.raises(InvalidArgument, match="nothing makes"):
            sample(modules(exports={"f": FuncType((), (t,))}, traps="none"), 1)


@pytest.mark.parametrize(
    "text", ["1.0", "3.0,-reference-types", "all,-multi-value", "1.0,exception-handling", "mvp,gc"]
)
def test_modules_keep_to_features(text: str) -> None:
    chosen = configuration(text, None, {}, "all", "rare", "any", "fuel").features
    for module in sample(modules(text), 40):
        e.module_validate(e.module_decode(module.bytes), chosen)


def test_modules_of_the_first_version_are_valid_for_its_tools() -> None:
    """An active segment of elements has function indices there, not expressions."""
    for module in sample(modules("1.0"), 30):
        command = [wasm_tools(), "validate", "--features", "wasm1", "-"]
        assert subprocess.run(command, input=module.bytes, capture_output=True).returncode == 0, module


def test_a_feature_brings_those_that_it_needs() -> None:
    found = Counter(i.form.feature for i in sample(instructions("gc"), 200))
    assert found["gc"] > 10
    with pytest.raises(InvalidArgument, match="gc needs function-references"):
        sample(instructions({"gc"}), 1)


def test_fragments_of_fragments_and_names_that_are_not_ascii() -> None:
    first = sample(expressions("i32"), 1)[0]
    second = sample(expressions("i32", first.whole), 1)[0]
    assert (first.name, second.name) == ("fragment", "fragment1")
    e.module_validate(e.module_decode(second.whole.bytes))
    given = '(module (func (export "\\u{e9}") (result i32) i32.const 1))'
    made = [call for drawn in sample(calls(given), 5) for call in drawn]
    assert made and all(repr(call) == '(invoke "\\c3\\a9")' for call in made)
    with pytest.raises(InvalidArgument, match="is no module"):
        calls(LoadedModule(given))  # type: ignore[arg-type]


def test_sequences_of_calls_have_one_at_least_where_there_is_something_to_call() -> None:
    given = '(module (func (export "f")) (func (export "g") (param i32)))'
    assert {len(drawn) for drawn in sample(calls(given), 60)} == {1, 2, 3, 4, 5}
    assert {len(drawn) for drawn in sample(calls(given, 2), 60)} == {1, 2}
    assert sample(calls(given, 0), 1) == [[]] == sample(calls("(module)"), 1)
    with pytest.raises(InvalidArgument):
        calls(given, -1).validate()


def test_scripts_of_start_functions_that_do_not_return() -> None:
    trapping = DrawnModule(e.module_parse("(module (func unreachable) (start 0))"))
    throwing = DrawnModule(e.module_parse('(module (tag) (func throw 0) (func (export "f")) (start 0))'))
    call = Call("f", ())
    assert script(trapping, [call]).text.startswith("(assert_trap (module")
    told = script(throwing, [call])
    assert "assert_return (invoke" in told.text and "start" not in told.text


#: What a function leaves: its type, its code, and what its script asserts; None ends the script.
OPEN = [
    ("f64", "f64.const nan f64.ceil", "nan:canonical"),
    ("f32", "f32.const nan:0x1 f32.ceil", "nan:arithmetic"),
    ("f64", "f64.const nan f64.ceil f64.abs", "nan"),
    ("f64", "f64.const 0 f64.const nan f64.ceil f64.copysign", None),
    ("f32", "f32.const nan:0x1 f32.const nan f32.ceil f32.copysign", None),
    ("f32", "f32.const nan:0x1 f32.ceil i32.reinterpret_f32 i32.const 0x803fffff i32.and f32.reinterpret_i32", None),
    ("i32", "f32.const nan f32.ceil i32.reinterpret_f32", None),
    ("v128", "v128.const f32x4 nan 1 -0 nan:0x1 f32x4.ceil", "f32x4 nan:canonical 1 -0 nan:arithmetic"),
    ("v128", "v128.const f64x2 nan:0x1 nan f64x2.ceil", "f64x2 nan:arithmetic nan:canonical"),
    ("v128", "v128.const f64x2 0 nan f64x2.ceil v128.const i64x2 1 -1 v128.xor", None),
]


@pytest.mark.parametrize(("type", "body", "asserted"), OPEN)
def test_scripts_assert_what_is_open_as_a_class_or_not_at_all(type: str, body: str, asserted: str | None) -> None:
    module = DrawnModule(e.module_parse(f'(module (func (export "f") (result {type}) {body}))'))
    told = script(module, [Call("f", ())]).text.partition("(assert_return ")[2]
    assert told == (f'(invoke "f") ({type}.const {asserted}))\n' if asserted else "")


def test_long_buffers_of_parallel_programs_are_apart() -> None:
    long = [p for p in sample(parallel_programs(max_iterations=1000, failing=False), 30) if len(p.buffers) > 1]
    chosen = [p for p in long if any(len(words) > 500 for words in p.buffers)][:3]
    assert chosen
    for program in chosen:
        assert not program.admits(_output(program))


def _output(program: ParallelProgram) -> bytes:
    with tempfile.TemporaryFile() as file:
        with Program(program.binary(), policies=program.policies, stdout=file.fileno()) as running:
            assert running.run() == 0
        file.seek(0)
        return file.read()


@pytest.mark.parametrize(
    "limits",
    [Limits(fuel=1 << 33), Limits(memory_pages=100_000), Limits(table_elements=1 << 33), Limits(locals=None), {}],  # type: ignore[arg-type]
)
def test_limits_that_no_module_can_have_are_refused(limits: Any) -> None:
    with pytest.raises(InvalidArgument, match="limits"):
        sample(modules(limits=limits), 1)


def test_drawn_values_print_as_text_and_choices_as_code() -> None:
    shown = " ".join(map(repr, sample(instructions(), 300)))
    assert not re.search(r"MemArg|BlockType|'", shown)
    drawn = sample(schedules(), 1)[0]
    assert eval(repr(drawn), {"DrawnChoices": type(drawn)}).kinds == drawn.kinds


@pytest.mark.parametrize("wrong", [{"slots": "3"}, {"slots": 9}, {"max_threads": 5}, {"max_accesses": 100}])
def test_threads_that_would_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        sample(threads(**wrong), 1)
