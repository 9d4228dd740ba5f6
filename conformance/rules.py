"""The rules of docs/semantics.md."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SEMANTICS = Path(__file__).parent.parent / "docs" / "semantics.md"
_RULE = re.compile(r"^### (PAR-[A-Z]+-\d\d) · (.*?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its mark (specified, de facto, chosen), its text, and what it links to."""

    name: str
    mark: str
    text: str
    policies: tuple[str, ...]
    cases: tuple[str, ...]
    tests: tuple[str, ...]
    code: tuple[str, ...]

    def names(self, case: str) -> bool:
        """Whether the rule links to a case, by its name or a pattern."""
        return any(fnmatch.fnmatch(case, pattern) for pattern in self.cases)


def read_rules(path: Path = SEMANTICS) -> list[Rule]:
    """All rules, in order; none if the document is not there."""
    if not path.exists():
        return []
    return [_rule(*found) for found in _RULE.findall(path.read_text(encoding="utf-8"))]


def _rule(name: str, mark: str, body: str) -> Rule:
    text, *links = re.split(r"^(Policies|Cases|Tests|Code): ", body, flags=re.MULTILINE)
    named = {kind: tuple(re.findall(r"`([^`]+)`", value)) for kind, value in zip(links[::2], links[1::2])}
    return Rule(
        name, mark, " ".join(text.split()), named.get("Policies", ()), named.get("Cases", ()), named.get("Tests", ()),
        named.get("Code", ()),
    )  # fmt: skip


def by_chapter(rules: Sequence[str]) -> dict[str, list[str]]:
    """Names of rules by their chapter (``PAR-EXEC``)."""
    chapters: dict[str, list[str]] = {}
    for rule in rules:
        chapters.setdefault(rule.rpartition("-")[0], []).append(rule)
    return chapters
