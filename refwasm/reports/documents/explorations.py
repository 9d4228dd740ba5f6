"""Parallel programs under every schedule, and litmus tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass
class Place:
    """A source line that a step or an access comes from."""

    text: Annotated[str, "function, and file and line or offset"]
    code: Annotated[str, "the source line, if its file is there"] = ""


@dataclass
class Side:
    """One access of a race."""

    thread: str
    told: Annotated[str, "the access in words"]
    kind: str
    atomic: bool
    start: Annotated[int, "address of the first byte"]
    end: Annotated[int, "address behind the last byte"]
    stack: Annotated[list[Place], "calls that were active, innermost first"]


@dataclass
class Box:
    """A step of a picture."""

    lane: int
    row: int
    text: str
    marked: Annotated[bool, "whether it is one side of a race"] = False
    title: Annotated[str, "more about it"] = ""


@dataclass
class Arrow:
    """What orders two steps of a picture."""

    start: Annotated[int, "index of a box"]
    end: Annotated[int, "index of a box"]
    why: Annotated[str, "reads from, synchronises, or another order"]


@dataclass
class Picture:
    """An execution: a lane for each thread, a box for each step, arrows between them."""

    label: str
    lanes: list[str]
    boxes: list[Box]
    arrows: list[Arrow]
    note: str = ""


@dataclass
class Race:
    """A data race with both sides."""

    told: str
    place: Annotated[str, "the bytes that are shared, as a person would name them"]
    start: int
    end: int
    ordered: Annotated[str, "what ordered the two threads last"]
    witness: Annotated[str, "a schedule that shows it, for --mode replay:"]
    sides: list[Side]
    picture: Picture | None = None


@dataclass
class State:
    """A final state of an exploration."""

    text: str
    failed: Annotated[str, "what kind of failure it is, or nothing"]
    count: Annotated[int, "in how many classes of schedules it came"]
    witness: Annotated[str, "a schedule that shows it, for --mode replay:"]
    picture: Picture | None = None


@dataclass
class Relaxed:
    """A final state that the memory model allows and no interleaving shows."""

    text: str
    picture: Picture | None = None


@dataclass
class Exploration:
    """A parallel program under every schedule: refwasm explore --json FILE."""

    name: str
    mode: str
    classes: Annotated[int, "executions that differ in more than the order of independent steps"]
    redundant: Annotated[int, "executions that would have repeated one, and were cut"]
    complete: Annotated[bool, "whether these are all final states"]
    incomplete: Annotated[str, "why there may be others"]
    seconds: float
    steps: int
    states: list[State]
    races: list[Race]
    relaxed: Annotated[list[Relaxed] | None, "with --model"] = None


@dataclass
class LitmusTest:
    """A litmus test and what was seen of it."""

    name: str
    about: str
    seconds: float
    wrong: Annotated[list[str], "what is not as the test says"]
    seen: Annotated[dict[str, int], "final states, and how often"]
    allowed: Annotated[dict[str, bool], "final states that are; false: relaxed only"]
    forbidden: list[str]
    left_out: Annotated[str, "why it was not run"]


@dataclass
class Litmus:
    """Litmus tests: refwasm litmus --json FILE."""

    engine: Annotated[str, "what ran them; empty: the memory model itself"]
    tests: list[LitmusTest]
