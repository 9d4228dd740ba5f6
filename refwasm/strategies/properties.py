"""Ready-made properties of engines, for pytest: ``from refwasm.strategies.properties import *`` in a test file, and
``pytest --refwasm-engine NAME``.

How many examples are tried is Hypothesis' setting, as for any test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from refwasm import embedding as e
from refwasm.engines.judging import Judgement, judge
from refwasm.engines.protocol import Ended, Engine
from refwasm.oracle.case import Oracle
from refwasm.oracle.outcomes import DIFFERS, Limited, Refused
from refwasm.strategies.calls import Call, calls
from refwasm.strategies.invalid import invalid_modules
from refwasm.strategies.malformed import Malformed, malformed_modules
from refwasm.strategies.modules import DrawnModule, modules
from refwasm.strategies.mutations import mutations
from refwasm.strategies.parallel import ParallelProgram, parallel_programs

_ORACLE = Oracle()
#: An engine may be slow to start, and a module is large for what Hypothesis is used to.
_settings = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def agrees(engine: Engine, module: bytes, made: Sequence[Call]) -> Judgement:
    """Judge an engine on a module and calls. Raises AssertionError if it differs, with what was expected."""
    judgement = judge(_ORACLE, engine, module, [(call.name, call.bits) for call in made])
    verdict = judgement.verdict
    assert verdict.kind != DIFFERS, (
        f"{engine.name} {engine.version}: {judgement.call or 'instantiation'} ({verdict.where}): "
        f"expected {verdict.expected!r}, observed {verdict.observed!r}"
    )
    return judgement


def _judged(engine: Engine, data: st.DataObject, traps: str) -> None:
    module = data.draw(modules(engine.features & _ORACLE.features, traps=traps))
    agrees(engine, module.bytes, data.draw(calls(module)))


@_settings
@given(data=st.data())
def test_results(refwasm_engine: Engine, data: st.DataObject) -> None:
    """Results, globals and memories are among those that the specification allows."""
    _judged(refwasm_engine, data, "rare")


@_settings
@given(data=st.data())
def test_traps(refwasm_engine: Engine, data: st.DataObject) -> None:
    """So are traps and exceptions, in modules that often trap."""
    _judged(refwasm_engine, data, "allowed")


@_settings
@given(data=st.data())
def test_round_trips(refwasm_engine: Engine, data: st.DataObject) -> None:
    """A module that was printed and parsed again does what it did."""
    module = data.draw(modules(refwasm_engine.features & _ORACLE.features))
    again = DrawnModule(e.module_parse(module.wat()))
    assert again.module == module.module
    agrees(refwasm_engine, again.bytes, data.draw(calls(module)))


@_settings
@given(data=st.data())
def test_rewritten_modules(refwasm_engine: Engine, data: st.DataObject) -> None:
    """A module rewritten so that its meaning stays does what the original does."""
    module = data.draw(modules(refwasm_engine.features & _ORACLE.features, nan="canonicalised"))
    rewritten = data.draw(mutations(module))
    agrees(refwasm_engine, rewritten.bytes, data.draw(calls(module)))


@_settings
@given(data=st.data())
def test_validation(refwasm_engine: Engine, data: st.DataObject) -> None:
    """Modules that break one rule of validation are refused."""
    module = data.draw(invalid_modules(refwasm_engine.features & _ORACLE.features))
    _refuses(refwasm_engine, module.bytes, module.rule)


@_settings
@given(malformed=malformed_modules())
def test_decoding(refwasm_engine: Engine, malformed: Malformed) -> None:
    """Bytes that are no module are refused."""
    assert isinstance(malformed.source, bytes)
    _refuses(refwasm_engine, malformed.source, malformed.rule)


def _refuses(engine: Engine, module: bytes, rule: str) -> None:
    try:
        engine.instantiate(module)
    except Ended as error:
        assert isinstance(error.outcome, (Refused, Limited)), f"{rule}: {error.outcome!r}, but it is no module"
        return
    raise AssertionError(f"{engine.name} {engine.version} takes it: {rule}")


@_settings
@given(program=parallel_programs())
def test_parallel_programs(refwasm_parallel: Callable[[bytes], bytes], program: ParallelProgram) -> None:
    """Programs that use wasi-parallel print what the rules allow."""
    output = refwasm_parallel(program.binary())
    note(output.hex(" "))
    wrong = program.admits(output)
    assert not wrong, wrong


__all__ = [
    "test_decoding", "test_parallel_programs", "test_results", "test_rewritten_modules", "test_round_trips",
    "test_traps", "test_validation",
]  # fmt: skip
