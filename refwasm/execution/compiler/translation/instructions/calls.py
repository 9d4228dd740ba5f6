"""Calls, and instructions that are left to the interpreter's meaning of them.

A compiled function takes and returns integers in canonical form, floats as Python floats, anything else as it is; one
result by itself, several as a tuple. A function with tail calls returns a
:class:`refwasm.execution.compiler.linking.runtime.TailCall` instead of making one.
"""

from __future__ import annotations

from refwasm.execution.compiler.translation.expressions import Expression, Literal, Located, Operation, call
from refwasm.execution.compiler.translation.instruction_types import context_of, effect
from refwasm.execution.compiler.translation.statements import Evaluate, Return
from refwasm.execution.compiler.translation.translator import Translator, as_bits, from_bits, type_name
from refwasm.execution.compiler.translation.values import SCRATCH, Value
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import FuncType


def expressions_of(values: list[Value]) -> list[Expression]:
    """Operands as arguments."""
    return [value.expression for value in values]


def tuple_of(values: list[Value]) -> Operation:
    """A tuple of operands."""
    return Operation(f"({', '.join(['{}'] * len(values))}{',' if values else ''})", *expressions_of(values))


def call_direct(t: Translator, pc: int, instr: Instr) -> None:
    """``call``."""
    signature = t.instance.funcs[instr.args[0]].signature
    args = expressions_of(t.arguments(len(signature.params)))
    t.effect(Located(pc, call(f"f{instr.args[0]}", args)), list(map(type_name, signature.results)))


def _found(t: Translator, instr: Instr) -> tuple[Operation, list[Value], FuncType]:
    """A function from a table or the stack, its arguments, and its type."""
    operands, signature = t.operands, t.signature(instr.args[0])
    callee = operands.pop(1)
    if SCRATCH in callee[0].locals:  # rounding an argument would change it
        *args, callee[0] = operands.in_order([*operands.pop(len(signature.params)), callee[0]])
        operands.stack += args
    if callee[0].type:
        callee = operands.settled(callee)
    args = t.arguments(len(signature.params), callee)
    is_in_table = "table" in instr.form.immediates
    finder = f"e{instr.args[1]}_{instr.args[0]}" if is_in_table else "referred"
    return call(finder, [callee[0].expression]), args, signature


def call_found(t: Translator, pc: int, instr: Instr) -> None:
    """``call_indirect`` and ``call_ref``."""
    function, args, signature = _found(t, instr)
    called = Operation(f"{{}}({', '.join(['{}'] * len(args))})", function, *expressions_of(args))
    t.effect(Located(pc, called), list(map(type_name, signature.results)))


def return_call(t: Translator, pc: int, instr: Instr) -> None:
    """A tail call, which the caller's trampoline makes."""
    function: Expression
    if instr.form.immediates == ("func",):
        args = t.arguments(len(t.instance.funcs[instr.args[0]].signature.params))
        function = Literal(f"f{instr.args[0]}")
    else:
        function, args, _ = _found(t, instr)
    tail = Located(pc, Operation("TailCall({}, {})", function, tuple_of(args)))
    t.operands.emit(Return((tail,)), True)
    t.dead = True


def interpreted(t: Translator, pc: int, instr: Instr) -> None:
    """An instruction that works on its operands only: the interpreter's meaning, called as a function."""
    params, types = effect(context_of(t.instance), instr)
    args = expressions_of(as_bits(t.arguments(params)))
    found: Expression = Located(pc, call(f"x{t.func.index}_{pc}", args))
    if len(types) == 1:
        found = from_bits(found, types[0]).expression
    t.effect(found, types)
    if instr.form.is_atomic:  # what another process did before is seen from here on
        for index, memory in enumerate(t.instance.memories):
            if memory.shared:
                t.emitter.add(Evaluate(call(f"m{index}.refresh", [])))
