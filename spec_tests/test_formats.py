"""Both formats: garbage gives documented errors only, deep input does no harm, real programs survive round trips."""

from __future__ import annotations

import copy
import pickle
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from refwasm.binary import decode, encode
from refwasm.errors import Invalid, Malformed, ResourceLimit
from refwasm.syntax.modules import Custom, Module, Names
from refwasm.syntax.types import FuncUse, TagType
from refwasm.text import parse_module, print_module
from refwasm.validation import validate
from tools.fuzz import mutate_bytes, mutate_text, pieces, try_binary, try_text
from tools.guests import shipped as guest

EXAMPLES = Path(__file__).parent.parent / "examples"
MUTANTS = 1500


def test_mutated_binaries_give_documented_errors_only() -> None:
    generator = random.Random(1)
    seeds = [path.read_bytes() for path in EXAMPLES.glob("*.wasm")] + pieces(guest("micropython"))
    accepted = 0
    for _ in range(MUTANTS):
        accepted += try_binary(mutate_bytes(generator, generator.choice(seeds))) == "valid"
    assert accepted, "every mutant was refused: the mutations are too coarse to test anything"


def test_mutated_texts_give_documented_errors_only() -> None:
    generator = random.Random(2)
    seeds = [path.read_text() for path in [*EXAMPLES.glob("*.wat"), *Path(__file__).parent.rglob("*.wast")]]
    accepted = 0
    for _ in range(MUTANTS // 2):
        accepted += try_text(mutate_text(generator, generator.choice(seeds))) == "valid"
    assert accepted


@pytest.mark.parametrize(
    "data",
    [
        b"\0asm\1\0\0\0\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b",
        b"\0asm\1\0\0\0\x01\x05\xff\xff\xff\xff\x0f",
        b"\0asm\1\0\0\0\x09\x06\x01\x01\x00\xff\xff\xff\xff\x0f",
        b"\0asm\1\0\0\0\x0b\x07\x01\x01\xff\xff\xff\xff\x0f",
        b"\0asm\1\0\0\0\x00\x06\xff\xff\xff\xff\x0fa",
    ],
)
def test_absurd_claims_are_refused_at_once(data: bytes) -> None:
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises((Malformed, ResourceLimit)):
        decode(data)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_too_many_locals_are_a_limit() -> None:
    body = b"\x01\xd1\x86\x03\x7f\x0b"  # 50,001 locals
    data = b"\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a" + bytes([len(body) + 2, 1, len(body)]) + body
    with pytest.raises(ResourceLimit, match="50001"):
        decode(data)


@pytest.mark.parametrize("text", ["(" * 100_000, "(module " * 100_000, "(;" * 100_000, "(func " + "(block " * 100_000])
def test_deeply_nested_text_is_refused_without_harm(text: str) -> None:
    with pytest.raises(Malformed):
        parse_module(text)


def test_a_hundred_thousand_nested_expressions() -> None:
    depth = 100_000
    text = "(module (func (result i32) " + "(i32.eqz " * depth + "(i32.const 0)" + ")" * depth + "))"
    module = parse_module(text)
    validate(module)
    assert len(module.funcs[0].body) == depth + 2
    assert decode(encode(module)) == module
    assert parse_module(print_module(module)) == module


@pytest.mark.parametrize("name", ["micropython", "quickjs", "mquickjs"])
def test_real_programs_survive_both_formats(name: str) -> None:
    module = decode(guest(name))
    validate(module)
    again = decode(encode(module))
    assert again == module and again.names == module.names
    assert parse_module(print_module(module)) == module


HEADER = b"\0asm\1\0\0\0"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"\0bsm", "0x0: magic header not detected"),
        (b"\0asm\2\0\0\0", "0x4: unknown binary version"),
        (HEADER + b"\x0e\0", "0x8: malformed section id"),
        (HEADER + b"\x01\x02\x01\x61", "0xb: malformed definition type (in the type section)"),
        (HEADER + b"\x01\x04\x01\x60\0\0\x01\x01\0", "0xe: unexpected content after last section"),
        (HEADER + b"\x05\x03\x01\x11\0", "0xb: malformed limits flags (in the memory section)"),
        (HEADER + b"\x07\x06\x01\x02\xc3\x28\0\0", "0xc: malformed UTF-8 encoding (in the export section)"),
        (
            HEADER + b"\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\xff\x0b",
            "0x17: illegal opcode ff (in the code section)",
        ),
        ("(module\n  (func\n    i32.cnst 1))", "3:5: unknown operator i32.cnst; did you mean i32.const?"),
        ("(module (func (local.get $x)))", "1:26: unknown local $x"),
        *[(f"(module) {a} {b} {a}", f"1:10: illegal character '{a}'") for a, b in ("\u00a7\u00b6", "\u00b6\u00a7")],
        ('(module\r\n\t(export "a" (func 0)', "2:22: unexpected end of input"),
        ("(module (; no end", "1:9: unclosed comment"),
        ('(module (data "abc\n"))', "1:15: unclosed string"),
        ("(module (func $f) (func $f))", "1:25: duplicate func f"),
        ('(module (memory 1) (import "a" "b" (func)))', "1:20: import after memory"),
    ],
)
def test_errors_of_form_have_places(source: bytes | str, expected: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(source) if isinstance(source, bytes) else parse_module(source)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(func i32.add drop)", "1:7: type mismatch: instruction requires [i32 i32] but stack has [] "
                                "(in func[0], instruction 0: i32.add)"),
        ("(func $f (param f32) (i64.eqz (local.get 0)) drop)",
         "1:24: type mismatch: instruction requires [i64] but stack has [f32] (in func[0] $f, instruction 1: i64.eqz)"),
        ("(func (br 1))", "1:8: unknown label 1 (in func[0], instruction 0: br)"),
        ("(global i32 (i64.const 0))", "type mismatch: instruction requires [i32] but stack has [i64] (in global 0)"),
        ('(export "x" (func 3))', "unknown function 3 (in export 'x')"),
        ("(data (i32.const 0) \"\")", "unknown memory 0 (in data segment 0)"),
        ("(type (sub 4 (func)))", "unknown type 4 (in type 0)"),
        ("(func (drop (ref.func 0)))", "1:14: undeclared function reference 0 (in func[0], instruction 0: ref.func)"),
    ],
)  # fmt: skip
def test_errors_of_validity_have_places(text: str, expected: str) -> None:
    for source in (parse_module(text), decode(encode(parse_module(text)))):
        with pytest.raises(Invalid) as caught:
            validate(source)
        place, _, rest = str(caught.value).partition(": ") if ": " in expected[:8] else ("", "", str(caught.value))
        assert rest == (expected.partition(": ")[2] if place else expected)
        assert (place == "") == (expected[:1] not in "123456789")


def test_names_and_custom_sections_are_kept() -> None:
    text = """(module $m (@custom "producer" (after type) "data")
      (type $t (func (param i32))) (func $f (param $x i32) (local $y i32) (block $b)) (global $g i32 (i32.const 1)))"""
    module = parse_module(text)
    again = decode(encode(module))
    assert again == module and again.names == module.names
    assert again.names.module == "m" and again.names.of("func", 0) == "f" and again.names.of("global", 0) == "g"
    assert again.names.indirect["local"] == {0: {0: "x", 1: "y"}} and again.names.indirect["label"] == {0: {0: "b"}}
    assert [(c.name, c.content, c.after) for c in again.customs] == [("producer", b"data", 1)]


def test_modules_can_be_copied_and_sent() -> None:
    for module in (Module(), decode(encode(parse_module("(module (memory 1) (func $f))")))):
        assert pickle.loads(pickle.dumps(module._replace(locate=None))) == copy.deepcopy(module) == module


def test_values_of_different_kinds_are_different() -> None:
    assert FuncUse(3) != TagType(3)
    assert FuncUse(3) == FuncUse(3)
    assert hash(FuncUse(3)) == hash(FuncUse(3))
    assert FuncUse(3) != (3,)
    assert Custom("a", b"b", 1) == Custom("a", b"b", 2)
    assert Module(names=Names("a")) == Module()
    assert Module(start=1) != Module()


def test_equal_names_are_kept() -> None:
    """Only one function can have the identifier; the others have the name as an annotation."""
    names = Names(maps={"func": {0: "f", 1: "f", 2: "g", 3: "f"}, "global": {0: "f", 1: "f"}})
    text = "(module (func) (func) (func) (func) (global i32 (i32.const 0)) (global i32 (i32.const 0)))"
    module = parse_module(text)._replace(names=names)
    printed = print_module(module)
    assert printed.count("$f ") == 2 and printed.count('(@name "f")') == 3
    assert parse_module(printed).names.maps == names.maps
    assert decode(encode(parse_module(printed))).names.maps == names.maps


def test_locals_and_parameters_are_named_by_annotations() -> None:
    text = """(module (func (param $a (@name "x") i32) (param (@name "x") i64) (local $b i32) (local (@name "") f32)
      (drop (local.get $a)) (drop (local.get $b))))"""
    module = parse_module(text)
    assert module.names.indirect["local"] == {0: {0: "x", 1: "x", 2: "b", 3: ""}}
    assert decode(encode(module)).names == module.names
    for wrong, message in (
        ('(func (param (@name "x") i32 i32))', "unexpected token i32"),
        ('(func (param i32 (@name "x")))', "misplaced @name annotation"),
        ('(func (param (@name "x") (@name "y") i32))', "at most one name"),
        ('(func (result (@name "x") i32) (i32.const 0))', "misplaced @name annotation"),
    ):
        with pytest.raises(Malformed, match=message):
            parse_module(f"(module {wrong})")
