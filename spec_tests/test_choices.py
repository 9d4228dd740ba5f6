"""The official suite under other executions than the deterministic profile's: what it allows is what we may choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from refwasm.execution.choices import NAN, RELAXED, Enumeration, Seeded
from refwasm.script.runner import OPEN, Options, Runner
from refwasm.text.lexer import Source

RELAXED_SCRIPTS = [f"{name}.wast" for name in (
    "i16x8_relaxed_q15mulr_s", "i32x4_relaxed_trunc", "i8x16_relaxed_swizzle", "relaxed_dot_product",
    "relaxed_laneselect", "relaxed_madd_nmadd", "relaxed_min_max",
)]  # fmt: skip
#: Scripts with many NaNs.
FLOATS = [
    "f32.wast", "f64.wast", "conversions.wast", "simd_f32x4_arith.wast", "simd_f64x2_arith.wast",
    "simd_f64x2_rounding.wast", "simd_f32x4.wast",
]  # fmt: skip


@pytest.mark.parametrize("name", RELAXED_SCRIPTS)
def test_relaxed_scripts_allow_every_option(name: str, official_suite: Path) -> None:
    source = Source((official_suite / name).read_bytes())
    executions = Enumeration(1_000, kinds=(RELAXED,))
    for choices in executions:
        report = Runner(source, name, Options(choices=lambda: choices)).run()  # noqa: B023
        assert report.ok, (str(choices), report.failures)
    assert executions.complete
    assert executions.executions > 1 or "trunc" in name  # whose script executes nothing


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("seed", range(2))
def test_float_scripts_allow_every_nan(name: str, seed: int, official_suite: Path) -> None:
    choices = Seeded(seed, OPEN)
    report = Runner(Source((official_suite / name).read_bytes()), name, Options(choices=lambda: choices)).run()
    assert report.ok, report.failures[:3]
    assert any(taken.kind is NAN and taken.option for taken in choices.taken)


def test_a_script_that_forgets_an_open_sign_fails() -> None:
    """The check can fail."""
    source = Source("""(module (func (export "f") (result f32) (f32.sqrt (f32.const -1))))
        (assert_return (invoke "f") (f32.const nan:0x400000))""")
    reports = [Runner(source, "f.wast", Options(choices=lambda: Seeded(seed))).run() for seed in range(20)]  # noqa: B023
    assert {report.ok for report in reports} == {True, False}
