"""Feature sets: a module is refused exactly when a feature that it needs is left out, and the message names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refwasm import Module, UnsupportedFeature
from refwasm.syntax.forms import FORMS_BY_FEATURE
from refwasm.syntax.standard import FOLLOWS
from refwasm.validation import features
from spec_tests.conftest import suite_folder

ROOT = Path(__file__).parent.parent

NEEDS: dict[str, list[str]] = {
    "mutable-globals": [
        '(global (export "g") (mut i32) (i32.const 0))',
        '(import "m" "g" (global (mut i32)))',
    ],
    "sign-extension": ["(func (drop (i32.extend8_s (i32.const 0))))"],
    "nontrapping-fptoint": ["(func (drop (i32.trunc_sat_f32_s (f32.const 0))))"],
    "multi-value": [
        "(func (result i32 i32) (i32.const 0) (i32.const 0))",
        "(func (i32.const 0) (block (param i32) (drop)))",
        "(type $t (func (result i32))) (func (drop (block (type $t) (i32.const 0))))",
    ],
    "bulk-memory": [
        '(memory 1) (data "passive")',
        "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
        "(table 1 funcref) (elem func)",
    ],
    "reference-types": [
        "(func (param externref))",
        "(table 1 externref)",
        "(table 1 funcref) (table 1 funcref)",
        "(func (drop (ref.null func)))",
        "(func $f (export \"f\") (drop (ref.func $f)))",
    ],
    "simd": ["(func (local v128))", "(func (drop (v128.const i32x4 0 0 0 0)))", "(global v128 (v128.const i64x2 0 0))"],
    "relaxed-simd": ["(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"],
    "tail-call": ["(func $f (return_call $f))"],
    "function-references": ["(type $t (func)) (func (param (ref null $t)))", "(func (param (ref func)))"],
    "exception-handling": ["(tag)", "(func (try_table))", "(func (local exnref))"],
    "gc": [
        "(type (struct))", "(func (local anyref))", "(func (drop (ref.i31 (i32.const 0))))",
        "(rec (type (func)) (type (func)))", "(type $t (func (param (ref null $t))))",
        "(global i32 (i32.const 0)) (global i32 (global.get 0))", "(func (drop (ref.null any)))",
        "(func (block (result anyref) (unreachable)) (drop))", "(elem declare anyref)", "(elem nullexternref)",
        "(func (param (ref null nofunc)))",
        "(func (drop (select (result anyref) (unreachable))))",
    ],
    "multi-memory": ["(memory 1) (memory 1)"],
    "memory64": ["(memory i64 1)", "(table i64 1 funcref)"],
    "extended-const": ["(global i32 (i32.add (i32.const 1) (i32.const 2)))"],
    "compact-import-section": ['(import "m" (item "a" (func)) (item "b" (func)))', '(import "m" (item "a") (func))'],
    "custom-descriptors": [
        "(rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct)))",
        "(type $t (struct)) (func (param (ref (exact $t))))",
        '(type $f (func)) (import "m" "f" (func (exact (type $f))))',
        "(type $t (struct)) (type (array (ref null (exact $t))))",
        "(type $t (struct)) (func (drop (ref.null (exact $t))))",
        "(type $t (struct)) (func (drop (ref.test (ref (exact $t)) (ref.null none))))",
        "(type $t (struct)) (func (result anyref) (br_on_cast 0 anyref (ref (exact $t)) (ref.null any)))",
    ],
    "custom-page-sizes": ["(memory 1 (pagesize 1))", '(import "m" "m" (memory 0 2 (pagesize 1)))'],
    "stack-switching": [
        "(type $f (func)) (type (cont $f))", "(func (param contref))", "(tag $e) (func (suspend $e))",
        "(func (drop (ref.null nocont)))",
    ],
    "wide-arithmetic": ["(func (param i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 0)))"],
    "threads": ["(memory 1 1 shared)", "(func (atomic.fence))"],
}  # fmt: skip


def test_every_feature_has_examples() -> None:
    assert set(NEEDS) | {"mvp"} == features.NAMES == set(FORMS_BY_FEATURE) | set(features.STRUCTURAL)


@pytest.mark.parametrize(("feature", "text"), [(name, text) for name, texts in NEEDS.items() for text in texts])
def test_a_module_is_refused_without_its_feature(feature: str, text: str) -> None:
    Module(f"(module {text})", features=f"all,{feature}")
    with pytest.raises(UnsupportedFeature, match=f"needs the feature {feature}"):
        Module(f"(module {text})", features=f"all,-{feature}")


def test_unfinished_proposals_are_off_unless_they_are_asked_for() -> None:
    assert not features.UNFINISHED & features.ALL
    for feature in features.UNFINISHED:
        with pytest.raises(UnsupportedFeature, match=f"needs the feature {feature}"):
            Module(f"(module {NEEDS[feature][0]})")


@pytest.mark.parametrize("edition", ["1.0", "2.0", "3.0", "all"])
def test_editions(edition: str) -> None:
    chosen = features.parse(edition)
    for feature, texts in NEEDS.items():
        for text in texts:
            if feature in chosen:
                Module(f"(module {text})", features=edition)
            else:
                with pytest.raises(UnsupportedFeature):
                    Module(f"(module {text})", features=edition)


def test_an_mvp_module_passes_everywhere() -> None:
    text = """(module (import "m" "f" (func $f (param i32))) (memory 1) (table 2 funcref) (elem (i32.const 0) $f $g)
      (data (i32.const 0) "x") (global $c i32 (i32.const 1))
      (func $g (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0))))"""
    for edition in features.EDITIONS:
        Module(text, features=edition)


def test_the_page_about_the_standard_names_every_feature_that_a_proposal_brought_since() -> None:
    """`docs/standard.md`: what is on by default beyond 3.0 has its row, and a row names features that there are."""
    text = (Path(__file__).parent.parent / "docs" / "standard.md").read_text().partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][1:]
    named = {word for row in rows for word in re.findall(r"`([^`]+)`", row[1])}
    assert named - set(features.EDITIONS) == features.ALL - features.VERSION_3 | features.UNFINISHED
    for row in rows:
        if not row[0].startswith("---"):
            feature = row[1].strip("`")
            here = "not here" if feature == "none" else "no" if feature in features.UNFINISHED else "yes"
            assert row[4] == here, row


def test_the_texts_that_the_code_follows_are_stated_once() -> None:
    """The page and the official tests that are run agree with the one place."""
    rows = (ROOT / "docs/standard.md").read_text(encoding="utf-8").splitlines()
    for feature, text in FOLLOWS.items():
        (row,) = [row for row in rows if f"`{feature}`" in row and row.startswith("|")][:1]
        assert str(text) in row, feature
    folder = suite_folder()
    if folder is None or not (folder / "README.md").exists():
        pytest.skip("REFWASM_TESTSUITE names no folder that says which commit it is of")
    said = (folder / "README.md").read_text(encoding="utf-8")
    assert FOLLOWS["3.0"].commit in said and FOLLOWS["threads"].commit in said
