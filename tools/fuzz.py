"""Garbage: ``python -m tools.fuzz [COUNT [SEED]]`` feeds mutated modules to decoder, validator and parser.

Exits with 1, and the offending input in a file, at the first outcome that is not documented.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path

from refwasm.binary import decode, encode
from refwasm.errors import WasmError
from refwasm.text import parse_module, print_module
from refwasm.validation import validate
from tools.guests import shipped

_INTERESTING = (0x00, 0x01, 0x0B, 0x40, 0x60, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF)


def pieces(data: bytes) -> list[bytes]:
    """Modules of a few functions each from a large one: small mutants are tried faster."""
    module = decode(data)
    small = [func for func in module.funcs if len(func.body) < 200][:40]
    rest = module._replace(exports=(), elems=(), datas=module.datas[:1], start=None)
    return [encode(rest._replace(funcs=tuple(small[i : i + 4]))) for i in range(0, len(small), 4)]


def mutate_bytes(generator: random.Random, data: bytes) -> bytes:
    """A few bytes changed, inserted, removed or repeated."""
    out = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 5))):
        at = generator.randrange(8, len(out)) if len(out) > 9 else 0
        kind = generator.randrange(5)
        if kind == 0:
            out[at : at + 1] = bytes([generator.randrange(256)])
        elif kind == 1:
            out[at : at + 1] = bytes([generator.choice(_INTERESTING)])
        elif kind == 2:
            del out[at : at + generator.choice((1, 2, 10, 100))]
        elif kind == 3:
            out[at:at] = bytes(generator.choice(_INTERESTING) for _ in range(generator.choice((1, 2, 5))))
        else:
            out[at:at] = out[at : at + generator.choice((1, 4, 50))]
    return bytes(out)


def mutate_text(generator: random.Random, text: str) -> str:
    """A few words or characters removed, repeated, exchanged or replaced."""
    words = text.split(" ")
    for _ in range(generator.choice((1, 1, 2, 4))):
        at = generator.randrange(len(words))
        kind = generator.randrange(5)
        if kind == 0:
            del words[at : at + 1]
        elif kind == 1:
            words.insert(at, words[generator.randrange(len(words))])
        elif kind == 2:
            words[at] = words[generator.randrange(len(words))]
        elif kind == 3 and words[at]:
            place = generator.randrange(len(words[at]))
            words[at] = words[at][:place] + chr(generator.choice((0, 34, 36, 40, 41, 59, 92, 255))) + words[at][place:]
        else:
            words[at] = words[at][: len(words[at]) // 2]
        words = words or [""]
    return " ".join(words)


def try_binary(data: bytes) -> str:
    """What became of a mutant; anything but a WasmError escapes."""
    try:
        module = decode(data)
        if decode(encode(module)) != module:
            raise AssertionError("the round trip through the binary format changed the module")
        validate(module)
        if parse_module(print_module(module)) != module:
            raise AssertionError("the round trip through the text format changed the module")
    except WasmError as error:
        return type(error).__name__
    return "valid"


def try_text(text: str) -> str:
    """The same for the text format."""
    try:
        validate(parse_module(text))
    except WasmError as error:
        return type(error).__name__
    return "valid"


def main(count: int = 100_000, seed: int = 0) -> int:
    """Try ``count`` mutants, half of each format."""
    root = Path(__file__).parent.parent
    binaries = [path.read_bytes() for path in (root / "examples").glob("*.wasm")]
    texts = [path.read_text() for path in [*(root / "examples").glob("*.wat"), *(root / "spec_tests").rglob("*.wast")]]
    try:
        binaries += pieces(shipped("micropython"))
    except AssertionError:
        print("pwasm is not installed: fewer seeds")
    generator = random.Random(seed)
    outcomes: Counter[str] = Counter()
    started, slowest = time.monotonic(), 0.0
    for number in range(count):
        binary = number % 2 == 0
        data = mutate_bytes(generator, generator.choice(binaries)) if binary else b""
        text = "" if binary else mutate_text(generator, generator.choice(texts))
        start = time.monotonic()
        try:
            outcomes[try_binary(data) if binary else try_text(text)] += 1
        except Exception as error:
            Path("fuzz-finding").write_bytes(data if binary else text.encode())
            print(f"{type(error).__name__}: {error} (mutant {number}, seed {seed}; written to fuzz-finding)")
            return 1
        slowest = max(slowest, time.monotonic() - start)
    rows = ", ".join(f"{kind} {n}" for kind, n in outcomes.most_common())
    print(f"{count} mutants in {time.monotonic() - started:.0f} s, slowest {slowest:.2f} s: {rows}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:3])))
