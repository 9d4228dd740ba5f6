"""The conformance suite: its files, its runner with engines that misbehave, and refwasm as one engine."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conformance.__main__ import main
from conformance.engines import AdapterError, load_engine
from conformance.reports import read_json
from conformance.running import EXPECTED_FAILURE, FAIL, PASS, SKIP, UNEXPECTED_PASS, run_all
from conformance.suite import CASES, build, load
from conformance.write_cases import FOLDER, files
from refwasm import __version__ as refwasm_version
from tests.conformance_faults import FAULTS, PARALLEL, ROOT, Fault
from tests.conformance_faults import main as try_faults
from tools.conforming import assembled, problem_of

CHAPTERS = sorted({case.chapter for case in load()})
#: Engines that do one thing whatever the case is: a line of Python, and how a case that should print ok ends then.
ENGINES = {
    "print('ok')": PASS,
    "print('step 00000001: got 1, want 0'); raise SystemExit(99)": FAIL,
    "print('ok'); raise SystemExit(1)": FAIL,
    "pass": FAIL,
    "import os; os.abort()": FAIL,
    "import time; time.sleep(60)": FAIL,
}
ADAPTER = """
import sys
def get_name(): return "fake"
def get_version(): return "1"
def compute_argv({parameters}): return [sys.executable, "-c", {code!r}]
"""
GENERATIONS = (
    "test_path, args, env, dirs",
    "test_path, args, env, dirs, wasi_version",
    "test_path, args_env_root, proposals, wasi_world, wasi_version",
)
Adapter = Callable[..., str]


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    def write(code: str, parameters: str = GENERATIONS[0], more: str = "") -> str:
        path = tmp_path / "fake.py"
        path.write_text(ADAPTER.format(code=code, parameters=parameters) + more)
        return str(path)

    return write


def test_the_files_are_what_their_sources_say() -> None:
    """If this fails: python -m conformance.write_cases."""
    wanted = files()
    found = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.*")}
    assert found == set(wanted)
    for name, text in wanted.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name


def test_there_are_enough_and_sidecars_hold_only_what_the_public_runner_knows() -> None:
    cases = load()
    assert len(cases) >= 200 and sum(not case.needs for case in cases) >= 200
    for path in CASES.rglob("*.json"):
        if path.name != "manifest.json":
            assert set(json.loads(path.read_text())) <= {"args", "env", "root", "exit_code", "stdout"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_refwasm_conforms(chapter: str) -> None:
    """Every case in this process."""
    names = [case.name for case in load(patterns=[f"{chapter}/*"])]
    problems = {name: problem for name in names if (problem := problem_of(*assembled(name)))}
    assert names and not problems


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_command_conforms(chapter: str) -> None:
    """Every fifth case as engines are judged, through the adapter."""
    results = run_all(load(patterns=[f"{chapter}/*"])[::5], load_engine("refwasm"), jobs=1)
    assert results and {result.status for result in results} == {PASS}, [r for r in results if r.status != PASS]


@pytest.mark.parametrize("code", ENGINES)
def test_verdicts(adapter: Adapter, code: str) -> None:
    (result,) = run_all(load(patterns=["devices/hint-cpu"]), load_engine(adapter(code)), timeout=1)
    assert result.status == ENGINES[code]
    assert result.status == PASS or result.problem


def test_an_engine_that_does_not_end_is_ended_with_all_it_started(adapter: Adapter, tmp_path: Path) -> None:
    mark, child = tmp_path / "alive", tmp_path / "child.py"
    child.write_text(f"import time\nwhile True:\n    open({str(mark)!r}, 'w').close()\n    time.sleep(0.1)\n")
    code = f"import subprocess, sys; subprocess.run([sys.executable, {str(child)!r}])"
    (result,) = run_all(load(patterns=["devices/hint-cpu"]), load_engine(adapter(code)), timeout=1)
    assert result.status == FAIL and "still running" in result.problem
    mark.unlink(missing_ok=True)
    time.sleep(0.4)
    assert not mark.exists()
    (flood,) = run_all(load(patterns=["devices/hint-cpu"]), load_engine(adapter("while 1: print('y' * 9999)")))
    assert "bytes of output" in flood.problem and len(flood.stdout) < 20_000


def test_an_adapter_that_fails_fails_the_case(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    for body in ("raise KeyError('x')", "return None.x", "return []"):
        path.write_text(
            f"def get_name(): return 'bad'\ndef get_version(): return '1'\ndef compute_argv(a, b, c, d): {body}\n"
        )
        (result,) = run_all(load(patterns=["devices/hint-cpu"]), load_engine(str(path)))
        assert result.status == FAIL and "adapter" in result.problem


def test_traps_are_told_from_failed_checks(adapter: Adapter) -> None:
    for code, status in (
        ("print('ok'); import os; os.abort()", PASS),
        ("print('ok'); raise SystemExit(1)", PASS),
        ("print('ok'); raise SystemExit(99)", FAIL),
        ("print('ok')", FAIL),
        ("import os; os.abort()", FAIL),
    ):
        (result,) = run_all(load(patterns=["arguments/get-device-hint-4"]), load_engine(adapter(code)))
        assert result.status == status, code


@pytest.mark.parametrize("parameters", GENERATIONS)
def test_both_generations_of_adapters(adapter: Adapter, parameters: str) -> None:
    (result,) = run_all(load(patterns=["devices/hint-cpu"]), load_engine(adapter("print('ok')", parameters)))
    assert result.status == PASS


def test_our_adapter_serves_both_generations() -> None:
    compute = load_engine("refwasm").adapter.compute_argv
    for argv in (
        compute("a.wasm", ["x"], {"K": "V"}, [(Path("d"), "/g")]),
        compute("a.wasm", ["x"], {"K": "V"}, [(Path("d"), "/g")], "wasm32-wasip1"),
    ):
        assert argv[-7:] == ["run", "--env", "K=V", "--dir", "d::/g", "a.wasm", "x"]
    argv = compute("a.wasm", (["x"], {"K": "V"}, "d"), [], "wasi:cli/command", "wasm32-wasip1")
    assert argv[-7:] == ["run", "--env", "K=V", "--dir", "d::/", "a.wasm", "x"]


def test_policies_are_asked_for_or_the_case_is_skipped(adapter: Adapter) -> None:
    cases = load(patterns=["policies/descending-cpu"])
    (skipped,) = run_all(cases, load_engine(adapter("print('ok')")))
    assert skipped.status == SKIP and "order=descending" in skipped.problem
    more = "def add_policies(argv, needs): return [*argv, *needs] if needs['order'] == 'descending' else None"
    (ran,) = run_all(cases, load_engine(adapter("print('ok')", more=more)))
    assert ran.status == PASS and ran.argv[-2:] == ("order", "workers")


def test_expected_failures(adapter: Adapter, tmp_path: Path) -> None:
    cases = load(patterns=["devices/hint-*"])
    failures = {"devices/hint-c*": "no CPU"}
    right = run_all(cases, load_engine(adapter("print('ok')")), failures=failures)
    assert [r.status for r in right].count(UNEXPECTED_PASS) == 1
    wrong = run_all(cases, load_engine(adapter("pass")), failures=failures)
    assert [r.status for r in wrong].count(EXPECTED_FAILURE) == 1 and [r.status for r in wrong].count(FAIL) == 3
    file = tmp_path / "expected.toml"
    file.write_text('[failures]\n"devices/hint-cpu" = "it has none"\n')
    assert main(["--engine", adapter("pass"), "--filter", "devices/hint-cpu", "--expected", str(file)]) == 0
    assert main(["--engine", adapter("print('ok')"), "--filter", "devices/hint-cpu", "--expected", str(file)]) == 1


def test_reports(adapter: Adapter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, junit, html = tmp_path / "r.json", tmp_path / "r.xml", tmp_path / "r.html"
    code = "import sys; sys.stderr.write('<oh> \\x01'); print('ok')"
    options = ["--engine", adapter(code), "--filter", "arguments/*", "--filter", "PAR-DEV-01"]
    assert main([*options, "--json", str(data), "--junit", str(junit)]) == 1
    text = capsys.readouterr().out
    assert "fail: arguments/get-device-hint-4  (PAR-ARG-01)" in text and "PAR-DEV" in text and "$ " in text
    run = read_json(data)
    bad = [case for case in run.results if case.status == "fail"]
    assert run.engine == "fake" and len(run.results) > 80 and len(bad) > 50 and run.rules
    suites = ElementTree.parse(junit).getroot()
    assert int(suites.get("failures", 0)) == len(bad) == len(suites.findall(".//failure"))
    assert main(["--add", str(data), "--add", str(data), "--html", str(html)]) == 0
    page = html.read_text()
    assert page.count('<article class="bad">') == 2 * len(bad) and "&lt;oh&gt; \\x01" in page
    assert "no case" in page and 'class="wrong"' in page and 'class="right"' in page and "`" not in page


def test_usage(adapter: Adapter, tmp_path: Path) -> None:
    assert main([]) == 2
    assert main(["--engine", "refwasm", "--filter", "nothing/*"]) == 2
    assert main(["--engine", "no-such-adapter"]) == 2
    assert main(["--engine", adapter("print('ok')"), "--filter", "policies/*"]) == 2, "every case skipped"
    assert main(["--list", "--filter", "devices/hint-cpu"]) == 0
    broken = tmp_path / "broken.py"
    for text in ("def get_name(): return 1", "1/0", "import nothing_at_all"):
        broken.write_text(text)
        with pytest.raises(AdapterError):
            load_engine(str(broken))


def test_the_cases_can_be_built_for_other_runners(tmp_path: Path) -> None:
    assert main(["--build", str(tmp_path), "--filter", "forms/*"]) == 0
    modules = list(tmp_path.rglob("*.wasm"))
    assert len(modules) > 30 and all(path.with_suffix(".json").exists() for path in modules)
    assert (modules[0].parent / "manifest.json").exists()
    case = load(patterns=["forms/program-sum"])[0]
    command = [sys.executable, "-m", "refwasm", "run", str(build(case, tmp_path))]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == b"ok\n"


def test_faults_are_caught() -> None:
    """A few of them; ``python -m tests.conformance_faults`` tries all."""
    assert len(FAULTS) >= 60
    assert len({(fault.rule, fault.what) for fault in FAULTS}) == len(FAULTS)
    assert (
        try_faults(["ids start at 1", "outputs before inputs", "a new buffer is not zeroed", "a trap is passed over"])
        == 0
    )


def test_our_adapter_takes_what_each_generation_of_the_wasi_runner_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFWASM", f"{sys.executable} -m refwasm")
    path = Path(__file__).parent.parent / "conformance" / "adapters" / "refwasm.py"
    spec = importlib.util.spec_from_file_location("refwasm_adapter", path)
    assert spec is not None and spec.loader is not None
    adapter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapter)
    calls = [
        ("t.wasm", ["a"], {"K": "V"}, [("/host", "/")]),
        ("t.wasm", (["a"], {"K": "V"}, "/host"), [], "wasi:cli/command", "wasm32-wasip1"),
        ("t.wasm", (["a"], {"K": "V"}, Path("/host")), [], "wasi:cli/command", "wasm32-wasip1"),
        ("t.wasm", (["a"], {"K": "V"}, [("/host", "/")]), [], "wasi:cli/command", "wasm32-wasip1"),
    ]
    for call in calls:
        expected = ["run", "--env", "K=V", "--dir", "/host::/", "t.wasm", "a"]
        assert adapter.compute_argv(*call)[-7:] == expected
    for nothing in (None, "", []):
        assert "--dir" not in adapter.compute_argv("t.wasm", ([], {}, nothing), [], "", "")
    two = adapter.compute_argv("t.wasm", ([], {}, [("/x", "/"), ("/y", "/tmp")]), [], "", "")
    assert two[-5:] == ["--dir", "/x::/", "--dir", "/y::/tmp", "t.wasm"]
    assert adapter.get_version() == refwasm_version


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_each_deliberate_fault_applies_to_the_code(fault: Fault) -> None:
    """What ``python -m tests.conformance_faults`` would tell only after minutes."""
    assert fault.old in (ROOT / PARALLEL / fault.file).read_text(encoding="utf-8")
