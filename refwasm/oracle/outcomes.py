"""Outcomes of calls, sets of them, and verdicts on what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Union

from refwasm.oracle.traps import EITHER_REASON, KINDS
from refwasm.syntax.types import distinct
from refwasm.text.numbers import print_float, print_int

#: What a host can tell of a reference, by number.
CLASSES = ("null", "func", "extern", "exn", "cont", "i31", "struct", "array")


@distinct
class Value(NamedTuple):
    """A value: ``type`` is "i32", "i64", "f32", "f64", "v128", or "ref", ``bits`` its bits, or what a host sees of a
    reference (:data:`CLASSES`). Bits in ``open`` may be others: the specification leaves them
    open."""

    type: str
    bits: int
    open: int = 0

    def admits(self, other: Value) -> bool:
        """Whether another value is one that this one may be."""
        return self.type == other.type and not (self.bits ^ other.bits) & ~self.open

    def __repr__(self) -> str:
        """As a constant of the text format; behind it the mask of open bits, if there are any."""
        if self.type == "ref":
            known = CLASSES[self.bits] if self.bits < len(CLASSES) else f"of class {self.bits}, which nothing has"
            return f"(ref {known})"
        is_open = f" (;open bits {self.open:#x};)" if self.open else ""
        return f"({self.type}.const {self._text()}{is_open})"

    def _text(self) -> str:
        if self.type == "v128":
            return " ".join(["i32x4", *(f"{self.bits >> shift & 0xFFFFFFFF:#010x}" for shift in range(0, 128, 32))])
        show = print_float if self.type[0] == "f" else print_int
        return show(self.bits, int(self.type[1:]))


@distinct
class Returned(NamedTuple):
    """The call returned these values."""

    values: tuple[Value, ...]

    def __repr__(self) -> str:
        return " ".join(map(repr, self.values)) or "nothing"


@distinct
class Trapped(NamedTuple):
    """It trapped; ``kind`` is one of :data:`refwasm.oracle.traps.KINDS`."""

    kind: str

    def __repr__(self) -> str:
        return f"trap: {self.kind}"


@distinct
class Threw(NamedTuple):
    """An exception came out: the index of its tag, None for a tag of another module, and its values."""

    tag: int | None
    payload: tuple[Value, ...] = ()

    def __repr__(self) -> str:
        return f"exception of tag {self.tag} {' '.join(map(repr, self.payload))}".rstrip()


@distinct
class Exhausted(NamedTuple):
    """The call stack was exhausted. Where that happens, the specification leaves open."""

    def __repr__(self) -> str:
        return "call stack exhausted"


@distinct
class Limited(NamedTuple):
    """A limit of the implementation was reached: fuel, time, memory."""

    reason: str

    def __repr__(self) -> str:
        return f"limit: {self.reason}"


@distinct
class Refused(NamedTuple):
    """The module was not accepted: ``stage`` is "decode", "validate" or "link"."""

    stage: str
    reason: str = ""

    def __repr__(self) -> str:
        return f"refused ({self.stage}): {self.reason}"


Outcome = Union[Returned, Trapped, Threw, Exhausted, Limited, Refused]


@distinct
class Byte(NamedTuple):
    """A byte of a memory."""

    address: int
    value: int

    def __repr__(self) -> str:
        return f"{self.value:#04x} at {self.address:#x}"


@distinct
class Outcomes(NamedTuple):
    """What a call may come to: each outcome with the choices that first led to it, and whether there are no others.
    What is open within an outcome, is in its values."""

    found: dict[Outcome, str]
    complete: bool

    def admits(self, observed: Outcome, merges: Sequence[frozenset[str]] = ()) -> Verdict:
        """The verdict on an outcome that was observed."""
        verdicts = [compare(expected, observed, merges) for expected in self.found]
        for kind in (AGREES, UNDECIDED, DIFFERS):
            for verdict in verdicts:
                if verdict.kind == kind and (kind != DIFFERS or self.complete):
                    return verdict
        return Verdict(UNDECIDED, "call", "not all executions are known")

    def __repr__(self) -> str:
        shown = "; ".join(f"{outcome!r} ({choices})" for outcome, choices in self.found.items())
        return shown if self.complete else f"{shown}; and perhaps others"


AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"


@distinct
class Verdict(NamedTuple):
    """Whether something observed is one of what may be: ``kind`` is "agrees", "differs" or "undecided"; ``where`` the
    first difference ("call", "global g", "memory m"), ``reason`` why."""

    kind: str
    where: str = ""
    reason: str = ""
    expected: object = None
    observed: object = None

    def __bool__(self) -> bool:
        """False for a difference only."""
        return self.kind != DIFFERS

    def __repr__(self) -> str:
        if self.kind != DIFFERS:
            return f"{self.kind}{f': {self.reason}' if self.reason else ''}"
        return f"{self.where}: expected {self.expected!r}, observed {self.observed!r}"


def compare(expected: Outcome, observed: Outcome, merges: Sequence[frozenset[str]] = ()) -> Verdict:
    """The verdict on a call. ``merges`` are kinds of traps that the engine does not tell apart.

    Exhaustion and limits on either side decide nothing: where they are is not said by the specification."""
    for side, name in ((expected, "the oracle"), (observed, "the engine")):
        if isinstance(side, (Exhausted, Limited)):
            return Verdict(UNDECIDED, "call", f"{name}: {side!r}")
    if isinstance(expected, Trapped) and isinstance(observed, Trapped):
        is_classed = observed.kind in KINDS  # any other message tells only that it trapped
        merged = any({expected.kind, observed.kind} <= m for m in (*merges, EITHER_REASON))
        same = expected == observed or merged or not is_classed
        return Verdict(AGREES) if same else Verdict(DIFFERS, "call", "", expected, observed)
    if isinstance(expected, Refused) and isinstance(observed, Refused):
        return Verdict(AGREES)
    if type(expected) is type(observed) and _admits(expected, observed):
        return Verdict(AGREES)
    return Verdict(DIFFERS, "call", "", expected, observed)


def _admits(expected: Outcome, observed: Outcome) -> bool:
    if isinstance(expected, Returned) and isinstance(observed, Returned):
        return _all_admit(expected.values, observed.values)
    if isinstance(expected, Threw) and isinstance(observed, Threw):
        return expected.tag == observed.tag and _all_admit(expected.payload, observed.payload)
    return expected == observed


def _all_admit(expected: Sequence[Value], observed: Sequence[Value]) -> bool:
    return len(expected) == len(observed) and all(a.admits(b) for a, b in zip(expected, observed))
