"""Real programs that nobody here wrote run scripts and print what they should."""

from __future__ import annotations

from tools.programs import micropython, quickjs


def test_quickjs_evaluates_a_script() -> None:
    program = quickjs()
    script = "JSON.stringify([1, 2.5, -3].map(x => x * x).concat('é'.codePointAt(0), (0.1 + 0.2).toFixed(3)))"
    assert program.evaluate("qjs_eval", script) == 0
    assert program.output[3].decode().strip('"').replace("\\", "") == '[1,6.25,9,233,"0.300"]'


def test_quickjs_reports_an_exception() -> None:
    program = quickjs()
    assert program.evaluate("qjs_eval", "null.property") != 0
    assert b"TypeError" in program.output[4]


def test_micropython_runs_a_script() -> None:
    program = micropython()
    script = """
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
try:
    print([fib(i) for i in range(8)], 7 / 2, {"a": 1}["b"])
except KeyError as e:
    print("KeyError", e, [fib(i) for i in range(8)], 7 / 2)
"""
    assert program.evaluate("mp_sandbox_exec", script) == 0, program.output[2].decode()
    assert program.output[1] == b"KeyError b [0, 1, 1, 2, 3, 5, 8, 13] 3.5\n"
