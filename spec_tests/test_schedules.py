"""The official scripts with threads, under every schedule."""

from __future__ import annotations

from pathlib import Path

import pytest

from refwasm.concurrency.exploration import explore
from refwasm.concurrency.opening import open_subject


def test_scripts_are_right_under_every_schedule(threaded_script: Path) -> None:
    if "(thread" not in threaded_script.read_text(encoding="utf-8"):
        pytest.skip("nothing runs in parallel")
    found = explore(open_subject(threaded_script), seconds=60)
    assert found.complete and not found.failures, found
