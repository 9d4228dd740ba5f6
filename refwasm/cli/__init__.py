"""The command line: one module per command, imported when the command is used.

Exit codes: 0 success; 1 the module or script is bad; 2 wrong usage; 124 a limit was reached (fuel, time, memory);
130 interrupted; 134 trap or uncaught exception; 70 a worker died; otherwise the guest's own exit code.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TypeVar

from refwasm.binary import locations
from refwasm.cli.reporting import quiet
from refwasm.cli.terminal import BAD, say
from refwasm.errors import Crash, Exit, ResourceLimit, Trap, UncaughtException, WasmError, did_you_mean

EXIT_BAD, EXIT_USAGE, EXIT_CRASH, EXIT_LIMIT, EXIT_INTERRUPTED, EXIT_TRAP = 1, 2, 70, 124, 130, 134

COMMANDS: dict[str, str] = {
    "run": "run a program, or one of its functions",
    "check": "run a program under every policy that the rules admit, and compare",
    "validate": "check modules",
    "wat2wasm": "text format to binary format",
    "wasm2wat": "binary format to text format",
    "dump": "show sections, imports, exports and code with offsets",
    "explain": "show the Python that a function is compiled to, and why",
    "oracle": "judge engines: a server that speaks JSON lines",
    "diff": "compare an engine with the oracle on one module",
    "campaign": "judge engines on many modules, and keep what differs",
    "engines": "list the engines that can be judged here",
    "doctor": "say what of extras, devices, engines and compilers is here, and what is missing for what",
    "devices": "list what kernels can run on here",
    "explore": "run a parallel program under every schedule: final states, races, deadlocks",
    "litmus": "run litmus tests: under the memory model, or on an engine with real threads",
    "cc": "compile C programs with parallel loops",
    "c++": "compile C++ programs with parallel loops",
    "parallelize": "make kernels of the functions that a linked program runs in parallel",
    "completion": "print a script with which bash, zsh or fish complete commands and options",
    "report": "make a page of what a command reported with --json",
    "wast": "run scripts of the official test suite's format",
}


#: Commands that read their arguments themselves, as compilers do.
COMPILERS = frozenset({"cc", "c++"})
#: Modules of commands whose names are none of Python's.
_MODULES = {"c++": "cxx"}


class UsageError(Exception):
    """Wrong usage, with a message for the user."""


Number = TypeVar("Number", int, float)


def positive(kind: Callable[[str], Number]) -> Callable[[str], Number]:
    """An argument type: a number greater than 0."""

    def parse(text: str) -> Number:
        number = kind(text)
        if not number > 0:
            raise argparse.ArgumentTypeError(f"{text} is not greater than 0")
        return number

    parse.__name__ = "number"
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    _secure_streams()
    if argv is None and "_ARGCOMPLETE" in os.environ:
        return _complete()
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help"):
        print(_usage())
        return 0 if args else EXIT_USAGE
    if args[0] == "--version":
        from refwasm import __version__

        print(f"refwasm {__version__}")
        return 0
    if args[0] not in COMMANDS:
        guess = did_you_mean(args[0], COMMANDS) or f"; commands are {', '.join(COMMANDS)}"
        return _complain(f"unknown command {args[0]!r}{guess}", EXIT_USAGE)
    return _guarded(args[0], args[1:])


def _complete() -> int:
    """A shell asks how a line goes on: answer, and say nothing else."""
    from refwasm.cli import completion

    with contextlib.suppress(UsageError):
        completion.answer()
    return 0


def module_of(command: str) -> ModuleType:
    """The module of a command: its docstring says what it does, ``add_arguments`` which arguments it takes, ``run``
    does it."""
    return importlib.import_module(f"refwasm.cli.{_MODULES.get(command, command)}")


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command's arguments."""
    module = module_of(command)
    parser = argparse.ArgumentParser(prog=f"refwasm {command}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def _guarded(command: str, args: list[str]) -> int:
    started = time.monotonic()  # time limits count from here
    atexit.register(gc.freeze)  # a process that ends need not look for garbage: a tenth of what a program takes
    try:
        module = module_of(command)
        parser = parser_of(command)
        parser.set_defaults(started=started, words=[command, *args])
        whole = command in COMPILERS and args[:1] not in (["-h"], ["--help"])
        options = argparse.Namespace(words=args) if whole else parser.parse_args(args)
        with quiet(options):
            code: int = module.run(options)
        sys.stdout.flush()
        return code
    except Exit as error:
        return error.code & 0xFF
    except UsageError as error:
        return _complain(str(error), EXIT_USAGE)
    except WasmError as error:
        return _complain(described(error), exit_code(error))
    except MemoryError:
        return _complain("out of memory", EXIT_LIMIT)
    except KeyboardInterrupt:
        return _complain("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads: say nothing, also at exit
        return EXIT_BAD
    except OSError as error:
        return _complain(f"{error.filename or 'error'}: {error.strerror or error}", EXIT_BAD)


def described(error: WasmError) -> str:
    """One line, and the calls that were active where there were any."""
    text = str(error)
    if isinstance(error, Trap):
        text = "trap: " + text + "".join(f"\n    at {entry}" for entry in error.backtrace)
        text += f"\n    ({locations.missing})" if locations.missing else ""
    return text


def exit_code(error: WasmError) -> int:
    """The exit code for an error."""
    if isinstance(error, (Trap, UncaughtException)):
        return EXIT_TRAP
    if isinstance(error, ResourceLimit):
        return EXIT_LIMIT
    return EXIT_CRASH if isinstance(error, Crash) else EXIT_BAD


def _complain(message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        say(f"refwasm: {message}", BAD, len("refwasm:"), sys.stderr)
        sys.stderr.flush()
    return code


def _secure_streams() -> None:
    """Standard streams that are closed become unusable ones, so that no other file takes their numbers and no guest
    gets at it; those that can't encode something say it differently instead of failing."""
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):  # reading or writing fails, as it should
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, which is this one
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _usage() -> str:
    width = max(map(len, COMMANDS)) + 2
    rows = "\n".join(f"  {name:<{width}}{text}" for name, text in COMMANDS.items())
    return (
        f"usage: refwasm COMMAND …\n\ncommands:\n{rows}\n\nTo begin: 'refwasm run FILE.wasm' runs a program, "
        f"'refwasm doctor' says what is installed.\n'refwasm COMMAND --help' tells more."
    )
