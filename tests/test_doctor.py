"""``refwasm doctor``: what is here, and what is missing for what."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from refwasm.cli import main
from refwasm.cli.doctor import EXTRAS

ROOT = Path(__file__).parent.parent


def test_every_extra_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"test", "dev"}


def test_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {"system", "extras", "devices", "compilers"} == {finding["topic"] for finding in findings}
    assert next(f for f in findings if f["name"] == "hypothesis")["here"]
    assert main(["doctor"]) == 0
    assert "  ok  sequential" in capsys.readouterr().out


def test_what_is_missing_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXTRAS, "native", (("no_such_module",), "kernels at native speed"))
    assert main(["doctor"]) == 0
    assert "--  native" in (shown := capsys.readouterr().out) and "pip install 'refwasm[native]'" in shown
