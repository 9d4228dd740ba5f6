"""Campaigns: what their sources make, what survives a kill, what a finding is reduced to, what the report shows."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refwasm import embedding as e
from refwasm.campaign import parallel
from refwasm.campaign.findings import Finding, Findings
from refwasm.campaign.mutate import WAYS, Mutated
from refwasm.campaign.pairs import pairs
from refwasm.campaign.reduce import reduced, size
from refwasm.campaign.reproducer import about
from refwasm.campaign.rules import rule
from refwasm.campaign.run import Campaign
from refwasm.campaign.scripts import from_script
from refwasm.campaign.singles import singles
from refwasm.campaign.smith import Smith, smith
from refwasm.campaign.source import Item, Listed
from refwasm.campaign.sources import source_of
from refwasm.campaign.statistics import Statistics
from refwasm.campaign.structures import STRUCTURES, structures
from refwasm.campaign.work import Batch, Job, Judged, Record, Work, Worker
from refwasm.cli import main
from refwasm.concurrency.litmus.modules import BLOCK, FIRST, RAN, ROW, native_pages
from refwasm.concurrency.litmus.notation import LitmusTest, parse, shown
from refwasm.engines.judging import judge
from refwasm.engines.own import RefwasmEngine
from refwasm.engines.protocol import Died, Engine
from refwasm.engines.wasmtime_engine import WasmtimeEngine
from refwasm.oracle import Oracle
from refwasm.syntax.instructions import FORMS, instr
from refwasm.syntax.modules import Func
from refwasm.validation.features import ALL
from tests.oracle_support import MODULE, Faulty, WrongShift, module
from tests.support import refwasm

# ---- sources ---------------------------------------------------------------------------------------------------------


def test_every_instruction_has_an_item_of_its_own() -> None:
    kinds = {item.kind for item in singles(ALL)} | {item.kind for item in structures(ALL)}
    # what ends a block is part of the block's item
    assert {name for name, form in FORMS.items() if form.feature in ALL} - kinds == {"else", "end"}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_is_about_its_instruction_and_agrees(name: str) -> None:
    (item,) = (item for item in structures(ALL) if item.kind == name)
    decoded = e.module_decode(item.module)
    assert name in {i.form.mnemonic for func in decoded.funcs for i in func.body}
    judgement = judge(Oracle(), WasmtimeEngine(), item.module, item.calls)
    assert judgement.verdict.kind == "agrees" and judgement.calls == len(item.calls or ()) > 0, judgement.verdict
    assert judgement.returned > 0


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


def test_pairs_are_valid_and_agree() -> None:
    items = list(pairs(frozenset({"mvp", "simd", "multi-value", "sign-extension"})))
    assert len(items) > 300 and len({item.label for item in items}) == len(items)
    for item in items[::29]:
        judgement = judge(Oracle(), WasmtimeEngine(), item.module, item.calls)
        assert judgement.verdict.kind == "agrees" and judgement.calls == len(item.calls or ()), (item.label, judgement)


def test_smith_gives_the_same_modules_by_number() -> None:
    source = Smith(ALL, 7)
    first = list(source.items(0, 60))
    assert [number for number, _ in first] == list(range(60))
    assert list(source.items(50, 60)) == first[50:]
    assert next(iter(Smith(ALL, 57).items(0, 5)))[1].module == first[50][1].module


SCRIPT = """(module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))
(assert_invalid (module (func (result i32))) "type mismatch")
(module (func (export "trap") unreachable) (func (export "ref") (param externref)))
(assert_trap (invoke "trap") "unreachable") (invoke "ref" (ref.extern 1)) (invoke "ref" (ref.null extern))"""


def test_scripts_give_modules_and_their_calls(tmp_path: Path) -> None:
    (tmp_path / "s.wast").write_text(SCRIPT)
    (tmp_path / "bad.wast").write_text("(module")
    items = list(from_script(tmp_path / "s.wast"))
    assert [item.calls for item in items] == [[("add", (1, 2))], [("trap", ()), ("ref", (None,))]]
    source = source_of(f"corpus:{tmp_path}", ALL, 0)
    assert source.count == 2 and [item.label for _, item in source.items(0, 9)] == [
        "s.wast, module 0",
        "s.wast, module 1",
    ]


def test_mutations_are_valid_and_come_in_three_ways(tmp_path: Path) -> None:
    (tmp_path / "s.wast").write_text(SCRIPT)
    source = Mutated(list(from_script(tmp_path / "s.wast")), 3)
    items = [item for _, item in source.items(0, 30)]
    assert len(items) > 15 and {way for item in items for way in WAYS if way in item.label} == set(WAYS)
    for item in items:
        e.module_validate(e.module_decode(item.module))
        assert judge(Oracle(), RefwasmEngine("compile"), item.module, item.calls, item.seed).verdict.kind != "differs"


def test_a_corpus_may_hold_text_and_garbage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no modules below"):
        source_of(f"mutate:{tmp_path}", ALL, 0)
    (tmp_path / "a.wat").write_text(MODULE)
    (tmp_path / "b.wasm").write_bytes(b"\0asm")
    assert [item.module[:4] for _, item in source_of(f"corpus:{tmp_path}", ALL, 0).items(0, 9)] == [b"\0asm"]
    assert list(source_of(f"mutate:{tmp_path}", ALL, 0).items(0, 9))


def test_calls_of_a_script_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "s.wast").write_text("""(module (func (export "f") (param i32)))
        (invoke "f" (i64.const 0x100000001)) (invoke "g") (invoke "f") (invoke "f" (i32.const 1))""")
    assert [item.calls for item in from_script(tmp_path / "s.wast")] == [[("f", (1,))]]


@pytest.mark.parametrize("text", ["nothing", "corpus:", "corpus:/nowhere", "mutate:/nowhere"])
def test_unknown_sources_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected singles, pairs, smith, strategies, threads, corpus:DIR"):
        source_of(text, ALL, 0)


# ---- the loop --------------------------------------------------------------------------------------------------------


class Here:
    """Workers that do their jobs in this process, on one engine; a number in ``deadly`` kills them."""

    def __init__(self, engine: Engine, items: list[Item], deadly: int = -1) -> None:
        self.engine, self.items, self.deadly = engine, items, deadly
        self.done: list[tuple[Job, Batch | Died]] = []

    def free(self) -> int:
        return 2 - len(self.done)

    def submit(self, job: Job) -> None:
        worker = Worker.__new__(Worker)
        worker.work, worker.oracle, worker.source = job.work, Oracle(), Listed(self.items)
        worker.engines = {job.work.engines[0].name: self.engine}
        died = job.start <= self.deadly < job.stop
        self.done.append((job, Died("its process ended") if died else worker.do(job)))

    def finished(self, timeout: float) -> Iterator[tuple[Job, Batch | Died]]:
        yield self.done.pop(0)

    def close(self) -> None:
        pass


WORK = Work((Judged("faulty", ALL),), "singles", ALL, 0, ALL)


def campaign(folder: Path, engine: Engine, items: list[Item], **options: Any) -> tuple[Campaign, list[str]]:
    told: list[str] = []
    workers = Here(engine, items, options.pop("deadly", -1))
    return Campaign(WORK, len(items), workers, folder, told.append, **{"batch": 4, "reduce": 0, **options}), told


def test_a_campaign_goes_on_where_it_was_and_keeps_what_it_found(tmp_path: Path) -> None:
    items = [item for item in singles(frozenset({"mvp"})) if item.label.startswith("i32.")][:12]
    made, told = campaign(tmp_path / "out", Faulty("interpret"), items)
    first = made.run(most=8)
    assert first.modules == first.count("differs") == 8
    path = tmp_path / "out" / "findings.jsonl"
    path.write_bytes(path.read_bytes()[:-40])  # as a kill would leave it
    made, more = campaign(tmp_path / "out", Faulty("interpret"), items)
    second = made.run()
    assert second.modules == second.count("differs") == 12
    buckets = {found["bucket"] for found in Findings(tmp_path / "out")}
    assert len(buckets) == 12 and all("other values (call)" in bucket for bucket in buckets)
    assert len([text for text in told + more if text.startswith("new: ")]) == 12


def test_no_item_is_left_out_or_judged_twice_whatever_the_pieces_are(tmp_path: Path) -> None:
    items = [item for item in singles(frozenset({"mvp"})) if item.label.startswith("i32.")][:20]
    judged = [campaign(tmp_path, RefwasmEngine("interpret"), items, batch=batch)[0].run(most=most).modules
              for batch, most in ((4, 6), (7, 10), (3, 20), (5, 20))]  # fmt: skip
    assert judged == [6, 10, 20, 20]
    (tmp_path / "state.json").write_text(json.dumps(
        {"source": "singles", "seed": 0, "engines": ["faulty"], "done": 0, "beyond": [[8, 12], [16, 18]]}
    ))  # fmt: skip
    assert campaign(tmp_path, RefwasmEngine("interpret"), items)[0].run().modules == 20 - 4 - 2
    for state in ('{"source": "singles", "seed": 0, "engines": ["faulty"], "done": "x", "beyond": 5}', "1", "null"):
        (tmp_path / "state.json").write_text(state)
        (tmp_path / "findings.jsonl").write_text("1\nnull\n{}\n[]\n")
        assert campaign(tmp_path, RefwasmEngine("interpret"), items)[0].run().modules == 20


def test_another_source_in_the_same_folder_begins_at_its_beginning(tmp_path: Path) -> None:
    items = [item for item in singles(frozenset({"mvp"})) if item.label.startswith("i32.")][:8]
    campaign(tmp_path, RefwasmEngine("interpret"), items)[0].run()
    told: list[str] = []
    work = WORK._replace(source="smith")
    other = Campaign(work, 8, Here(RefwasmEngine("interpret"), items), tmp_path, told.append, batch=4)
    assert other.run().modules == 8


def test_the_item_that_kills_a_worker_is_found(tmp_path: Path) -> None:
    items = [item for item in singles(frozenset({"mvp"})) if item.label.startswith("i64.")][:10]
    made, _ = campaign(tmp_path, RefwasmEngine("interpret"), items, deadly=5)
    statistics = made.run()
    assert (statistics.modules, statistics.count("died"), statistics.count("agrees")) == (10, 1, 9)
    (found,) = Findings(tmp_path)
    assert found["item"] == "singles 5" and "process ended" in found["observed"]
    assert made.first == 10 and not made.done  # nothing is left


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
    made, told = campaign(tmp_path, WrongShift("interpret"), [item], reduce=60.0)
    assert made.run().count("differs") == 1
    (script,) = tmp_path.glob("*.wast")
    text = script.read_text()
    assert text.count("\n    i32.shl") == 1 and '"other"' not in text and "memory" not in text and "(data" not in text
    body = [line for line in text.splitlines() if line.startswith("    ")]
    assert len(body) <= 6, text
    assert main(["wast", str(script)]) == 0
    # what was generated is in the bucket of what it is about
    assert list(made.findings.shown()) == ["refwasm-interpret 0.1.0: i32.shl: other values (call)"]
    assert [text.splitlines()[0].split(": ", 2)[2] for text in told] == [
        "generated: other values (call)",
        "i32.shl: other values (call)",
    ]


class WrongStore(RefwasmEngine):
    """An engine that stores other bytes, and sets other globals."""

    def instantiate(self, module: bytes) -> Any:
        parsed = e.module_decode(module)
        own = [export.index for export in parsed.exports if export.name.startswith("call ")]
        wrong = instr("i32.const", 77)

        def changed(index: int, func: Func) -> Func:
            body = [x for i in func.body for x in ((DROP, wrong, i) if i.form.mnemonic in CHANGED else (i,))]
            return func if index in own else Func(func.type, func.locals, tuple(body))

        funcs = tuple(changed(index, func) for index, func in enumerate(parsed.funcs))
        return super().instantiate(e.module_encode(parsed._replace(funcs=funcs, digest=b"")))


DROP, CHANGED = instr("drop"), ("i32.store", "global.set")


@pytest.mark.parametrize(
    ("fields", "look"),
    [
        (
            '(memory (export "m") 1) (func (export "f") (i32.store (i32.const 8) (i32.const 5)))',
            '(invoke "byte at"',
        ),
        ('(global (export "g") (mut i32) (i32.const 1)) (func (export "f") (global.set 0 (i32.const 5)))', '(get "g")'),
    ],
)
def test_differences_in_the_state_are_looked_at_in_scripts(tmp_path: Path, fields: str, look: str) -> None:
    item = Item("state", module(f"(module {fields})"), [("f", ())])
    made, _ = campaign(tmp_path, WrongStore("interpret"), [item], reduce=20.0)
    assert made.run().count("differs") == 1
    (script,) = tmp_path.glob("*.wast")
    assert look in script.read_text()
    assert main(["wast", str(script)]) == 0
    for again in from_script(script):
        assert judge(Oracle(), WrongStore("interpret"), again.module, again.calls).verdict.kind == "differs"


def test_reducing_asks_about_valid_modules_only() -> None:
    asked = []

    def interesting(candidate: Any) -> bool:
        e.module_validate(candidate)
        asked.append(candidate)
        return any(i.form.mnemonic == "i32.shl" for f in candidate.funcs for i in f.body)

    smallest = reduced(e.module_parse(LARGE), interesting)
    assert size(smallest) <= 4 and len(smallest.funcs) == 1 and not smallest.exports and len(asked) < 500
    assert about(smallest) == "i32.shl"


def test_a_difference_behind_another_one_is_found(tmp_path: Path) -> None:
    text = """(module (func (export "a") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
      (func (export "b") (param i32) (result i32) (i32.add (i32.const 1) (i32.shl (local.get 0) (local.get 0))))
      (func (export "c") (param i32) (result i32) (local.get 0)))"""
    item = Item("two", module(text), [("a", (5,)), ("b", (3,)), ("c", (1,))])
    made, _ = campaign(tmp_path, WrongShift("interpret"), [item], reduce=20.0)
    statistics = made.run()
    assert (statistics.modules, statistics.count("differs"), statistics.calls) == (1, 1, 1)
    calls = [found["call"] for found in Findings(tmp_path)]
    assert any('"a"' in call for call in calls) and any('"b"' in call for call in calls)
    assert not any('"c"' in call for call in calls)


def test_reducing_ends_in_time() -> None:
    began = time.monotonic()
    reduced(e.module_parse(LARGE), lambda candidate: not time.sleep(0.05), until=began + 0.5)
    assert time.monotonic() - began < 5


def test_statistics_survive_being_saved() -> None:
    statistics = Statistics()
    finding = Finding("b", "e", "i32.add", "item", None, "x", "y", b"")
    statistics.take(
        Batch((Record(0, "e", "agrees", 5, 4), Record(1, "e", "differs", 1, 1, finding)), frozenset({"nop"}), (3, 9))
    )
    again = Statistics.from_state(json.loads(json.dumps(statistics.state())))
    assert again == statistics and "2 modules" in again.line(1) and "1 of 584 kinds" in again.line(1)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("i32.add", "iadd"), ("f64x2.min", "fmin"), ("i32.trunc_f64_s", "trunc"), ("i64.load8_s", "Memory"),
        ("uses of i32.clz", "iclz"), ("memory.grow", "Memory"), ("table.fill", "Table"), ("array.copy", "Aggregate"),
        ("br_table", "Instructions"), ("generated", "Execution"), ("i8x16.relaxed_swizzle", "Relaxed"),
    ],
)  # fmt: skip
def test_each_kind_has_its_rule(kind: str, title: str) -> None:
    found, address = rule(kind)
    assert title in found and address.startswith("https://webassembly.github.io/spec/core/")


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_campaign_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    (corpus / "a.wat").write_text(MODULE)
    arguments = ["campaign", "--engines", "refwasm-auto,nobody", "--source", f"corpus:{corpus}", "--out", str(out)]
    assert main(arguments) == 0
    assert "nobody is left out" in capsys.readouterr().out
    assert "<h1>Campaign: 0 buckets</h1>" in (out / "report.html").read_text()
    found = json.loads((out / "report.json").read_text())
    assert found["buckets"] == [] and found["verdicts"]["refwasm-auto"]["agrees"] == 1
    assert main([*arguments[:3], "--source", "nowhere", "--out", str(out)]) == 2
    assert main(["campaign", "--engines", "nobody", "--out", str(out)]) == 2


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "refwasm", "campaign", "--engines", "refwasm-interpret", "--source", "singles",
               "--out", str(tmp_path / "out"), "--jobs", "2", "--batch", "3"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.wait(4)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(Findings(tmp_path / "out")) == []


def test_workers_that_are_killed_are_replaced(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "refwasm", "campaign", "--engines", "refwasm-interpret", "--source", "singles",
               "--modules", "40", "--out", str(tmp_path), "--jobs", "2", "--batch", "5"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(3)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
            os.kill(int(child), signal.SIGKILL)
            break
    out, _ = process.communicate(timeout=120)
    assert re.search(r"^40 modules", out.splitlines()[-1]), out


def test_a_cluster_that_loses_a_worker_loses_no_result(tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        command = [sys.executable, "-m", "refwasm", "campaign", "--engines", "refwasm-interpret", "--source", "singles",
                   "--modules", "60", "--out", str(tmp_path), "--batch", "5",
                   "--scheduler", cluster.scheduler_address]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        time.sleep(4)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        out, _ = process.communicate(timeout=240)
    assert re.search(r"^60 modules .* 60 agree, 0 differ, 0 undecided, 0 died", out.splitlines()[-1]), out


def test_a_cluster_that_is_not_there_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "campaign",
        "--engines",
        "refwasm-interpret",
        "--out",
        str(tmp_path),
        "--scheduler",
        "tcp://127.0.0.1:9",
    ]
    assert main(arguments) == 2
    assert "no scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_times_have_units() -> None:
    from refwasm.cli.campaign import seconds

    assert (seconds("90"), seconds("1.5m"), seconds("1h")) == (90, 90, 3600)
    for bad in ("", "x", "-1", "1d"):
        with pytest.raises(Exception, match="expected a time"):
            seconds(bad)


def test_items_have_labels() -> None:
    assert all(isinstance(item, Item) and item.label for item in singles(frozenset({"mvp"})))
    assert next(smith(ALL)).label == "smith 0"


class Forgetful:
    """An engine that says that all threads have run, and leaves a memory of zeros."""

    name = "forgetful"

    @contextmanager
    def loaded(self, test: LitmusTest, instances: int) -> Iterator[Any]:
        memory = bytearray(native_pages(test, instances) << 16)
        results = FIRST + instances * (BLOCK + 64)
        for row in range(len(test.threads) * instances):
            memory[results + row * ROW + RAN] = 1
        yield lambda numbers: bytes(memory)

    def close(self) -> None:
        pass


def test_parallel_programs_on_a_faulty_engine() -> None:
    """What is not allowed is a finding; the program is reduced, and the finding is a litmus test that shows it."""
    text = "T: t\na: x! = 1; z = 3; r0 = y!\nb: y! = 1; r1 = x!; w = 2"
    test = replace(parse(text)[0], watched=["x64", "y64", "z64", "w64"])
    found = parallel.judge(test, Forgetful())
    assert found.verdict == "differs" and found.finding is not None
    assert found.finding.bucket.startswith("forgetful: threads: atomic load32, atomic store32, store32")
    smaller = parallel.reduced(test, Forgetful(), 20)
    assert smaller is not None and sum(map(len, smaller[0].threads.values())) == 2
    assert smaller[1].finding is not None
    again = parse(parallel.script(smaller[0], smaller[1].finding))
    assert again[0].threads == smaller[0].threads


def test_generated_programs_survive_the_notation() -> None:
    for number, test in parallel.programs(1, 0, 100):
        if test.threads:
            assert parse(shown(test))[0].threads == test.threads, number


def test_parallel_programs_on_an_engine(tmp_path: Path) -> None:
    pytest.importorskip("wasmtime")
    options = ["--source", "threads", "--modules", "10", "--out", str(tmp_path)]
    done = refwasm("campaign", "--engines", "wasmtime", *options)
    assert done.returncode == 0 and b"0 differ" in done.stdout, done
    done = refwasm("campaign", "--engines", "nowhere", *options)
    assert done.returncode == 2 and b"none of them can be judged here" in done.stderr
