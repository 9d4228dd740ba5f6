"""Engines that can only run what a module exports: the calls are baked into the module.

Such a program gets the shimmed module with one export for each call so far, a function that makes it; it runs all of
them from the start, which gives the same again since nothing from outside comes in.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from refwasm import embedding as e
from refwasm.engines.protocol import Died, Ended
from refwasm.errors import Malformed
from refwasm.oracle.closing import signature, with_types
from refwasm.oracle.outcomes import Outcome, Refused, Value
from refwasm.syntax.instructions import END, Instr, instr
from refwasm.syntax.modules import Export, Func, Module, func_types, subtypes
from refwasm.syntax.types import FuncType
from refwasm.validation.features import ALL

#: Seconds that a run may take.
TIMEOUT = 20.0


def baked(module: Module, calls: Sequence[tuple[str, Sequence[Value]]]) -> Module:
    """The module with exports ``c0``, ``c1``, … and no others: functions without parameters that make these calls."""
    by_name = {export.name: export.index for export in module.exports if export.kind == "func"}
    types, by_index = subtypes(module), func_types(module)
    added: dict[FuncType, int] = {}
    funcs, exports = [], []
    for number, (name, words) in enumerate(calls):
        results = signature(types, by_index[by_name[name]]).results
        index = added.setdefault(FuncType((), results), len(types) + len(added))
        body: list[Instr] = [instr(f"{word.type}.const", word.bits) for word in words]
        funcs.append(Func(index, (), (*body, instr("call", by_name[name]), END)))
        exports.append(Export(f"c{number}", "func", len(by_index) + number))
    whole = with_types(module, added)
    return whole._replace(funcs=(*module.funcs, *funcs), exports=tuple(exports), digest=b"")


class BakedEngine:
    """A program that runs the exports of a file. ``command`` gives the command line for a file, ``read`` what came of
    the exports from what the program wrote, or raises Ended if the module was not instantiated."""

    merges: tuple[frozenset[str], ...] = ()
    batch = True

    def __init__(
        self, name: str, version: str, command: Callable[[Path], Sequence[str]],
        read: Callable[[str, int], list[int | Outcome | None]],
    ) -> None:  # fmt: skip
        self.name, self.version, self.command, self.read = name, version, command, read
        self.features = ALL

    def instantiate(self, module: bytes) -> BakedInstance:
        try:
            decoded = e.module_decode(module)
        except Malformed as error:
            raise Ended(Refused("decode", str(error))) from None
        return BakedInstance(self, decoded)

    def run(self, module: Module, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
        """What comes of calls. Raises Ended if the module is not instantiated, and Died."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "module.wasm"
            file.write_bytes(e.module_encode(baked(module, calls)))
            try:
                done = subprocess.run(
                    self.command(file), capture_output=True, text=True, errors="replace", check=False, timeout=TIMEOUT
                )
            except subprocess.TimeoutExpired:
                raise Died(f"it did not end in {TIMEOUT:.0f} seconds") from None
        if done.returncode < 0:
            raise Died(f"it was killed by signal {-done.returncode}")
        found = self.read(done.stdout + done.stderr, len(calls))
        if len(found) != len(calls):
            raise Died(f"it told of {len(found)} calls, not {len(calls)}: {(done.stdout + done.stderr)[-200:]}")
        return found

    def close(self) -> None:
        pass


class BakedInstance:
    """A module and the calls so far."""

    def __init__(self, engine: BakedEngine, module: Module) -> None:
        self.engine, self.module = engine, module
        self.calls: list[tuple[str, Sequence[Value]]] = []
        engine.run(module, ())

    def call(self, export: str, words: Sequence[Value]) -> int | None:
        result = self.call_all([(export, words)])[0]
        if result is not None and not isinstance(result, int):
            raise Ended(result)
        return result

    def call_all(self, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
        before = len(self.calls)
        self.calls += calls
        return self.engine.run(self.module, self.calls)[before:]

    def memory(self, export: str) -> bytes | None:
        return None
