"""The compiled tier against the interpreter: ``python -m spec_tests.tiers COUNT SEED`` runs random valid modules of
``wasm-tools smith`` on both and compares results, traps with their place, globals and memories after each call."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.errors import ResourceLimit, Trap, UncaughtException, WasmError
from refwasm.syntax.types import FuncType, NumType

OPTIONS = (
    "--ensure-termination", "--max-imports", "0", "--min-funcs", "3", "--min-exports", "3", "--max-instructions", "300",
    "--max-memory32-bytes", "262144", "--canonicalize-nans", "true", "--simd-enabled", "false", "--gc-enabled", "false",
    "--exceptions-enabled", "false",
)  # fmt: skip
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x3F800000, 0x7FC00000)


def smith(data: bytes, folder: Path) -> bytes | None:
    """A random module that the bytes stand for; None if they give none, or the tool is missing."""
    source, target = folder / "seed", folder / "module.wasm"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    tool = Path(sys.executable).parent / "wasm-tools"
    if not tool.exists():
        return None
    subprocess.run([str(tool), "smith", *OPTIONS, str(source), "-o", str(target)], capture_output=True, check=False)
    return target.read_bytes() if target.exists() else None


class Run:
    """One module on one tier."""

    def __init__(self, validated: e.Validated, tier: str) -> None:
        self.store = e.store_init(e.Settings(call_depth=300, memory_pages=16), tier)
        self.instance = e.module_instantiate(self.store, validated, [])

    def call(self, name: str, args: list[int]) -> tuple[Any, ...]:
        """What came out, and what is left behind."""
        func = self.instance.exports[name]
        assert isinstance(func, e.FuncInst)
        try:
            outcome: tuple[Any, ...] = ("returned", [show(value) for value in e.func_invoke(self.store, func, args)])
        except Trap as trap:
            place = str(trap.backtrace[0]) if trap.backtrace and trap.message != "call stack exhausted" else ""
            outcome = ("trapped", trap.message, place)
        except (UncaughtException, ResourceLimit) as error:
            outcome = (type(error).__name__,)
        return (*outcome, *self.state())

    def state(self) -> tuple[Any, ...]:
        return (
            [show(cell.value) for cell in self.instance.globals],
            [hash(bytes(memory.u8)) for memory in self.instance.memories],
            [[show(item) for item in table.elements[:50]] for table in self.instance.tables],
        )


def show(value: Any) -> Any:
    """Numbers as they are, references by their kind."""
    if isinstance(value, bool) or not (value is None or isinstance(value, int)):
        return f"{type(value).__name__} {getattr(value, 'index', '')}"
    return value


def compare(module: bytes, seed: int, calls: int = 4) -> str:
    """The first difference, or ""."""
    try:
        validated = e.module_validate(e.module_decode(module))
        runs = [Run(validated, tier) for tier in ("interpret", "compile")]
    except WasmError:
        return ""
    generator = random.Random(seed)
    for name, item in runs[0].instance.exports.items():
        if not isinstance(item, e.FuncInst):
            continue
        t: FuncType = item.signature
        if not all(isinstance(p, NumType) for p in t.params):
            continue
        for _ in range(calls):
            args = [generator.choice((*EDGES, generator.getrandbits(p.bits))) & (1 << p.bits) - 1 for p in t.params]  # type: ignore[union-attr]
            ours = [run.call(name, list(args)) for run in runs]
            if ours[0] != ours[1]:
                return f"{name}({args}): {ours[0]!r:.300} but {ours[1]!r:.300}"
    return ""


def main(count: int, seed: int) -> int:
    """Compare so many modules; the number of differences."""
    generator = random.Random(seed)
    differences = made = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            module = smith(generator.randbytes(generator.choice((200, 1000, 4000))), Path(folder))
            if module is None:
                continue
            made += 1
            difference = compare(module, number)
            if difference:
                differences += 1
                kept = Path(tempfile.gettempdir()) / f"tiers-{seed}-{number}.wasm"
                kept.write_bytes(module)
                print(f"{kept}: {difference}", flush=True)
    print(f"{made} modules, {differences} differences")
    return differences


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
