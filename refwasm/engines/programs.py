"""Programs that run a module's exports, as engines: wabt's ``wasm-interp`` and binaryen's ``wasm-opt``."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from refwasm import embedding as e
from refwasm.engines.baked import BakedEngine
from refwasm.engines.own import RefwasmEngine, RefwasmInstance
from refwasm.engines.protocol import Died, Ended
from refwasm.oracle.outcomes import Exhausted, Limited, Outcome, Refused, Trapped
from refwasm.oracle.traps import TABLE_ACCESS, kind_of

#: Seconds that the optimiser may take for a module.
TIMEOUT = 20.0

# ---- wabt ------------------------------------------------------------------------------------------------------------

_CALL = re.compile(r"^c(\d+)\(\) =>(?: (.*))?$", re.MULTILINE)
_WABT_TRAPS = {
    "undefined table index": "undefined-element", "undefined table element": "undefined-element",
    "uninitialized table element": "uninitialized-element", "indirect call signature mismatch": "call-type",
    "atomic memory access is unaligned": "unaligned", "ref.as_non_null": "null-reference",
    "null reference": "null-reference",
}  # fmt: skip


def read_wabt(text: str, calls: int) -> list[int | Outcome | None]:
    """What ``wasm-interp --run-all-exports`` told of each call."""
    found = [_wabt_result(match[2]) for match in _CALL.finditer(text)]
    if not found and text.strip():
        raise Ended(_wabt_refusal(text.strip()))
    return found


def _wabt_result(text: str | None) -> int | Outcome | None:
    if not text:
        return None
    kind, _, rest = text.partition(":")
    if kind != "error":
        return int(rest, 0)
    message = rest.strip()
    if "stack exhausted" in message:
        return Exhausted()
    for start, trap in _WABT_TRAPS.items():
        if message.startswith(start):
            return Trapped(trap)
    return Trapped(kind_of(message))


def _wabt_refusal(text: str) -> Outcome:
    last = text.splitlines()[-1]
    if "initializing module" in last or "out of bounds" in last or "unreachable executed" in last:
        return Trapped(kind_of(last.split(": ", 1)[-1].removeprefix("error initializing module: ")))
    if "unable to" in last or "limit" in last:
        return Limited(last)
    return Refused("validate", text.splitlines()[0])


def wabt(command: Sequence[str], version: str, flags: Sequence[str]) -> BakedEngine:
    """wabt's interpreter."""
    made = BakedEngine(
        "wabt", version, lambda file: [*command, str(file), "--run-all-exports", *flags], read_wabt
    )  # fmt: skip
    made.merges = (TABLE_ACCESS, frozenset({"undefined-element", "uninitialized-element"}))
    return made


# ---- binaryen --------------------------------------------------------------------------------------------------------

_EXPORT = re.compile(r"^\[fuzz-exec\] (?:export|calling) c(\d+)$", re.MULTILINE)
_NOTE = re.compile(r"^\[fuzz-exec\] note result: c\d+ => (.*)$", re.MULTILINE)
_BINARYEN_TRAPS = (
    ("unreachable", "unreachable"), ("div_s by 0", "divide-by-zero"), ("div_u by 0", "divide-by-zero"),
    ("rem_s by 0", "divide-by-zero"), ("rem_u by 0", "divide-by-zero"), ("div_s overflow", "integer-overflow"),
    ("trunc", "invalid-conversion"), ("memory:", "memory-access"), ("memory", "memory-access"),
    ("null target in call_indirect", "uninitialized-element"), ("table access", "table-access"),
    ("callIndirect", "call-type"), ("null", "null-reference"), ("cast", "cast"), ("array", "array-access"),
    ("unaligned", "unaligned"), ("segment", "memory-access"), ("table", "table-access"),
)  # fmt: skip


def read_binaryen(text: str, calls: int) -> list[int | Outcome | None]:
    """What ``wasm-opt --fuzz-exec`` told of each call; it tells of all of them twice."""
    begins = [match.start() for match in _EXPORT.finditer(text)] or [len(text)]
    before = text[: begins[0]]
    if "[trap" in before or "[host limit" in before or "Fatal" in text or "parse exception" in text:
        raise Ended(_binaryen_outcome(before) or Refused("validate", text.strip().splitlines()[0]))
    pieces = [text[a:b] for a, b in zip(begins, [*begins[1:], len(text)])][:calls]
    return [_binaryen_result(piece) for piece in pieces]


def _binaryen_result(piece: str) -> int | Outcome | None:
    note = _NOTE.search(piece)
    if note is not None:
        return int(note[1], 0)
    return _binaryen_outcome(piece)


def _binaryen_outcome(text: str) -> Outcome | None:
    if "[host limit" in text:
        limit = text.partition("[host limit ")[2].partition("]")[0]
        return Exhausted() if "stack" in limit else Limited(limit)
    if "[trap " not in text:
        return None
    message = text.partition("[trap ")[2].partition("]\n")[0]
    kind = next((kind for part, kind in _BINARYEN_TRAPS if part in message), message)
    return Trapped(kind)


def binaryen(command: Sequence[str], version: str) -> BakedEngine:
    """binaryen's interpreter."""
    made = BakedEngine("binaryen", version, lambda file: [*command, str(file), "-all", "--fuzz-exec"], read_binaryen)
    made.merges = (
        frozenset({"integer-overflow", "invalid-conversion"}),
        frozenset({"table-access", "undefined-element", "uninitialized-element", "memory-access"}),
    )
    return made


@cache
def _without_exact_types(command: tuple[str, ...]) -> tuple[str, ...]:
    """The option that keeps an optimiser's output free of the exact types of a proposal, if it knows that."""
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False, timeout=TIMEOUT).stdout
    option = "--disable-custom-descriptors"
    return (option,) if option in told else ()


class OptimisedEngine(RefwasmEngine):
    """binaryen's optimiser: a module that it has rewritten, on refwasm."""

    batch = False

    def __init__(self, command: Sequence[str], version: str) -> None:
        super().__init__("auto")
        self.name, self.version, self.command = "binaryen-opt", version, command

    def instantiate(self, module: bytes) -> RefwasmInstance:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.wasm", Path(folder) / "out.wasm"
            source.write_bytes(module)
            features = ["-all", *_without_exact_types(tuple(self.command))]
            command = [*self.command, str(source), *features, "-O3", "-o", str(target)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                raise Died(f"it did not end in {TIMEOUT:.0f} seconds") from None
            if done.returncode < 0:
                raise Died(f"it was killed by signal {-done.returncode}")
            if done.returncode:
                raise Ended(Refused("validate", (done.stderr.strip().splitlines() or ["refused"])[0]))
            return super().instantiate(e.module_encode(e.module_decode(target.read_bytes())))
