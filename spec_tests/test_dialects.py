"""Scripts of other engines' suites, as they are written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from refwasm.script.dialects import DIALECTS, trap_class
from refwasm.script.runner import Options, Report, run_script
from tests.support import refwasm


def run(folder: Path, dialect: str, text: str, name: str = "script.wast") -> Report:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return run_script(path, Options(dialect=DIALECTS[dialect]))


WASMTIME = """;;! gc = true
;;! tail_call = true
(module $A (memory (export "m") 1) (func (export "f") (result i32) (i32.const 7)))
(module $B (import "A" "f" (func $f (result i32))) (import "A" "m" (memory 1)) (import "wasmtime" "gc" (func $gc))
  (table $t 2 funcref) (elem (i32.const 0) func $f)
  (func (export "call") (result i32) (call $gc) (call $f))
  (func (export "i31") (param i32) (result i32) (i31.get_s (ref.i31 local.get 0)))
  (func (export "ref") (result funcref) (ref.func $f))
  (func (export "indirect") (param i32) (call_indirect (local.get 0)))
  (func (export "new") (param i32) (result arrayref) (array.new_default $a (local.get 0)))
  (type $a (array i32)))
(assert_return (invoke "call") (i32.const 7))
(assert_return (invoke "i31" (i32.const 5)) (i32.const 5))
(assert_return (invoke "ref") (ref.func 40))
(assert_trap (invoke "indirect" (i32.const 5)) "undefined element: out of bounds table access")
(assert_trap (invoke "indirect" (i32.const 5)) "out of bounds")
(assert_trap (invoke "indirect" (i32.const 0)) "indirect call type mismatch")
(assert_trap (invoke "indirect" (i32.const 1)) "uninitialized element")
(assert_trap (invoke "new" (i32.const -1)) "allocation size too large")
(assert_invalid (module (func (result i32))) "type mismatch: words of its own")
(assert_malformed (module quote "(func (result i32))") "what the text can't tell")
(assert_invalid (module quote "(func (i32.const))") "which is malformed here")
"""


def test_wasmtimes_dialect(tmp_path: Path) -> None:
    report = run(tmp_path, "wasmtime", WASMTIME)
    assert report.status == "pass" and report.commands["assert_trap"] == 5, report.failures
    plain = run_script(tmp_path / "script.wast")
    assert not plain.ok, "the official suite's language is as strict as before"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('(assert_trap (invoke "indirect" (i32.const 1)) "undefined element: out of bounds table access")', "expected"),
        ('(assert_trap (invoke "call") "unreachable")', "got the results i32 7"),
        ('(assert_invalid (module (func)) "anything")', "got a valid module"),
        ('(assert_return (invoke "ref") (ref.null func))', "expected (ref.null)"),
        ('(assert_return (invoke "call") (i32.const 8))', "expected i32 8"),
        ('(module (import "C" "f" (func)))', "unknown import"),
    ],
)
def test_a_difference_is_a_failure_in_each_dialect(tmp_path: Path, line: str, message: str) -> None:
    report = run(tmp_path, "wasmtime", WASMTIME + line)
    assert report.status == "differs" and message.replace("i32 7", "") in report.failures[-1].message


@pytest.mark.parametrize(
    ("dialect", "text", "reason"),
    [
        ("wasmtime", "(component (core module))", "components"),
        ("wasmtime", "(assert_invalid (component) \"\")", "components"),
        ("wasmtime", ";;! shared_everything_threads = true\n(module)", "it needs shared_everything_threads"),
        ("wasm-tools", "(module)", "it is not run as a script"),
        ("wasm-tools", ";; RUN: wast % -f shared-everything-threads\n(module)", "it needs shared-everything-threads"),
        ("wasm-tools", ";; RUN: wast \\\n;;   --assert default \\\n;;   tests/testsuite/address.wast\n",
         "it runs another script, tests/testsuite/address.wast"),
    ],
)  # fmt: skip
def test_what_is_not_applicable_says_why(tmp_path: Path, dialect: str, text: str, reason: str) -> None:
    report = run(tmp_path, dialect, text)
    assert report.status == "not applicable" and reason in report.not_applicable and report.ok


def test_features_are_what_the_head_of_a_file_says(tmp_path: Path) -> None:
    text = '(assert_invalid (module (memory 1 (pagesize 1))) "not enabled")'
    assert run(tmp_path, "wasmtime", text).status == "pass"
    assert run(tmp_path, "wasmtime", ";;! custom_page_sizes = true\n" + text).status == "differs"
    assert run(tmp_path, "wasm-tools", ";; RUN: wast %\n" + text).status == "pass"
    assert run(tmp_path, "wasm-tools", ";; RUN: wast % -f custom-page-sizes\n" + text).status == "differs"
    simd = '(assert_invalid (module (func (param v128))) "")'
    assert run(tmp_path, "wasm-tools", ";; RUN: wast --assert default % -f wasm1\n" + simd).status == "pass"
    assert run(tmp_path, "wasm-tools", ";; RUN: wast % --features=-simd\n" + simd).status == "pass"
    assert run(tmp_path, "wasm-tools", ";; RUN: wast % \\\n;; -f wasm1,simd\n" + simd).status == "differs"


def test_wasm_tools_validates_and_runs_nothing(tmp_path: Path) -> None:
    text = """;; RUN: wast --assert default --snapshot tests/snapshots %
      (module (import "nobody" "has this" (func)) (func (export "f") (result i32) (i32.const 1)))
      (assert_return (invoke "f") (i32.const 2))
      (assert_invalid (module (func (result i32))) "")"""
    report = run(tmp_path, "wasm-tools", text)
    assert report.status == "pass" and dict(report.commands) == {"module": 1, "assert_invalid": 1}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("undefined element: out of bounds table access", "out of bounds table access"),
        ("integer divide by zero", "divide by zero"),
        ("atomic wait on non-shared memory", "expected shared memory"),
        ("uninitialized element 3", "uninitialized element"),
        ("wasm `unreachable` instruction executed", "unreachable"),
    ],
)
def test_classes_of_traps(one: str, other: str) -> None:
    assert trap_class(one) == trap_class(other)
    assert trap_class(one) != trap_class("out of bounds memory access")


def test_the_command_line(tmp_path: Path) -> None:
    good, component = tmp_path / "good.wast", tmp_path / "component.wast"
    good.write_text(WASMTIME)
    component.write_text("(component)")
    done = refwasm("wast", "--dialect", "wasmtime", str(tmp_path), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stdout
    assert b"n/a  " in done.stdout and b"2 files (1 not applicable)" in done.stdout
    assert '"status": "not applicable"' in (tmp_path / "out.json").read_text()
    assert refwasm("wast", str(tmp_path)).returncode == 1
    assert refwasm("wast", "--dialect", "v8", str(tmp_path)).returncode == 2
