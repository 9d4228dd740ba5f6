"""The command line: one module per command, imported when the command is used.

Exit codes: 0 success; 1 the module or script is bad; 2 wrong usage; 124 a limit was reached (fuel, time, memory);
130 interrupted; 134 trap or uncaught exception; 70 a worker died; otherwise the guest's own exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from refwasm.errors import Crash, Exit, ResourceLimit, Trap, UncaughtException, WasmError

EXIT_BAD, EXIT_USAGE, EXIT_CRASH, EXIT_LIMIT, EXIT_INTERRUPTED, EXIT_TRAP = 1, 2, 70, 124, 130, 134

COMMANDS: dict[str, str] = {
    "run": "run a program, or one of its functions",
    "check": "run a program under every policy that the rules admit, and compare",
    "validate": "check modules",
    "wat2wasm": "text format to binary format",
    "wasm2wat": "binary format to text format",
    "dump": "show sections, imports, exports and code with offsets",
    "wast": "run scripts of the official test suite's format",
}


class UsageError(Exception):
    """Wrong usage, with a message for the user."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help"):
        print(_usage())
        return 0 if args else EXIT_USAGE
    if args[0] == "--version":
        from refwasm import __version__

        print(f"refwasm {__version__}")
        return 0
    if args[0] not in COMMANDS:
        return _complain(f"unknown command {args[0]!r}; commands are {', '.join(COMMANDS)}", EXIT_USAGE)
    return _guarded(args[0], args[1:])


def _guarded(command: str, args: list[str]) -> int:
    module = importlib.import_module(f"refwasm.cli.{command}")
    parser = argparse.ArgumentParser(prog=f"refwasm {command}", description=module.__doc__)
    module.add_arguments(parser)
    try:
        code: int = module.run(parser.parse_args(args))
        sys.stdout.flush()
        return code
    except Exit as error:
        return error.code & 0xFF
    except UsageError as error:
        return _complain(str(error), EXIT_USAGE)
    except WasmError as error:
        return _complain(explain(error), exit_code(error))
    except KeyboardInterrupt:
        return _complain("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads: say nothing, also at exit
        return EXIT_BAD
    except OSError as error:
        return _complain(f"{error.filename or 'error'}: {error.strerror or error}", EXIT_BAD)


def explain(error: WasmError) -> str:
    """One line, and the calls that were active where there were any."""
    text = str(error)
    if isinstance(error, Trap):
        text = "trap: " + text + "".join(f"\n    at {entry}" for entry in error.backtrace)
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
    print(f"refwasm: {message}", file=sys.stderr)
    return code


def _usage() -> str:
    rows = "\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())
    return f"usage: refwasm COMMAND …\n\ncommands:\n{rows}\n\n'refwasm COMMAND --help' tells more."
