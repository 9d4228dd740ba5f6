"""docs/semantics.md: every rule has its mark, and cases, tests and code that exist; every case and every test of the
interface has a rule."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from conformance.rules import Rule, by_chapter, read_rules
from conformance.suite import load
from refwasm.cli.check import CHOICES

ROOT = Path(__file__).parent.parent
RULES = read_rules()
CASES = load()


def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_rules_are_numbered_in_order() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names)) > 40
    for chapter, rules in by_chapter(names).items():
        assert [int(name[-2:]) for name in rules] == list(range(1, len(rules) + 1)), chapter


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule(rule: Rule) -> None:
    assert rule.mark in ("specified", "de facto", "chosen") and rule.text
    naming = {case.name for case in CASES if rule.name in case.rules}
    assert naming, "no case names it"
    for pattern in rule.cases:
        assert any(Rule("", "", "", (), (pattern,), (), ()).names(name) for name in naming), (
            f"{pattern} is no case of it"
        )
    for name in naming:
        assert rule.names(name), f"it does not link to {name}, which names it"
    for link in rule.tests:
        file, _, test = link.partition("::")
        assert test in functions_of(file), link
    assert len(rule.code) == 1 and resolve(rule.code[0]) is not None


def resolve(path: str) -> object:
    """What a dotted path names."""
    module, attributes = path, []
    while not (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
        module, _, last = module.rpartition(".")
        attributes.insert(0, last)
    found: object = importlib.import_module(module)
    for part in attributes:
        found = getattr(found, part)
    return found


def test_every_case_names_rules_that_exist() -> None:
    known = {rule.name for rule in RULES}
    for case in CASES:
        assert case.rules and set(case.rules) <= known, case.name


def test_policies_that_cases_need_are_named_by_their_rules() -> None:
    text = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    for case in CASES:
        for name, value in case.needs.items():
            named = f"`--workers {value}`" if name == "workers" else f"`{name}={value.split(':')[0]}"
            assert named in text or name in ("workers", "feature"), f"{case.name} needs {name}={value}"


def test_every_test_of_the_interface_belongs_to_a_rule() -> None:
    named = {link.partition("::")[2] for rule in RULES for link in rule.tests}
    assert functions_of("tests/test_parallel.py") <= named


def test_the_check_command_names_rules_that_exist() -> None:
    assert {rule for _, rule in CHOICES.values()} <= {rule.name for rule in RULES}
