"""References, and the branches on them."""

from __future__ import annotations

from refwasm.execution.compiler.translation import integers
from refwasm.execution.compiler.translation.expressions import NONE, Expression, Literal, Located, Not, call
from refwasm.execution.compiler.translation.instructions.control import branch_if, carry
from refwasm.execution.compiler.translation.translator import Translator
from refwasm.execution.compiler.translation.values import Value, expr
from refwasm.syntax.instructions import Instr


def ref_null(t: Translator, pc: int, instr: Instr) -> None:
    t.operands.push(Value(NONE, "", atom=True))


def ref_is_null(t: Translator, pc: int, instr: Instr) -> None:
    (reference,) = t.operands.pop(1)
    t.operands.push(integers.truth(expr("({} is None)", reference), None, reference))


def br_on_null(t: Translator, pc: int, instr: Instr) -> None:
    reference = _reference(t)
    t.operands.stack.pop()
    _branch(t, pc, expr("({} is None)", reference))
    t.operands.stack.append(reference)


def br_on_non_null(t: Translator, pc: int, instr: Instr) -> None:
    reference = _reference(t)
    _branch(t, pc, expr("({} is not None)", reference))
    t.operands.stack.pop()


def br_on_cast(t: Translator, pc: int, instr: Instr) -> None:
    """``br_on_cast``, and with a descriptor."""
    _branch(t, pc, expr("({})", _is_of(t, pc, instr)))


def br_on_cast_fail(t: Translator, pc: int, instr: Instr) -> None:
    """The opposite."""
    _branch(t, pc, Not(_is_of(t, pc, instr)))


def _reference(t: Translator) -> Value:
    """The reference on top of the stack, which is an atom and stays there."""
    t.operands.stack += t.operands.in_order(t.operands.pop(1))
    t.operands.settle_all()
    return t.operands.stack[-1]


def _is_of(t: Translator, pc: int, instr: Instr) -> Expression:
    """Whether the reference on the stack is of the type that is asked for. It stays there, a descriptor does not."""
    tested = Literal(f"v{t.func.index}_{pc}")
    if not instr.form.takes_descriptor:
        return call("is_of", [tested, _reference(t).expression])
    reference, descriptor = t.operands.in_order(t.operands.pop(2))
    t.operands.stack.append(reference)
    t.operands.settle_all()
    reference = t.operands.stack[-1]
    t.operands.emit_effect(Located(pc, call("check_descriptor", [descriptor.expression])))
    return call("is_described", [tested, reference.expression, descriptor.expression])


def _branch(t: Translator, pc: int, condition: Expression) -> None:
    """One ``if``."""
    branch = t.side[pc]
    if branch.arity:
        carry(t, branch)
    branch_if(t, Value(condition, "i32", 0, 1), branch)
