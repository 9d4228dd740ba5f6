"""docs/semantics.md: every rule has its mark, and tests and code that exist; every test of the interface has a rule."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from refwasm.cli.check import CHOICES

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
RULES = dict(re.findall(r"^### (PAR-[A-Z]+-\d\d) · (.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_rules_are_numbered_in_order() -> None:
    names = re.findall(r"^### (PAR-[A-Z]+-\d\d)", TEXT, re.MULTILINE)
    assert len(names) == len(set(names)) == len(RULES) > 30
    for chapter in dict.fromkeys(name[:-3] for name in names):
        numbers = [int(name[-2:]) for name in names if name.startswith(chapter)]
        assert numbers == list(range(1, len(numbers) + 1)), chapter


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str) -> None:
    body = RULES[name]
    assert body.split("\n")[0] in ("specified", "de facto", "chosen")
    cases = re.findall(r"`(tests/\w+\.py)::(\w+)`", body)
    assert cases, f"{name} has no test"
    for file, test in cases:
        assert test in functions_of(file), f"{name} names {file}::{test}"
    (code,) = re.findall(r"Code: `([\w.]+)`", body)
    module, attribute = code, []
    while not (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
        module, _, last = module.rpartition(".")
        attribute.insert(0, last)
    found: object = importlib.import_module(module)
    for part in attribute:
        found = getattr(found, part)


def test_every_test_of_the_interface_belongs_to_a_rule() -> None:
    named = {test for _, test in re.findall(r"`(tests/\w+\.py)::(\w+)`", TEXT)}
    assert functions_of("tests/test_parallel.py") <= named


def test_the_check_command_names_rules_that_exist() -> None:
    assert {rule for _, rule in CHOICES.values()} <= set(RULES)
