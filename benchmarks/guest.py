"""One run of a real program, as a process: ``python benchmarks/guest.py ENGINE GUEST TIMES [CACHE]``.

ENGINE is refwasm, deferred (refwasm, which validates functions when they are called), or a peer; GUEST is micropython
or quickjs; the script runs TIMES times in the same instance, or once for each line of standard input if TIMES is ``-``.
Prints what the script printed, and the seconds that it took, each time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

SCRIPTS = {
    "micropython": """
def primes(n):
    found = []
    for i in range(2, n):
        if all(i % p for p in found if p * p <= i):
            found.append(i)
    return found
words = {}
for w in ("the quick brown fox jumps over the lazy dog " * 4).split():
    words[w] = words.get(w, 0) + 1
print(len(primes(400)), sorted(words.items())[:3], sum(x * x for x in range(500)))
""",
    "quickjs": """
function primes(n) {
  const found = [];
  for (let i = 2; i < n; i++) if (!found.some(p => i % p === 0)) found.push(i);
  return found;
}
var words = {};
for (const w of "the quick brown fox jumps over the lazy dog ".repeat(4).split(" ")) words[w] = (words[w] || 0) + 1;
JSON.stringify([primes(200).length, words, Array.from({length: 200}, (_, i) => i * i).reduce((a, b) => a + b)])
""",
}


class Longjmp(Exception):
    """Unwinds to the nearest ``invoke_…`` (the convention of code compiled by Emscripten)."""


class Guest:
    """One of the programs, on the embedding interface."""

    def __init__(self, guest: str, cache: str | None, deferred: bool = False) -> None:
        from refwasm import embedding as e
        from tools.guests import shipped as binary

        self.e, self.output = e, {fd: bytearray() for fd in range(1, 5)}
        self.store = e.store_init(e.Settings(cache=cache))
        validated = e.module_open(binary(guest), cache, deferred=deferred)
        types = [(name, t.type.composite) for _, name, t in e.module_imports(validated)]  # type: ignore[union-attr]
        externs = [e.func_alloc(t, self._import(name, t)) for name, t in types]
        self.instance = e.module_instantiate(self.store, validated, externs)
        self.exports = self.instance.exports
        self.memory, self.table = self.exports["memory"], self.exports.get("__indirect_function_table")
        self.stack = self.exports.get("__stack_pointer")
        self.call("_initialize")

    def call(self, name: str, *args: int) -> int:
        results = self.store.invoke(self.exports[name], args)
        return results[0] if results else 0

    def run(self, function: str, script: str) -> int:
        """Copy a script into the guest and run it."""
        raw = script.encode()
        pointer = self.call("malloc", len(raw) + 1)
        self.memory.write(pointer, raw + b"\0")
        status = self.call(function, pointer, len(raw))
        self.call("free", pointer)
        return status

    def _import(self, name: str, t: Any) -> Any:
        if name.startswith("invoke_"):
            return self._invoke
        found = {"host_write": self._write, "_emscripten_throw_longjmp": self._throw, "clock_time_get": self._clock}
        return found.get(name, lambda *args: [8] if name.startswith("fd_") else [0] if t.results else [])

    def _invoke(self, index: int, *args: Any) -> Any:
        saved = self.stack.value
        func = self.table.elements[index]
        try:
            return self.store.invoke(func, args)
        except Longjmp:
            self.stack.value = saved
            self.call("setThrew", 1, 0)
            return [0] if func.signature.results else []

    def _throw(self) -> Any:
        raise Longjmp

    def _write(self, fd: int, pointer: int, size: int) -> Any:
        self.output[fd] += self.memory.read(pointer, size)
        return []

    def _clock(self, clock: int, precision: int, out: int) -> Any:
        self.memory.write(out, time.time_ns().to_bytes(8, "little"))
        return [0]


def on_refwasm(guest: str, cache: str | None, deferred: bool = False) -> Callable[[], str]:
    """What runs the script once and gives its output."""
    program = Guest(guest, cache, deferred)
    init, function, output = ("mp_sandbox_init", "mp_sandbox_exec", 1) if guest == "micropython" else (
        "qjs_init", "qjs_eval", 3)  # fmt: skip
    assert program.call(init, *((256 * 1024,) if guest == "micropython" else (0, 512 * 1024))) == 0

    def run() -> str:
        program.output[output].clear()
        assert program.run(function, SCRIPTS[guest]) == 0, program.output
        return bytes(program.output[output]).decode()

    return run


def on_pwasm(guest: str, cache: str | None) -> Callable[[], str]:
    """The same on pwasm in its default mode, which compiles what is hot."""
    import pwasm.codegen

    pwasm.codegen.CACHE_DIR = cache
    if guest == "micropython":
        from pwasm.guests.micropython import MicroPython

        python = MicroPython()
        return lambda: python.exec(SCRIPTS[guest])
    from pwasm.guests.quickjs import QuickJS

    js = QuickJS()
    return lambda: js.eval(SCRIPTS[guest])


ENGINES = {"refwasm": on_refwasm, "deferred": partial(on_refwasm, deferred=True), "pwasm": on_pwasm}


def main(engine: str, guest: str, times: str, cache: str = "") -> None:
    """Run, and say how long it took."""
    run = ENGINES[engine](guest, cache or None)
    for _ in sys.stdin if times == "-" else range(int(times)):
        start = time.perf_counter()
        output = run().strip()
        took = time.perf_counter() - start
        print(output, f"{took:.4f}", sep="\n", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
