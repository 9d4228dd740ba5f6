"""Typing rules of continuations (stack-switching proposal, "Instructions").

The side table has for each handler of a resumption a branch with the type of the continuation that it gets, or None for
a switch.
"""

from __future__ import annotations

from refwasm.errors import Invalid
from refwasm.syntax.instructions import Instr, On
from refwasm.syntax.types import DefType, FuncType, RefType
from refwasm.validation.context import Context
from refwasm.validation.instructions.rule import InstrType, rule, typed
from refwasm.validation.matching import match_composite_type, match_result_type
from refwasm.validation.stacks import Branch, Stacks, Types

#: What is branched to at a suspension, and the type of the continuation that is passed.
Handler = tuple[Branch, DefType]


@typed("cont.new")
def _cont_new(c: Context, i: Instr) -> InstrType:
    deftype, _ = c.continuation(i.args[0])
    return [RefType(True, deftype.composite.func)], [RefType(False, deftype)]  # type: ignore[union-attr]


@typed("cont.bind")
def _cont_bind(c: Context, i: Instr) -> InstrType:
    (source, before), (target, after) = (c.continuation(index) for index in i.args)
    bound = len(before.params) - len(after.params)
    if bound < 0 or not match_composite_type(FuncType(before.params[bound:], before.results), after):
        raise Invalid(f"type mismatch in continuation types: {before!r} can't become {after!r}")
    return [*before.params[:bound], RefType(True, source)], [RefType(False, target)]


@typed("suspend")
def _suspend(c: Context, i: Instr) -> InstrType:
    tag = c.tag(i.args[0])
    return list(tag.params), list(tag.results)


@rule("resume")
def _resume(v: Stacks, i: Instr) -> None:
    deftype, left = v.context.continuation(i.args[0])
    v.pop(RefType(True, deftype))
    v.pop_all(left.params)
    _resumed(v, i.args[1], left.results)


@rule("resume_throw")
def _resume_throw(v: Stacks, i: Instr) -> None:
    deftype, left = v.context.continuation(i.args[0])
    tag = v.context.exception_tag(i.args[1])
    v.pop(RefType(True, deftype))
    v.pop_all(tag.params)
    _resumed(v, i.args[2], left.results)


@rule("resume_throw_ref")
def _resume_throw_ref(v: Stacks, i: Instr) -> None:
    deftype, left = v.context.continuation(i.args[0])
    v.pop(RefType(True, deftype))
    v.pop(RefType(True, "exn"))
    _resumed(v, i.args[1], left.results)


def _resumed(v: Stacks, handlers: tuple[On, ...], results: Types) -> None:
    """Check the handlers, at the height that they branch from; then there are the results."""
    v.side[v.pc] = tuple(_handler(v, clause, results) for clause in handlers)
    v.operands += results


def _handler(v: Stacks, clause: On, results: Types) -> Handler | None:
    tag = v.context.tag(clause.tag)
    if clause.label is None:
        if tag.params or tag.results != results:
            raise Invalid(f"type mismatch in switch tag {clause.tag}: it is {tag!r}")
        return None
    target = v.target(clause.label)
    *payload, passed = target.label_types or (None,)
    if not isinstance(passed, RefType) or isinstance(passed.heap, str):
        have = " ".join(map(repr, target.label_types))
        raise Invalid(
            f"type mismatch: instruction requires concrete continuation reference type but label has [{have}]"
        )
    after = v.context.continued(passed.heap, clause_type(v, passed))
    if not match_result_type(tag.params, tuple(payload)):
        raise Invalid(f"type mismatch in handler: tag {clause.tag} is {tag!r}, the label takes {payload!r}")
    left = FuncType(tag.results, results)
    if not match_composite_type(left, after):
        raise Invalid(f"type mismatch in handler: the continuation is {left!r}, the label takes {after!r}")
    branch = v.branch(target, 0)._replace(arity=len(target.label_types))
    assert isinstance(passed.heap, DefType)
    return branch, passed.heap


def clause_type(v: Stacks, t: RefType) -> object:
    """What messages call the heap type of a label: its index, where it has one."""
    return v.context.space.types.index(t.heap) if isinstance(t.heap, DefType) else t.heap


@typed("switch")
def _switch(c: Context, i: Instr) -> InstrType:
    deftype, target = c.continuation(i.args[0])
    tag = c.tag(i.args[1])
    *params, last = target.params or (None,)
    if not isinstance(last, RefType):
        raise Invalid("type mismatch in switch: the continuation takes no continuation last")
    back = c.continued(last.heap)
    fits = not tag.params and match_result_type(target.results, tag.results)
    if not fits or not match_result_type(tag.results, back.results):
        raise Invalid(f"type mismatch in switch tag {i.args[1]}: it is {tag!r}")
    return [*params, RefType(True, deftype)], list(back.params)
