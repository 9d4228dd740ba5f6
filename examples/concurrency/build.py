"""Builds the programs here: ``python examples/concurrency/build.py FOLDER`` (extra toolchain: PyPI ``ziglang``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = [
    "--target=wasm32-freestanding", "-mcpu=generic+atomics+bulk_memory", "-O1", "-g", "-nostdlib", "-Wl,--no-entry",
    "-Wl,--shared-memory", "-Wl,--import-memory", "-Wl,--max-memory=33554432", "-Wl,--export-memory",
    "-fdebug-compilation-dir=.",
]  # fmt: skip


def build(name: str, folder: Path) -> Path:
    """Compile one program; raises CalledProcessError."""
    out = folder / f"{name}.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f"{name}.c", "-o", str(out.absolute())]
    subprocess.run(command, check=True, cwd=HERE)
    return out


def names() -> list[str]:
    """The programs."""
    return sorted(path.stem for path in HERE.glob("*.c"))


if __name__ == "__main__":
    for name in names():
        print(build(name, Path(sys.argv[1])))
