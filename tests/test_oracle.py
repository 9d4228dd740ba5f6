"""The oracle, its server, the shim, engines and campaigns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from refwasm.engines.judging import plan
from refwasm.oracle import Oracle, Returned, Trapped
from refwasm.oracle.outcomes import compare
from refwasm.oracle.server import Server
from refwasm.oracle.traps import KINDS
from tests.oracle_support import MODULE, module

# ---- verdicts -------------------------------------------------------------------------------------------------------


def test_kinds_of_traps_and_merges() -> None:
    assert compare(Trapped("cast"), Trapped("unreachable")).kind == "differs"
    merges = (frozenset({"cast", "unreachable"}),)
    assert compare(Trapped("cast"), Trapped("unreachable"), merges).kind == "agrees"
    assert compare(Trapped("unaligned"), Trapped("memory-access")).kind == "agrees"
    assert compare(Trapped("cast"), Returned(())).kind == "differs"
    assert compare(Trapped("cast"), Trapped("a message of a new version")).kind == "agrees"
    assert compare(Returned(()), Trapped("a message of a new version")).kind == "differs"
    assert len(KINDS) > 10


def test_exhaustion_and_limits_decide_nothing() -> None:
    case = Oracle(call_depth=50).instantiate(
        '(module (func $f (export "f") (call $f)) (func (export "l") (loop (br 0))))'
    )
    case.call("f", [])
    assert case.admits(Returned(())).kind == "undecided"
    case = Oracle(fuel=1000).instantiate('(module (func (export "l") (loop (br 0))))')
    case.call("l", [])
    assert case.admits(Trapped("unreachable")).kind == "undecided"


def test_calls_are_planned_alike_everywhere() -> None:
    types = Oracle().instantiate(MODULE).types
    assert plan(types, 7) == plan(types, 7) != plan(types, 8)


# ---- the server -----------------------------------------------------------------------------------------------------


def served(*lines: bytes) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "refwasm", "oracle", "--fuel", "10000"]
    done = subprocess.run(command, input=b"\n".join(lines) + b"\n", capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_server_answers_every_line() -> None:
    bad = [b"garbage", b"[]", b"{}", b'{"op": "nothing"}', b'{"op": 1}', b'{"op": "call"}', b"\xff\xfe", b"[" * 100_000,
           b'{"op": "instantiate", "module": "!"}',
           b'{"op": "call", "case": 1, "name": "f", "args": [{"type": "i32"}]}',
           b'{"op": "admits", "case": 1, "outcome": {"kind": "odd"}}', b'{"op": "call", "case": true}',
           b'{"op": "call", "case": 1, "name": "f", "args": [{"type": "i32", "bits": "0x100000000"}]}',
           b'{"op": "memory", "case": 1, "name": "f"}', b'{"op": "call_all", "case": 1, "calls": [1]}']  # fmt: skip
    first = b'{"op": "instantiate", "wat": "(module (func (export \\"f\\") (param i32)))", "id": "a"}'
    answers = served(first, *bad, b'{"op": "hello", "id": 9}', b'{"op": "instantiate", "wat": "(module (fun))"}')
    assert len(answers) == len(bad) + 3
    assert answers[0]["id"] == "a" and answers[0]["functions"] == {"f": {"params": ["i32"], "results": []}}
    assert all("error" in answer or answer == {"outcomes": []} for answer in answers[1:-2])
    assert answers[-2]["id"] == 9 and answers[-2]["protocol"] == 1
    assert answers[-1]["outcome"]["stage"] == "decode"


@pytest.mark.parametrize(
    "line",
    [
        b'{"op": "admits", "case": 1, "outcome": {"kind": "exception", "tag": 0, "payload": null}}',
        b'{"op": "admits", "case": 1, "outcome": {"kind": "exception", "payload": 5}}',
        b'{"op": "configure", "config": {"max_memory32_bytes": "x", "max_imports": null, "max_table_elements": []}}',
        b'{"op": "call_all", "case": 1, "calls": [1, "x", {}]}',
        b'{"op": "hello", "id": NaN}',
        b'{"op": "outcomes", "case": 1, "calls": 7}',
    ],
)
def test_the_server_survives_wrong_types(line: bytes) -> None:
    answers = served(b'{"op": "instantiate", "wat": "(module (func (export \\"f\\")))"}', line, b'{"op": "hello"}')
    assert len(answers) == 3 and answers[2]["protocol"] == 1
    assert "internal" not in json.dumps(answers[1])


def test_the_server_judges() -> None:
    seven, zero = {"type": "i32", "bits": "7"}, {"type": "i32", "bits": "0"}
    answers = served(
        json.dumps({"op": "instantiate", "wat": MODULE}).encode(),
        json.dumps({"op": "call", "case": 1, "name": "div", "args": [seven, zero]}).encode(),
        b'{"op": "admits", "case": 1, "outcome": {"kind": "returned", "values": []}}',
        b'{"op": "admits", "case": 1, "outcome": {"kind": "trap", "trap": "divide-by-zero"}}',
        b'{"op": "configure", "config": {"max_imports": 10, "simd_enabled": false}}',
        b'{"op": "drop", "case": 1}',
        b'{"op": "global", "case": 1, "name": "g"}',
    )
    assert answers[1]["outcome"] == {"kind": "trap", "trap": "divide-by-zero"}
    assert answers[2]["verdict"] == "differs" and answers[3]["verdict"] == "undecided"
    assert answers[4]["config"]["max_imports"] == 0 and answers[4]["config"]["simd_enabled"] is False
    assert "no case" in answers[6]["error"]["message"]


def test_the_server_ends_when_nobody_listens() -> None:
    command = [sys.executable, "-m", "refwasm", "oracle"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write(b'{"op": "hello"}\n')
        process.stdin.close()
        assert process.wait(30) in (0, 1) and process.stderr.read() == b""


def test_the_page_is_right() -> None:
    """docs/oracle.md: the example runs, and the operations are those of the server."""
    text = (Path(__file__).parent.parent / "docs" / "oracle.md").read_text(encoding="utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    assert '"nan"' in example
    said: list[str] = []
    exec(example, {"print": lambda verdict: said.append(verdict.kind)})
    assert said == ["agrees", "differs"]
    operations = re.findall(r"^\| `(\w+)` \|", text.partition("## The protocol")[2], re.MULTILINE)
    assert operations == list(Server(Oracle(), "").operations)


# ---- clients in other languages -------------------------------------------------------------------------------------

CLIENTS = Path(__file__).parent.parent / "examples" / "oracle"
INTEGERS = """(module (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "mul") (param i64 i64) (result i64) (i64.mul (local.get 0) (local.get 1))))"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_client_in_javascript_judges_v8(tmp_path: Path) -> None:
    (tmp_path / "m.wasm").write_bytes(module(INTEGERS))
    environment = {**os.environ, "REFWASM": f"{sys.executable} -m refwasm"}
    command = ["node", str(CLIENTS / "client.mjs"), str(tmp_path / "m.wasm")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("agrees") == 8 and done.stderr == ""


def test_a_client_in_c_asks_about_a_call(tmp_path: Path) -> None:
    (tmp_path / "m.wasm").write_bytes(module(INTEGERS))
    program = tmp_path / "client"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-O1", "-o", str(program), str(CLIENTS / "client.c")]
    subprocess.run(compiler, check=True, timeout=300, capture_output=True)
    (tmp_path / "refwasm").write_text(f'#!/bin/sh\nexec {sys.executable} -m refwasm "$@"\n')
    (tmp_path / "refwasm").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def verdict(*words: str) -> tuple[int, str]:
        command = [str(program), str(tmp_path / "m.wasm"), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    assert verdict("div", "i32:7", "i32:2", "=", "i32:3") == (0, '{"verdict": "agrees"}\n')
    assert verdict("div", "i32:7", "i32:0", "=", "trap:divide-by-zero")[0] == 0
    code, said = verdict("div", "i32:7", "i32:2", "=", "i32:4")
    assert code == 1 and "(i32.const 3)" in said
    assert verdict("nothing", "=", "i32:4")[0] == 2
