"""The compilers that can be had, and the run-time library compiled with them.

``ziglang`` from PyPI is clang with a C library for this target that knows shared memory. ``REFWASM_CC`` and
``REFWASM_CXX`` name another clang, for example that of wasi-sdk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from refwasm.cache import default_directory
from refwasm.toolchain import cxx_library as cxx_libraries
from refwasm.toolchain.errors import ToolchainError

HERE = Path(__file__).parent
INCLUDE, RUNTIME = HERE / "include", HERE / "runtime"
#: Headers for C++ that add to the library's own: mutexes, and what oneTBB's headers and SYCL programs include.
INCLUDE_CXX = INCLUDE / "cxx"
#: What makes reference counts of the C++ library atomic.
INCLUDE_ATOMICS = INCLUDE / "atomics"
#: What kernels and shared memories need of WebAssembly, and what makes loops fast.
FEATURES = ("atomics", "bulk-memory", "mutable-globals", "nontrapping-fptoint", "sign-ext", "simd128")
#: Of the largest memory that a program may have, unless -Wl,--max-memory says otherwise.
MAX_MEMORY = 1 << 30


#: Options for the library's own C++.
CXX = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-I", str(INCLUDE_CXX))


class Compiler(NamedTuple):
    """A compiler: its commands for C and C++, options that choose target and features, and options for linking.
    ``zig``: it is ziglang, whose C++ library is replaced by one with exceptions."""

    c: tuple[str, ...]
    cxx: tuple[str, ...]
    options: tuple[str, ...]
    linking: tuple[str, ...] = ()
    zig: bool = False

    def command(self, cxx: bool, features: str = "") -> list[str]:
        """The beginning of a command line. ``features`` are more of WebAssembly's, as zig writes them."""
        options = [o + features if o.startswith("-mcpu=") else o for o in self.options]
        return [*(self.cxx if cxx else self.c), *options]


def find() -> Compiler:
    """The compiler to use. ToolchainError if there is none."""
    c, cxx = os.environ.get("REFWASM_CC"), os.environ.get("REFWASM_CXX")
    if c or cxx:
        words = shlex.split(c or (cxx or "").replace("++", ""))
        options = ("--target=wasm32-wasi", *(f"-m{name}" for name in FEATURES))
        return Compiler(tuple(words), tuple(shlex.split(cxx or words[0] + "++")), options, ("-Wl,--no-check-features",))
    if importlib.util.find_spec("ziglang") is None:
        raise ToolchainError("there is no compiler; pip install 'refwasm[toolchain]', or let REFWASM_CC name a clang")
    zig = (sys.executable, "-m", "ziglang")
    cpu = "+".join(("generic", *(name.replace("-", "_") for name in FEATURES)))
    return Compiler((*zig, "cc"), (*zig, "c++"), ("-target", "wasm32-wasi", f"-mcpu={cpu}"), (), True)


def library(compiler: Compiler, form: int) -> Path:
    """The run-time library for a form of the interface; compiled when it is first asked for, and kept in the user's
    cache."""
    found = sorted(p for p in RUNTIME.iterdir() if p.suffix in (".c", ".cpp"))
    headers = sorted([*RUNTIME.glob("*.h"), *(p for p in INCLUDE.rglob("*") if p.is_file())])

    def build(work: Path) -> list[str]:
        objects = []
        for source in found:
            out = work / f"{source.stem}.o"
            cxx = source.suffix == ".cpp"
            flags = [
                "-O2",
                "-g0",
                "-w",
                "-fno-builtin",
                f"-DREFWASM_FORM={form}",
                "-I",
                str(INCLUDE),
                *(CXX if cxx else []),
            ]
            _run([*compiler.command(cxx), *flags, "-c", str(source), "-o", str(out)])
            objects.append(str(out))
        return objects

    return _kept(f"librefwasm{form or ''}", compiler, [*found, *headers], build)


def cxx_library(compiler: Compiler) -> Path:
    """The C++ library with exceptions, kept likewise."""
    cc, cxx = (compiler.command(language, "+exception_handling") for language in (False, True))
    build = partial(cxx_libraries.objects, cc, cxx, run=_run)
    return _kept("libc++", compiler, [Path(cxx_libraries.__file__), RUNTIME / "library_atomics.h"], build)


def _kept(name: str, compiler: Compiler, inputs: Iterable[Path], build: Callable[[Path], list[str]]) -> Path:
    """A static library in the cache: another one for each compiler and other inputs."""
    key = hashlib.sha256(repr((compiler, cxx_libraries.folder() if compiler.zig else "")).encode())
    for path in inputs:
        key.update(path.read_bytes())
    target = _cache() / f"{name}-{key.hexdigest()[:16]}.a"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others wait for it, rather than compile the same
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            archive = Path(work) / target.name
            _run([*_archiver(compiler), "rcs", str(archive), *build(Path(work))])
            archive.replace(target)
    return target


def _archiver(compiler: Compiler) -> list[str]:
    if compiler.zig:
        return [*compiler.c[:3], "ar"]
    beside = Path(compiler.c[0]).with_name("llvm-ar")
    return [str(beside) if beside.exists() else "llvm-ar"]


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolchainError(f"{command[0]}: {error.strerror or error}") from None
    if done.returncode:
        raise ToolchainError(f"a library can't be compiled:\n{shlex.join(command)}\n{done.stderr.strip()}")


def tbb_headers() -> list[Path]:
    """Where oneTBB's headers are: below ``TBBROOT``, or a folder with nothing else in it that leads to the system's."""
    root = os.environ.get("TBBROOT")
    if root:
        return [Path(root) / "include"]
    for system in map(Path, ("/usr/include", "/usr/local/include")):
        if (system / "oneapi" / "tbb").is_dir():
            folder = _cache() / f"headers{str(system).replace('/', '-')}"
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("tbb", "oneapi"):
                link = folder / name
                if not link.exists() and (system / name).is_dir():
                    with contextlib.suppress(FileExistsError):
                        link.symlink_to(system / name)
            return [folder]
    return []


def _cache() -> Path:
    return Path(default_directory() or tempfile.gettempdir()) / "toolchain"
