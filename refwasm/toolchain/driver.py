"""The compiler driver behind ``refwasm cc`` and ``refwasm c++``: clang's command line, with the right target, headers
and libraries, and the post-link step where clang links."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from refwasm.toolchain import compiler as compilers
from refwasm.toolchain.cxx_library import EXCEPTIONS, FILE_STREAMS
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.parallelize import Parallelized, parallelize

SYNTAX_ONLY = "-fsyntax-only"
#: With one of these, clang does not link.
_STAGES = frozenset({"-c", "-S", "-E", "-M", "-MM", "--version", "--help", "-dumpversion", "-dumpmachine"})
#: Libraries that ours stands in for, and options that say nothing here.
_LEFT_OUT = frozenset(
    {"-lgomp", "-lomp", "-liomp5", "-ltbb", "-ltbbmalloc", "-lpthread", "-pthread", "-march=native", "-mtune=native",
     "-lsycl", "-fsycl", "-qopenmp", "-s", "-Wl,-s", "-Wl,-S", "-Wl,--strip-all", "-Wl,--strip-debug"}
)  # fmt: skip
#: zig chooses NDEBUG and sanitisers by the level of optimisation, which clang leaves to the user.
_WITHOUT_CHECKS = ("-UNDEBUG", "-fno-sanitize=all")
#: Any of these asks for a program without names.
_STRIP = frozenset({"-s", "-Wl,-s", "-Wl,--strip-all"})
_SOURCES = frozenset({".c", ".cc", ".cpp", ".cxx", ".C", ".c++", ".ii"})
#: Options whose value is the next word.
_WITH_VALUE = frozenset({"-I", "-D", "-U", "-x", "-include", "-isystem", "-MF", "-MT", "-MQ", "-idirafter",
                         "-iquote", "-Xclang", "-Xlinker", "-mllvm", "-T", "-u", "-z", "-target"})  # fmt: skip
#: Options of ours: calls of the host in kernels trap; kernels are listed; programs of an older form.
ALLOW, SHOW, FORM = "--allow-host-calls", "--show-kernels", "--form"
#: The forms of the interface: the present one, that of 2022, that of 2021.
FORMS = ("exec", "module", "function")


class Arguments(NamedTuple):
    """A command line of clang's without what is ours: all of it, its options, and what is compiled and linked in its
    order; where the output goes, whether clang links, and whether debug information and names are wanted."""

    rest: tuple[str, ...]
    options: tuple[str, ...]
    linked: tuple[str, ...]
    output: str
    links: bool
    debug: bool
    strip: bool
    ours: frozenset[str]
    form: str = FORMS[0]


def parse(words: Sequence[str]) -> Arguments:
    """Read a command line as far as needed; everything is passed on but what is ours."""
    options: list[str] = []
    linked: list[str] = []
    output, form, ours = "", FORMS[0], set()
    left: Iterator[str] = iter(words)
    for word in left:
        if word in (ALLOW, SHOW):
            ours.add(word)
        elif word.partition("=")[0] == FORM:
            form = word.partition("=")[2] or next(left, "")
        elif word in _LEFT_OUT:
            continue
        elif word == "-o":
            output = next(left, "")
            if not output:
                raise ToolchainError("argument to '-o' is missing")
        elif word.startswith("-o") and word != "-ofast":
            output = word[2:]
        elif word in ("-L", "-l"):
            linked += [word, next(left, "")]
        elif not word.startswith("-") or word == "-" or word.startswith(("-L", "-l")):
            linked.append(word)
        else:
            options += [word, next(left, "")] if word in _WITH_VALUE else [word]
    if form not in FORMS:
        raise ToolchainError(f"{FORM} {form}: choose from {', '.join(FORMS)}")
    inputs = [word for word in linked if not word.startswith(("-L", "-l"))]
    links = bool(inputs) and not _STAGES.intersection(words)
    debug = any(w.startswith("-g") and w not in ("-g0", "-gline-directives-only") for w in options)
    given = ("-o", output) if output else ("-o", "a.out") if links else ()
    rest = (*options, *linked, *given)
    return Arguments(rest, tuple(options), tuple(linked), output or "a.out", links, debug, bool(_STRIP & set(words)),
                     frozenset(ours), form)  # fmt: skip


def _expanded(words: Sequence[str]) -> Iterator[str]:
    """The words with those of response files (``@FILE``)."""
    for word in words:
        if word.startswith("@") and Path(word[1:]).is_file():
            yield from _expanded(shlex.split(Path(word[1:]).read_text(encoding="utf-8")))
        else:
            yield word


def main(words: Sequence[str], cxx: bool) -> int:
    """Compile, and link and finish the program if clang would link. The exit code is clang's.

    Raises ToolchainError if there is no compiler, or if the program can't be finished; then there is no output.
    """
    words = list(_expanded(words))
    if SYNTAX_ONLY in words:  # with it zig misses its output
        with tempfile.TemporaryDirectory() as work:
            return main([w for w in words if w != SYNTAX_ONLY] + ["-c", "-o", str(Path(work) / "out.o")], cxx)
    arguments = parse(words)
    found = compilers.find()
    if cxx and found.zig:
        code = _with_exceptions(arguments, found)
    else:
        command = [*found.command(cxx), *_language(cxx, found), *_headers(), *arguments.rest]
        code = _call([*command, *(_linking(arguments, found) if arguments.links else [])])
    if code == 0 and arguments.links:
        _finish(Path(arguments.output), arguments)
    return code


def _call(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False).returncode


def _with_exceptions(arguments: Arguments, found: compilers.Compiler) -> int:
    """Compile C++ with exceptions. Linking is a step of its own, with zig's C compiler, which adds no C++ library."""
    compiling = [*found.command(True, "+exception_handling"), *EXCEPTIONS, *_language(True, found), *_headers()]
    if not arguments.links:
        return _call([*compiling, *arguments.rest])
    options = [word for word in arguments.options if not word.startswith("-Wl,")]
    with tempfile.TemporaryDirectory() as work:
        linked: list[str] = []
        for number, word in enumerate(arguments.linked):
            if Path(word).suffix not in _SOURCES and word != "-":
                linked.append(word)
                continue
            linked.append(str(Path(work) / f"{number}-{Path(word).stem}.o"))
            language = ["-x", "c++"] if Path(word).suffix in (".c", ".C") else []
            code = _call([*compiling, *options, *language, "-c", word, "-o", linked[-1]])
            if code:
                return code
        flags = [word for word in arguments.options if word.startswith(("-Wl,", "-O", "-g", "-v"))]
        library = str(compilers.cxx_library(found))
        return _call([*found.command(False), *flags, *linked, library, *_linking(arguments, found)])


def _headers() -> list[str]:
    return ["-isystem", str(compilers.INCLUDE)]


def _language(cxx: bool, found: compilers.Compiler) -> list[str]:
    """Options for all sources of a language; the user's come later, and win."""
    options = [*_WITHOUT_CHECKS] if found.zig else []
    if not cxx:
        return options
    options += [*FILE_STREAMS] if found.zig else []
    options += ["-I", str(compilers.INCLUDE_ATOMICS)] if found.zig else []
    options += ["-I", str(compilers.INCLUDE_CXX), "-D__unix__=1"]
    for folder in compilers.tbb_headers():
        options += ["-isystem", str(folder)]
    pstl = ("-U_LIBCPP_PSTL_BACKEND_SERIAL", "-D_LIBCPP_PSTL_BACKEND_LIBDISPATCH")
    return [*options, "-D_LIBCPP_ENABLE_EXPERIMENTAL", *pstl]


def _linking(arguments: Arguments, found: compilers.Compiler) -> list[str]:
    options = ["-x", "none"] if "-x" in arguments.options else []
    options += ["-Wl,--shared-memory", "-Wl,--export-memory"]
    if found.zig and {"-Os", "-Oz"}.intersection(arguments.options):
        options.append("-g")  # without it zig leaves out the names, which the post-link step needs
    if not any("--max-memory" in word for word in arguments.options):
        options.append(f"-Wl,--max-memory={compilers.MAX_MEMORY}")
    return [*options, *found.linking, str(compilers.library(found, FORMS.index(arguments.form))), "-o",
            arguments.output]  # fmt: skip


def _finish(path: Path, arguments: Arguments) -> None:
    """The post-link step. A program that can't be finished is removed, as a linker does."""
    try:
        made = parallelize(
            path.read_bytes(),
            allow_host_calls=ALLOW in arguments.ours,
            debug=arguments.debug,
            names=not arguments.strip,
        )
    except ToolchainError:
        path.unlink(missing_ok=True)
        raise
    write(made, path, SHOW in arguments.ours)


def write(made: Parallelized, path: Path, show: bool) -> None:
    """Put a finished program into a file, which is never there in part and keeps its mode if it was there; ``show``
    lists the kernels."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(made.code)
    if path.exists():
        temporary.chmod(path.stat().st_mode)
    temporary.replace(path)
    if show:
        for kernel in made.kernels:
            print(f"{kernel.name}: {kernel.functions} functions, {len(kernel.code)} bytes")
