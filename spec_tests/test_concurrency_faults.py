"""The explorer, the race detector and the memory model are tested well enough to notice deliberate faults."""

from __future__ import annotations

import pytest

from tools.concurrency_check import check
from tools.concurrency_faults import FAULTS, Fault, applies, noticed

#: Every so many faults are tried here; ``python -m tools.concurrency_faults`` tries all.
EVERY = 6


def test_nothing_is_wrong() -> None:
    assert not list(check())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_faults_apply(fault: Fault) -> None:
    assert applies(fault)


@pytest.mark.parametrize("fault", FAULTS[::EVERY], ids=lambda fault: fault.what)
def test_faults_are_noticed(fault: Fault) -> None:
    assert noticed(fault)
