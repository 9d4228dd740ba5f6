"""The oracle, its server, the shim, engines and campaigns."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refwasm import embedding as e
from refwasm.campaign.findings import Findings
from refwasm.campaign.reduce import reduced, size
from refwasm.campaign.run import Campaign
from refwasm.campaign.singles import singles
from refwasm.campaign.smith import smith
from refwasm.campaign.source import Item
from refwasm.cli import main
from refwasm.engines.catalogue import engine, found
from refwasm.engines.judging import judge, plan
from refwasm.engines.own import RefwasmEngine
from refwasm.engines.process import ProcessEngine
from refwasm.engines.protocol import Died, Ended, Engine, Unavailable
from refwasm.engines.session import Session
from refwasm.engines.wasmtime_engine import WasmtimeEngine
from refwasm.oracle import Oracle, Refused, Returned, Threw, Trapped, Value
from refwasm.oracle.outcomes import compare
from refwasm.oracle.server import Server
from refwasm.oracle.traps import KINDS
from refwasm.syntax.instructions import FORMS, Instr
from refwasm.syntax.modules import Func
from refwasm.validation.features import ALL

MODULE = """(module
  (import "host" "log" (func $log (param i32) (result f64)))
  (import "host" "memory" (memory 1))
  (import "host" "base" (global $base (mut i64)))
  (tag $t (param f64 i32)) (tag $u)
  (type $s (struct (field i32)))
  (memory (export "m") 1)
  (table (export "t") 3 funcref) (elem (i32.const 1) $mixed)
  (global (export "g") (mut v128) (v128.const i64x2 1 2))
  (global (export "r") (mut anyref) (ref.null any))
  (func $mixed (export "mixed") (param i32 f32 i64 f64 v128 externref) (result f64 v128 i32 externref)
    (global.set 1 (local.get 4))
    (f64.add (local.get 3) (call $log (i32.const 1))) (local.get 4) (local.get 0) (local.get 5))
  (func (export "throw") (param i32)
    (if (local.get 0) (then (throw $t (f64.const nan:0x4000000000001) (i32.const 7)))) (throw $u))
  (func (export "struct") (result (ref struct) anyref (ref func) i31ref)
    (global.set 2 (struct.new $s (i32.const 1)))
    (struct.new $s (i32.const 1)) (ref.i31 (i32.const 3)) (ref.func $mixed) (ref.null i31))
  (func (export "store") (i64.store 1 (i32.const 8) (i64.const 0x0123456789abcdef)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "needs") (param (ref func)))
)"""


def module(text: str) -> bytes:
    return e.module_encode(e.module_parse(text))


@pytest.fixture(params=["wasmtime", "refwasm-interpret", "refwasm-compile", "refwasm-server", "served"])
def judged(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Engines that have all of WebAssembly 3.0, in this process and in others."""
    if request.param == "served":
        made: Engine = ProcessEngine([sys.executable, "-m", "refwasm.engines.serve", "wasmtime"], "served")
    else:
        made = engine(request.param)
    yield made
    made.close()


SMOKE = """(module (memory (export "m") 1 1) (global (export "g") (mut i32) (i32.const 1))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "trap") unreachable))"""


def test_each_engine_passes_the_smoke_test(judged: Engine) -> None:
    session = Session(judged, e.module_validate(e.module_parse(SMOKE)))
    assert session.call("add", (0xFFFFFFFF, 3)) == Returned((Value("i32", 2),))
    assert session.call("trap", ()) == Trapped("unreachable")
    assert session.get_global("g") == Value("i32", 1)
    assert session.get_memory("m") == bytes(65536)
    with pytest.raises(Ended) as ended:
        judged.instantiate(b"\0asm\1\0\0\0\xff")
    assert isinstance(ended.value.outcome, Refused)


def test_everything_crosses_the_shim(judged: Engine) -> None:
    if not judged.features >= ALL:
        pytest.skip("not all of WebAssembly 3.0")
    case = Oracle().instantiate(MODULE)
    session = Session(judged, case.validated)
    assert session.outcome == Returned(()) and session.shimmed.uncallable == ("needs",)
    args = (7, 0x7FA00000, 1 << 63, 0x3FF0000000000000, (3 << 64) + (1 << 63), None)
    assert session.call("mixed", args) == case.call("mixed", args)
    assert session.get_global("g") == case.get_global("g") == Value("v128", args[4] or 0)
    for which in (0, 1):
        assert session.call("throw", (which,)) == case.call("throw", (which,))
    assert case.outcome == Threw(0, (Value("f64", 0x7FF4000000000001), Value("i32", 7)))
    assert session.call("struct", ()) == case.call("struct", ())
    assert repr(case.outcome) == "(ref struct) (ref i31) (ref func) (ref null)"
    assert session.get_global("r") == case.get_global("r")
    assert session.call("store", ()) == case.call("store", ()) and session.get_memory("m") == case.get_memory("m")
    assert session.call("div", (1, 0)) == case.call("div", (1, 0)) == Trapped("divide-by-zero")
    assert session.call("div", (1 << 31, 0xFFFFFFFF)) == case.call("div", (1 << 31, 0xFFFFFFFF))
    assert judge(Oracle(), judged, MODULE, most=20).verdict.kind == "agrees"


def test_the_shimmed_module_is_valid_and_means_the_same() -> None:
    """On modules of ``wasm-tools smith``: each tier judged through the shim shows what the plain module does."""
    source = smith(ALL)
    returned = 0
    for item in (next(source) for _ in range(60)):
        judgement = judge(Oracle(), RefwasmEngine("interpret"), item.module, seed=item.seed)
        assert judgement.verdict.kind != "differs", (item.label, judgement)
        returned += judgement.returned
    assert returned > 60


@pytest.mark.parametrize("name", ["wasmtime", "refwasm-compile"])
def test_no_false_report_on_generated_modules(name: str) -> None:
    made, source = engine(name), smith(ALL, 1000)
    for item in (next(source) for _ in range(100)):
        judgement = judge(Oracle(), made, item.module, seed=item.seed)
        assert judgement.verdict.kind != "differs", (item.label, judgement)


class Faulty(RefwasmEngine):
    """An engine that gives other results for calls whose export is among ``wrong``."""

    def instantiate(self, module: bytes) -> Any:
        instance = super().instantiate(module)
        call = instance.call

        def wrong(export: str, words: Any) -> int | None:
            result = call(export, words)
            return result ^ 1 if result is not None and export.startswith("get") else result

        instance.call = wrong  # type: ignore[method-assign]
        return instance


def test_single_instructions_find_a_wrong_result_of_each() -> None:
    items = [item for item in singles(frozenset({"mvp", "simd"})) if ".store" not in item.label]
    assert len(items) > 400
    faulty = Faulty("interpret")
    for item in items[::23]:
        judgement = judge(Oracle(), faulty, item.module, item.calls)
        assert judgement.verdict.kind == "differs" or not judgement.returned, item.label


@pytest.mark.parametrize(
    "mnemonic", ["i32.add", "f64.min", "f32x4.div", "i8x16.shuffle", "i32.trunc_f64_s", "i64.load8_s"]
)
def test_single_instructions_agree(mnemonic: str) -> None:
    items = [item for item in singles(ALL) if item.label.split(" ")[0] == mnemonic]
    assert items
    for item in items:
        judgement = judge(Oracle(), WasmtimeEngine(), item.module, item.calls)
        assert (judgement.verdict.kind, judgement.calls) == ("agrees", len(item.calls or ()))


# ---- engines that misbehave -----------------------------------------------------------------------------------------

SCRIPT = """import sys, json, time
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "hello": print(json.dumps({"protocol": 1, "name": "bad", "version": "1"}), flush=True)
    elif MODE == "hang": time.sleep(60)
    elif MODE == "crash": sys.exit(3)
    elif MODE == "garbage": print("garbage", flush=True)
    elif MODE == "wrong": print("{}", flush=True)
"""


@pytest.mark.parametrize("mode", ["hang", "crash", "garbage", "wrong"])
def test_an_engine_that_misbehaves_dies_and_is_started_again(mode: str, tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text(f"MODE = {mode!r}\n{SCRIPT}")
    bad = ProcessEngine([sys.executable, str(script)], timeout=1.0)
    for _ in range(2):
        with pytest.raises(Exception, match=r"time|ended|Expecting|expected") as error:
            bad.instantiate(module("(module)"))
        assert isinstance(error.value, Died) or mode == "wrong"
    bad.close()
    assert bad.process is None


def test_unknown_engines_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unavailable, match="did you mean wasmtime"):
        engine("wasmtim")
    with pytest.raises(Unavailable, match="--install"):
        engine("wasmtime==0.0.1")
    assert {name for name, _ in found()} >= {"wasmtime", "v8", "refwasm-auto"}
    assert main(["engines"]) == 0 and "refwasm-auto" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_v8_agrees_where_it_has_the_features() -> None:
    v8 = engine("v8")
    try:
        for item in [*singles(frozenset({"mvp", "simd"}) & v8.features)][::25]:
            assert judge(Oracle(), v8, item.module, item.calls).verdict.kind == "agrees", item.label
    finally:
        v8.close()


# ---- verdicts -------------------------------------------------------------------------------------------------------


def test_kinds_of_traps_and_merges() -> None:
    assert compare(Trapped("cast"), Trapped("unreachable")).kind == "differs"
    merges = (frozenset({"cast", "unreachable"}),)
    assert compare(Trapped("cast"), Trapped("unreachable"), merges).kind == "agrees"
    assert compare(Trapped("unaligned"), Trapped("memory-access")).kind == "agrees"
    assert compare(Trapped("cast"), Returned(())).kind == "differs"
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


# ---- commands -------------------------------------------------------------------------------------------------------


def test_diff_says_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.wat"
    file.write_text(MODULE)
    assert main(["diff", str(file), "--engine", "refwasm-compile", "--calls", "9"]) == 0
    assert main(["diff", str(file), "--engine", "wasmtime", "--invoke", "div", "7", "0"]) == 0
    assert "agrees with the oracle: 1 calls, 0 of them returned" in capsys.readouterr().out
    assert main(["diff", str(file), "--engine-command", f"{sys.executable} -m refwasm oracle"]) == 0
    assert main(["diff", str(file), "--engine", "nobody"]) == 2
    assert main(["diff", str(file), "--engine", "wasmtime", "--invoke", "nothing"]) == 2
    file.write_text('(module (func (export "l") (loop (br 0))))')
    assert main(["diff", str(file), "--engine", "refwasm-auto", "--fuel", "1000", "--features", "3.0"]) == 3
    file.write_text("(module (func (result i32)))")
    assert main(["diff", str(file), "--engine", "wasmtime"]) == 3


def test_a_campaign_goes_on_where_it_was_and_keeps_what_it_found(tmp_path: Path) -> None:
    items = [item for item in singles(frozenset({"mvp"})) if item.label.startswith("i32.")][:12]
    told: list[str] = []

    def campaign() -> Campaign:
        return Campaign([Faulty("interpret")], Oracle(), tmp_path / "out", told.append)

    first = campaign().run(items[:8])
    assert first.modules == first.differs == 8
    path = tmp_path / "out" / "findings.jsonl"
    path.write_bytes(path.read_bytes()[:-40])  # as a kill would leave it
    second = campaign().run(items)
    assert second.modules == second.differs == 12
    buckets = {found["bucket"] for found in Findings(tmp_path / "out")}
    assert len(buckets) == 11 and all("other values (call)" in bucket for bucket in buckets)
    assert len([text for text in told if text.startswith("new: ")]) == 12


class WrongShift(RefwasmEngine):
    """An engine in which ``i32.shl`` shifts by one more, but for the reading of results."""

    def instantiate(self, module: bytes) -> Any:
        wrong, parsed = FORMS["i32.shr_u"], e.module_decode(module)
        funcs = [
            Func(f.type, f.locals, tuple(Instr(wrong, ()) if i.form.mnemonic == "i32.shl" else i for i in f.body))
            for f in parsed.funcs
        ]
        return super().instantiate(e.module_encode(parsed._replace(funcs=tuple(funcs), digest=b"")))


LARGE = """(module (memory (export "m") 1) (global $g (mut i32) (i32.const 3)) (table 3 funcref)
  (data (i32.const 4) "abc")
  (func $h (param i32) (result i32) (i32.add (local.get 0) (global.get $g)))
  (func (export "other") (result i32) (call $h (i32.const 4)))
  (func $deep (param i32 i32) (result i32)
    (block (br_if 0 (i32.eqz (local.get 1))) (global.set $g (call $h (local.get 1))))
    (i32.add (i32.shl (call $h (local.get 0)) (i32.const 3)) (i32.const 1)))
  (func (export "f") (param i32) (result i32) (loop (br_if 0 (i32.const 0)))
    (call $deep (local.get 0) (i32.const 1))))"""


def test_a_finding_is_reduced_to_a_script_that_passes_here(tmp_path: Path) -> None:
    item = Item("large", module(LARGE), [("other", ()), ("f", (5,))])
    campaign = Campaign([WrongShift("interpret")], Oracle(), tmp_path, lambda text: None)
    assert campaign.run([item]).differs == 1
    (script,) = tmp_path.glob("*.wast")
    text = script.read_text()
    assert text.count("i32.shl") == 1 and '"other"' not in text and "memory" not in text and "(data" not in text
    body = [line for line in text.splitlines() if line.startswith("    ")]
    assert len(body) <= 6, text
    assert main(["wast", str(script)]) == 0


def test_reducing_asks_about_valid_modules_only() -> None:
    asked = []

    def interesting(candidate: Any) -> bool:
        e.module_validate(candidate)
        asked.append(candidate)
        return any(i.form.mnemonic == "i32.shl" for f in candidate.funcs for i in f.body)

    smallest = reduced(e.module_parse(LARGE), interesting)
    assert size(smallest) <= 4 and len(smallest.funcs) == 1 and not smallest.exports and len(asked) < 500


def test_the_campaign_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    (corpus / "a.wat").write_text(MODULE)
    arguments = ["campaign", "--engines", "refwasm-auto,nobody", "--source", f"corpus:{corpus}", "--out", str(out)]
    assert main(arguments) == 0
    assert "nobody is left out" in capsys.readouterr().out
    assert "<h1>0 buckets</h1>" in (out / "report.html").read_text()
    assert main([*arguments[:3], "--source", "nowhere", "--out", str(out)]) == 2


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "refwasm", "campaign", "--engines", "refwasm-interpret", "--source", "singles",
               "--out", str(tmp_path / "out")]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(Findings(tmp_path / "out")) == []


def test_items_have_labels() -> None:
    assert all(isinstance(item, Item) and item.label for item in singles(frozenset({"mvp"})))


def test_the_page_is_right() -> None:
    """docs/oracle.md: the example runs, and the operations are those of the server."""
    text = (Path(__file__).parent.parent / "docs" / "oracle.md").read_text(encoding="utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    assert '"nan"' in example
    said: list[str] = []
    exec(example, {"print": lambda verdict: said.append(verdict.kind)})
    assert said == ["agrees", "differs"]
    operations = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
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
