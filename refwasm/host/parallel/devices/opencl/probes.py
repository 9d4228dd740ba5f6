"""Whether a device is exact: operations that compilers and hardware like to change, tried on it with known results."""

from __future__ import annotations

import struct
from collections.abc import Callable

from refwasm.host.parallel.devices.opencl.spelling import preamble

#: A probe: what it is about, the type of its operands and result, the expression of a, b and c, operands, the result.
Probe = tuple[str, str, str, tuple[int, int, int], int]

PROBES: tuple[Probe, ...] = (
    ("f32 subnormal results", "f32", "MUL32(a, b)", (0x00800000, 0x3F000000, 0), 0x00400000),
    ("f32 subnormal operands", "f32", "MUL32(a, b)", (0x00000001, 0x4B000000, 0), 0x00800000),
    ("f32 contraction", "f32", "ADD32(MUL32(a, b), c)", (0x3F800001, 0x3F800001, 0xBF800002), 0x00000000),
    ("f32 division", "f32", "DIV32(a, b)", (0x40A00000, 0x40400000, 0), 0x3FD55555),
    ("f32 division near a tie", "f32", "DIV32(a, b)", (0x3FFFFFFF, 0x3F7FFFFF, 0), 0x40000000),
    ("f32 square root", "f32", "SQRT32(a)", (0x40000000, 0, 0), 0x3FB504F3),
    ("f32 square root of a subnormal", "f32", "SQRT32(a)", (0x00000001, 0, 0), 0x1A3504F3),
    ("f32 signed zero", "f32", "ADD32(a, b)", (0x80000000, 0x80000000, 0), 0x80000000),
    ("f32 NaN", "f32", "canon32(SQRT32(a))", (0xBF800000, 0, 0), 0x7FC00000),
    ("f32 rounding", "f32", "RINT32(a)", (0x40200000, 0, 0), 0x40000000),
    ("f64 subnormal results", "f64", "MUL64(a, b)", (0x0010000000000000, 0x3FE0000000000000, 0), 0x0008000000000000),
    ("f64 contraction", "f64", "ADD64(MUL64(a, b), c)",
     (0x3FF0000000000001, 0x3FF0000000000001, 0xBFF0000000000002), 0),
    ("f64 division", "f64", "DIV64(a, b)", (0x4014000000000000, 0x4008000000000000, 0), 0x3FFAAAAAAAAAAAAB),
    ("f64 NaN", "f64", "canon64(SQRT64(a))", (0xBFF0000000000000, 0, 0), 0x7FF8000000000000),
    ("f64 square root", "f64", "SQRT64(a)", (0x4000000000000000, 0, 0), 0x3FF6A09E667F3BCD),
)  # fmt: skip


def _text(number: int, t: str, expression: str) -> str:
    n = t[1:]
    operands = " ".join(f"f{n} {x} = FLOAT{n}(given[{k}]);" for k, x in enumerate("abc"))
    words = "SHARED_WORDS" if n == "32" else "SHARED_LONGS"
    return (
        f"ENTRY void probe{number}({words} given, {words} made) {{ {operands} made[0] = BITS{n}({expression}); }}"
    )  # fmt: skip


def nothing(language: str) -> str:
    """The simplest program."""
    return "\n".join([preamble(language), "ENTRY void nothing(SHARED_WORDS given, SHARED_WORDS made) { }"])


def text(language: str, double: bool) -> str:
    """A program with an entry for each probe."""
    longs = "__global u64 *" if language == "opencl" else "u64 *"
    entries = [_text(number, t, expression) for number, (_, t, expression, _, _) in enumerate(PROBES)
               if double or t == "f32"]  # fmt: skip
    return "\n".join([preamble(language), f"#define SHARED_LONGS {longs}", *entries])


def wrong(probe: Callable[[str, bytes, int], bytes], double: bool) -> tuple[str, ...]:
    """What is not exact on a device; ``probe`` runs an entry of the program on operands."""
    found = []
    for number, (what, t, _, operands, right) in enumerate(PROBES):
        if t == "f64" and not double:
            continue
        code, size = ("I", 4) if t == "f32" else ("Q", 8)
        (got,) = struct.unpack(f"<{code}", probe(f"probe{number}", struct.pack(f"<3{code}", *operands), size))
        if got != right:
            found.append(f"{what}: 0x{got:X}, not 0x{right:X}")
    return tuple(found)
