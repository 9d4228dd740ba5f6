"""Parallel programs on engines with real threads: each final state must be one that the memory model allows.

Programs are drawn by the Hypothesis strategies, half of them without data races, which have one final state for each
order of their atomic operations, the others racy. They run as litmus tests do (:mod:`refwasm.concurrency.litmus`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.campaign.drawn import BATCH, in_batches
from refwasm.campaign.findings import Finding
from refwasm.campaign.source import THREADS
from refwasm.concurrency.litmus.judging import Verdict, judge_engine
from refwasm.concurrency.litmus.modules import LitmusThreads, as_module
from refwasm.concurrency.litmus.native import EngineFailed, NativeEngine
from refwasm.concurrency.litmus.notation import LitmusTest, Operation, Place, shown
from refwasm.concurrency.model.outcomes import allowed
from refwasm.concurrency.model.unfolding import TooLarge
from refwasm.errors import ResourceLimit
from refwasm.strategies import threads
from refwasm.strategies.sampling import sample
from refwasm.strategies.threads import Access, ThreadProgram

#: Instances of a program that are run, and seconds for them.
RUNS, SECONDS = 4_096, 2.0
#: Slots by the names of locations, and accesses of a thread at most.
_NAMES = "xyzw"
_MOST = 4


class Judged(NamedTuple):
    """What came of a program on an engine: ``agrees``, ``differs`` or ``undecided``, how many instances ran, and the
    finding."""

    verdict: str
    runs: int
    finding: Finding | None = None


def programs(seed: int, start: int, stop: int) -> Iterator[tuple[int, LitmusTest]]:
    """The programs with these numbers."""

    def draw(batch: int) -> list[ThreadProgram]:
        return sample(threads(race_free=batch % 2 == 0, slots=3, max_accesses=_MOST), BATCH, seed + batch)

    for number, program in in_batches(draw, start, stop):
        yield number, as_test(program, f"{THREADS} {seed + number // BATCH}.{number % BATCH}")


def as_test(program: ThreadProgram, name: str) -> LitmusTest:
    """A program as a litmus test, without growing, which all instances would share. Its final states are registers and
    slots."""
    test = LitmusTest(name, "generated", name)
    count = 0
    for thread, accesses in zip("abcdefgh", program.threads):
        operations: list[Operation] = []
        last = ""
        for access in accesses:
            if access.kind == "grow" or (access.only_if and not last):
                continue
            register = ""
            if access.has_result:
                register, count = f"r{count}", count + 1
            condition = (last, access.only_if) if access.only_if is not None and last else None
            operations.append(_operation(access, register, condition))
            last = register or last
        if operations:
            test.threads[thread] = operations
    slots = sorted({access.slot for accesses in program.threads for access in accesses if access.kind != "grow"})
    test.watched = [f"{_NAMES[slot % 4]}64" + (f"+{slot // 4 * 8}" if slot >= 4 else "") for slot in slots]
    return test


def _operation(access: Access, register: str, condition: tuple[str, int] | None) -> Operation:
    if access.kind == "fence":
        return Operation("fence", only_if=condition)
    address = 64 * (access.slot % 4) + 8 * (access.slot // 4)
    place = Place(address, access.width, access.atomic)
    kind = {"cmpxchg": "cas"}.get(access.kind, access.kind)
    values = {"cas": (access.value, access.value + 1), "wait": (access.value, 1), "load": ()}
    return Operation(kind, place, register, values.get(kind, (access.value,)), condition)


def judge(test: LitmusTest, engine: NativeEngine) -> Judged:
    """Run a program, and compare with what is allowed."""
    if len(test.threads) < 2:
        return Judged("undecided", 0)
    try:
        known = replace(test, states=dict.fromkeys(allowed(LitmusThreads(test)).states, True))
    except (TooLarge, ResourceLimit):
        return Judged("undecided", 0)
    verdict = judge_engine(known, engine, RUNS, SECONDS)
    runs = sum(verdict.seen.values())
    if not verdict.wrong:
        return Judged("agrees", runs)
    return Judged("differs", runs, _finding(known, verdict, engine))


def _finding(test: LitmusTest, verdict: Verdict, engine: NativeEngine) -> Finding:
    kinds = sorted({_kind(o) for operations in test.threads.values() for o in operations})
    observed = next(text for text in verdict.seen if text not in test.states)
    return Finding(
        f"{engine.name}: threads: {', '.join(kinds)}", engine.name, THREADS, test.name, None,
        "one of: " + " | ".join(sorted(test.states)), observed, e.module_encode(e.module_parse(as_module(test))),
    )  # fmt: skip


def _kind(operation: Operation) -> str:
    place = operation.place
    if place is None:
        return operation.kind
    return f"{'atomic ' if place.atomic and operation.kind in ('load', 'store') else ''}{operation.kind}{place.width}"


def reduced(test: LitmusTest, engine: NativeEngine, seconds: float) -> tuple[LitmusTest, Judged] | None:
    """The program with as few operations as still show something that is not allowed; None if it does not show
    again."""
    until = time.monotonic() + seconds
    best = judge(test, engine)
    if best.verdict != "differs":
        return None
    changed = True
    while changed and time.monotonic() < until:
        changed = False
        for smaller in _smaller(test):
            try:
                found = judge(smaller, engine)
            except EngineFailed:
                continue
            if found.verdict == "differs":
                test, best, changed = smaller, found, True
                break
    return test, best


def _smaller(test: LitmusTest) -> Iterator[LitmusTest]:
    """Without a thread, or without an operation that no other one depends on."""
    for name in test.threads:
        if len(test.threads) > 2:
            yield replace(test, threads={n: ops for n, ops in test.threads.items() if n != name})
    for name, operations in test.threads.items():
        for at, operation in enumerate(operations):
            rest = [*operations[:at], *operations[at + 1 :]]
            needed = operation.register and any(o.only_if and o.only_if[0] == operation.register for o in rest)
            if rest and not needed:
                yield replace(test, threads={**test.threads, name: rest})


def script(test: LitmusTest, found: Finding) -> str:
    """A finding as a litmus test."""
    lines = [f"# {found.bucket}", f"# observed: {found.observed}", *shown(test).splitlines()]
    return "\n".join(lines) + "\n"
