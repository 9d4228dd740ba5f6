"""All operations that a translated kernel may contain, on edge and random operands: a device against SEQUENTIAL.

A kernel does each of some instructions in each iteration, on that iteration's operands, and stores the results.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from refwasm.execution.numerics.edges import EDGES
from refwasm.host.parallel.devices.opencl import operations, vectors
from refwasm.syntax.instructions import FORMS
from tools.guests import SEQUENTIAL, DeviceHint, kernel_wat, program

TYPES = ("i32", "i64", "f32", "f64", "v128")
#: Bytes of the operands of an iteration: three of each type, 16 bytes each.
OPERANDS = 16 * 3 * len(TYPES)
PLACE = 65536

SCALARS = [*operations.EXPRESSIONS, *operations.WIDE]
VECTORS = [
    *vectors.STATEMENTS, "i8x16.shuffle",
    *(name for name in FORMS if name.endswith(("extract_lane", "replace_lane", "extract_lane_s", "extract_lane_u"))),
]  # fmt: skip
LOADS = [
    name for name, form in FORMS.items()
    if form.width and ".load" in name and "atomic" not in name and form.feature in ("mvp", "simd")
]  # fmt: skip
STORES = [
    name for name, form in FORMS.items()
    if form.width and ".store" in name and "atomic" not in name and form.feature in ("mvp", "simd")
]  # fmt: skip
ATOMICS = [
    name for name, form in FORMS.items()
    if ".atomic." in name and form.width and ".wait" not in name and ".notify" not in name
]  # fmt: skip


def operand(t: str, choose: random.Random) -> int:
    """A value of a type, often an edge value."""
    if t != "v128":
        return choose.choice(EDGES[t]) if choose.random() < 0.6 else choose.getrandbits(int(t[1:]))
    halves = []
    for _ in range(2):
        kind = choose.randrange(4)
        word = choose.choice(EDGES["i32"])
        halves.append(
            choose.choice(EDGES["f64"]) if kind == 0
            else choose.choice(EDGES["f32"]) | choose.choice(EDGES["f32"]) << 32 if kind == 1
            else word | word << 32 if kind == 2
            else choose.getrandbits(64)
        )  # fmt: skip
    return halves[0] | halves[1] << 64


def body_of(names: Sequence[str]) -> str:
    """Each instruction once: its operands from ``$in``, its results to ``$out``. Accesses are to a place of their own
    in the operands, at an address that only plain ones may have."""
    lines = []
    for number, name in enumerate(names):
        form, at = FORMS[name], 16 * number
        lane = {"lane": " 1", "lanes": " 0 17 2 19 4 21 6 23 31 9 30 10 29 11 28 12"}
        immediates = "".join(lane.get(word, "") for word in form.immediates)
        args = [_operand(repr(t), k) for k, t in enumerate(form.params or ())]
        if form.takes_address and ".store" not in name and ".rmw" not in name:
            offset = 0 if "atomic" in name else 3
            immediates = f" offset={offset}{immediates}"
            args.insert(0, "(local.get $in)")
        elif form.takes_address:  # to a copy of operands
            offset = at if "atomic" in name else at + 1
            lines.append(f"(v128.store offset={at} (local.get $out) {_operand('v128', 2)})")
            immediates = f" offset={offset}{immediates}"
            args.insert(0, "(local.get $out)")
        value = f"({name}{immediates} {' '.join(args)})"
        results = [repr(t) for t in form.results or ()]
        if form.takes_address and ".rmw" in name:
            lines.append(f"({results[0]}.store offset={at + 8} (local.get $out) {value})")
        elif len(results) == 1:
            lines.append(f"({results[0]}.store offset={at} (local.get $out) {value})")
        elif results:
            low, high = f"(i64.store offset={at})", f"(i64.store offset={at + 8} (local.get $out) (local.get $t))"
            lines.append(f"(local.get $out) {value} (local.set $t) {low} {high}")
        else:
            lines.append(value)
    return "\n".join(lines)


def _operand(t: str, k: int) -> str:
    return f"({t}.load offset={16 * (3 * TYPES.index(t) + k)} (local.get $in))"


def kernel_of(names: Sequence[str]) -> str:
    """A kernel that does them all."""
    begin = f"""(local $in i32) (local $out i32) (local $t i64)
      (local.set $in (i32.add (local.get $p0) (i32.mul (local.get $id) (i32.const {OPERANDS}))))
      (local.set $out (i32.add (local.get $p1) (i32.mul (local.get $id) (i32.const {16 * len(names) + 16}))))"""
    return kernel_wat(begin + body_of(names), 2, memory="1 1000 shared")


def results(names: Sequence[str], count: int, hint: DeviceHint, seed: int = 1) -> bytes:
    """What a device makes of so many sets of operands; it must not be another one that does it."""
    choose = random.Random(seed)
    data = b"".join(
        operand(t, choose).to_bytes(16, "little") for _ in range(count) for t in TYPES for _ in range(3)
    )  # fmt: skip
    p = program(kernel_of(names), "1000 1000 shared")
    device = p.device(hint)
    size = count * (16 * len(names) + 16)
    given, made = p.buffer(device, len(data)), p.buffer(device, size)
    start = -(-(PLACE + len(data)) // 65536) * 65536
    p.memory.write(PLACE, data)
    p.memory.write(start, bytes(size))
    assert p.call("write_buffer", PLACE, len(data), given) == p.call("write_buffer", start, size, made) == 0
    assert p.exec(device, count, given, made) == 0, p.failures
    assert not p.context.runs[-1].instead, p.context.runs[-1].instead
    return p.memory.read(start, size)


def wrong(names: Sequence[str], count: int, hint: DeviceHint, seed: int = 1) -> list[str]:
    """The instructions of which a device makes something else than SEQUENTIAL."""
    right, got = results(names, count, SEQUENTIAL, seed), results(names, count, hint, seed)
    size, found = 16 * len(names) + 16, dict[str, None]()
    for start in range(0, len(right), size):
        for number, name in enumerate(names):
            at = start + 16 * number
            if right[at : at + 16] != got[at : at + 16]:
                found[name] = None
    return list(found)
