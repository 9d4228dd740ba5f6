"""Versions of engines beside each other: ``wasmtime==6.0.0`` is a folder of its own, filled by pip when asked to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from refwasm.engines.process import ProcessEngine
from refwasm.engines.protocol import Engine, Unavailable

#: Packages of PyPI that have old versions of an engine.
PACKAGES = {"wasmtime": "wasmtime"}
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


def engines_directory() -> Path:
    """``REFWASM_ENGINES``, or a folder in the user's cache."""
    chosen = os.environ.get("REFWASM_ENGINES")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(chosen) if chosen else Path(base) / "refwasm-engines"


def versioned(name: str, version: str, install: bool) -> Engine:
    """That version of an engine, in a process of its own. Raises Unavailable."""
    if name not in PACKAGES:
        raise Unavailable(f"{name}=={version}: versions can be named of {', '.join(PACKAGES)} only")
    if not _VERSION.fullmatch(version):
        raise Unavailable(f"{name}=={version}: expected a version such as 6.0.0")
    folder = engines_directory() / f"{name}-{version}"
    if not folder.is_dir():
        if not install:
            raise Unavailable(f"{name}=={version} is not installed: --install puts it into {folder.parent}")
        _install(PACKAGES[name], version, folder)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = ["env", f"PYTHONPATH={path}", sys.executable, "-m", "refwasm.engines.serve", name]
    engine = ProcessEngine(command, name)
    engine.version = version
    return engine


def _install(package: str, version: str, folder: Path) -> None:
    """Put a version there, as a whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary) / "package"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check",
               "--target", str(target), f"{package}=={version}"]  # fmt: skip
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise Unavailable(f"{package}=={version} can't be installed: {last}")
        target.rename(folder)
