"""The Hypothesis strategies: what they make is valid, ends, is read by others, and shrinks."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from benchmarks.shrinking import GOALS, Goal, size
from refwasm import Program
from refwasm import embedding as e
from refwasm.campaign.smith import program as wasm_tools
from refwasm.cli import main
from refwasm.execution.choices import AGENT
from refwasm.oracle.case import Oracle
from refwasm.oracle.outcomes import Limited, Refused, Returned, Trapped
from refwasm.strategies import (
    Call,
    DrawnChoices,
    DrawnModule,
    Limits,
    ParallelProgram,
    Script,
    ThreadProgram,
    bodies,
    calls,
    choices,
    const_exprs,
    expressions,
    functypes,
    instructions,
    kernels,
    modules,
    mutations,
    parallel_programs,
    schedules,
    scripts,
    threads,
    values,
)
from refwasm.strategies.sampling import sample
from refwasm.syntax.instructions import END, Instr
from refwasm.syntax.modules import Func, Module
from refwasm.syntax.types import F64, I32, I64, FuncType, MemType, RecType, RefType, SubType
from refwasm.syntax.types import Limits as Sizes
from refwasm.validation import features

EXAMPLES = Path(__file__).parent.parent / "examples" / "testing"
CONTEXT = """(module (memory 1) (global $g (mut f64) (f64.const 1)) (table 3 funcref) (data "abc")
  (func $h (param i32) (result i32) (local.get 0)) (elem (i32.const 0) $h))"""
ORACLE = Oracle()

many = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
few = settings(many, max_examples=30)


# ---- modules --------------------------------------------------------------------------------------------------------


@many
@given(modules())
def test_modules_are_valid_in_both_formats(module: DrawnModule) -> None:
    assert e.module_decode(module.bytes) == module.module == e.module_parse(repr(module))
    e.module_validate(e.module_decode(bytes(module)))


@pytest.mark.parametrize("edition", features.EDITIONS)
def test_modules_use_the_features_that_they_may(edition: str) -> None:
    @few
    @given(modules(features=edition, nan="canonicalised"))
    def check(module: DrawnModule) -> None:
        e.module_validate(module.module, features.EDITIONS[edition])

    check()


@few
@given(st.data())
def test_other_tools_find_them_valid(data: st.DataObject) -> None:
    module = data.draw(modules())
    assert _wasm_tools_takes(module.bytes)


def _wasm_tools_takes(binary: bytes) -> bool:
    command = [wasm_tools(), "validate", "--features", "all", "-"]
    return subprocess.run(command, input=binary, capture_output=True, check=False).returncode == 0


@many
@given(st.data())
def test_no_call_traps_if_none_may(data: st.DataObject) -> None:
    module = data.draw(modules(traps="none"))
    case = ORACLE.instantiate(module.bytes)
    assert isinstance(case.outcome, Returned)
    for call in data.draw(calls(module)):
        assert not isinstance(case.call(call.name, call.bits), (Trapped, Limited)), call


def test_calls_mostly_return_and_reach_most_of_the_code() -> None:
    told: Counter[bool] = Counter()
    reached = [0, 0]

    # A share of a random sample is judged: the same sample each time, so that the test cannot fail by chance.
    @settings(many, derandomize=True)
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        case = ORACLE.instantiate(data.draw(modules()).bytes)
        for name, t in case.types.items():
            args = tuple(0 if not isinstance(p, RefType) else None for p in t.params)
            told[isinstance(case.call(name, args), Returned)] += 1
        _, got, whole = case.reached()
        reached[0] += got
        reached[1] += whole

    collect()
    assert told[True] > 10 * told[False] and reached[0] > 0.6 * reached[1]


@few
@given(modules(imports={("host", "f"): FuncType((I32,), (I64,)), ("host", "m"): MemType(I32, Sizes(1, 2))},
               exports={"main": FuncType((I32,), (F64,))}))  # fmt: skip
def test_imports_and_exports_are_those_wanted(module: DrawnModule) -> None:
    assert [(i.module, i.name) for i in module.module.imports] == [("host", "f"), ("host", "m")]
    assert module.functions == {"main": FuncType((I32,), (F64,))} and len(module.module.exports) == 1
    e.module_validate(module.module)


@few
@given(modules(limits=Limits(functions=1, instructions=5, memories=0, globals=0), exports="none", termination=None))
def test_limits_hold(module: DrawnModule) -> None:
    assert len(module.module.funcs) == 1 and not module.module.memories and not module.module.globals
    assert not module.module.exports


@pytest.mark.parametrize(
    "wrong",
    [{"features": "4.0"}, {"features": "stack-switching"}, {"traps": "often"}, {"nan": "quiet"}, {"exports": "some"},
     {"termination": "time"}, {"limits": Limits(functions=0)}, {"limits": 3}, {"imports": {("a", "b"): "i32"}}],
)  # fmt: skip
def test_wrong_arguments_are_told(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        _draw(modules(**wrong))  # type: ignore[arg-type]


def _draw(strategy: st.SearchStrategy[object]) -> None:
    find(strategy, lambda drawn: True, settings=few)


# ---- parts ----------------------------------------------------------------------------------------------------------


@few
@given(st.data(), st.sampled_from(["i32", "i64", "f32", "f64", "v128"]))
def test_fragments_are_valid_in_their_context(data: st.DataObject, type: str) -> None:
    found = data.draw(expressions(type, CONTEXT, locals=["i64"]))
    e.module_validate(found.whole.module)
    e.module_validate(data.draw(bodies(FuncType((I32,), (F64, I64)), CONTEXT)).whole.module)
    assert data.draw(const_exprs(type))[-1] is END
    assert data.draw(values(type)).type == type


@many
@given(instructions())
def test_instructions_are_well_formed(instruction: Instr) -> None:
    if instruction.form.mnemonic in ("else", "end"):
        return
    body = (instruction, END, END) if "block" in instruction.form.immediates else (instruction, END)
    types = (RecType((SubType(True, (), FuncType((), ())),)),)
    module = Module(types, funcs=(Func(0, (), body),), data_count=0)
    assert e.module_decode(e.module_encode(module)).funcs == module.funcs


@few
@given(functypes(features="2.0", max_params=2))
def test_function_types(t: FuncType) -> None:
    assert len(t.params) <= 2 and len(t.results) <= 2


def test_values_and_calls_print_as_text() -> None:
    call = find(calls('(module (func (export "f") (param i32 funcref)))'), lambda made: bool(made), settings=many)
    assert repr(call) == '[(invoke "f" (i32.const 0) (ref.null))]' and call[0].bits == (0, None)
    assert isinstance(call[0], Call)
    with pytest.raises(InvalidArgument, match="i31"):
        _draw(values("i31"))
    with pytest.raises(InvalidArgument, match="no module"):
        calls("(module")


# ---- scripts, mutations ---------------------------------------------------------------------------------------------


@few
@given(script=scripts(traps="allowed"))
def test_scripts_pass(script: Script) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawn.wast"
        file.write_text(script.text)
        assert main(["wast", str(file)]) == 0
        assert main(["wast", str(file), "--choices", "seed:1"]) == 0, "another execution does not pass"


@few
@given(st.data())
def test_mutations_keep_the_meaning_or_stay_valid(data: st.DataObject) -> None:
    module = data.draw(modules())
    rewritten = data.draw(mutations(module))
    e.module_validate(data.draw(mutations(module, preserving=False)).module)
    before, after = ORACLE.instantiate(module.bytes), ORACLE.instantiate(rewritten.bytes)
    assert before.outcome == after.outcome
    for call in data.draw(calls(module)):
        outcome = before.call(call.name, call.bits)
        assert after.call(call.name, call.bits) == outcome
        if isinstance(outcome, (Limited, Refused)):
            break


# ---- parallel programs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("race_free", [True, False])
def test_parallel_programs_print_what_the_rules_allow(race_free: bool) -> None:
    @few
    @given(parallel_programs(race_free))
    def check(program: ParallelProgram) -> None:
        with tempfile.TemporaryFile() as file:
            with Program(program.binary(), policies=program.policies, stdout=file.fileno()) as running:
                assert running.run() == 0
            file.seek(0)
            assert not program.admits(file.read())

    check()


def test_a_parallel_program_admits_nothing_else() -> None:
    program = find(
        parallel_programs(failing=False),
        lambda p: bool(p.kernel.steps) and len(p.buffers) == 1 and any(x.iterations > 1 for x in p.executions),
        settings=settings(many, max_examples=1000, derandomize=True),
    )
    _, words = program.allowed()
    right = b"".join(bytes(4) for _ in program.executions) + b"".join(
        next(iter(known)).to_bytes(4, "little") for buffer in words for known in buffer if known is not None
    )
    assert not program.admits(right)
    assert "b0[" in program.admits(right[:-4] + b"\xfe\xff\xff\xff")
    assert "execution 0" in program.admits(b"\1" + right[1:])
    assert "bytes" in program.admits(right + b"\0")


@pytest.mark.parametrize("race_free", [True, False])
def test_threads_run_under_all_schedules(race_free: bool) -> None:
    @few
    @given(threads(race_free), schedules())
    def check(program: ThreadProgram, schedule: DrawnChoices) -> None:
        e.module_validate(program.module.module)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "threads.wast"
            file.write_text(program.wast())
            assert main(["wast", "--seed", "1", str(file)]) == 0

    check()


def test_race_free_threads_share_nothing_but_atomically() -> None:
    @many
    @given(threads(race_free=True))
    def check(program: ThreadProgram) -> None:
        flags = {a.slot - 1 for t in program.threads for a in t if a.only_if == 1 and not a.atomic}
        plain: dict[int, set[int]] = {}
        for number, accesses in enumerate(program.threads):
            for access in accesses:
                if access.kind in ("load", "store") and not access.atomic:
                    plain.setdefault(access.slot, set()).add(number)
        shared = [slot for slot, owners in plain.items() if len(owners) > 1]
        assert len(shared) <= 1 and (not shared or flags)

    check()


def test_choices_shrink_to_the_first_option() -> None:
    found = find(choices(["agent"]), lambda drawn: drawn.others != (), settings=many)
    assert found.others == ((0, 1),) and repr(found) == "DrawnChoices([(0, 1)], ['agent'])"
    assert found.choose(next(iter(found.kinds)), 3) == 1 and str(found) == "c1:a1" and found.again().others == ((0, 1),)
    with pytest.raises(InvalidArgument, match="sleep"):
        choices(["sleep"])


# ---- shrinking, plugin ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, most",
    {
        "i64.rotl": 6, "br_if": 5, "call_indirect": 8, "try_table": 5,
        # parts of fixed patterns: of loops, of the fuel that they count, of operands that do not trap
        "i32.add": 6, "i32.ne": 6, "br": 4, "local.tee": 6, "i64.div_s": 6, "throw_ref": 5,
    }.items(),
)  # fmt: skip
def test_modules_shrink(name: str, most: int) -> None:
    """``benchmarks/shrinking.py`` has the figures; these are bounds."""

    def has(module: DrawnModule) -> bool:
        return any(i.form.mnemonic == name for func in module.module.funcs for i in func.body)

    found = find(modules(), has, settings=settings(many, max_examples=5_000), random=random.Random(1))
    assert size(found) <= most, found


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.name)
def test_the_smallest_examples_are_some(goal: Goal) -> None:
    """The benchmark measures shrinking against these."""
    assert goal.holds(goal.least)


def test_samples_are_the_same_for_the_same_seed() -> None:
    first, second, other = sample(modules(), 5), sample(modules(), 5), sample(modules(), 5, 1)
    assert first == second and len(first) == 5
    assert not set(first) & set(other)


@few
@given(st.data())
def test_no_statement_is_drawn_where_none_may_be(data: st.DataObject) -> None:
    module = data.draw(modules(limits=Limits(statements=0)))
    assert all(i.form.mnemonic != "loop" for func in module.module.funcs for i in func.body)


def test_parallel_programs_have_executions_and_kernels_shrink_to_what_matters() -> None:
    assert all(program.executions for program in sample(parallel_programs(), 50))
    assert any(x.iterations == 0 for program in sample(parallel_programs(), 80) for x in program.executions)
    for number in range(3):
        traps = find(
            kernels(), lambda kernel: any(step.kind == "trap" for step in kernel.steps),
            settings=settings(many, max_examples=2_000), random=random.Random(number),
        )  # fmt: skip
        assert len(traps.roles) == 1 and len(traps.steps) == 1, traps


def test_other_options_are_others() -> None:
    """What is planned to be another option is never the first one."""
    for others in ([(0, 1), (0, 2), (0, 7)], [(2, 3)]):
        drawn = DrawnChoices(others)
        taken = [drawn.choose(AGENT, options) for options in (2, 3, 4)]
        assert taken == ([1, 2, 1] if len(others) == 3 else [0, 0, 3])


def test_what_fuzzers_and_the_database_replay() -> None:
    """``fuzz_one_input`` gives the same module for the same bytes."""
    seen: list[DrawnModule] = []

    @settings(database=None, phases=[Phase.generate])
    @given(modules())
    def test(module: DrawnModule) -> None:
        seen.append(module)

    data = random.Random(7).randbytes(4_000)
    test.hypothesis.fuzz_one_input(data)  # type: ignore[attr-defined]
    test.hypothesis.fuzz_one_input(data)  # type: ignore[attr-defined]
    assert len(seen) == 2 and seen[0] == seen[1] and hash(seen[0]) == hash(seen[1])


@pytest.mark.parametrize(
    "file, options",
    [("test_engine.py", ["--refwasm-engine", "wasmtime"]), ("test_decoder.py", [])],
)  # fmt: skip
def test_the_worked_examples_pass(file: str, options: list[str]) -> None:
    done = _pytest(file, *options)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "failed" not in done.stdout and "passed" in done.stdout


def test_the_optimiser_example_passes() -> None:
    """Where npm gives binaryen."""
    done = _pytest("test_optimiser.py")
    if "can't be installed" in done.stdout:
        pytest.skip("binaryen can't be installed")
    assert done.returncode == 0, done.stdout[-3000:]


def test_an_engine_that_is_wrong_fails(tmp_path: Path) -> None:
    """A deliberate fault: an engine that adds one too much."""
    (tmp_path / "test_faulty.py").write_text(_FAULTY)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_faulty.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert "AssertionError: refwasm-interpret" in done.stdout and "1 failed" in done.stdout, done.stdout[-3000:]


_FAULTY = """
import pytest
from refwasm.engines.own import RefwasmEngine
from refwasm.strategies.properties import test_results
from refwasm.validation.features import VERSION_1

class Faulty(RefwasmEngine):
    def instantiate(self, module):
        return super().instantiate(module.replace(b"\\x6a", b"\\x6b"))  # i32.add is i32.sub

@pytest.fixture(scope="session")
def refwasm_engine():
    made = Faulty("interpret")
    made.features = VERSION_1
    return made
"""


def test_the_plugin_names_an_engine_that_is_not_there() -> None:
    done = _pytest("test_engine.py", "--refwasm-engine", "nothing")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unknown engine 'nothing'" in done.stderr and "Traceback" not in done.stdout + done.stderr


def _pytest(file: str, *options: str) -> subprocess.CompletedProcess[str]:
    always = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile", "short"]
    command = [sys.executable, "-m", "pytest", *always, *options, file]

    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, cwd=EXAMPLES)


def test_a_missing_extra_is_named_and_pytest_runs_without_it() -> None:
    code = (
        "import sys, importlib.util as u; sys.modules['hypothesis'] = None; u.find_spec = lambda name, p=None: None\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + "import refwasm.pytest_plugin\nimport refwasm.strategies"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].endswith("needs Hypothesis: pip install 'refwasm[hypothesis]'")
