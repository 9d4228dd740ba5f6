"""What a litmus test shows: under the memory model, in interleavings, and on an engine with real threads."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from refwasm.concurrency.litmus.modules import LitmusThreads, native_states
from refwasm.concurrency.litmus.native import NativeEngine
from refwasm.concurrency.litmus.notation import LitmusTest
from refwasm.concurrency.model.axioms import ALL, Rules
from refwasm.concurrency.model.outcomes import Outcomes, compared

#: Instances of a test in one start, a power of two, so that an odd number shuffles them; fewer of those that sleep.
INSTANCES, SLEEPING = 4_096, 64


@dataclass
class Verdict:
    """How a test went. ``wrong`` says what should not be; ``seen`` counts final states, by how often they came."""

    test: LitmusTest
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    relaxed: int = 0
    seconds: float = 0.0
    left_out: str = ""


def judge_model(test: LitmusTest, rules: Rules = ALL) -> tuple[Verdict, Outcomes]:
    """Whether the model and all interleavings give the final states that the test says. Raises TooLarge."""
    started = time.perf_counter()
    found = compared(LitmusThreads(test), rules)
    verdict = Verdict(test, seconds=time.perf_counter() - started)
    for text, state in found.states.items():
        verdict.seen[text] += 1
        if text not in test.states:
            verdict.wrong.append(f"the model allows {text}, the test does not")
        elif state.sc != test.states[text]:
            verdict.wrong.append(f"{text}: an interleaving {'shows' if state.sc else 'does not show'} it")
    verdict.wrong += [f"the model does not allow {text}" for text in test.states if text not in found.states]
    verdict.wrong += [f"{text} is said to be forbidden and allowed" for text in test.forbidden & test.states.keys()]
    interleavings = found.exploration.states if found.exploration is not None else {}
    verdict.wrong += [
        f"an interleaving shows {text}, the model forbids it" for text in interleavings.keys() - found.states
    ]
    return verdict, found


def judge_engine(test: LitmusTest, engine: NativeEngine, runs: int, seconds: float) -> Verdict:
    """Run a test natively: ``runs`` instances, or for so many seconds. Any final state that is not allowed is wrong."""
    verdict = Verdict(test)
    if not test.native:
        verdict.left_out = "not for engines"
        return verdict
    sleeps = any(o.kind == "wait" for operations in test.threads.values() for o in operations)
    instances = SLEEPING if sleeps else INSTANCES
    random, started = Random(test.name), time.perf_counter()
    with engine.loaded(test, instances) as start:
        while sum(verdict.seen.values()) < runs and verdict.seconds < seconds:
            numbers = [(random.randrange(1, 64), random.randrange(1, instances, 2)) for _ in test.threads]
            odd = numbers[0][1]  # all threads meet at the same instance
            memory = start([(stagger, odd) for stagger, _ in numbers])
            verdict.seen.update(native_states(test, memory, instances))
            verdict.seconds = time.perf_counter() - started
    for text, count in verdict.seen.items():
        if text not in test.states:
            verdict.wrong.append(f"not allowed: {text} ({count} times)")
        elif not test.states[text]:
            verdict.relaxed += count
    return verdict
