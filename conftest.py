"""For all tests: no compiled code is kept between them, unless a test chooses a place, and Control-C is not ignored."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

os.environ["REFWASM_CACHE"] = ""
# How long generated inputs take says nothing on a machine that does other work, too.
settings.register_profile("tests", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
# A shell starts background jobs (``pytest &``) with SIGINT ignored, and all children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Files whose tests take a few seconds together: ``pytest -m fast`` runs them in under a minute.
FAST = frozenset(
    {"test_layers", "test_api", "test_staging", "test_wasi_types", "test_semantics", "test_sandbox", "test_cache",
     "test_unknown_imports", "test_numerics", "test_tables", "test_features", "test_deferred", "test_atomics",
     "test_asyncify"}
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast ones."""
    for item in items:
        if item.path.stem in FAST:
            item.add_marker(pytest.mark.fast)
