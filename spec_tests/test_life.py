"""The life of a function: every transition, and no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from refwasm import Instance, Module
from refwasm.execution.life import ALLOWANCE, FOLLOWING, TRIES, Life, State

STEPS: dict[str, Callable[[Life], object]] = {
    "compile": Life.compile,
    "compile more": Life.compile_more,
    "compile all": lambda life: life.compile_more(whole=True),
    "fail": Life.fail,
}
#: Where each step leads; None: it can't be taken.
EXPECTED: dict[State, dict[str, State | None]] = {
    State.INTERPRETED: {
        "compile": State.PARTIAL, "compile more": State.PARTIAL, "compile all": State.COMPILED, "fail": State.FAILED,
    },
    State.KNOWN: {
        "compile": State.PARTIAL, "compile more": State.PARTIAL, "compile all": State.COMPILED, "fail": State.FAILED,
    },
    State.PARTIAL: {
        "compile": State.PARTIAL, "compile more": State.PARTIAL, "compile all": State.COMPILED, "fail": State.FAILED,
    },
    State.COMPILED: {
        "compile": State.COMPILED, "compile more": None, "compile all": State.COMPILED, "fail": State.FAILED,
    },
    State.FAILED: {"compile": None, "compile more": None, "compile all": None, "fail": State.FAILED},
}  # fmt: skip


def in_state(state: State) -> Life:
    life = Life(lambda: 10, known=state is State.KNOWN)
    if state is State.COMPILED:
        life.compile()
        life.compile_more(whole=True)
    elif state is State.PARTIAL:
        life.compile()
    elif state is State.FAILED:
        life.fail()
    assert life.state is state
    return life


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", State)
def test_transitions(state: State, step: str) -> None:
    life, wanted = in_state(state), EXPECTED[state][step]
    if wanted is None:
        with pytest.raises(AssertionError):
            STEPS[step](life)
        return
    STEPS[step](life)
    assert life.state is wanted
    assert wanted is state or wanted in FOLLOWING[state]
    assert life.is_hot == (wanted in (State.KNOWN, State.PARTIAL, State.COMPILED))
    assert life.can_grow == (wanted not in (State.COMPILED, State.FAILED))


def test_every_state_is_reached_by_some_step() -> None:
    reached = {wanted for steps in EXPECTED.values() for wanted in steps.values()}
    assert reached | {State.INTERPRETED, State.KNOWN} == set(State) | {None}
    assert set(FOLLOWING) == set(EXPECTED) == set(State)


def test_a_function_is_compiled_in_part_so_often_and_then_as_a_whole() -> None:
    life = Life(lambda: 10, known=False)
    assert life.left == 10 * ALLOWANCE
    life.compile()
    for _ in range(TRIES):
        assert life.state is State.PARTIAL
        life.compile_more()
    assert life.is_whole


def test_the_life_of_a_function_that_proves_hot() -> None:
    text = """(module (func (export "f") (param i32) (result i32)
      (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.add (i32.const 1) (i32.const 1))))))"""
    instance = Instance(Module(text), tier="auto")
    func, seen = instance._instance.funcs[0], []
    for argument in [1] * 400 + [0] * 400:
        assert instance.exports.f(argument) == (1 if argument else 2)
        if not seen or seen[-1] is not func.life.state:  # type: ignore[union-attr]
            seen.append(func.life.state)  # type: ignore[union-attr]
    assert seen == [State.INTERPRETED, State.PARTIAL], "the second time, nothing is absent"
