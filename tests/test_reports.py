"""Reports: what commands write with ``--json``, and the pages that ``refwasm report`` makes of it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from refwasm.cli import COMMANDS, COMPILERS, main, parser_of
from refwasm.engines import catalogue
from refwasm.reports.data import BadDocument
from refwasm.reports.documents import KINDS, parse, schema_of, text_of
from refwasm.reports.pages import render
from tests.support import refwasm

ROOT = Path(__file__).parent.parent
#: Commands without a report of their own: they translate, compile, serve, or make a page of a report.
WITHOUT = {"wat2wasm", "wasm2wat", "oracle", "parallelize", "report", "completion", *COMPILERS}
VOID = {"meta", "br"}

SB = """(module (memory (export "m") 1 1 shared)
  (func (export "a") (result i32) (i32.store (i32.const 0) (i32.const 1)) (i32.load (i32.const 4)))
  (func (export "b") (result i32) (i32.store (i32.const 4) (i32.const 1)) (i32.load (i32.const 0))))"""


class Outline(HTMLParser):
    """The elements of a page; they must be nested properly."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert name not in ("src", "href") or (value or "").startswith("https://webassembly.github.io/"), value

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def read(page: str) -> str:
    """The text of a page."""
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert not outline.open and page.startswith("<!doctype html>")
    return " ".join(outline.text)


def reported(tmp_path: Path, *command: str, code: int = 0) -> tuple[Any, str]:
    """What a command reports, checked against the schema of its kind, and the page's text."""
    file = tmp_path / "report.json"
    done = refwasm(command[0], "--json", str(file), *command[1:])
    assert done.returncode == code, done.stderr.decode()
    text = file.read_text(encoding="utf-8")
    data = json.loads(text)
    kind = data["format"].removeprefix("refwasm ")
    jsonschema.validate(data, schema_of(kind))
    found = parse(text)
    assert type(found) is KINDS[kind] and text_of(found) == text
    done = refwasm("report", str(file))
    assert done.returncode == 0, done.stderr.decode()
    return found, read(file.with_suffix(".html").read_text(encoding="utf-8"))


def test_a_run(tmp_path: Path) -> None:
    run, page = reported(tmp_path, "run", "--device", "cpu", "--workers", "2", "examples/squares.wat")
    assert run.ended == "exit" and run.exit_code == 0 and run.executions[0].iterations == 1000
    assert sum(block.iterations for block in run.executions[0].blocks) == 1000
    assert "exit code 0" in page and "worker 0" in page and "1000" in page


@pytest.mark.parametrize(
    "body, args, code, ended, told",
    [
        ("(unreachable)", [], 134, "trap", "at func[0] $f"),
        ("(loop (br 0))", ["--fuel", "1000"], 124, "limit", "fuel"),
        ("", [], 0, "returned", ""),
    ],
)
def test_how_a_function_ended(
    tmp_path: Path, body: str, args: list[str], code: int, ended: str, told: str
) -> None:  # fmt: skip
    file = tmp_path / "f.wat"
    file.write_text(f'(module (func $f (export "f") (result i32) {body} (i32.const 7)))')
    run, page = reported(tmp_path, "run", *args, "--invoke", "f", str(file), code=code)
    assert (run.ended, run.exit_code) == (ended, code) and told in run.message and told in page
    assert run.results == ([] if code else ["7"])


def test_checks(tmp_path: Path) -> None:
    check, page = reported(tmp_path, "check", "--only", "order,grouping", "examples/squares.wat")
    assert check.verdict == "portable" and check.difference is None and len(check.runs) > 2
    assert "nothing differs" in page


def test_an_exploration(tmp_path: Path) -> None:
    file = tmp_path / "sb.wat"
    file.write_text(SB)
    found, page = reported(tmp_path, "explore", "--races", "--model", str(file), code=1)
    assert len(found.states) == 3 and len(found.races) == 2 and found.complete and len(found.relaxed) == 1
    assert all(state.picture.boxes for state in found.states) and found.relaxed[0].picture.boxes
    (box,) = {box.text for box in found.races[0].picture.boxes if box.marked and box.lane == 0}
    assert box in page and "These are all final states." in page and "Executions that no interleaving shows" in page


def test_the_others(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.wat", tmp_path / "good.wat"
    bad.write_text("(module (func (result i32)))")
    good.write_text('(module (memory 1) (func $g (export "g") (param i32) (result i32) (i32.load (local.get 0))))')
    script = tmp_path / "s.wast"
    script.write_text('(module (func (export "f")))\n(assert_trap (invoke "f") "unreachable")')
    found, page = reported(tmp_path, "validate", str(good), str(bad), code=1)
    assert [m.ok for m in found.modules] == [True, False] and "type mismatch" in page
    found, page = reported(tmp_path, "wast", str(script), code=1)
    assert found.files[0].failures[0].location and "1 failed" in page
    found, page = reported(tmp_path, "litmus", "--only", "SB", str(ROOT / "conformance/litmus"))
    assert found.tests[0].name == "SB" and "relaxed only" in page
    found, page = reported(tmp_path, "dump", str(good))
    assert found.exports[0].name == "g" and "i32.load" in page
    found, page = reported(tmp_path, "explain", str(good), "g")
    assert found.function.code and any("def " in line.text for line in found.python) and "local.get" in page
    found, page = reported(tmp_path, "diff", "--engine", "refwasm-interpret", str(good))
    assert found.verdict == "agrees" and found.calls and "agrees" in page
    found, page = reported(tmp_path, "doctor")
    assert any(f.name == "sequential" for f in found.findings) and "sequential" in page
    found, page = reported(tmp_path, "devices")
    assert found.devices[0].spec == "sequential" and "SEQUENTIAL" in page


def test_engines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without starting them all."""
    engine = catalogue.engine("refwasm-auto", False)
    monkeypatch.setattr("refwasm.cli.engines.found", lambda install: [("refwasm-auto", engine), ("wasm3", "not here")])
    assert main(["engines", "--json"]) == 0
    text = capsys.readouterr().out
    jsonschema.validate(json.loads(text), schema_of("engines"))
    page = read(render([parse(text)]))
    assert "refwasm-auto" in page and "tail-call" in page and "not here" in page


def test_a_campaign(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    (corpus / "a.wat").write_text('(module (func (export "f") (result i32) (i32.const 1)))')
    done = refwasm("campaign", "--engines", "refwasm-auto", "--source", f"corpus:{corpus}", "--out", str(out))
    assert done.returncode == 0
    text = (out / "report.json").read_text()
    jsonschema.validate(json.loads(text), schema_of("campaign"))
    assert render([parse(text)]) == (out / "report.html").read_text()
    found = parse(text)
    found.buckets.append(_bucket("i32.add", script="(module)"))
    page = read(render([found]))
    assert "Campaign: 1 bucket" in page and "(module)" in page and "refwasm diff" in page


def _bucket(name: str, script: str) -> Any:
    from refwasm.reports.documents.engines import Bucket

    return Bucket(
        name, "e 1", "i32.add", "item", "", "i32 1", "i32 2", 3, "4.6", "https://webassembly.github.io/spec/", "a.wast",
        script, "refwasm diff a.wast --engine e",
    )  # fmt: skip


def test_every_command_that_reports_has_the_option() -> None:
    for command in set(COMMANDS) - WITHOUT - {"campaign"}:  # which has a folder for its reports
        assert "--json" in parser_of(command).format_help(), command


def test_json_on_standard_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "sb.wat"
    file.write_text(SB)
    assert main(["explore", "--json", "-", str(file)]) == 0
    assert len(parse(capsys.readouterr().out).states) == 3
    assert main(["run", "--json", "-", str(file)]) == 2
    done = refwasm("report", "-", stdin=refwasm("devices", "--json").stdout)
    assert done.returncode == 0 and "SEQUENTIAL" in read(done.stdout.decode())


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no JSON"),
        ("[1]", "$.format: expected one of 'refwasm run'"),
        ('{"format": "refwasm devices", "format_version": 2}', "$.format_version: this refwasm reads version 1"),
        ('{"format": "refwasm devices", "format_version": 1}', "$: the field 'devices' is missing"),
        ('{"format": "refwasm devices", "format_version": 1, "devices": 5}', "$.devices: expected an array, found 5"),
        (
            '{"format": "refwasm devices", "format_version": 1, "devices": [], "device": 1}',
            "$: unknown field 'device'; did you mean devices?",
        ),
        (
            '{"format": "refwasm doctor", "format_version": 1, "findings": [{"topic": "a", "name": "b", "here": 1, '
            '"told": ""}]}',
            "$.findings[0].here: expected a value of type boolean, found 1",
        ),
    ],
)
def test_what_is_no_report(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadDocument) as caught:
        parse(text)
    assert message in str(caught.value)
    file = tmp_path / "report.json"
    file.write_text(text)
    done = refwasm("report", str(file))
    assert done.returncode == 1 and done.stderr.decode().startswith(f"refwasm: {file}: ")
    assert not file.with_suffix(".html").exists()


def test_a_page_replaces_no_report(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(refwasm("devices", "--json").stdout)
    done = refwasm("report", str(file))
    assert done.returncode == 2 and b"--output" in done.stderr and b"refwasm devices" in file.read_bytes()


def test_schemas_are_schemas() -> None:
    for kind in KINDS:
        jsonschema.Draft202012Validator.check_schema(schema_of(kind))


def test_text_is_escaped() -> None:
    from refwasm.reports.documents.systems import Doctor, Finding

    page = render([Doctor([Finding("<b>", "a & b", True, "\x00 </script>")])])
    assert "<b>" not in page.replace("<body>", "") and "a &amp; b" in page and "\\x00 &lt;/script&gt;" in page
