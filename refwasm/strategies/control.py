"""Structured instructions and calls that leave a value, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from refwasm.strategies.leaves import constant
from refwasm.strategies.operands import risks
from refwasm.strategies.parts import part
from refwasm.syntax.instructions import END, FORMS, PLAIN, instr
from refwasm.syntax.types import F32, F64, I32, I64, V128, DefType, FuncType, NumType, RefType, ValType
from refwasm.validation.matching import is_defaultable, match_ref_type, match_val_type, top_of

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

#: Comparisons of two numbers, by type.
_COMPARISONS = {
    t: [f for f in FORMS.values() if f.is_relation and f.params == [t, t]] for t in (I32, I64, F32, F64)
}  # fmt: skip


def condition(body: Body) -> None:
    """Emit an i32 that decides something. It is an expression of its own, which the shrinker can put in the place of
    whatever depends on it."""
    body.goal = I32
    body.drawing.draw(body.kit.condition)


def comparison(body: Body, goal: ValType) -> bool:
    """Emit an i32, mostly by a comparison, which is as often false as true. Half of these are about a local: other
    values, and locals that are not parameters, are often the same in all calls. Another number is as any."""
    if goal is not I32:
        return body.numeric(goal)
    found = [i for i in range(len(body.locals)) if i not in body.hidden]
    if body.drawing.below(2) and found:
        index = body.drawing.choose(found)
        t = body.locals[index]
        body.emit(instr("local.get", index))
    else:
        t = body.value_type()
        body.expression(t)
    is_compared = body.drawing.below(2)  # decided for any type, so that what is drawn fits other types too
    if isinstance(t, RefType):
        body.emit(PLAIN["ref.is_null"])
    elif t is V128:
        body.emit(PLAIN["v128.any_true"])
    elif t is not I32 or is_compared:
        body.expression(t)
        body.emit(PLAIN[body.drawing.pick(_COMPARISONS[t]).mnemonic])
    return True


def tick(body: Body) -> None:
    """Make the condition on the stack false if there is no fuel left, and use some."""
    fuel = body.scope.fuel
    if fuel is None:
        return
    part(body, "select", "i32.ne", "i32.sub", "global.get", "global.set")
    get = instr("global.get", fuel)
    body.emit(constant(I32, 0), get, PLAIN["select"])
    body.emit(get, get, constant(I32, 0), PLAIN["i32.ne"], PLAIN["i32.sub"], instr("global.set", fuel))


def goes_back(body: Body, ever: bool) -> None:
    """Emit a condition to go back to the head of a loop: one that counts fuel, or one that never holds."""
    if ever:
        condition(body)
        tick(body)
    else:
        body.emit(constant(I32, 0))


def is_nested(body: Body) -> bool:
    """Whether another block would be too deep."""
    return len(body.labels) > body.config.limits.nesting


def block(body: Body, opener: str, params: Sequence[ValType], results: Sequence[ValType], *clauses: object) -> None:
    """Open a block: what it carries is pushed as a label."""
    from refwasm.strategies.body import Label

    body.emit(instr(opener, body.scope.block_type(params, results), *clauses))
    body.labels.append(Label(params if opener == "loop" else results, opener == "loop"))


def opened(body: Body, opener: str, results: Sequence[ValType] = ()) -> bool:
    """Open a block that takes nothing, or not: then what would be in it stands alone, which is simpler."""
    if not body.drawing.below(_BARE):
        return False
    block(body, opener, (), results)
    return True


def end(body: Body) -> None:
    """Close the innermost block."""
    body.labels.pop()
    body.emit(END)


# ---- expressions ----------------------------------------------------------------------------------------------------


#: How many kinds of such expressions there are, and the numbers of two.
KINDS, SELECT, TEE = 8, 0, 1
#: One call of so many may be the last thing that a function does.
LAST = 3
#: One block of so many is none: what would be in it stands alone.
_BARE = 16


def expression(body: Body, goal: ValType, kind: int | None = None) -> bool:
    """A value by way of a structured instruction, ``select`` or ``local.tee``: of the ``kind``, if that is known."""
    if kind is None:
        kind = body.drawing.below(KINDS)
    if kind == SELECT or is_nested(body):
        _select(body, goal)
    elif kind == TEE:
        return _tee(body, goal)
    elif kind == 2:
        _if(body, goal)
    elif kind in (3, 4):
        is_block = opened(body, "block" if kind == 3 else "loop", [goal])
        body.statements(1)
        body.expression(goal)
        if is_block:
            end(body)
    elif kind == 5:
        return _leaving(body, goal)
    else:
        return by_reference(body, goal)
    return True


def _select(body: Body, goal: ValType) -> None:
    body.expression(goal)
    body.expression(goal)
    condition(body)
    if isinstance(goal, NumType) and (body.drawing.below(2) == 0 or "reference-types" not in body.scope.features):
        body.emit(PLAIN["select"])
    else:
        body.emit(instr("select t", (body.scope.open(goal),)))


def _tee(body: Body, goal: ValType) -> bool:
    found = [i for i in body.locals_of(goal) if body.can_set(i)]
    if not found and not is_defaultable(goal):
        return False
    index = body.drawing.pick(found) if found else body.new_local(goal)
    body.expression(body.locals[index])
    body.emit(instr("local.tee", index))
    return True


def _if(body: Body, goal: ValType) -> None:
    body.drawing.none(2, made=1)  # a statement has the other arm or not
    condition(body)
    block(body, "if", (), [goal])
    body.statements(1)
    body.expression(goal)
    body.emit(PLAIN["else"])
    body.expression(goal)
    end(body)


def _leaving(body: Body, goal: ValType) -> bool:
    """A block that is left early with the value, or not."""
    is_block = opened(body, "block", [goal])
    body.drawing.draw(body.kit.leave)
    body.statements(1)
    body.expression(goal)
    if is_block:
        end(body)
    return True


def by_reference(body: Body, goal: ValType) -> bool:
    """A value that depends on what a reference refers to: whether it is null, or its type."""
    scope = body.scope
    if goal is I32 and scope.nullable():
        body.expression(body.drawing.pick(scope.nullable()))
        body.emit(PLAIN["ref.is_null"])
        return True
    if not isinstance(goal, RefType) or "function-references" not in scope.features:
        return False
    if body.drawing.below(2) == 0 or top_of(goal.heap) == "exn" or "gc" not in scope.features:
        return _non_null(body, goal)
    return _cast(body, goal)


def _non_null(body: Body, goal: RefType) -> bool:
    if body.scope.constructible(goal.heap):
        goal = RefType(False, goal.heap)
    elif not goal.nullable:
        return False
    block(body, "block", (), [goal])
    body.expression(RefType(True, goal.heap))
    body.emit(instr("br_on_non_null", 0))
    body.expression(goal)
    end(body)
    return True


def _cast(body: Body, goal: RefType) -> bool:
    """A reference of a wider type, if it is of the goal's; or else another one."""
    scope = body.scope
    top = RefType(True, top_of(goal.heap))
    if not goal.nullable and not scope.constructible(goal.heap):
        return False
    if match_ref_type(top, goal) and body.drawing.below(2):
        narrow = body.drawing.pick([t for t in scope.nullable() if match_val_type(t, top)])
        assert isinstance(narrow, RefType)
        block(body, "block", (), [top])
        body.expression(top)
        body.emit(instr("br_on_cast_fail", 0, scope.open(top), scope.open(narrow)), PLAIN["drop"])
        body.expression(top)
    else:
        block(body, "block", (), [goal])
        body.expression(top)
        body.emit(instr("br_on_cast", 0, scope.open(top), scope.open(goal)), PLAIN["drop"])
        body.expression(goal)
    end(body)
    return True


# ---- calls ----------------------------------------------------------------------------------------------------------


def callee(body: Body, fits: Callable[[FuncType], bool], itself: bool = True) -> int | None:
    """A function that a body may call and whose type fits; None: there is none. If it has to count fuel when it calls
    ``itself``, it does so seldom, and only if there is another function, which is simpler.

    The same choices are made wherever something is called, so that one call can stand in the place of another."""
    count, calls_itself = body.scope.callable(), body.drawing.rarely(8) and itself
    if body.is_declared and body.scope.fuel is not None and not (calls_itself and count > 1):
        count -= 1
    found = [i for i in range(count) if fits(body.scope.func_type(i))]
    return body.drawing.choose(found) if found else None


def call(body: Body, goal: ValType) -> bool:
    """A call of another function with one result; False: there is none."""
    index = callee(body, lambda t: len(t.results) == 1 and match_val_type(t.results[0], goal), itself=False)
    if index is None:
        return False
    body.drawing.rarely(LAST)
    call_of(body, index)
    return True


def call_of(body: Body, index: int, tail: bool = False) -> None:
    """Emit a call of a function, in one of the ways that there are. All choices come before those of the arguments: the
    shrinker takes away a parameter, and what is left behind of its argument decides nothing here."""
    scope, prefix = body.scope, "return_" if tail else ""
    deftype, way = scope.context.funcs[index], body.drawing.below(8)
    is_risky = way > 4 and risks(body)
    slot = scope.slot(index) if way in (5, 6) else None
    if slot is not None and is_risky:
        slot = _any_slot(body, deftype)
    if slot is not None or way == 7:
        part(body, "i32.eqz", "return")  # what a function has that may call itself
    values(body, body.scope.func_type(index).params)
    if slot is not None:
        body.emit(constant(I32, slot))
        body.emit(instr(f"{prefix}call_indirect", scope.index(deftype), scope.call_table))
    elif way == 7 and "function-references" in scope.features:
        body.expression(RefType(is_risky, deftype))
        body.emit(instr(f"{prefix}call_ref", scope.index(deftype)))
    else:
        body.emit(instr(f"{prefix}call", index))


def _any_slot(body: Body, deftype: DefType) -> int:
    """A slot of a function of another type; or that of any function, of null, or none at all."""
    scope = body.scope
    others = [i for i in range(scope.callable()) if scope.context.funcs[i] is not deftype]
    k = body.drawing.below(len(scope.slots) + 3)
    found = scope.slot(body.drawing.pick(others)) if not k and others else None
    return max(k - 1, 0) if found is None else found


def values(body: Body, types: Iterable[ValType]) -> None:
    """Emit an expression for each type."""
    for t in types:
        body.expression(t)


def sink(body: Body, types: Sequence[ValType]) -> None:
    """Take values off the stack: into locals, or elsewhere."""
    for t in reversed(types):
        found = [i for i, known in enumerate(body.locals) if body.can_set(i) and match_val_type(t, known)]
        if found and body.drawing.below(4):
            body.emit(instr("local.set", body.drawing.pick(found)))
        else:
            body.keep(t)
