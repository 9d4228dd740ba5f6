"""The C++ library with exceptions, compiled from the sources that ``ziglang`` brings along.

zig's own build of libc++ for this target aborts where it should throw, and has no run-time library for exceptions. So
libc++, libc++abi and the unwinder are compiled once more, with WebAssembly's exceptions, and programs are linked with
these instead. That takes a minute, once; the library is kept in the user's cache.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

#: Options for exceptions: WebAssembly's, with the instructions that the standard has.
EXCEPTIONS = ("-fwasm-exceptions", "-mllvm", "-wasm-use-legacy-eh=false")

#: Options for file streams, which zig's build leaves out.
FILE_STREAMS = ("-U_LIBCPP_HAS_FILESYSTEM", "-D_LIBCPP_HAS_FILESYSTEM=1")

_ABI = (
    "abort_message", "cxa_aux_runtime", "cxa_default_handlers", "cxa_demangle", "cxa_exception",
    "cxa_exception_storage", "cxa_handlers", "cxa_personality", "cxa_vector", "cxa_virtual",
    "fallback_malloc", "private_typeinfo", "stdlib_exception", "stdlib_new_delete", "stdlib_stdexcept",
    "stdlib_typeinfo",
)  # fmt: skip
#: Sources of libc++ for what this target has not: threads, and operations on files beyond streams.
_NOT_FOR_US = frozenset(
    {"filesystem/operations", "atomic", "barrier", "condition_variable", "condition_variable_destructor", "future",
    "mutex", "mutex_destructor",  "shared_mutex", "thread"}
)  # fmt: skip
_FOLDERS_NOT_FOR_US = frozenset({"support", "experimental", "pstl", "include"})
_COMMON = (
    "-O2", "-g0", "-w", "-ffunction-sections", "-fdata-sections", "-fvisibility=hidden", "-fvisibility-inlines-hidden",
    "-D_LIBCPP_BUILDING_LIBRARY", "-std=c++23", *FILE_STREAMS,
)  # fmt: skip
#: The tag of C++'s exceptions, which clang only refers to.
TAG = '__asm__(".globl __cpp_exception\\n.tagtype __cpp_exception i32\\n__cpp_exception:\\n");\n'


class Source(NamedTuple):
    """A source to compile: its path, whether it is C++, and options of its own."""

    path: Path
    cxx: bool
    options: tuple[str, ...]


def folder() -> Path:
    """Where ziglang's libraries are."""
    found = importlib.util.find_spec("ziglang")
    assert found is not None and found.submodule_search_locations, "the compiler was found"
    return Path(found.submodule_search_locations[0]) / "lib"


def sources(lib: Path) -> Iterator[Source]:
    """Everything that the library consists of, but the tag."""
    here = Path(__file__).parent
    paths = ("-I", str(here / "include" / "atomics"), "-I", str(lib / "libcxx/src"))
    atomics = (*paths, "-include", str(here / "runtime" / "library_atomics.h"))
    abi = ("-D_LIBCXXABI_BUILDING_LIBRARY", *atomics)
    for name in _ABI:
        # The exceptions that are being handled are the thread's: their storage must be thread-local.
        alone = () if name == "cxa_exception_storage" else ("-D_LIBCXXABI_HAS_NO_THREADS",)
        yield Source(lib / f"libcxxabi/src/{name}.cpp", True, (*_COMMON, *abi, *alone))
    unwind = ("-I", str(lib / "libunwind/include"), "-I", str(lib / "libunwind/src"))
    flags = ("-std=c23", "-O2", "-g0", "-w", "-fvisibility=hidden", "-DNDEBUG", "-D_LIBUNWIND_HIDE_SYMBOLS")
    yield Source(lib / "libunwind/src/Unwind-wasm.c", False, (*flags, *unwind))
    libcxx = (
        "-DLIBC_NAMESPACE=__llvm_libc_common_utils", "-DLIBCXX_BUILDING_LIBCXXABI",
        "-D_LIBCPP_HAS_NO_PRAGMA_SYSTEM_HEADER", "-faligned-allocation", "-I", str(lib / "libcxx/libc"),
    )  # fmt: skip
    for path in sorted((lib / "libcxx/src").rglob("*.cpp")):
        name = path.relative_to(lib / "libcxx/src").with_suffix("").as_posix()
        if name not in _NOT_FOR_US and name.split("/")[0] not in _FOLDERS_NOT_FOR_US:
            # memory.cpp chooses what the header declares, so nothing may include it before.
            yield Source(path, True, (*_COMMON, *(paths if name == "memory" else atomics), *libcxx))


def objects(cc: Sequence[str], cxx: Sequence[str], work: Path, run: Callable[[Sequence[str]], None]) -> list[str]:
    """Compile everything into a folder; the paths of the objects. ``run`` runs a command."""
    print("refwasm: compiling the C++ library with exceptions; this happens once and takes a minute", file=sys.stderr)
    tag = work / "cpp_exception.c"
    tag.write_text(TAG, encoding="utf-8")
    everything = [*sources(folder()), Source(tag, False, ("-O2", "-g0", "-w"))]

    def compile_one(numbered: tuple[int, Source]) -> str:
        number, source = numbered
        out = work / f"{number}-{source.path.stem}.o"
        run([*(cxx if source.cxx else cc), *EXCEPTIONS, *source.options, "-c", str(source.path), "-o", str(out)])
        return str(out)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(compile_one, enumerate(everything)))
