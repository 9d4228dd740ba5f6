"""Exceptions (specification 4.6.4).

Entering a ``try_table`` pushes a handler on the agent: ``(frames, height, clauses)``, the number of frames and the
height of the stack at its entry (parameters not counted). A clause is ``(tag, passes reference, drop, tries, code,
pc)``.
"""

from __future__ import annotations

from typing import Any

from refwasm.errors import Trap, UncaughtException
from refwasm.execution.interpreter.agent import Switched
from refwasm.execution.interpreter.code import Code
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.values import ExnInst
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import BlockType, FuncType


def throw(t: Any, s: list[Any], exception: Any) -> Op:
    """Unwind to the innermost handler that catches, or raise UncaughtException (rules Step/throw_ref-…)."""
    while t.handlers:
        depth, height, clauses = t.handlers.pop()
        for tag, passes_reference, drop, tries, code, pc in clauses:
            if tag is not None and tag is not exception.tag:
                continue
            if len(t.frames) > depth:
                t.locals = t.frames[depth][1]
                del t.frames[depth:]
            del s[height - drop :]
            if tag is not None:
                s += exception.payload
            if passes_reference:
                s.append(exception)
            if tries:
                del t.handlers[-tries:]
            return code.at(pc)  # type: ignore[no-any-return]
    if t.segment is not None and t.segment.parent is not None:  # it comes out of a continuation
        parent = t.segment.parent
        t.segment, t.pc = parent, lambda t, s: throw(t, s, exception)
        t.stack, t.locals, t.frames, t.handlers = parent.stack, parent.locals, parent.frames, parent.handlers
        raise Switched
    raise UncaughtException(exception, exception.tag, exception.payload)


@meaning("throw")
def _throw(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    tag = code.instance.tags[instr.args[0]]
    arity = len(tag.signature.params)

    def op(t: Any, s: list[Any]) -> Any:
        first = len(s) - arity
        payload = tuple(s[first:])
        del s[first:]
        return throw(t, s, ExnInst(tag, payload))

    return op


@meaning("throw_ref")
def _throw_ref(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        exception = s.pop()
        if exception is None:
            raise Trap("null exception reference")
        return throw(t, s, exception)

    return op


def _parameters(code: Code, t: BlockType) -> int:
    if t.index is None:
        return 0
    composite = code.instance.types[t.index].composite
    assert isinstance(composite, FuncType)
    return len(composite.params)


@meaning("try_table")
def _try_table(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    block, catches = instr.args
    arity = _parameters(code, block)
    clauses = tuple(
        (
            None if clause.tag is None else code.instance.tags[clause.tag],
            clause.kind.endswith("_ref"),
            branch.drop,
            branch.tries,
            code,
            branch.label.pc,
        )
        for clause, branch in zip(catches, code.side[pc])
    )

    def op(t: Any, s: list[Any]) -> Any:
        t.handlers.append((len(t.frames), len(s) - arity, clauses))
        return following

    return op
