"""Modules that break one rule of validation, or of one of the formats."""

from __future__ import annotations

import subprocess
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from refwasm import embedding as e
from refwasm.campaign.smith import program as wasm_tools
from refwasm.errors import Invalid
from refwasm.errors import Malformed as MalformedError
from refwasm.strategies import InvalidModule, Malformed, invalid_modules, malformed_modules
from refwasm.strategies.breaches import BREACHES
from refwasm.strategies.invalid import OPERAND
from refwasm.strategies.sampling import sample

many = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def _wasm_tools_takes(binary: bytes) -> bool:
    command = [wasm_tools(), "validate", "--features", "all", "-"]
    return subprocess.run(command, input=binary, capture_output=True, check=False).returncode == 0


@many
@given(invalid_modules())
def test_invalid_modules_are_invalid(module: InvalidModule) -> None:
    with pytest.raises(Invalid):
        e.module_validate(e.module_decode(module.bytes))
    assert repr(module).startswith(f";; invalid: {module.rule}")


def test_each_breach_is_one_rule() -> None:
    """Without it the module is valid; with it, ours and another validator refuse it."""
    base = e.module_parse("(module (memory 1) (func (result i32) (i32.const 0)))")
    e.module_validate(base)
    for breach in BREACHES:
        assert breach.make is not None
        binary = e.module_encode(breach.make(base))
        with pytest.raises(Invalid):
            e.module_validate(e.module_decode(binary))
        if breach.rule != "Tag_ok: a tag with results":  # which stack switching allows, and wasm-tools with "all"
            assert not _wasm_tools_takes(binary), breach.rule


def test_all_rules_are_broken_about_as_often() -> None:
    """Also in a test, most of whose examples are mutations of others."""
    seen: Counter[str] = Counter()

    @settings(many, max_examples=600, phases=[Phase.generate])
    @given(invalid_modules())
    def check(module: InvalidModule) -> None:
        seen[module.rule] += 1

    check()
    assert len(seen) > len(BREACHES) / 2 and seen.most_common(1)[0][1] < 80, seen


def test_an_operand_of_another_type_is_one() -> None:
    for module in sample(invalid_modules(), 1500):
        if module.rule == OPERAND.rule:
            with pytest.raises(Invalid) as caught:
                e.module_validate(module.module)
            index, at = caught.value.function, caught.value.instruction
            assert index is not None and at is not None
            assert module.module.funcs[index].body[at].form.mnemonic not in ("end", "else")


def test_a_shared_memory_is_the_only_one_where_there_may_be_one_only() -> None:
    for module in sample(invalid_modules("3.0,threads,-multi-memory"), 800):
        assert len(module.module.memories) <= 1, module


#: The titles of the sections that rules stand in (specification 3.0), by their numbers.
SECTIONS = {
    "3.2.4": "heap", "3.2.8": "block", "3.2.11": "subtype", "3.2.12": "limits", "3.5.1": "type", "3.5.2": "tag",
    "3.5.3": "global", "3.5.4": "memory", "3.5.5": "table", "3.5.6": "func", "3.5.8": "data", "3.5.9": "elem",
    "3.5.10": "start", "3.5.12": "export", "3.5.13": "module", "3.4.13": "expr", "3.4.5": "memarg",
}  # fmt: skip


def test_rules_stand_in_their_sections() -> None:
    for breach in BREACHES:
        if not breach.rule.startswith("Instr_ok/") and breach.section != "threads":
            assert breach.rule.lower().startswith(SECTIONS[breach.section]), breach
        elif breach.section != "threads":
            assert breach.section in {f"3.4.{k}" for k in range(1, 13)}, breach


@pytest.mark.parametrize("format", ["binary", "text"])
def test_malformed_modules_are_malformed(format: str) -> None:
    @many
    @given(malformed_modules(format))
    def check(malformed: Malformed) -> None:
        assert 0 <= malformed.position <= len(malformed.source)
        with pytest.raises(MalformedError):
            e.module_load(malformed.source) if format == "text" else e.module_decode(malformed.source)  # type: ignore

    check()


def test_what_is_malformed_besides_belongs_to_the_features() -> None:
    texts = [malformed.source for malformed in sample(malformed_modules("text", "1.0"), 300)]
    assert not any("v128" in text for text in texts)
    assert any(malformed.rule == "an unknown shape" for malformed in sample(malformed_modules("text", "simd"), 300))
