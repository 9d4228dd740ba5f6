"""The compiled tier against the interpreter: ``python -m tools.tiers COUNT SEED [TIER]``.

Random valid modules run on both, and results, traps with their places, globals, memories, tables and fuel are compared
after each call. TIER is ``compile``, ``auto``, ``loops`` or ``parts`` (see the classes). Half of the modules come from
``wasm-tools smith``, with one set of features or another, half from :mod:`refwasm.strategies`, as the
compiler likes them: counted loops over arrays, without fuel.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Exhaustion, ResourceLimit, Trap, UncaughtException, WasmError
from refwasm.execution.auto import MOST, Auto
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op
from refwasm.execution.life import Life
from refwasm.execution.store import FuncInst
from refwasm.strategies import Limits, modules
from refwasm.strategies.sampling import sample
from refwasm.syntax.types import FuncType, NumType


class Loops(Auto):
    """Calls are interpreted, and every loop goes on in compiled code when it has come round :data:`TURNS` times."""

    def prepare(self, code: Code) -> None:
        func = code.func
        assert func is not None
        if self.is_hot(func):
            super().prepare(code)
            return
        code.head = partial(self._head, code)
        code.build()

    def _head(self, code: Code, pc: int, op: Op) -> Op:
        assert code.func is not None
        life = Life(lambda: 0, known=False)
        life.left = TURNS
        return self._counted(life, 1, op, partial(self._loop, code.func, code, pc))


class Parts(Auto):
    """Functions are compiled at their first call, up to where they branch. Every other time that somebody gets to the
    rest, the interpreter's part of it is added."""

    def _born(self, func: FuncInst) -> Life:
        life = Life(lambda: len(func.body), known=False)
        life.left, life.tries = 0, 1000
        return life

    def resume(self, func: FuncInst, pc: int, locals: list[Any], stack: list[Any]) -> list[Any]:
        func.life.left = min(func.life.left, MOST)
        return super().resume(func, pc, locals, stack)


TURNS = 1
e.TIERS["loops"], e.TIERS["parts"] = Loops, Parts

OPTIONS = (
    "--ensure-termination", "--max-imports", "0", "--min-funcs", "3", "--min-exports", "3", "--max-instructions", "300",
    "--max-memory32-bytes", "262144", "--max-memory64-bytes", "262144",
)  # fmt: skip
FEATURES = ("simd", "relaxed-simd", "gc", "exceptions", "tail-call", "memory64", "threads")
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x3F800000, 0x7FC00000,
         0x7FA00000, 0xFFC00000, 0x7FF0000000000000, 0x7FF4000000000000, 0x8000000000000000)  # fmt: skip
FUEL = 20_000


def smith(data: bytes, folder: Path, features: set[str]) -> bytes | None:
    """A random module that the bytes stand for; None if they give none, or the tool is missing."""
    source, target = folder / "seed", folder / "module.wasm"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    tool = Path(sys.executable).parent / "wasm-tools"
    if not tool.exists():
        return None
    switches = [word for name in FEATURES for word in (f"--{name}-enabled", str(name in features).lower())]
    command = [str(tool), "smith", *OPTIONS, *switches, str(source), "-o", str(target)]
    subprocess.run(command, capture_output=True, check=False)
    return target.read_bytes() if target.exists() else None


def drawn(count: int, seed: int) -> list[str]:
    """Modules of the strategies, in the text format, whose loops no fuel ends."""
    strategy = modules(limits=Limits(functions=3, instructions=150), traps="allowed", termination=None)
    return [module.wat() for module in sample(strategy, count, seed)]


class Run:
    """One module on one tier. ``fuel`` is given anew to every call."""

    def __init__(self, validated: e.Validated, tier: str, fuel: int | None) -> None:
        self.settings = e.Settings(call_depth=300, memory_pages=16, fuel=fuel)
        self.fuel = fuel
        self.store = e.store_init(self.settings, tier)
        self.instance = e.module_instantiate(self.store, validated, [])

    def call(self, name: str, args: list[int]) -> tuple[Any, ...]:
        """What came out, and what is left behind."""
        func = self.instance.exports[name]
        assert isinstance(func, e.FuncInst)
        self.settings.fuel = self.fuel
        try:
            outcome: tuple[Any, ...] = ("returned", [show(value) for value in e.func_invoke(self.store, func, args)])
        except Exhaustion as exhaustion:
            outcome = ("exhausted", exhaustion.message)
        except Trap as trap:
            outcome = ("trapped", trap.message, list(map(str, trap.backtrace)))
        except (UncaughtException, ResourceLimit) as error:
            outcome = (type(error).__name__, str(error))
        except Exception as error:
            outcome = ("crashed", repr(error))
        return (*outcome, self.settings.fuel, *self.state())

    def state(self) -> tuple[Any, ...]:
        """Globals, memories, tables."""
        return (
            [show(cell.value) for cell in self.instance.globals],
            [hash(bytes(memory.u8)) for memory in self.instance.memories],
            [[show(item) for item in table.elements[:50]] for table in self.instance.tables],
        )


def show(value: Any) -> Any:
    """Numbers as they are, references by their kind."""
    if type(value) is int or value is None:
        return value
    return f"{type(value).__name__} {getattr(value, 'index', '')}"


def compare(module: bytes | str, seed: int, fuel: int | None = None, calls: int = 4, tier: str = "compile") -> str:
    """The first difference between a tier and the interpreter, or ""."""
    runs: list[Run] = []
    try:
        validated = e.module_validate(e.module_load(module))
        for name in ("interpret", tier):
            runs.append(Run(validated, name, fuel))
    except WasmError as error:
        return f"only one instance: {error}" if len(runs) == 1 else ""
    generator = random.Random(seed)
    for name, item in runs[0].instance.exports.items():
        if not isinstance(item, e.FuncInst):
            continue
        t: FuncType = item.signature
        if not all(isinstance(p, NumType) for p in t.params):
            continue
        for _ in range(calls):
            args = arguments(generator, t)
            first = runs[0].call(name, list(args))
            if first[0] == "exhausted":  # how deep the stack goes is the tier's business
                return ""
            second = runs[1].call(name, list(args))
            if first != second:
                return f"{name}({args}): {first!r:.400} but {second!r:.400}"
    return ""


def compared(module: bytes | str, seed: int, tier: str = "compile") -> str:
    """With fuel, and, if that was enough, without."""
    difference = compare(module, seed, FUEL, tier=tier)
    if difference:
        return "with fuel: " + difference
    return "" if spends(module, seed) else compare(module, seed, tier=tier)


def spends(module: bytes | str, seed: int) -> bool:
    """Whether a program of ours runs long: those of smith have a limit of their own."""
    if isinstance(module, bytes):
        return False
    try:
        run = Run(e.module_validate(e.module_load(module)), "interpret", FUEL)
    except WasmError:  # the start function fails: there is nothing to call
        return True
    generator = random.Random(seed)
    for name, item in run.instance.exports.items():
        if isinstance(item, e.FuncInst) and all(isinstance(p, NumType) for p in item.signature.params):
            for _ in range(4):
                if run.call(name, arguments(generator, item.signature))[0] == "ResourceLimit":
                    return True
    return False


def arguments(generator: random.Random, t: FuncType) -> list[int]:
    """Small numbers, edges, any numbers."""
    small = generator.random() < 0.5
    return [
        (generator.randrange(100) * 4 if small else generator.choice((*EDGES, generator.getrandbits(64))))
        & (1 << p.bits) - 1  # type: ignore[union-attr]
        for p in t.params
    ]


def main(count: int, seed: int, tier: str = "compile") -> int:
    """Compare so many modules; the number of differences."""
    generator = random.Random(seed)
    programs = iter(drawn(count, seed))
    differences = made = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            module: bytes | str | None = next(programs)
            if number % 2:
                features = {name for name in FEATURES if generator.random() < 0.4}
                module = smith(generator.randbytes(generator.choice((200, 1000, 4000))), Path(folder), features)
            if module is None:
                continue
            made += 1
            if made % 1000 == 0:
                print(f"{made} modules, {differences} differences", flush=True)
            difference = compared(module, number, tier)
            if difference:
                differences += 1
                kept = Path(tempfile.gettempdir()) / f"tiers-{seed}-{number}.{'wasm' if number % 2 else 'wat'}"
                kept.write_bytes(module if isinstance(module, bytes) else module.encode())
                print(f"{kept}: {difference}", flush=True)
    print(f"{made} modules, {differences} differences")
    return differences


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])))
