"""Modules that break exactly one rule of validation (chapter 3 of the specification)."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm import embedding as e
from refwasm.errors import Invalid
from refwasm.strategies.breaches import BREACHES, Breach
from refwasm.strategies.configuration import Features, Limits, configuration
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.modules import DrawnModule, modules
from refwasm.syntax.instructions import FORMS, Instr
from refwasm.syntax.modules import Func, Module

#: In the place of a constant, one of another type.
_OTHER = {"i32.const": "i64.const", "i64.const": "i32.const", "f32.const": "f64.const", "f64.const": "f32.const"}
OPERAND = Breach("Instr_ok: an operand of another type", "3.4", "mvp", None)


class InvalidModule(DrawnModule):
    """A well-formed module that is not valid: ``rule`` says which rule is broken, ``section`` is where that stands in
    the specification."""

    def __init__(self, module: Module, breach: Breach) -> None:
        super().__init__(module)
        self.rule, self.section = breach.rule, breach.section

    def __repr__(self) -> str:
        return f";; invalid: {self.rule} ({self.section})\n{super().__repr__()}"


@st.composite
def invalid_modules(draw: DrawFn, features: Features = "all", limits: Limits | None = None) -> InvalidModule:
    """Modules that are well-formed, and valid but for one rule of validation, which comes with them. What they use
    besides belongs to ``features``."""
    config = configuration(features, limits, {}, "all", "rare", "any", "fuel")
    drawing = Drawing(draw)
    # It is chosen first: in the mutations that Hypothesis makes of an example, what comes late is mostly the simplest.
    breach = drawing.pick([OPERAND, *(b for b in BREACHES if b.feature in config.features)])
    module = draw(modules(config.features, limits)).module
    if breach.make is not None:
        return InvalidModule(breach.make(module), breach)
    broken = _with_other_operand(drawing, module)
    if broken is None:
        breach = BREACHES[0]
        assert breach.make is not None
        broken = breach.make(module)
    return InvalidModule(broken, breach)


def _with_other_operand(drawing: Drawing, module: Module) -> Module | None:
    """The module with a constant of another type somewhere, where an instruction does not take that; None if there is
    no such place."""
    bodies = [func.body for func in module.funcs]
    places = [(f, i) for f, body in enumerate(bodies) for i, x in enumerate(body) if x.form.mnemonic in _OTHER]
    for number, index in drawing.downwards(places) if places else ():
        func = module.funcs[number]
        other = FORMS[_OTHER[func.body[index].form.mnemonic]]
        body = (*func.body[:index], Instr(other, (0,)), *func.body[index + 1 :])
        funcs = (*module.funcs[:number], Func(func.type, func.locals, body), *module.funcs[number + 1 :])
        broken = module._replace(funcs=funcs, digest=b"")
        try:
            e.module_validate(broken)  # which it is where the value is dropped, whatever its type
        except Invalid as error:
            if error.instruction is not None and body[error.instruction].form.mnemonic not in ("end", "else"):
                return broken
    return None
