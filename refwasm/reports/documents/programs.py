"""Runs and checks of programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass
class Block:
    """Iterations that one worker ran one after the other."""

    worker: int
    iterations: int
    begin: Annotated[float, "seconds since the program's first execution began"]
    end: Annotated[float, "seconds since the program's first execution began"]
    iteration: Annotated[int | None, "the id of a single one, where it is known"] = None


@dataclass
class ParallelExecution:
    """One parallel_exec of a program."""

    device: Annotated[str, "the kind of the device"]
    name: Annotated[str, "the device's own name"]
    instead: Annotated[str, "why it is not the device that was asked for"]
    iterations: int
    bytes_copied: int
    begin: Annotated[float, "seconds since the program's first execution began"]
    end: Annotated[float, "seconds since the program's first execution began"]
    kernel_seconds: Annotated[float, "seconds between the first iteration's begin and the last one's end"]
    blocks: list[Block]
    violations: Annotated[list[str], "accesses that the kinds of the buffers speak against (--strict)"]


@dataclass
class Run:
    """A run of a program, or of one of its functions: refwasm run --json FILE."""

    program: str
    args: list[str]
    command: Annotated[list[str], "all words of the command line, behind refwasm"]
    ended: Annotated[str, "exit, returned, trap, exception, limit, error: how it ended"]
    exit_code: int
    message: Annotated[str, "what was said about a trap or an error, with the calls that were active"]
    results: Annotated[list[str], "of a function, as constants of the text format"]
    seconds: float
    executions: list[ParallelExecution]
    failures: Annotated[list[str], "functions of wasi-parallel that returned an error number"]
    races: Annotated[list[str], "of this execution (--races)"]


@dataclass
class PolicyRun:
    """One run of a check."""

    policies: Annotated[dict[str, str], "the value of every choice"]
    exit_code: Annotated[str, "as the run showed it"]
    output: str
    errors: Annotated[str, "error numbers of wasi-parallel, as JSON"]
    buffers: Annotated[str, "digests of the buffers' contents, as JSON"]
    memory: Annotated[str, "digest of the memory"]
    outcome: Annotated[int, "runs with the same number showed the same"]


@dataclass
class Choice:
    """A choice that differs between the two runs that a check shows."""

    name: str
    first: str
    second: str
    rule: Annotated[str, "of docs/semantics.md, which leaves it open"]


@dataclass
class Difference:
    """The two runs of a check that differ in the fewest choices."""

    aspect: Annotated[str, "the most visible aspect that differs"]
    choices: list[Choice]
    shared: Annotated[dict[str, str], "the choices that both have"]
    lines: Annotated[list[str], "a unified difference of the aspect"]


@dataclass
class Check:
    """A program under all policies: refwasm check --json FILE."""

    program: str
    args: list[str]
    command: Annotated[list[str], "all words of the command line, behind refwasm"]
    verdict: Annotated[str, "portable, memory (only memory afterwards differs), differs, unsteady"]
    told: Annotated[str, "the verdict in words"]
    runs: list[PolicyRun]
    difference: Difference | None
    races: list[str]
