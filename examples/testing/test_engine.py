"""An engine: ``pytest --refwasm-engine wasmtime examples/testing/test_engine.py``."""

from hypothesis import given

from refwasm.strategies import ThreadProgram, threads
from refwasm.strategies.properties import *  # noqa: F403  (the tests)


@given(threads(race_free=True))
def test_thread_programs_compile(refwasm_engine, program: ThreadProgram) -> None:
    """A property of our own, beside the ready-made ones."""
    if "threads" in refwasm_engine.features:
        refwasm_engine.instantiate(program.module.bytes)
