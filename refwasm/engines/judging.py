"""One module, one engine, one verdict: the same calls in the oracle and in the engine, compared after each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.engines.protocol import Died, Engine
from refwasm.engines.session import Session, Step
from refwasm.engines.shim import shim
from refwasm.engines.shim_memory import hash_of
from refwasm.errors import UnsupportedFeature
from refwasm.execution.numerics.edges import EDGES
from refwasm.oracle.case import Case, Oracle
from refwasm.oracle.closing import Unclosable
from refwasm.oracle.outcomes import (
    AGREES,
    DIFFERS,
    UNDECIDED,
    Exhausted,
    Limited,
    Outcome,
    Refused,
    Returned,
    Value,
    Verdict,
)
from refwasm.syntax.types import FuncType, NumType, ValType

#: Words in a refusal by which engines say that they do not have something.
LIMITS = (
    "limit", "unsupported", "not supported", "unimplemented", "not implemented", "too many", "too large", "exceed",
    "maximum", "> max", "out of bounds",
)  # fmt: skip
#: Calls of one module.
MAX_CALLS = 5

Call = tuple[str, tuple["int | None", ...]]


class Made(NamedTuple):
    """A call that was made: the function, its arguments and their types, and what came of it in the oracle."""

    name: str
    args: tuple[int | None, ...]
    types: tuple[str, ...]
    outcome: Outcome

    def action(self, constant: Callable[[Value], str] = repr) -> str:
        """As a script's action; ``constant`` writes the arguments."""
        values = [Value("ref", 0) if arg is None else Value(t, arg) for arg, t in zip(self.args, self.types)]
        return f"(invoke {' '.join([json.dumps(self.name), *map(constant, values)])})"


@dataclass
class Judgement:
    """The verdict on an engine, and the calls that were made. It is about the last of them, or, without any, about the
    instantiation. ``case`` is the oracle's side of it."""

    verdict: Verdict
    made: list[Made] = field(default_factory=list)
    case: Case | None = None

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return len(self.made)

    @property
    def returned(self) -> int:
        """How many of them returned in the oracle."""
        return sum(isinstance(made.outcome, Returned) for made in self.made)

    @property
    def call(self) -> str | None:
        """The call that the verdict is about, as a script's action; None: it is about the instantiation."""
        return self.made[-1].action() if self.made else None


def arguments(t: ValType, choose: random.Random) -> int | None:
    """A value of a type, an edge value every other time; None for references, which are null."""
    if not isinstance(t, NumType):
        return None
    return choose.choice(EDGES[t.name]) if choose.random() < 0.5 else choose.getrandbits(t.bits)


def plan(types: dict[str, FuncType], seed: int, most: int = MAX_CALLS) -> list[Call]:
    """Calls of exported functions, each at least once if there is room."""
    choose, names = random.Random(seed), sorted(types)
    choose.shuffle(names)
    chosen = [names[i % len(names)] for i in range(most)] if names else []
    return [(name, tuple(arguments(t, choose) for t in types[name].params)) for name in chosen]


def judge(oracle: Oracle, engine: Engine, source: bytes | str, calls: Sequence[Call] | None = None, seed: int = 0,
          most: int = MAX_CALLS) -> Judgement:  # fmt: skip
    """Compare an engine with the oracle on a module and calls: those given, or so many that a seed chooses. Raises
    Died if the engine does."""
    case = oracle.instantiate(source)
    if isinstance(case.outcome, (Refused, Limited)):
        return Judgement(Verdict(UNDECIDED, "", f"the oracle: {case.outcome!r}"))
    try:
        shimmed = shim(case.validated)
    except Unclosable as error:
        return Judgement(Verdict(UNDECIDED, "", str(error)))
    lacking = _lacking(case, oracle, engine)
    if lacking:
        return Judgement(Verdict(UNDECIDED, "", lacking))
    session = Session(engine, shimmed)
    judgement = Judgement(_accepted(case, session, engine), case=case)
    if judgement.verdict.kind != AGREES or session.instance is None:
        return judgement
    callable = {name: t for name, t in case.types.items() if name in shimmed.funcs}
    planned = list(plan(callable, seed, most) if calls is None else calls)
    _compare(case, session, planned, judgement)
    return judgement


def _compare(case: Case, session: Session, planned: Sequence[Call], judgement: Judgement) -> None:
    """Make the calls in both, and compare what they show, until the verdict is no longer that they agree."""
    steps = session.steps(planned)
    try:
        first = next(steps)
    except Died:
        if _never_ends(case, planned, judgement):
            return
        raise
    judgement.verdict = _state(case, session, planned, first)
    for name, args in planned:
        if judgement.verdict.kind != AGREES or _never_ends(case, [(name, args)], judgement):
            return
        step = next(steps)
        judgement.verdict = case.admits(step.outcome, session.engine.merges)
        if judgement.verdict.kind == AGREES:
            judgement.verdict = _state(case, session, planned, step)


def _never_ends(case: Case, calls: Sequence[Call], judgement: Judgement) -> bool:
    """Make calls in the oracle. Whether one of them does not end there: then the engine might never come back from it,
    and nothing is decided."""
    for name, args in calls:
        outcome = case.call(name, args)
        types = tuple(t.name if isinstance(t, NumType) else "ref" for t in case.types[name].params)
        judgement.made.append(Made(name, args, types, outcome))
        if isinstance(outcome, (Exhausted, Limited)):
            judgement.verdict = Verdict(UNDECIDED, "call", f"the oracle: {outcome!r}")
            return True
    return False


def _lacking(case: Case, oracle: Oracle, engine: Engine) -> str:
    """Why the engine need not know what is in the module; "" if it must."""
    if oracle.features <= engine.features:
        return ""
    try:
        e.module_validate(case.validated.module, engine.features)
    except UnsupportedFeature as error:
        return f"{engine.name} {engine.version}: {error}"
    return ""


def _accepted(case: Case, session: Session, engine: Engine) -> Verdict:
    """The verdict on the instantiation. What an engine says that it does not have is a limit of it."""
    reason = session.outcome.reason.lower() if isinstance(session.outcome, Refused) else ""
    if any(word in reason for word in LIMITS):
        return Verdict(UNDECIDED, "instantiation", f"the engine: {session.outcome!r}")
    verdict = case.admits(session.outcome, engine.merges)
    return verdict._replace(where="instantiation") if verdict.kind == DIFFERS else verdict


def _state(case: Case, session: Session, planned: Sequence[Call], step: Step) -> Verdict:
    """The verdict on all exported globals and memories."""
    for name, value in step.globals.items():
        verdict = case.admits_global(name, value)
        if verdict.kind != AGREES:
            return verdict
    for name, shown in step.memories.items():
        if isinstance(shown, int):
            contents = case.get_memory(name)
            same = hash_of(contents) == shown
            shown = contents if same else session.memory_after(planned[: step.calls], name)
        verdict = case.admits_memory(name, shown)
        if verdict.kind != AGREES:
            return verdict
    return Verdict(AGREES)


__all__ = ["MAX_CALLS", "Call", "Judgement", "Made", "judge", "plan"]
