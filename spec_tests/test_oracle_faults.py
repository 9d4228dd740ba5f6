"""The self-test of the oracle: all faults apply, some are found. ``python -m tools.oracle_faults`` tries all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refwasm.campaign.pairs import pairs
from refwasm.syntax.instructions import FORMS
from refwasm.validation.features import ALL
from tools.oracle_faults import FAULTS, Fault, copied, find, is_right, items_for

#: Of each part of the interpreter, one.
SOME = (
    "shr_s shifts in zeros", "div_s does not trap on overflow", "min of two zeros is the first",
    "trunc_u of -0.5 traps", "swizzle wraps its indices", "memory.fill fills one byte too few",
    "call_indirect looks at no type", "ref.cast lets null pass", "catch_all catches nothing",
)  # fmt: skip
#: Faults of single numeric instructions, each with the one that shows it in a module of hundreds of functions.
SEEDED = [
    (fault, name)
    for fault in FAULTS
    if (name := next((name for name in FORMS if re.fullmatch(fault.kinds, name)), None))
    and fault.file.startswith("numerics/") and fault.kinds != "f.*"
]  # fmt: skip


def named(what: str) -> Fault:
    (fault,) = (fault for fault in FAULTS if fault.what == what)
    return fault


def test_all_faults_apply(tmp_path: Path) -> None:
    assert len(FAULTS) >= 60 and len({fault.what for fault in FAULTS}) == len(FAULTS)
    for number, fault in enumerate(FAULTS):
        copied(fault, tmp_path / str(number))


@pytest.mark.parametrize("what", SOME)
def test_a_fault_is_found_in_its_bucket(what: str) -> None:
    fault = named(what)
    found = find(fault, items_for(fault, 0))
    assert found is not None and found.source == "singles" and is_right(fault, found.bucket), found


@pytest.mark.parametrize(("fault", "mnemonic"), SEEDED[::3], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_left_of_a_finding_is_at_most_twice_the_least(fault: Fault, mnemonic: str) -> None:
    """The least that is known is the instruction with its operands."""
    item = next(item for item in pairs(ALL) if item.label == f"{mnemonic} of")
    found = find(fault, [("pairs", item)])
    assert found is not None and 0 < found.size <= 2 * (1 + len(FORMS[mnemonic].params or ())), found
