"""The compiler driver behind ``refwasm cc`` and ``refwasm c++``: clang's command line, with the right target, headers and
libraries, and the post-link step where clang links."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from refwasm.toolchain import compiler as compilers
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.parallelize import parallelize

#: With one of these, clang does not link.
_STAGES = frozenset({"-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "--version", "--help", "-dumpversion", "-dumpmachine"})
#: Libraries that ours stands in for, and options that say nothing here.
_LEFT_OUT = frozenset({"-lgomp", "-lomp", "-liomp5", "-ltbb", "-ltbbmalloc", "-lpthread", "-pthread", "-march=native",
                       "-lsycl", "-fsycl", "-qopenmp", "-mtune=native", "-s"})  # fmt: skip
#: Options whose value is the next word.
_WITH_VALUE = frozenset({"-o", "-I", "-L", "-l", "-D", "-U", "-x", "-include", "-isystem", "-MF", "-MT", "-MQ", "-idirafter",
                         "-iquote", "-Xclang", "-Xlinker", "-mllvm", "-T", "-u", "-z", "-target"})  # fmt: skip
#: Options of ours: calls of the host in kernels trap; kernels are listed; programs of an older form.
ALLOW, SHOW = "--allow-host-calls", "--show-kernels"


class Arguments(NamedTuple):
    """A command line of clang's: ours taken out, and what matters of it."""

    rest: tuple[str, ...]
    output: str
    links: bool
    inputs: int
    debug: bool
    strip: bool
    ours: frozenset[str]


def parse(words: Sequence[str]) -> Arguments:
    """Read a command line as far as needed; everything is passed on but what is ours."""
    rest, output, debug, inputs = [], "a.out", False, 0
    ours: set[str] = set()
    left: Iterator[str] = iter(words)
    for word in left:
        if word in (ALLOW, SHOW):
            ours.add(word)
            continue
        if word in _LEFT_OUT:
            continue
        rest.append(word)
        if word in _WITH_VALUE:
            value = next(left, "")
            rest.append(value)
            output = value if word == "-o" else output
        elif word.startswith("-o"):
            output = word[2:]
        elif word.startswith("-g"):
            debug = word not in ("-g0", "-gline-directives-only")
        inputs += not word.startswith("-") or word == "-"
    links = inputs > 0 and not _STAGES.intersection(words)
    strip = "-s" in words or "-Wl,-s" in words or "-Wl,--strip-all" in words
    return Arguments(tuple(w for w in rest if w not in ("-Wl,-s", "-Wl,--strip-all")), output, links, inputs, debug, strip,
                     frozenset(ours))  # fmt: skip


def main(words: Sequence[str], cxx: bool) -> int:
    """Compile, and link and finish the program if clang would link. The exit code is clang's.

    Raises ToolchainError if there is no compiler, or if the program can't be finished; then there is no output.
    """
    arguments = parse(words)
    found = compilers.find()
    command = [*found.command(cxx), *_language(cxx), "-isystem", str(compilers.INCLUDE), *arguments.rest]
    if arguments.links:
        command += [*_linking(arguments), *found.linking, str(compilers.library(found))]
        if "-o" not in arguments.rest:
            command += ["-o", arguments.output]
    code = subprocess.run(command, check=False).returncode
    if code or not arguments.links:
        return code
    _finish(Path(arguments.output), arguments)
    return 0


def _language(cxx: bool) -> list[str]:
    """Options for all sources of a language; the user's come later, and win."""
    if not cxx:
        return []
    options = ["-I", str(compilers.INCLUDE_CXX), "-D__unix__=1"]
    for folder in compilers.tbb_headers():
        options += ["-isystem", str(folder)]
    return [*options, "-D_LIBCPP_ENABLE_EXPERIMENTAL", "-D_LIBCPP_PSTL_BACKEND_LIBDISPATCH"]


def _linking(arguments: Arguments) -> list[str]:
    options = ["-Wl,--shared-memory", "-Wl,--export-memory"]
    if not any("--max-memory" in word for word in arguments.rest):
        options.append(f"-Wl,--max-memory={compilers.MAX_MEMORY}")
    return options


def _finish(path: Path, arguments: Arguments) -> None:
    """The post-link step. A program that can't be finished is removed, as a linker does."""
    try:
        made = parallelize(
            path.read_bytes(), allow_host_calls=ALLOW in arguments.ours, debug=arguments.debug, names=not arguments.strip
        )
    except ToolchainError:
        path.unlink(missing_ok=True)
        raise
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(made.code)
    temporary.chmod(path.stat().st_mode)
    temporary.replace(path)
    if SHOW in arguments.ours:
        for kernel in made.kernels:
            print(f"{kernel.name}: {kernel.functions} functions, {len(kernel.code)} bytes")
