"""One exception class per outcome that the specification distinguishes.

Every error that bad input can cause is a :class:`WasmError`; its text is the official suite's wording first, then
details. ``location`` says where: a byte offset (``"0x1f"``), ``"3:14"`` (line:column) or empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Nobody misspells longer words, and comparing takes time.
MAX_WORD = 50


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to add to the message about an unknown word: the known one that is most like it, if one is. What goes on
    where the word ends comes first."""
    from difflib import get_close_matches  # not at start-up: most runs have no errors

    found = get_close_matches(word, sorted(known), 5, 0.65) if len(word) <= MAX_WORD else []
    if not found:
        return ""
    best = next((candidate for candidate in found if candidate.startswith(word)), found[0])
    return f"; did you mean {best}?"


class WasmError(Exception):
    """Base class of all outcomes but a normal return.

    ``position`` is a byte offset (binary format) or a token index (text format) for those who can locate it;
    ``location`` is what a person reads.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.location = ""
        self.context = ""

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        detail = f" ({self.context})" if self.context else ""
        return f"{where}{self.message}{detail}"


class Malformed(WasmError):
    """The bytes or characters do not match the grammar of their format (specification, chapters 5 and 6)."""


class Invalid(WasmError):
    """A well-formed module breaks a validation rule (chapter 3).

    ``function`` and ``instruction`` are indices into the module (functions include the imported ones) where the rule
    concerns an instruction, otherwise None.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message, position)
        self.function: int | None = None
        self.instruction: int | None = None


class Unlinkable(WasmError):
    """An import is missing or its type does not match (section 4.7.2 "External Typing")."""


class Trap(WasmError):
    """Execution was aborted by the semantics (section 4.6).

    ``backtrace`` lists the active calls, innermost first, as ``(function index, name, position)``.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message, position)
        self.backtrace: list[StackEntry] = []


class Suspension(Trap):
    """A suspension or switch that no handler is there for (stack-switching proposal)."""


class Exhaustion(Trap):
    """A resource that the specification lets an implementation run out of: the call stack."""


class UncaughtException(WasmError):
    """A WebAssembly exception left the outermost call (section 4.5 "exception handling").

    ``tag`` is the tag instance, ``payload`` the values it carries, in internal representation.
    """

    def __init__(self, exception: object, tag: object = None, payload: tuple[object, ...] = ()) -> None:
        super().__init__("uncaught exception")
        self.exception = exception
        self.tag = tag
        self.payload = payload


class ResourceLimit(WasmError):
    """A limit that refwasm or its user set was reached: fuel, time, memory, locals, nesting."""


class Deadlock(ResourceLimit):
    """Every agent waits and none of them can be woken."""


class Exit(WasmError):
    """The guest asked to end (WASI ``proc_exit``); ``code`` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class NotYet(Exception):
    """Raised by a host function that would have to wait: in an interleaved store its agent tries again later."""


class Crash(WasmError):
    """Something outside the semantics broke: a worker process died, or an internal invariant did not hold."""


class UnsupportedFeature(Invalid):
    """The module uses a proposal that the chosen feature set leaves out; the message names it."""


#: Entries kept of a backtrace, counted from the innermost call.
BACKTRACE = 50


class StackEntry(NamedTuple):
    """One active call in a backtrace: function index, its name or "", and the location of the instruction."""

    func: int
    name: str
    location: str

    def __str__(self) -> str:
        name = f" ${self.name}" if self.name else ""
        return f"func[{self.func}]{name}" + (f" {self.location}" if self.location else "")
