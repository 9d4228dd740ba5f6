"""README and docstrings: what they name exists, what they show runs."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from refwasm.cli import COMMANDS
from refwasm.validation import features

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_the_python_examples_run(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks or page != "README.md"
    for block in blocks:
        exec(compile(block, page, "exec"), {})


def test_paths_exist() -> None:
    paths = set(re.findall(r"(?:refwasm|examples|benchmarks|spec_tests|tests|docs|conformance)/[\w./-]*", README))
    assert len(paths) > 10
    for path in paths - {"examples/mandelbrot.ppm"}:
        assert (ROOT / path).exists(), path


def test_commands_exist_and_all_are_described() -> None:
    named = set(re.findall(r"`refwasm ([a-z0-9+]+)", README))
    assert named == set(COMMANDS)


def test_options_exist() -> None:
    sources = "".join(
        path.read_text() for folder in ("refwasm/cli", "conformance") for path in (ROOT / folder).glob("*.py")
    )
    for option in set(re.findall(r"`?(--[a-z][a-z-]+)", README)) - {"--pip"}:
        assert f'"{option}"' in sources, option


def test_error_classes_exist() -> None:
    import refwasm

    for name in re.findall(r"`([A-Z]\w+)`", README.partition("Errors are")[2].partition("##")[0]):
        assert hasattr(refwasm, name), name


MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in (ROOT / "refwasm").rglob("*.py")
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run_and_every_module_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_files_that_prose_names_exist(name: str) -> None:
    """Docstrings refer to modules by their full names."""
    module = importlib.import_module(name)
    source = Path(module.__file__ or "").read_text(encoding="utf-8")
    for reference in re.findall(r":mod:`(refwasm[\w.]*)`", source):
        importlib.import_module(reference)


def test_every_feature_has_a_name_that_parses() -> None:
    for name in [*features.EDITIONS, *features.NAMES]:
        assert features.parse(name)
