"""The documentation: every example of the shell runs, the site builds without a warning, search finds, links lead on.

Examples of Python are run by ``test_prose.py``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.site.links import broken

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md", "CONTRIBUTING.md", "conformance/README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))),
]  # fmt: skip
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"^```c\n// (\w+\.c)\n(.*?)^```", re.MULTILINE | re.DOTALL)

#: What is not run as it stands, by how the line begins: what is run instead, or "", and why.
INSTEAD = {
    "python3 -m venv": ("", "the commands of README: .ci/run runs them in fresh environments"),
    ".venv/bin/pip install": ("", "installs what is installed"),
    ".venv/bin/python -m tools.site": ("", "test_the_site below"),
    ".venv/bin/python -m pytest": ("", "these tests"),
    ".venv/bin/mypy": ("", ".ci/run does it"),
    "refwasm run --choices c1:2g1a3": ("", "a list belongs to one program"),
    "refwasm explore --races --html": ("", "takes a while: test_reports.py makes the page"),
    "refwasm explore --races": ("… || test $? = 1", "finds what it looks for"),
    "refwasm diff module.wat --engine wasmtime==6.0.0": ("", "fetches an engine; test_engines.py does it"),
    "refwasm campaign --engines wasmtime==6.0.0": ("", "fetches an engine"),
    "refwasm diff docs/found/": ("", "fetches an engine"),
    "refwasm campaign --engines wasmtime,v8 --source singles": ("… --modules 4", "takes minutes"),
    "refwasm campaign --engines wasmtime --source smith": ("… --modules 4", "takes hours"),
    "refwasm campaign --engines wasmtime --source singles --modules 40": ("… --modules 4", "takes a minute"),
    "refwasm campaign --source threads": ("… --modules 2", "has no end"),
    "refwasm litmus conformance/litmus --engine 'iwasm": ("", "iwasm is not here"),
    "refwasm litmus conformance/litmus --engine": ("… --runs 500 --only SB,MP", "takes minutes"),
    "refwasm engines": ("", "starts every engine; test_engines.py does it"),
    "refwasm check mandelbrot.wasm": ("", "takes a minute; kernel-authors.md checks another program"),
    "python -m conformance --engine refwasm  ": ("", "test_conformance.py runs all cases"),
    "python -m conformance --engine refwasm --filter 'traps/*'": ("", "takes a while"),
    "REFWASM_OPTIONS=": ("… --filter devices/hint-cpu", "takes a while"),
    "python -m conformance --engine my_adapter.py": ("", "my_adapter.py is the reader's"),
    "python -m conformance --add mine.json": ("", "of the line before"),
    "python -m conformance --build": ("", "writes to a place of the reader's; test_conformance.py builds"),
    "python -m tests.conformance_faults": ("", ".ci/run does it"),
    "python -m conformance.write_cases": ("", "writes into the checkout; test_conformance.py compares"),
    "pytest -q --refwasm-engine wasmtime": ("", "test_strategies.py does it"),
    "pytest --refwasm-engine wasmtime --refwasm-parallel": ("", "test_strategies.py does it"),
}  # fmt: skip
#: Files that examples speak of as the reader's own.
FILES = {
    "module.wat": '(module (func (export "f") (result i32) (i32.const 1)))',
    "script.wast": '(module (func (export "f")))\n(assert_return (invoke "f"))',
}


def script_of(block: str, used: set[str]) -> str:
    """The commands of a block, as they are run."""
    lines = []
    for line in block.splitlines():
        begin = max((text for text in INSTEAD if line.startswith(text)), key=len, default=None)
        if begin is not None:
            used.add(begin)
            command = re.split(r"\s+#", line)[0]
            line = INSTEAD[begin][0].replace("…", command)
        lines.append(line)
    return "\n".join(lines)


def readers_folder(tmp_path: Path) -> dict[str, str]:
    """A folder as a reader has it, with the examples; and the environment."""
    for name in ("examples", "conformance", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "examples/sum.wasm", tmp_path / "program.wasm")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, module in {"refwasm": "-m refwasm", "pytest": "-m pytest", "python": ""}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (commands / name).chmod(0o755)
    return os.environ | {"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


USED: set[str] = set()


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_the_shell_run(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    scripts = [script_of(block, USED) for block in BLOCK.findall(text)]
    if not "".join(scripts).strip():
        return
    env = readers_folder(tmp_path)
    for name, source in SOURCE.findall(text):
        (tmp_path / name).write_text(source, encoding="utf-8")
    for script in scripts:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, capture_output=True, timeout=300,
            check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode in (0, 1 if "campaign" in script else 0), f"{script}\n{said.decode('utf-8', 'replace')}"
        assert b"Traceback" not in said


def test_what_is_not_run_as_it_stands_is_there() -> None:
    used: set[str] = set()
    for page in PAGES:
        for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
            script_of(block, used)
    assert used == set(INSTEAD)


def test_the_site(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "tools.site", "--without-playground", str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    assert "--choices" in commands and "refwasm explore" in commands
    assert 'id="par-exec-05"' in (site / "semantics.html").read_text(encoding="utf-8")
    assert "link_parallel" in (site / "reference/api.html").read_text(encoding="utf-8")
    assert "semantics.html#par-exec-05" in (site / "spec-writers.html").read_text(encoding="utf-8")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is not None:
        found = search(browser, site, tmp_path, "deadlocks")
        assert "concurrency.html" in found and "Search finished" in found


def search(browser: str, site: Path, tmp_path: Path, words: str) -> str:
    """The page of results, as the browser has it after a while."""
    address = f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               f"--user-data-dir={tmp_path / 'profile'}", "--allow-file-access-from-files",
               "--virtual-time-budget=8000", "--dump-dom", address]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a id="here" href="#here">x</a><a href="b.html#no">x</a><img src="no.png">')
    (tmp_path / "b.html").write_text('<a href="https://example.org/">x</a>')
    assert list(broken(tmp_path)) == [
        "a.html: b.html#no: there is no such anchor", "a.html: no.png: there is no such file",
    ]  # fmt: skip


def test_what_was_found_has_reproducers() -> None:
    """Each row names a script, each script is named and says what it is. That refwasm passes them, the page shows."""
    text = (ROOT / "docs/found.md").read_text(encoding="utf-8")
    rows = text.partition("| reproducer |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [re.findall(r"\(found/([\w-]+\.wast)\)", row) for row in rows]
    assert all(len(found) == 1 for found in named)
    scripts = sorted((ROOT / "docs/found").glob("*.wast"))
    assert sorted(name for (name,) in named) == [path.name for path in scripts]
    for path in scripts:
        assert re.match(r";; [\w.=]+: ", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("path", sorted((ROOT / "docs/found").glob("pywasm-*.wast")), ids=lambda path: path.stem)
def test_reproducers_reproduce(path: Path) -> None:
    """On the engine that can be installed in a second; the others were tried by hand."""
    pytest.importorskip("pywasm")
    done = subprocess.run(
        [sys.executable, "-m", "refwasm", "diff", str(path), "--engine", "pywasm"], capture_output=True, check=False
    )
    assert done.returncode == 1 and b"differs from the oracle" in done.stdout, done


@pytest.mark.parametrize("page", sorted((ROOT / "docs/toolchain").glob("*.md")), ids=lambda path: path.stem)
def test_the_examples_in_c_compile(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    blocks = re.findall(r"^```(c|cpp)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for number, (language, text) in enumerate(blocks):
        source = tmp_path / f"{number}.{language}"
        source.write_text(text, encoding="utf-8")
        command = ["cc"] if language == "c" else ["c++", "-std=c++17"]
        done = subprocess.run(
            [sys.executable, "-m", "refwasm", *command, "-c", str(source), "-o", str(tmp_path / "out.o")],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
