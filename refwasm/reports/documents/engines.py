"""Engines: judged on one module, in campaigns, by the conformance suite; and scripts of the official suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated


@dataclass
class Judgement:
    """An engine on one module: refwasm diff --json FILE."""

    module: str
    engine: str
    verdict: Annotated[str, "agrees, differs, undecided, died"]
    calls: int
    returned: Annotated[int, "calls that returned in the oracle"]
    call: Annotated[str, "the call that the verdict is about; empty: the instantiation"]
    where: Annotated[str, "the first difference"]
    reason: str
    expected: str
    observed: str


@dataclass
class Bucket:
    """Findings of a campaign that have one cause, as far as can be told."""

    bucket: str
    engine: str
    kind: str
    item: Annotated[str, "the first module that showed it"]
    call: Annotated[str, "as a script's action; empty: the instantiation"]
    expected: str
    observed: str
    seen: int
    rule: Annotated[str, "the section of the specification"]
    address: Annotated[str, "its address"]
    file: Annotated[str, "the reduced script's file, beside the report"]
    script: Annotated[str, "the reduced script, if there is one"]
    repeat: Annotated[str, "a command that shows it again"]


@dataclass
class Campaign:
    """A campaign: report.json in the folder of refwasm campaign --out."""

    source: str
    seed: int
    seconds: float
    calls: int
    returned: int
    instructions: int
    executed: Annotated[int, "instructions that calls got to"]
    reached: Annotated[list[str], "kinds of instructions that calls got to"]
    kinds: Annotated[int, "kinds of instructions that there are"]
    verdicts: Annotated[dict[str, dict[str, int]], "for each engine, modules by verdict"]
    buckets: list[Bucket]


@dataclass
class Rule:
    """A rule of docs/semantics.md."""

    name: str
    mark: Annotated[str, "specified, de facto, or chosen"]
    text: str


@dataclass
class Case:
    """A case of the conformance suite, and what became of it."""

    case: str
    chapter: str
    about: str
    rules: list[str]
    status: Annotated[str, "pass, skip, expected failure, fail, unexpected pass"]
    seconds: float
    problem: str
    expected: str
    argv: list[str]
    stdout: str
    stderr: str


@dataclass
class Conformance:
    """The conformance suite on one engine: python -m conformance --json FILE."""

    engine: str
    version: str
    results: list[Case]
    rules: list[Rule] = field(default_factory=list)


@dataclass
class Engine:
    """An engine that can be judged, or why not."""

    name: str
    version: str
    features: list[str]
    problem: Annotated[str, "why it can't be judged"]


@dataclass
class Engines:
    """Engines: refwasm engines --json."""

    engines: list[Engine]


@dataclass
class Failure:
    """What failed in a script, and where."""

    location: str
    message: str


@dataclass
class ScriptFile:
    """A script of the official suite's format."""

    file: str
    ok: bool
    status: str
    reason: Annotated[str, "why it does not apply"]
    commands: Annotated[dict[str, int], "how many of each kind"]
    failures: list[Failure]


@dataclass
class Scripts:
    """Scripts: refwasm wast --json FILE."""

    seconds: float
    files: list[ScriptFile]
