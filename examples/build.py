"""Builds the examples: kernels first, since programs contain them. Needs ``pip install ziglang`` for those in C.

``python examples/build.py [OUTPUT_FOLDER]``; without a folder the .wasm files beside the sources are replaced.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from refwasm.binary import encode
from refwasm.text import parse_module
from refwasm.text.printer import quote

HERE = Path(__file__).parent
INCLUDE = HERE.parent / "refwasm" / "toolchain" / "include"
PROGRAMS = ("nstream", "sum", "mandelbrot", "matmul", "histogram")

KERNEL_FLAGS = (
    "-target", "wasm32-freestanding", "-mcpu=generic+atomics+bulk_memory", "-nostdlib", "-Wl,--no-entry",
    "-Wl,--import-memory", "-Wl,--shared-memory", "-Wl,--max-memory=268435456", "-Wl,--initial-memory=131072",
    "-Wl,-z,stack-size=4096",
)  # fmt: skip
PROGRAM_FLAGS = ("-std=gnu23", "-target", "wasm32-wasi", "-mcpu=generic+bulk_memory", "--embed-dir={output}")


def compile_c(source: Path, target: Path, *flags: str) -> None:
    """Compile and link one C file."""
    command = [sys.executable, "-m", "ziglang", "cc", "-O2", "-s", "-I", str(INCLUDE), *flags, "-o", str(target)]
    subprocess.run([*command, str(source)], check=True)


def build_c(output: Path) -> None:
    """All programs in C."""
    for name in PROGRAMS:
        compile_c(HERE / f"{name}_kernel.c", output / f"{name}_kernel.wasm", *KERNEL_FLAGS)
        flags = [flag.format(output=output) for flag in PROGRAM_FLAGS]
        compile_c(HERE / f"{name}.c", output / f"{name}.wasm", *flags)
        (output / f"{name}_kernel.wasm").unlink()


def build_wat(output: Path) -> None:
    """squares.wat with its kernel in place."""
    kernel = encode(parse_module((HERE / "squares_kernel.wat").read_text(encoding="utf-8")))
    text = (HERE / "squares.wat").read_text(encoding="utf-8")
    literal = "\n".join(f"    {quote(kernel[i : i + 24])}" for i in range(0, len(kernel), 24))
    text = re.sub(r"(;; kernel\n).*?(\n    ;; end of kernel)", lambda m: m[1] + literal + m[2], text, flags=re.DOTALL)
    size = f"(global $kernel_size i32 (i32.const {len(kernel)})) ;; kernel size"
    text = re.sub(r"\(global \$kernel_size .*;; kernel size", size, text)
    (output / "squares.wat").write_text(text, encoding="utf-8")


def main() -> None:
    output = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE
    output.mkdir(parents=True, exist_ok=True)
    build_wat(output)
    with tempfile.TemporaryDirectory() as folder:
        build_c(Path(folder))
        for name in PROGRAMS:
            (output / f"{name}.wasm").write_bytes((Path(folder) / f"{name}.wasm").read_bytes())


if __name__ == "__main__":
    main()
