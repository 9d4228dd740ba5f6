"""Continuations (stack-switching proposal): an agent's execution as a chain of segments.

An agent executes one *segment*: operands, frames, locals, handlers of exceptions. ``resume`` puts it aside as the
parent of the continuation's segment, with the handlers (the *prompt*) that stand between them. A suspension cuts the
chain at the prompt that handles its tag; what was cut off is the new continuation. Nothing is copied.

Each segment has an operand stack of its own, so the hot loop, which holds on to the stack, must begin again: closures
that change the segment raise :class:`.agent.Switched`, with ``agent.pc`` set to where execution goes on.
"""

from __future__ import annotations

from typing import Any, NoReturn

from refwasm.errors import Exhaustion, Suspension, Trap
from refwasm.execution.interpreter.agent import Segment, Switched
from refwasm.execution.interpreter.code import Code, code_of
from refwasm.execution.interpreter.exceptions import throw
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.store import AnyFunc, HostFunc, TagInst
from refwasm.execution.values import ContInst, ExnInst
from refwasm.syntax.instructions import Instr, On
from refwasm.syntax.types import DefType, FuncType, RefType

NULL, CONSUMED, NULL_FUNC = (
    "null continuation reference", "continuation already consumed", "null function reference",
)  # fmt: skip
UNHANDLED = "unhandled tag"


def _aside(t: Any, s: list[Any], pc: Op, place: int) -> Segment:
    """What the agent executes, put aside: it goes on at ``pc``. ``place`` is the index of the instruction, for
    backtraces."""
    segment: Segment = t.segment or Segment()
    segment.stack, segment.locals, segment.frames, segment.handlers = s, t.locals, t.frames, t.handlers
    segment.pc, segment.place = pc, place
    return segment


def enter(t: Any, segment: Segment, pc: Op) -> NoReturn:
    """Execute a segment, from ``pc`` on."""
    t.segment, t.pc = segment, pc
    t.stack, t.locals, t.frames, t.handlers = segment.stack, segment.locals, segment.frames, segment.handlers
    raise Switched


def _returned(t: Any, s: list[Any]) -> Any:
    """The function of a continuation has returned: its results go to whoever resumed it."""
    parent = t.segment.parent
    parent.stack += s
    enter(t, parent, parent.pc)


def _started(func: AnyFunc) -> Segment:
    """A segment about to call a function; the arguments will be its operands."""
    segment = Segment()

    def start(t: Any, s: list[Any]) -> Any:
        if isinstance(func, HostFunc):
            s[:] = func.function(*s)
            return _returned
        code = code_of(func)
        t.frames.append((_returned, [], code, 0))
        t.locals = [*s, *code.zeros]
        del s[:]
        return code.entry

    segment.pc = start
    return segment


def _taken(continuation: ContInst | None) -> tuple[Segment, Segment]:
    """The innermost and the outermost segment of a continuation, which is consumed; bound arguments are operands."""
    if continuation is None:
        raise Trap(NULL)
    if continuation.rest is None:
        raise Trap(CONSUMED)
    inner, outer = continuation.rest
    continuation.rest = None
    inner.stack += continuation.bound
    return inner, outer


def _popped(s: list[Any], count: int) -> list[Any]:
    first = len(s) - count
    values = s[first:]
    del s[first:]
    return values


def _left(deftype: DefType) -> FuncType:
    """The function type of a continuation type."""
    func = deftype.composite.func  # type: ignore[union-attr]
    assert isinstance(func, DefType) and isinstance(func.composite, FuncType)
    return func.composite


@meaning("cont.new")
def _cont_new(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    deftype = code.instance.types[instr.args[0]]

    def op(t: Any, s: list[Any]) -> Any:
        func = s[-1]
        if func is None:
            raise Trap(NULL_FUNC)
        segment = _started(func)
        s[-1] = ContInst(deftype, (segment, segment))
        return following

    return op


@meaning("cont.bind")
def _cont_bind(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    source, target = (code.instance.types[index] for index in instr.args)
    count = len(_left(source).params) - len(_left(target).params)

    def op(t: Any, s: list[Any]) -> Any:
        rest = _taken(s.pop())
        s.append(ContInst(target, rest, _popped(s, count)))
        return following

    return op


Prompt = dict[tuple[TagInst, bool], Any]


def _prompt(code: Code, handlers: tuple[On, ...], pc: int) -> Prompt:
    """Handlers by tag and whether they are for switches; of several for one, the first counts."""
    found: Prompt = {}
    for clause, handler in zip(handlers, code.side[pc]):
        found.setdefault((code.instance.tags[clause.tag], clause.label is None), handler and (code, *handler))
    return found


def _resume(t: Any, s: list[Any], rest: tuple[Segment, Segment], prompt: Prompt, following: Op, pc: int) -> Segment:
    """Put the agent's segment aside, as the parent of a continuation's; gives the segment to enter."""
    inner, outer = rest
    parent = _aside(t, s, following, pc)
    outer.parent, outer.prompt, outer.depth = parent, prompt, parent.depth + len(parent.frames) + 1
    if outer.depth > t.store.settings.call_depth:
        raise Exhaustion("call stack exhausted")
    return inner


@meaning("resume")
def _resume_op(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    count = len(_left(code.instance.types[instr.args[0]]).params)
    prompt = _prompt(code, instr.args[1], pc)

    def op(t: Any, s: list[Any]) -> Any:
        rest = _taken(s.pop())
        rest[0].stack += _popped(s, count)
        inner = _resume(t, s, rest, prompt, following, pc)
        enter(t, inner, inner.pc)

    return op


@meaning("resume_throw", "resume_throw_ref")
def _resume_throw(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    prompt = _prompt(code, instr.args[-1], pc)
    tag = None if "tag" not in instr.form.immediates else code.instance.tags[instr.args[1]]
    count = 0 if tag is None else len(tag.signature.params)

    def op(t: Any, s: list[Any]) -> Any:
        rest = _taken(s.pop())
        exception = s.pop() if tag is None else ExnInst(tag, tuple(_popped(s, count)))
        if exception is None:
            raise Trap("null exception reference")
        inner = _resume(t, s, rest, prompt, following, pc)
        enter(t, inner, lambda t, s: throw(t, s, exception))

    return op


def _handling(t: Any, tag: TagInst, switches: bool) -> Segment:
    """The outermost segment below the nearest prompt that handles a tag; Suspension if there is none."""
    segment: Segment | None = t.segment
    while segment is not None and segment.parent is not None:
        if (tag, switches) in segment.prompt:
            return segment
        segment = segment.parent
    raise Suspension(UNHANDLED)


@meaning("suspend")
def _suspend(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    tag = code.instance.tags[instr.args[0]]
    count = len(tag.signature.params)

    def op(t: Any, s: list[Any]) -> Any:
        outer = _handling(t, tag, False)
        values = _popped(s, count)
        inner = _aside(t, s, following, pc)
        parent = outer.parent
        assert parent is not None
        to, branch, deftype = outer.prompt[tag, False]
        outer.parent, outer.prompt = None, {}
        if branch.drop:
            del parent.stack[-branch.drop :]
        if branch.tries:
            del parent.handlers[-branch.tries :]
        parent.stack += values
        parent.stack.append(ContInst(deftype, (inner, outer)))
        enter(t, parent, to.at(branch.label.pc))

    return op


@meaning("switch")
def _switch(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    target, tag = _left(code.instance.types[instr.args[0]]), code.instance.tags[instr.args[1]]
    last = target.params[-1]
    assert isinstance(last, RefType) and isinstance(last.heap, DefType)
    count, back = len(target.params) - 1, last.heap

    def op(t: Any, s: list[Any]) -> Any:
        continuation = s.pop()
        if continuation is None:
            raise Trap(NULL)
        if continuation.rest is None:
            raise Trap(CONSUMED)
        outer = _handling(t, tag, True)
        values = _popped(s, count)
        here = _aside(t, s, following, pc)
        parent, prompt, depth = outer.parent, outer.prompt, outer.depth
        outer.parent, outer.prompt = None, {}
        inner, last = _taken(continuation)
        last.parent, last.prompt, last.depth = parent, prompt, depth
        inner.stack += [*values, ContInst(back, (here, outer))]
        enter(t, inner, inner.pc)

    return op
