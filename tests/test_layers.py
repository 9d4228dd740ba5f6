"""The import rules: arrows point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "refwasm"

#: What each part may import of refwasm, besides itself; the longest matching prefix counts.
ALLOWED: dict[str, tuple[str, ...]] = {
    "errors": (),
    "garbage": (),
    "cache": (),
    "reports": ("errors",),
    "reports.pages": ("", "reports"),
    "host_system": (),
    "syntax": ("errors",),
    "binary": ("syntax", "errors", "garbage"),
    "text": ("syntax", "errors", "garbage"),
    "validation": ("syntax", "errors", "garbage"),
    "execution": ("syntax", "errors", "garbage", "host_system", "validation"),
    "execution.numerics": ("errors", "syntax.instructions"),
    "execution.interpreter": ("syntax", "errors", "garbage", "validation", "execution"),
    "execution.auto": ("syntax", "errors", "garbage", "execution"),
    "execution.compiler": ("syntax", "errors", "garbage", "cache", "validation", "execution"),
    "execution.compiler.translation": (
        "syntax", "errors", "garbage", "validation", "execution.memory", "execution.numerics", "execution.store",
        "execution.values", "execution.compiler.boundaries", "execution.compiler.conventions",
    ),
    "execution.compiler.linking": (
        "syntax", "errors", "cache", "host_system", "execution.memory", "execution.numerics", "execution.store",
        "execution.tables", "execution.values", "execution.watchdog",
        "execution.compiler.boundaries", "execution.compiler.conventions", "execution.compiler.translation",
    ),
    "embedding": ("syntax", "errors", "cache", "binary", "text", "validation", "execution"),
    "api": ("syntax", "errors", "validation", "execution", "embedding"),
    "host": ("syntax", "errors", "embedding", "host_system", "execution.choices", "execution.domain",
             "execution.memory", "execution.numerics.edges"),
    "program": ("syntax", "errors", "embedding", "host", "execution.choices", "execution.memory"),
    "native": ("syntax", "errors", "embedding", "host", "execution.domain", "execution.memory"),
    "script": ("syntax", "errors", "embedding", "execution.choices", "host", "binary", "text", "validation.features"),
    "concurrency": ("reports", "host.parallel.devices.native.binding",
                    "syntax", "errors", "embedding", "api", "execution.choices", "execution.interpreter",
                    "execution.memory", "execution.store", "program", "script", "text.lexer"),
    "oracle": ("text.numbers", "execution.choices", "execution.interpreter.shadow", "syntax", "errors",
               "embedding", "validation.features", "validation.matching"),
    "campaign": ("reports", "strategies", "concurrency", "text.lexer", "text.printer", "syntax", "errors", "embedding",
                 "execution.numerics", "oracle", "engines", "script"),
    "engines": ("syntax", "errors", "embedding", "execution.numerics.edges", "oracle", "validation.features",
                "validation.matching"),
    "strategies": ("syntax", "errors", "validation", "embedding", "text", "binary.values", "execution.numerics",
                   "execution.choices", "execution.interpreter.shadow_rules", "oracle", "engines", "host", "program",
                   "script"),
    "toolchain": ("syntax", "errors", "cache", "binary", "embedding", "host.parallel", "validation.modules"),
    "cli": ("reports", "syntax", "errors", "embedding", "host", "program", "script", "binary", "text",
            "validation.features", "toolchain", "oracle", "engines", "campaign", "concurrency", "native",
            "execution.choices", "execution.instantiation", "execution.memory"),
    "pytest_plugin": ("engines",),
    "__init__": ("api", "concurrency", "errors", "host.parallel", "program"),
    "__main__": ("cli",),
}  # fmt: skip
TIERS = ("execution.interpreter", "execution.compiler")
#: Inside execution, the tiers do not know each other and nothing below knows a tier.
FORBIDDEN = {"execution.store", "execution.memory", "execution.domain", "execution.bulk", "execution.values",
             "execution.instantiation", "execution.numerics"}  # fmt: skip


def imports_of(path: Path) -> set[str]:
    """Modules of refwasm that a file imports, wherever in the file; "" for refwasm itself."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "refwasm":
            module = (node.module or "").partition(".")[2]
            for alias in node.names:
                nested = ROOT / module.replace(".", "/") / alias.name
                is_module = nested.is_dir() or nested.with_suffix(".py").exists()
                found.add(f"{module}.{alias.name}".strip(".") if is_module else module)
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.split(".")[0] == "refwasm"}
    return found


def under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_follow_the_rules(path: Path) -> None:
    name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    part = max((p for p in ALLOWED if under(name, p)), key=len)
    for module in imports_of(path):
        if under(module, part) or (module == "" and name.startswith("cli")):
            continue
        assert any(under(module, allowed) for allowed in ALLOWED[part]), f"{name} imports {module}"
        if any(under(name, below) for below in FORBIDDEN):
            assert not any(under(module, tier) for tier in TIERS), f"{name} knows a tier"
        for tier, other in (TIERS, TIERS[::-1]):
            assert not (under(name, tier) and under(module, other)), f"{name} knows another tier"


def test_the_rules_cover_every_file() -> None:
    names = [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in FILES]
    without = [n for n in names if not any(under(n.removesuffix(".__init__"), part) for part in ALLOWED)]
    assert not without, f"no rule for {without}"
    assert not [part for part in ALLOWED if not any(under(n.removesuffix(".__init__"), part) for n in names)]


def test_no_file_is_long() -> None:
    """Tables apart, a file is read in one sitting."""
    tables = {"syntax/forms.py"}
    long = {
        path.relative_to(ROOT).as_posix(): n
        for path in FILES
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert set(long) <= tables, long
