"""The self-test of the oracle: all faults apply, some are found. ``python -m spec_tests.oracle_faults`` tries all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spec_tests.oracle_faults import FAULTS, copied, find

#: Of each part of the interpreter, one.
SOME = (
    "shr_s shifts in zeros", "div_s does not trap on overflow", "min of two zeros is the first",
    "trunc_u of -0.5 traps", "swizzle wraps its indices", "memory.fill fills one byte too few",
    "call_indirect looks at no type", "ref.cast lets null pass", "catch_all catches nothing",
)  # fmt: skip


def test_all_faults_apply(tmp_path: Path) -> None:
    assert len(FAULTS) >= 60 and len({fault.what for fault in FAULTS}) == len(FAULTS)
    for number, fault in enumerate(FAULTS):
        copied(fault, tmp_path / str(number))


@pytest.mark.parametrize("what", SOME)
def test_a_fault_is_found_in_its_bucket(what: str) -> None:
    (fault,) = (fault for fault in FAULTS if fault.what == what)
    source, bucket, _ = find(fault, 0)
    assert source == "singles" and re.fullmatch(fault.kinds, bucket.partition(":")[0]), bucket
