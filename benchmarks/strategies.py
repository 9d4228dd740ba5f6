"""How good the Hypothesis strategies are: ``python -m benchmarks.strategies [PART…] [--count N] [--seeds N]``.

The parts are ``valid`` (every module, our validator and wasm-tools'), ``instructions`` (which occur), ``speed`` (drawn,
executed, reached, returned; wasm-tools smith in the same run), ``shrinking`` (30 predicates) and ``power`` (the faults
of ``tools/oracle_faults.py``, with smith beside). Without a name, all parts run. Exit code 1: a module is not
valid.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings

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
quick = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))


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
        for batch in iter(lambda found=drawn(count): list(islice(found, BATCH)), []):
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


# ---- shrinking ------------------------------------------------------------------------------------------------------

Predicate = Callable[[DrawnModule], bool]


def _has(*names: str) -> Predicate:
    return lambda m: set(names) <= {i.form.mnemonic for f in m.module.funcs for i in f.body}


def _in_a_row(*names: str) -> Predicate:
    """One instruction takes what the one before leaves."""

    def holds(m: DrawnModule) -> bool:
        rows = ([i.form.mnemonic for i in f.body] for f in m.module.funcs)
        return any(row[k : k + len(names)] == list(names) for row in rows for k in range(len(row)))

    return holds


def _outcome(text: str) -> Predicate:
    """A call without arguments that are not zero comes to this."""
    oracle = Oracle()

    def holds(m: DrawnModule) -> bool:
        case = oracle.instantiate(m.bytes)
        if case.now is None or case.now.instance is None:
            return False
        calls = ((name, [0 if hasattr(p, "bits") else None for p in t.params]) for name, t in case.types.items())
        return any(text in repr(case.call(name, args)) for name, args in calls)

    return holds


#: Predicates, and the number of instructions (with each function's ``end``) of the smallest module that holds.
PREDICATES: dict[str, tuple[Predicate, int]] = {
    **{name: (_has(name), least) for name, least in (
        ("i64.rotl", 4), ("f32.sqrt", 3), ("i8x16.shuffle", 4), ("i32x4.extract_lane", 3), ("i32.load", 3),
        ("i64.store8", 3), ("memory.fill", 4), ("table.init", 4), ("table.get", 3), ("br_table", 4), ("br_if", 3),
        ("loop", 3), ("call", 2), ("call_indirect", 3), ("ref.cast", 3), ("struct.new", 2), ("array.set", 5),
        ("try_table", 5), ("throw", 5), ("i64.add128", 6), ("i32.atomic.rmw.add", 4), ("return_call", 5),
    )},
    "i64.rotl, i32.clz": (_has("i64.rotl", "i32.clz"), 7),
    "f64.mul, memory.grow": (_has("f64.mul", "memory.grow"), 7),
    "i32.add then i32.ctz": (_in_a_row("i32.add", "i32.ctz"), 5),
    "f64.neg then f64.abs": (_in_a_row("f64.neg", "f64.abs"), 4),
    "i32.wrap_i64 then if": (_in_a_row("i32.wrap_i64", "if"), 5),
    "a memory trap": (_outcome("trap: memory-access"), 3),
    "a cast that fails": (_outcome("trap: cast"), 3),
    "a null reference": (_outcome("trap: null-reference"), 3),
}  # fmt: skip


def shrinking(seeds: int) -> None:
    """How small modules shrink, against the smallest that exists."""
    print("predicate, smallest, found, calls of the predicate")
    ratios = []
    for name, (holds, least) in PREDICATES.items():
        sizes, tries = [], []
        for number in range(seeds):
            count = [0]

            def counted(m: DrawnModule, count: list[int] = count, holds: Predicate = holds) -> bool:
                count[0] += 1
                return holds(m)

            thorough = settings(quick, max_examples=20_000, phases=list(Phase))
            traps = "allowed" if " " in name and not _is_row(name) else "rare"
            strategy = modules(termination=None, traps=traps)
            found = find(strategy, counted, settings=thorough, random=random.Random(number))
            sizes.append(sum(len(f.body) for f in found.module.funcs))
            tries.append(count[0])
        ratios.append(statistics.median(sizes) / least)
        print(f"  {name:22} {least:3} {' '.join(f'{s:3}' for s in sizes)}   {' '.join(map(str, tries))}", flush=True)
    print(f"  median of the ratios {statistics.median(ratios):.2f}, worst median {max(ratios):.2f}")


def _is_row(name: str) -> bool:
    return "," in name or " then " in name


# ---- power ----------------------------------------------------------------------------------------------------------


def power(count: int) -> None:
    """In how many modules each fault is found. Only modules with an instruction that it breaks are judged."""
    made = {"strategies": [m.bytes for m in drawn(count)], "smith": [i.module for i in islice(smith(ALL), count)]}
    used = {source: [_mnemonics(binary) for binary in binaries] for source, binaries in made.items()}
    print(f"fault, modules of the strategies, and of smith, until it is found (-: not in {count})", flush=True)
    told: Counter[str] = Counter()
    for fault in FAULTS:
        broken = {form.mnemonic for form in FORMS.values() if re.fullmatch(fault.kinds, form.mnemonic)}
        told_by = {source: [not broken or bool(n & broken) for n in names] for source, names in used.items()}
        numbers = {source: _found(fault, binaries, told_by[source]) for source, binaries in made.items()}
        told.update(source for source, number in numbers.items() if number)
        shown = "  ".join(f"{number or '-':>6}" for number in numbers.values())
        print(f"  {fault.what:56} {shown}", flush=True)
    print(f"  found: {', '.join(f'{source} {told[source]} of {len(FAULTS)}' for source in made)}")


def _mnemonics(binary: bytes) -> set[str]:
    return {i.form.mnemonic for func in e.module_decode(binary).funcs for i in func.body}


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
    chosen = parser.parse_args()
    known: dict[str, Callable[[], object]] = {
        "valid": lambda: valid(chosen.count), "instructions": lambda: instructions(chosen.count),
        "speed": lambda: speed(chosen.count), "shrinking": lambda: shrinking(chosen.seeds),
        "power": lambda: power(chosen.count),
    }  # fmt: skip
    for part in chosen.parts:
        if part not in known:
            parser.error(f"{part!r} is no part: expected {', '.join(known)}")
    results = [known[part]() for part in chosen.parts or known]
    return int(False in results)


if __name__ == "__main__":
    raise SystemExit(main())
