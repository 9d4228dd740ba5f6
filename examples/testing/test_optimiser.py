"""An optimiser: what ``wasm-opt -O3`` (binaryen, from npm) makes of a module does what the module did."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refwasm.engines.catalogue import engine
from refwasm.strategies import calls, modules
from refwasm.strategies.properties import agrees


@pytest.fixture(scope="module")
def optimised():
    """An engine that optimises a module and has refwasm execute what comes out."""
    return engine("binaryen-opt", install=True)


@settings(deadline=None)
@given(data=st.data())
def test_results_before_and_after(optimised, data) -> None:
    module = data.draw(modules(optimised.features & {"mvp", "simd", "bulk-memory", "multi-value", "mutable-globals"}))
    agrees(optimised, module.bytes, data.draw(calls(module)))
