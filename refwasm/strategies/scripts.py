"""Scripts of the official suite's format, whose assertions the oracle computed."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm.execution.choices import Choices
from refwasm.oracle.assertions import assertion, constant, is_told
from refwasm.oracle.case import Execution, Oracle
from refwasm.oracle.outcomes import Trapped
from refwasm.strategies.calls import Call, calls
from refwasm.strategies.configuration import Features, Limits
from refwasm.strategies.modules import DrawnModule, modules
from refwasm.strategies.values import NULL
from refwasm.syntax.types import DefType, FuncType, RefType, ValType
from refwasm.text.printer import quote


class Script:
    """A script: ``module``, the ``calls`` that are asserted, and its ``text``."""

    def __init__(self, module: DrawnModule, calls: list[Call], text: str) -> None:
        self.module, self.calls, self.text = module, calls, text

    def __repr__(self) -> str:
        return self.text.rstrip()


@st.composite
def scripts(
    draw: DrawFn, features: Features = "all", limits: Limits | None = None, traps: str = "rare",
    max_calls: int = 5,
) -> Script:  # fmt: skip
    """Scripts with one module and assertions about calls of its functions, which every engine passes. Where the
    specification leaves a NaN open, its class is asserted; a call whose other results are open ends the script."""
    module = draw(modules(features, limits, traps=traps))
    return script(module, draw(calls(module, max_calls)))


def script(module: DrawnModule, wanted: list[Call]) -> Script:
    """The script of a module and calls. A start function that throws, or exhausts something, is left out: scripts can
    say of modules only that they trap."""
    oracle = Oracle()
    execution = Execution(oracle, module.validated, Choices())
    if execution.instance is None and isinstance(execution.outcome, Trapped):
        return Script(module, [], f"{assertion(module.wat().rstrip(), execution.outcome)}\n")
    if execution.instance is None:
        return script(DrawnModule(module.module._replace(start=None, digest=b"")), wanted)
    lines, made = [module.wat().rstrip()], []
    for call in wanted:
        outcome = execution.call(call.name, call.bits)
        if not is_told(outcome):
            break
        made.append(call)
        lines.append(assertion(action(call, module.functions[call.name]), outcome))
    return Script(module, made, "\n".join(lines) + "\n")


def action(call: Call, t: FuncType) -> str:
    """A call of a function of a type as a script's action."""
    shown = [f"(ref.null {_bottom(p)})" if arg == NULL else constant(arg) for arg, p in zip(call.args, t.params)]
    return f"(invoke {' '.join([quote(call.name.encode()), *shown])})"


def _bottom(t: ValType) -> object:
    """The heap type that ``ref.null`` names for a parameter of a type."""
    assert isinstance(t, RefType)
    if isinstance(t.heap, DefType):
        return "nofunc" if isinstance(t.heap.composite, FuncType) else "none"
    return t.heap
