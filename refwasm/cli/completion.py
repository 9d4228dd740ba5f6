"""Print a script with which a shell completes refwasm's commands, options and files. Needs the extra cli.

bash: eval "$(refwasm completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc, behind compinit. fish:
refwasm completion fish > ~/.config/fish/completions/refwasm.fish"""

from __future__ import annotations

import argparse
import os
from typing import Any

from refwasm.cli import COMMANDS, UsageError, module_of

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    print(_argcomplete().shellcode(["refwasm"], shell=options.shell))
    return 0


def answer() -> None:
    """Answer the shell, and end the process. Only the module of the command in the line is imported."""
    words = os.environ.get("COMP_LINE", "").split()
    parser = argparse.ArgumentParser(prog="refwasm")
    commands = parser.add_subparsers()
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in words[1:2]:
            module_of(name).add_arguments(command)
    _argcomplete().autocomplete(parser)


def _argcomplete() -> Any:
    try:
        import argcomplete
    except ImportError:
        raise UsageError("completion needs the package argcomplete: pip install 'refwasm[cli]'") from None
    return argcomplete
