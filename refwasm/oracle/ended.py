"""What an error of refwasm's is as an outcome."""

from __future__ import annotations

from refwasm.errors import Exhaustion, Invalid, Malformed, Trap, UncaughtException, Unlinkable, WasmError
from refwasm.oracle.outcomes import Exhausted, Limited, Outcome, Refused, Threw, Trapped
from refwasm.oracle.traps import kind_of


def outcome_of(error: WasmError) -> Outcome:
    """The outcome that an error stands for. Of an exception, only that it came out: its tag is known to the instance.
    What is none of the specification's outcomes is a limit."""
    if isinstance(error, Exhaustion):
        return Exhausted()
    if isinstance(error, Trap):
        return Trapped(kind_of(str(error)))
    if isinstance(error, UncaughtException):
        return Threw(None)
    stages: tuple[tuple[type[WasmError], str], ...] = (
        (Malformed, "decode"), (Invalid, "validate"), (Unlinkable, "link"),
    )  # fmt: skip
    stage = next((stage for kind, stage in stages if isinstance(error, kind)), None)
    return Limited(str(error)) if stage is None else Refused(stage, str(error))
