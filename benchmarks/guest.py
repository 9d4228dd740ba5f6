"""One run of a real program, as a process: ``python benchmarks/guest.py ENGINE GUEST TIMES [CACHE]``.

ENGINE is refwasm, or a peer; GUEST is micropython or quickjs; the script runs TIMES times in the same instance. Prints
what the script printed, and the seconds of the last time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

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


def on_refwasm(guest: str, cache: str | None) -> object:
    """Something with a method ``run``."""
    from spec_tests import programs

    program = getattr(programs, guest)(cache=cache)

    def run() -> str:
        function, output = ("mp_sandbox_exec", 1) if guest == "micropython" else ("qjs_eval", 3)
        program.output[output].clear()
        assert program.evaluate(function, SCRIPTS[guest]) == 0, program.output[2]
        return bytes(program.output[output]).decode()

    return run


def on_pwasm(guest: str, cache: str | None) -> object:
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


def main(engine: str, guest: str, times: str, cache: str = "") -> None:
    """Run, and say how long the last time took."""
    run = (on_refwasm if engine == "refwasm" else on_pwasm)(guest, cache or None)
    for _ in range(int(times)):
        start = time.perf_counter()
        output = run()  # type: ignore[operator]
        took = time.perf_counter() - start
    print(output)
    print(f"{took:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
