"""One module, one engine, one verdict: the same calls in the oracle and in the engine, compared after each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.engines.protocol import Engine
from refwasm.engines.session import Session
from refwasm.engines.shim import shim
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
    instantiation."""

    verdict: Verdict
    made: list[Made] = field(default_factory=list)

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
    session = Session(engine, case.validated, shimmed)
    judgement = Judgement(_accepted(case, session, engine))
    if judgement.verdict.kind != AGREES or session.instance is None:
        return judgement
    verdict = _state(case, session)
    callable = {name: t for name, t in case.types.items() if name in shimmed.funcs}
    planned = list(plan(callable, seed, most) if calls is None else calls)
    observed = _at_once(session, planned) if calls is not None and verdict.kind == AGREES else None
    for name, args in planned:
        if verdict.kind != AGREES:
            break
        outcome = case.call(name, args)
        types = tuple(t.name if isinstance(t, NumType) else "ref" for t in case.types[name].params)
        judgement.made.append(Made(name, args, types, outcome))
        if isinstance(outcome, (Exhausted, Limited)):  # the engine might never come back
            verdict = Verdict(UNDECIDED, "call", f"the oracle: {outcome!r}")
            break
        verdict = case.admits(next(observed) if observed else session.call(name, args), engine.merges)
        if verdict.kind == AGREES:
            verdict = _state(case, session)
    judgement.verdict = verdict
    return judgement


def _at_once(session: Session, calls: Sequence[Call]) -> Iterator[Outcome] | None:
    """The outcomes of calls that somebody chose, made all at once where there is no state to compare after each."""
    stateless = not session.shimmed.globals and not session.shimmed.memories
    return iter(session.call_all(calls)) if stateless and len(calls) > 1 else None


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
    """The verdict on the instantiation."""
    if isinstance(session.outcome, Refused) and "limit" in session.outcome.reason:
        return Verdict(UNDECIDED, "instantiation", f"the engine: {session.outcome!r}")
    verdict = case.admits(session.outcome, engine.merges)
    return verdict._replace(where="instantiation") if verdict.kind == DIFFERS else verdict


def _state(case: Case, session: Session) -> Verdict:
    """The verdict on all exported globals and memories."""
    for name in session.shimmed.globals:
        verdict = case.admits_global(name, session.get_global(name))
        if verdict.kind != AGREES:
            return verdict
    for name in session.shimmed.memories:
        verdict = case.admits_memory(name, session.get_memory(name))
        if verdict.kind != AGREES:
            return verdict
    return Verdict(AGREES)


__all__ = ["MAX_CALLS", "Call", "Judgement", "Made", "judge", "plan"]
