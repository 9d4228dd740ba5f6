"""How good the Hypothesis strategies are: ``python -m benchmarks.strategies [PART…] [OPTIONS]``.

The parts are ``valid`` (every module, our validator and wasm-tools'), ``instructions`` (which occur), ``speed`` (drawn,
executed, reached, returned; wasm-tools smith in the same run), ``shrinking`` (30 predicates), ``every`` (each
instruction as a predicate) and ``power`` (the faults of ``tools/oracle_faults.py``, with smith beside). Without a name,
all parts run. Exit code 1: a module is not valid.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

from benchmarks.shrinking import every, shrinking
from refwasm import embedding as e
from refwasm.campaign.smith import program, smith
from refwasm.engines.judging import judge, plan
from refwasm.engines.protocol import Died
from refwasm.oracle import Oracle
from refwasm.oracle.outcomes import DIFFERS, Returned
from refwasm.strategies import DrawnModule, Limits, modules
from refwasm.strategies.sampling import sample
from refwasm.syntax.instructions import FORMS
from refwasm.validation.features import ALL
from tools.oracle_faults import FAULTS, Fault, faulty_engine

#: A small module.
SMALL = Limits(functions=2, statements=3, instructions=40, depth=3, nesting=2, locals=2, globals=2, types=2, segments=1)
BATCH = 1_000


def drawn(count: int, **options: Any) -> Iterator[DrawnModule]:
    """So many modules, from one seed after the other."""
    for number in range(0, count, BATCH):
        yield from sample(modules(**options), min(BATCH, count - number), number)


# ---- valid, instructions --------------------------------------------------------------------------------------------


def valid(count: int) -> bool:
    """Whether both validators take all modules."""
    command = [program(), "validate", "--features", "all", "-"]

    def other(binary: bytes) -> bool:
        return subprocess.run(command, input=binary, capture_output=True, check=False).returncode == 0

    bad = 0
    with ThreadPoolExecutor(2) as pool:
        every = drawn(count)
        while batch := list(islice(every, BATCH)):
            for module in batch:
                e.module_validate(e.module_decode(module.bytes))
            bad += sum(not ok for ok in pool.map(other, [module.bytes for module in batch]))
    print(f"valid: {count - bad} of {count} (refwasm: all; wasm-tools refuses {bad})")
    return not bad


def instructions(count: int) -> None:
    """Which instructions occur, by feature."""
    seen = Counter(i.form.mnemonic for m in drawn(count) for f in m.module.funcs for i in f.body)
    print(f"instructions in {count} modules: feature, known, seen, missing")
    for feature in dict.fromkeys(form.feature for form in FORMS.values() if form.feature in ALL):
        names = [form.mnemonic for form in FORMS.values() if form.feature == feature]
        missing = [name for name in names if not seen[name]]
        print(f"  {feature:22} {len(names):4} {len(names) - len(missing):4}  {' '.join(missing)}")


# ---- speed ----------------------------------------------------------------------------------------------------------


def speed(count: int) -> None:
    """Modules a second, and what is executed of them, beside smith."""
    print("source, modules/s made, bytes, modules/s executed, reached, calls that return")
    sources: dict[str, Callable[[], Iterable[bytes]]] = {
        "small": lambda: (m.bytes for m in drawn(count, limits=SMALL)),
        "strategies": lambda: (m.bytes for m in drawn(count)),
        "smith": lambda: (item.module for item in islice(smith(ALL), count)),
    }
    for name, source in sources.items():
        began = time.perf_counter()
        made = list(source())
        making = len(made) / (time.perf_counter() - began)
        began = time.perf_counter()
        reached, calls = _executed(made)
        executing = len(made) / (time.perf_counter() - began)
        size = statistics.mean(map(len, made))
        print(f"  {name:10} {making:6.0f} {size:6.0f} {executing:6.0f} {reached:6.0%} {calls:6.0%}")


def _executed(made: list[bytes]) -> tuple[float, float]:
    """The share of instructions that five calls reach, and of calls that return."""
    oracle, reached, whole, told = Oracle(), 0, 0, Counter[bool]()
    for binary in made:
        case = oracle.instantiate(binary)
        if case.now is None or case.now.instance is None:
            continue
        for name, args in plan(case.types, 1):
            told[isinstance(case.call(name, args), Returned)] += 1
        _, got, of = case.reached()
        reached, whole = reached + got, whole + of
    return reached / whole, told[True] / sum(told.values())


# ---- power ----------------------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """Modules of one source, and the instructions of each."""

    binaries: list[bytes]
    used: list[set[str]]


def _made(binaries: Iterable[bytes]) -> Made:
    found = list(binaries)
    return Made(found, [{i.form.mnemonic for f in e.module_decode(b).funcs for i in f.body} for b in found])


def power(count: int, pattern: str = "*", sources: Sequence[str] = ("strategies", "smith")) -> None:
    """In how many modules each fault is found. Only modules with an instruction that it breaks are judged."""
    known: dict[str, Callable[[], Iterable[bytes]]] = {
        "strategies": lambda: (m.bytes for m in _of_both_kinds(count)),
        "smith": lambda: (item.module for item in islice(smith(ALL), count)),
    }
    made = [_made(known[source]()) for source in sources]
    print(f"fault, modules of {', and of '.join(sources)}, until it is found (-: not in {count})", flush=True)
    faults = [fault for fault in FAULTS if fnmatch.fnmatchcase(fault.what, pattern)]
    told: Counter[str] = Counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for fault, numbers in zip(faults, pool.map(lambda fault: _numbers(fault, made), faults)):
            told.update(source for source, number in zip(sources, numbers) if number)
            shown = "  ".join(f"{number or '-':>6}" for number in numbers)
            print(f"  {fault.what:56} {shown}", flush=True)
    print(f"  found: {', '.join(f'{source} {told[source]} of {len(faults)}' for source in sources)}")


def _of_both_kinds(count: int) -> Iterator[DrawnModule]:
    """Modules that seldom trap, and, as many, modules that often do."""
    for rare, allowed in zip(drawn(count // 2), drawn(count // 2, traps="allowed")):
        yield from (rare, allowed)


def _numbers(fault: Fault, made: Sequence[Made]) -> list[int]:
    broken = {form.mnemonic for form in FORMS.values() if re.fullmatch(fault.kinds, form.mnemonic)}
    return [_found(fault, each.binaries, [not broken or bool(n & broken) for n in each.used]) for each in made]


def _found(fault: Fault, binaries: list[bytes], told: list[bool]) -> int:
    """The number of the first module that finds a fault, of those that may tell it; 0 if none does."""
    oracle = Oracle()
    with faulty_engine(fault) as engine:
        for number, binary in enumerate(binaries, 1):
            try:
                if told[number - 1] and judge(oracle, engine, binary, seed=number).verdict.kind == DIFFERS:
                    return number
            except Died:
                return number
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="valid, instructions, speed, shrinking, power")
    parser.add_argument("--count", type=int, default=2_000, help="modules; default 2000")
    parser.add_argument("--seeds", type=int, default=5, help="for shrinking; default 5")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="predicates, or faults, of these names")
    parser.add_argument("--show", action="store_true", help="print what does not shrink to the smallest")
    chosen = parser.parse_args()
    known: dict[str, Callable[[], object]] = {
        "valid": lambda: valid(chosen.count), "instructions": lambda: instructions(chosen.count),
        "speed": lambda: speed(chosen.count), "shrinking": lambda: shrinking(chosen.seeds, chosen.only, chosen.show),
        "every": lambda: every(chosen.seeds, chosen.only, chosen.show),
        "power": lambda: power(chosen.count, chosen.only),
    }  # fmt: skip
    for part in chosen.parts:
        if part not in known:
            parser.error(f"{part!r} is no part: expected {', '.join(known)}")
    results = [known[part]() for part in chosen.parts or known]
    return int(False in results)


if __name__ == "__main__":
    raise SystemExit(main())
