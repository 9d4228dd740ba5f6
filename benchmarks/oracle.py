"""How many generated modules the oracle judges in a second: ``python -m benchmarks.oracle [MODULES]``.

The same modules of ``wasm-tools smith``, up to five calls each, results, globals and memories compared after each call:
the oracle alone on recorded observations, the oracle with wasmtime in this process, and where the time goes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.campaign.smith import smith
from refwasm.campaign.source import Item
from refwasm.engines.catalogue import engine
from refwasm.engines.judging import Call, judge, plan
from refwasm.engines.protocol import Engine
from refwasm.engines.session import Session, Step
from refwasm.engines.shim import shim
from refwasm.oracle import Oracle


class Recorded(NamedTuple):
    """A module, the calls, and what the engine showed."""

    item: Item
    calls: list[Call]
    steps: list[Step]


def record(oracle: Oracle, judged: Engine, count: int) -> list[Recorded]:
    """What an engine shows for modules that it and the oracle instantiate."""
    found: list[Recorded] = []
    for item in smith(oracle.features & judged.features, 7_000):
        case = oracle.instantiate(item.module)
        if case.now is not None and case.now.instance is not None:
            shimmed = shim(case.validated)
            session = Session(judged, shimmed)
            if session.instance is not None:
                calls = plan({name: t for name, t in case.types.items() if name in shimmed.funcs}, item.seed)
                found.append(Recorded(item, calls, list(session.steps(calls))))
        if len(found) == count:
            return found
    return found


def judge_recorded(oracle: Oracle, recorded: Recorded) -> None:
    """The oracle's part of judging."""
    case = oracle.instantiate(recorded.item.module)
    calls: list[Call | None] = [None, *recorded.calls]
    for call, step in zip(calls, recorded.steps):
        if call is not None:
            case.call(*call)
            case.admits(step.outcome)
        for name, value in step.globals.items():
            case.admits_global(name, value)
        for name, contents in step.memories.items():
            assert isinstance(contents, bytes)
            case.admits_memory(name, contents)


def rate(count: int, run: Callable[[], object]) -> float:
    """Items in a second, the best of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return count / min(times)


def main() -> None:
    """Measure, and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    oracle, judged = Oracle(), engine("wasmtime")
    found = record(oracle, judged, count)
    size = sum(len(one.item.module) for one in found) / count
    print(f"{count} modules of {size:.0f} bytes, {sum(len(one.calls) for one in found)} calls")
    alone = rate(count, lambda: [judge_recorded(oracle, one) for one in found])
    both = rate(count, lambda: [judge(oracle, judged, one.item.module, one.calls) for one in found])
    print(f"the oracle alone        {alone:6.0f} modules/s")
    print(f"with wasmtime, shimmed  {both:6.0f} modules/s")
    decoded = [e.module_decode(one.item.module) for one in found]
    valid = [e.module_validate(module, oracle.features) for module in decoded]
    parts: dict[str, Callable[[], object]] = {
        "decode": lambda: [e.module_decode(one.item.module) for one in found],
        "validate": lambda: [e.module_validate(module, oracle.features) for module in decoded],
        "load and instantiate": lambda: [oracle.instantiate(one.item.module) for one in found],
        "shim and encode": lambda: [e.module_encode(shim(module).module) for module in valid],
    }
    for name, run in parts.items():
        print(f"  {name:22} {1e3 / rate(count, run):6.2f} ms a module")


if __name__ == "__main__":
    main()
