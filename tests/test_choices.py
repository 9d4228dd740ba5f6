"""Choices: every kind is asked, lists replay executions exactly, enumerations are complete."""

from __future__ import annotations

import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from refwasm import Program
from refwasm import embedding as e
from refwasm.errors import Exhaustion
from refwasm.execution.choices import (
    AGENT,
    ALL,
    EXHAUSTION,
    GROW,
    HOST,
    KINDS,
    NAN,
    RELAXED,
    WAIT,
    Choices,
    Enumeration,
    Kind,
    OtherExecution,
    Seeded,
    Taken,
    parse_choices,
    print_choices,
)
from refwasm.execution.numerics import OPERATIONS, relaxed
from refwasm.execution.numerics.floats import INFINITY, SIGN, is_nan, to_bits, to_float
from refwasm.execution.numerics.nans import nans
from refwasm.host.parallel.policies import Policies
from refwasm.host.parallel.schedule import Schedule
from refwasm.script.runner import Options, Runner
from refwasm.syntax.instructions import FORMS
from refwasm.text.lexer import Source
from tests.support import EXAMPLES

MODULE = e.module_validate(
    e.module_load("""(module (memory 1 2) (table 1 2 externref)
        (func $id (param f32) (result f32) (local.get 0))
        (func (export "f") (param f32) (result i32 i32 i32)
          (memory.grow (i32.const 1)) (table.grow (ref.null extern) (i32.const 1))
          (i32.reinterpret_f32 (f32.add (call $id (local.get 0)) (f32.const 1)))))""")
)


def run(choices: Choices, argument: int = 0x7FC00000) -> object:
    store = e.store_init(choices=choices)
    instance = e.module_instantiate(store, MODULE, [])
    function = instance.exports["f"]
    assert isinstance(function, e.FuncInst)
    try:
        return e.func_invoke(store, function, [argument])
    except Exhaustion as error:
        return str(error)


def test_all_executions_of_a_function_are_found_and_each_is_replayed() -> None:
    executions = Enumeration(100)
    results = [(run(choices), str(choices)) for choices in executions]
    found = {text: result for result, text in results}
    assert executions.complete
    # memory and table grow or not; then the stack is exhausted, or one of two NaNs comes out
    assert len(found) == executions.executions == 2 * 2 * 3
    for text, result in found.items():
        again = parse_choices(text)
        assert run(again) == result and str(again) == text
    assert found["c1:"] == [1, 1, 0x7FC00000]
    assert found["c1:g1"] == [0xFFFFFFFF, 1, 0x7FC00000]


def test_an_open_payload_has_more_classes() -> None:
    executions = Enumeration(100, kinds=(NAN,))
    found = {run(choices, 0xFF801234)[2] for choices in executions}  # type: ignore[index]
    assert executions.complete
    assert found == {0x7FC00000, 0xFFC00000, 0xFFC01234, 0x7FC01234, 0x7FFFFFFF, 0xFFFFFFFF}


def test_a_bound_leaves_an_enumeration_incomplete() -> None:
    executions = Enumeration(3)
    assert len([run(choices) for choices in executions]) == 3
    assert not executions.complete


def test_a_seed_gives_the_same_execution_again() -> None:
    results = [run(Seeded(seed)) for seed in range(200)]
    assert results == [run(Seeded(seed)) for seed in range(200)]
    assert len(set(map(str, results))) > 3


def test_a_list_of_another_execution_is_refused() -> None:
    with pytest.raises(OtherExecution, match="choice 0 of the list is of kind nan, but the execution chooses grow"):
        run(parse_choices("c1:n1"))
    with pytest.raises(OtherExecution, match="option 7 of grow, which has 2"):
        run(parse_choices("c1:g7"))


@pytest.mark.parametrize("text", ["", "c2:", "c1:q1", "c1:n", "seed:", "seed:x", "c1:n1*", "c1:1 2", "c1:999999999999"])
def test_bad_lists_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="choices"):
        parse_choices(text)


def test_lists_as_text_keep_every_choice() -> None:
    choose = random.Random(1)
    for _ in range(500):
        taken = []
        for _ in range(choose.randrange(30)):
            options = choose.randrange(2, 20)
            taken.append(Taken(choose.choice(ALL), choose.choice([0, 0, choose.randrange(options)]), options))
        choices = parse_choices(print_choices(taken))
        assert [choices.choose(kind, options) for kind, _, options in taken] == [option for _, option, _ in taken]


def test_letters_are_told_apart() -> None:
    assert len({kind.letter for kind in KINDS.values()}) == len(KINDS) == len(ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_each_kind_has_its_rule_in_the_docs(kind: Kind) -> None:
    text = Path("docs/choices.md").read_text(encoding="utf-8")
    assert f"| `{kind.name}` | `{kind.letter}` |" in text


# ---- numerics --------------------------------------------------------------------------------------------------------


def test_relaxed_instructions_are_all_in_the_table() -> None:
    assert set(relaxed.RELAXED) == {name for name, form in FORMS.items() if form.feature == "relaxed-simd"}
    counts: dict[str, set[int]] = {}
    for row in relaxed.RELAXED.values():
        counts.setdefault(row.parameter, set()).add(len(row.options))
    assert all(len(found) == 1 for found in counts.values()), "a parameter has as many options for each instruction"


@pytest.mark.parametrize("n", [32, 64])
def test_fused_multiply_add_rounds_once(n: int) -> None:
    choose = random.Random(n)
    tiny = [0, 1, SIGN[n], SIGN[n] | 1, INFINITY[n] - 1, to_bits(n, 1.0), to_bits(n, -1.0), INFINITY[n]]
    for _ in range(3_000):
        a, b, c = (choose.choice([choose.getrandbits(n), *tiny]) for _ in range(3))
        x, y, z = (to_float(n, v) for v in (a, b, c))
        got = relaxed.fma(n, a, b, c)
        if any(v - v != 0 for v in (x, y, z)):
            continue
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        if is_nan(n, got) or got & ~SIGN[n] == INFINITY[n]:
            assert abs(exact) > Fraction(to_float(n, INFINITY[n] - 1))
            continue
        # no neighbour is nearer
        error = abs(Fraction(to_float(n, got)) - exact)
        for other in (got + 1, got - 1):
            if 0 <= other & ~SIGN[n] < INFINITY[n] and got & ~SIGN[n]:
                assert error <= abs(Fraction(to_float(n, other)) - exact)


@pytest.mark.parametrize("n", [32, 64])
def test_nans_are_those_of_the_rule(n: int) -> None:
    choose = random.Random(n)
    for _ in range(500):
        operands = [choose.getrandbits(n) | choose.choice([0, INFINITY[n]]) for _ in range(2)]
        for z in nans(n, operands):
            assert is_nan(n, z) and z & (1 << (22 if n == 32 else 51))
    assert len(nans(n, [to_bits(n, 1.0)])) == 2


@pytest.mark.parametrize("mnemonic", sorted(relaxed.RELAXED))
def test_the_first_option_is_the_deterministic_profile(mnemonic: str) -> None:
    choose, row = random.Random(mnemonic), relaxed.RELAXED[mnemonic]
    count = len(FORMS[mnemonic].params or ())
    for _ in range(100):
        operands = [choose.getrandbits(128) for _ in range(count)]
        assert row.options[0](*operands) == OPERATIONS[mnemonic](*operands)
        for option in row.options:
            assert 0 <= option(*operands) < 1 << 128


# ---- threads, hosts, kernels -----------------------------------------------------------------------------------------

WAITING = """
(module $M (memory (export "memory") 1 1 shared))
(thread $T (shared (module $M)) (register "m" $M)
  (module (memory (import "m" "memory") 1 1 shared)
    (func (export "run") (result i32)
      (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1000000000000))))
  (assert_return (invoke "run") (either (i32.const 0) (i32.const 1) (i32.const 2))))
(thread $U (shared (module $M)) (register "m" $M)
  (module (memory (import "m" "memory") 1 1 shared)
    (func (export "run")
      (i32.atomic.store (i32.const 0) (i32.const 1))
      (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))
  (assert_return (invoke "run")))
(wait $T) (wait $U)
"""


def test_waits_end_by_a_notification_or_by_time_and_nobody_sleeps() -> None:
    def ended(choices: Choices) -> bool:
        report = Runner(Source(WAITING), "waiting.wast", Options(choices=lambda: choices)).run()
        assert report.ok, report.failures
        return any(taken.kind is WAIT and taken.option for taken in choices.taken)

    executions = Enumeration(1_000, kinds=(WAIT,))
    assert {ended(choices) for choices in executions} == {False, True}
    assert executions.complete
    assert {ended(Seeded(seed, (AGENT, WAIT))) for seed in range(100)} == {False, True}


def test_unknown_functions_answer_what_is_chosen() -> None:
    text = """(module (import "env" "ask" (func $ask (result i32))) (func (export "f") (result i32) (call $ask)))"""
    found = set()
    executions = Enumeration(100, kinds=(HOST,))
    for choices in executions:
        with Program(text, unknown_imports="any", choices=choices) as program:
            function = program.instantiate().exports["f"]
            assert isinstance(function, e.FuncInst)
            found.add(e.func_invoke(program.store, function, [])[0])
    assert executions.complete and {0, 1, 0x80000000} <= found and len(found) == executions.executions


def test_few_iterations_start_in_every_order() -> None:
    executions = Enumeration(10_000)
    orders = set()
    for choices in executions:
        schedule = Schedule(4, 0, Policies(), choices)
        orders.add(tuple(schedule.ids(0, schedule.units)))
    assert executions.complete and len(orders) == 24
    assert tuple(Schedule(4, 0, Policies(), Choices()).ids(0, 4)) == (0, 1, 2, 3)
    assert sorted(Schedule(100, 0, Policies(order="descending"), Seeded(3)).ids(0, 100)) == list(range(100))


def test_a_program_with_kernels_runs_under_chosen_orders() -> None:
    source = (EXAMPLES / "squares.wat").read_text(encoding="utf-8")
    asked = set()
    for seed in range(6):
        choices = Seeded(seed, kinds=tuple(kind for kind in ALL if kind is not EXHAUSTION))
        with Program(source, choices=choices) as program:
            assert program.run() == 0
        asked |= {taken.kind.name for taken in choices.taken}
    assert asked >= {"order", "grouping"}


# ---- the command line ------------------------------------------------------------------------------------------------


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "refwasm", *args], capture_output=True, text=True, timeout=60)


def test_a_run_at_random_says_how_to_repeat_it(tmp_path: Path) -> None:
    file = tmp_path / "m.wat"
    file.write_text("""(module (memory 1) (func (export "f") (param f32) (result f32 i32)
        (f32.sqrt (local.get 0)) (memory.grow (i32.const 1))))""")
    seen = set()
    for seed in range(6):
        first = command("run", "--choices", f"seed:{seed}", "--invoke", "f", str(file), "nan:0x1")
        assert first.returncode == 0
        text = first.stderr.split()[-1]
        again = command("run", "--choices", text, "--invoke", "f", str(file), "nan:0x1")
        assert again.stdout == first.stdout and not again.stderr
        seen.add(first.stdout)
    assert len(seen) > 1
    whole = command("run", "--choices", "all", "--invoke", "f", str(file), "nan:0x1")
    assert whole.stdout.splitlines()[-1] == "12 outcomes of 12 executions, complete"
    cut = command("run", "--choices", "all:5", "--invoke", "f", str(file), "nan:0x1")
    assert "not complete" in cut.stdout


@pytest.mark.parametrize("text", ["c1:!", "all:0", "all:x", "maybe"])
def test_bad_choices_are_wrong_usage(text: str) -> None:
    done = command("run", "--choices", text, "--invoke", "f", str(EXAMPLES / "squares.wat"))
    assert done.returncode == 2 and "--choices" in done.stderr and "Traceback" not in done.stderr


def test_a_list_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "m.wat"
    file.write_text('(module (memory 1) (func (export "f") (result i32) (memory.grow (i32.const 1))))')
    assert command("run", "--choices", "c1:g1", "--invoke", "f", str(file)).returncode == 0
    done = command("run", "--choices", "c1:g1g1", "--invoke", "f", str(file))
    assert done.returncode == 1 and "did not ask for" in done.stderr
    assert command("run", "--choices", "all:" + "9" * 5000, "--invoke", "f", str(file)).returncode == 2


def test_kinds_that_are_not_asked_keep_the_default() -> None:
    assert run(Seeded(1, kinds=())) == run(Choices()) == [1, 1, 0x7FC00000]
    executions = Enumeration(100, kinds=(GROW,))
    assert len([run(choices) for choices in executions]) == 4 and executions.complete


def test_relaxed_parameters_are_constant_in_an_execution() -> None:
    choices = Seeded(3)
    assert len({choices.parameter("swizzle", 2) for _ in range(50)}) == 1
    assert [taken.kind for taken in choices.taken] == [RELAXED]
