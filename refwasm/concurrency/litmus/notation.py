"""The notation of litmus tests, one of which is, for example::

    SB: store buffering
    from: Weakening WebAssembly, section 2
    a: x = 1; r0 = y
    b: y = 1; r1 = x
    sc: r0=0 r1=1 | r0=1 r1=0 | r0=1 r1=1
    relaxed: r0=0 r1=0

The first line names the test and says what it is about. A line for each thread has its operations. ``x``, ``y``, ``z``
and ``w`` are locations, all zero at first, 32 bits wide: ``x8``, ``x16`` and ``x64`` are other widths, ``x8+1`` is the
byte behind the first one. With ``!`` an access is atomic. ``r0``, ``r1``, … are registers::

    x = 1           a store                     r = add x 1      an atomic read-modify-write (also sub, and,
    x! = 1          an atomic store                              or, xor, xchg)
    r = x           a load                      r = cas x 0 1    a compare-exchange: expected, replacement
    r = x!          an atomic load              fence            an atomic.fence
    r = wait x 0    a wait for ever, if x is 0  r = wait x 0 1   a wait of so many milliseconds at most
    r = notify x 1  wake so many                r = size, r = grow 1, r = x+65536
    if r == 1: …    an operation that is only done if a register of the thread has a value

``sc`` lists what interleavings show, ``relaxed`` what the model allows besides; all else is forbidden, and
``forbidden`` names what a reader would want to be so. A final state gives registers (``-`` if never set) and locations.
``deadlock`` stands for a thread that waits for ever. ``native: no`` keeps a test from being run on engines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from refwasm.errors import Malformed

#: Locations and where they are; each has room for the widest access, and for another one beside it.
LOCATIONS = {"x": 0, "y": 64, "z": 128, "w": 192}
RMW = ("add", "sub", "and", "or", "xor", "xchg")
_PLACE = r"([xyzw])(8|16|32|64)?(?:\+(\d+))?(!?)"
_STATE = re.compile(r"(?:(?:r\d*|[xyzw](?:8|16|32|64)?(?:\+\d+)?)=(?:\d+|-)|deadlock|trap)")
_KEYS = ("from", "sc", "relaxed", "forbidden", "native")


class Place(NamedTuple):
    """An access: bytes from ``address`` on, ``width`` in bits."""

    address: int
    width: int
    atomic: bool


class Operation(NamedTuple):
    """What a thread does: ``load``, ``store``, a read-modify-write, ``cas``, ``fence``, ``wait``, ``notify``, ``size``
    or ``grow``. ``register`` gets the result; ``values`` are stored, added, expected …; ``only_if`` is a register and
    its value."""

    kind: str
    place: Place | None = None
    register: str = ""
    values: tuple[int, ...] = ()
    only_if: tuple[str, int] | None = None


@dataclass
class LitmusTest:
    """A test. ``states`` are those that are allowed, each with whether interleavings show it. ``watched`` are locations
    that belong to final states, besides those that one names."""

    name: str
    about: str
    where: str
    threads: dict[str, list[Operation]] = field(default_factory=dict)
    states: dict[str, bool] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    source: str = ""
    native: bool = True
    watched: list[str] = field(default_factory=list)

    @property
    def registers(self) -> list[str]:
        """All registers, thread by thread."""
        return [r for ops in self.threads.values() for r in dict.fromkeys(o.register for o in ops if o.register)]

    @property
    def observed(self) -> list[str]:
        """The locations whose values final states name."""
        if self.watched:
            return self.watched
        words = [word.partition("=")[0] for state in (*self.states, *self.forbidden) for word in state.split()]
        return sorted({word for word in words if word[0] in LOCATIONS})


def shown(test: LitmusTest) -> str:
    """A test in the notation."""
    lines = [f"{test.name.replace(': ', ' ')}: {test.about}"]
    lines += [f"{name}: {'; '.join(map(_shown, ops))}" for name, ops in test.threads.items()]
    for key, sc in (("sc", True), ("relaxed", False)):
        states = [text for text, is_sc in test.states.items() if is_sc == sc]
        lines += [f"{key}: {' | '.join(states)}"] if states else []
    return "\n".join(lines)


def _shown(operation: Operation) -> str:
    kind, place, values = operation.kind, operation.place, " ".join(map(str, operation.values))
    target = f"{operation.register} = " if operation.register else ""
    if place is None:
        text = target + f"{kind} {values}".strip()
    else:
        name, start = max(((n, a) for n, a in LOCATIONS.items() if a <= place.address), key=lambda pair: pair[1])
        where = name + ("" if place.width == 32 else str(place.width))
        where += f"+{place.address - start}" if place.address > start else ""
        mark = "!" if place.atomic and kind in ("load", "store") else ""
        text = {"load": f"{target}{where}{mark}", "store": f"{where}{mark} = {values}"}.get(
            kind, f"{target}{kind} {where} {values.removesuffix(' -1')}"
        )
    return text if operation.only_if is None else f"if {operation.only_if[0]} == {operation.only_if[1]}: {text}"


def read_tests(path: Path) -> list[LitmusTest]:
    """The tests in a file; raises Malformed with the line."""
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise Malformed(f"{path}: malformed UTF-8 encoding at byte {error.start}") from None


def parse(text: str, file: str = "litmus") -> list[LitmusTest]:
    """The tests in a text. Blank lines separate them; lines that begin with ``#`` are comments."""
    tests: list[LitmusTest] = []
    fresh = True
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line:
            fresh = True
        elif not line.startswith("#"):
            try:
                if fresh:
                    tests.append(_headed(line, f"{file}:{number}"))
                else:
                    _add(tests[-1], line)
            except ValueError as error:
                malformed = Malformed(str(error))
                malformed.location = f"{file}:{number}"
                raise malformed from None
            fresh = False
    return tests


def _headed(line: str, where: str) -> LitmusTest:
    name, colon, about = line.partition(": ")
    if not colon:
        raise ValueError(f"a test begins with NAME: what it is about; found {line!r}")
    return LitmusTest(name, about, where)


def _add(test: LitmusTest, line: str) -> None:
    key, colon, rest = line.partition(":")
    if not colon or not (key in _KEYS or re.fullmatch("[a-h]", key)):
        raise ValueError(f"expected a thread (a: …), or one of {', '.join(_KEYS)}; found {line!r}")
    rest = rest.strip()
    if key == "from":
        test.source = rest
    elif key == "native":
        test.native = rest != "no"
    elif key not in _KEYS:
        test.threads[key] = [_operation(text.strip()) for text in rest.split(";")]
    else:
        for state in filter(None, map(str.strip, rest.split("|"))):
            words = state.split()
            if not all(map(_STATE.fullmatch, words)):
                raise ValueError(f"{state!r} is no final state: expected r0=1 or x=1, deadlock or trap")
            if key == "forbidden":
                test.forbidden.add(" ".join(sorted(words)))
            else:
                test.states[" ".join(sorted(words))] = key == "sc"


def _operation(text: str) -> Operation:
    condition = re.fullmatch(r"if (r\d*) == (\d+): (.*)", text)
    if condition:
        made = _operation(condition[3])
        return Operation(made.kind, made.place, made.register, made.values, (condition[1], int(condition[2])))
    register, rest = "", text
    if match := re.fullmatch(r"(r\d*) = (.*)", text):
        register, rest = match[1], match[2]
    for pattern, make in _FORMS:
        if match := re.fullmatch(pattern, rest):
            return make(register, match)
    raise ValueError(f"{text!r} is no operation")


def _place(match: re.Match[str], group: int, atomic: bool | None = None) -> Place:
    name, width, offset, mark = match.groups()[group : group + 4]
    is_atomic = bool(mark) if atomic is None else atomic
    return Place(LOCATIONS[name] + int(offset or 0), int(width or 32), is_atomic)


def _store(register: str, match: re.Match[str]) -> Operation:
    if register:
        raise ValueError("a store gives nothing")
    return Operation("store", _place(match, 0), "", (int(match[5]),))


_FORMS = [
    (f"{_PLACE} = (\\d+)", _store),
    (_PLACE, lambda register, m: Operation("load", _place(m, 0), register)),
    (f"({'|'.join(RMW)}) {_PLACE} (\\d+)",
     lambda register, m: Operation(m[1], _place(m, 1, True), register, (int(m[6]),))),
    (f"cas {_PLACE} (\\d+) (\\d+)",
     lambda register, m: Operation("cas", _place(m, 0, True), register, (int(m[5]), int(m[6])))),
    (f"wait {_PLACE} (\\d+)(?: (\\d+))?",
     lambda register, m: Operation("wait", _place(m, 0, True), register, (int(m[5]), int(m[6] or -1)))),
    (f"notify {_PLACE} (\\d+)",
     lambda register, m: Operation("notify", _place(m, 0, True), register, (int(m[5]),))),
    ("grow (\\d+)", lambda register, m: Operation("grow", None, register, (int(m[1]),))),
    ("size", lambda register, m: Operation("size", None, register)),
    ("fence", lambda register, m: Operation("fence")),
]  # fmt: skip
