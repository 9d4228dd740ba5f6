"""Exceptions."""

from __future__ import annotations

from functools import partial

from refwasm.execution.compiler.translation.blocks import Block
from refwasm.execution.compiler.translation.expressions import TRUE, Expression, Literal, Located, Name, Operation, call
from refwasm.execution.compiler.translation.instructions.calls import tuple_of
from refwasm.execution.compiler.translation.instructions.control import begin_loop_if_needed, jump, new_block
from refwasm.execution.compiler.translation.statements import Assign, Handler, If, Raise, Try
from refwasm.execution.compiler.translation.translator import Translator, as_bits, from_bits, type_name
from refwasm.execution.compiler.translation.values import Value, unknown
from refwasm.syntax.instructions import Catch, Instr
from refwasm.validation.stacks import Branch


def throw(t: Translator, pc: int, instr: Instr) -> None:
    signature = t.instance.tags[instr.args[0]].signature
    payload = tuple_of(as_bits(t.arguments(len(signature.params))))
    t.operands.emit_effect(Located(pc, call("throw", [Literal(f"a{instr.args[0]}"), payload])))
    t.dead = True


def throw_ref(t: Translator, pc: int, instr: Instr) -> None:
    (exception,) = t.operands.pop(1)
    t.operands.emit_effect(Located(pc, call("throw_ref", [exception.expression])))
    t.dead = True


def try_table(t: Translator, pc: int, instr: Instr) -> None:
    block = new_block(t, pc, instr)
    block.kind = "try"
    block.on_close = partial(_catch, t, block)
    begin_loop_if_needed(t, block)
    t.emitter.begin(Try())
    t.blocks.nest()


def _catch(t: Translator, block: Block) -> None:
    """The clauses, after the body: they jump from where the block began."""
    emitter = t.emitter
    emitter.close()
    t.blocks.nested -= 1
    body_facts, exception = t.facts, t.operands.fresh()
    handler = Handler("UncaughtException", exception, [Assign(exception, call("caught", [exception]))])
    statement = emitter.body[-1]
    assert isinstance(statement, Try)
    statement.handlers.append(handler)
    emitter.open(handler.body)
    _, catches = t.body[block.number].args
    branches: tuple[Branch, ...] = t.side[block.number]
    t.facts = {}
    for clause, branch in zip(catches, branches):
        emitter.begin(If(_matches(clause, exception)))
        height = len(t.operands.stack)
        t.operands.stack += _caught(t, clause, exception)
        jump(t, branch)
        del t.operands.stack[height:]
        emitter.close()
    emitter.add(Raise())
    emitter.close()
    t.facts = body_facts


def _matches(clause: Catch, exception: Name) -> Expression:
    return TRUE if clause.tag is None else Operation(f"{{}}.tag is a{clause.tag}", exception)


def _caught(t: Translator, clause: Catch, exception: Name) -> list[Value]:
    """What a clause puts on the stack."""
    values = []
    if clause.tag is not None:
        types = list(map(type_name, t.instance.tags[clause.tag].signature.params))
        values = [from_bits(Operation(f"{{}}.payload[{i}]", exception), type) for i, type in enumerate(types)]
    if clause.gives_reference:
        values.append(unknown(exception.text, ""))
    return values
