"""Statements: instructions that leave nothing, and so can stand one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from refwasm.strategies import branches, loops, soup
from refwasm.strategies.control import LAST, block, call_of, callee, condition, end, is_nested, opened, sink, values
from refwasm.strategies.leaves import constant
from refwasm.strategies.operands import FLOOR, access, is_safe, risks
from refwasm.strategies.parts import part
from refwasm.strategies.provision import provide
from refwasm.strategies.scope import Candidate
from refwasm.strategies.tables import EFFECTS, WAITS, pairs, stores
from refwasm.syntax.instructions import PLAIN, Form, Instr, instr
from refwasm.syntax.types import I32, I64, ArrayType, DefType, PackedType, RefType, StructType, ValType
from refwasm.validation.matching import unpacked

if TYPE_CHECKING:
    from refwasm.strategies.body import Body


def statement(body: Body, number: int) -> None:
    """Emit a statement of the kind with that number; nothing if there is nothing of the kind here."""
    if not body.is_full:
        kind = _STATEMENTS[number]
        if kind not in _LEAVING:
            body.settle()
        kind(body)


def access_of(body: Body, form: Form) -> bool:
    """Emit an access to a memory; False: no memory is fit for it, and nothing was emitted."""
    safe = not risks(body)
    arg = access(body, form, safe)
    if arg is None:
        return False
    for number, t in enumerate(form.params or ()):
        if number == 1 and form.mnemonic in WAITS:
            body.emit(constant(I64, 0))  # a time-out: nobody else would wake it
        else:
            body.expression(t)
    args: tuple[Any, ...] = (arg,)
    if "lane" in form.immediates:
        args = (arg, body.drawing.below(16 // form.width))
    body.emit(Instr(form, args))
    return True


def _nothing(body: Body) -> None:
    """The simplest statement."""


def _nop(body: Body) -> None:
    body.emit(PLAIN["nop"])


def _set_local(body: Body) -> None:
    found = [i for i in range(len(body.locals)) if body.can_set(i)]
    if not found:
        return drop(body)
    index = body.drawing.pick(found)
    body.expression(body.locals[index])
    body.emit(instr("local.set", index))


def drop(body: Body) -> None:
    """A value of any type that nobody needs."""
    t = body.value_type()
    are_results = body.settle([t])
    body.expression(t)
    body.put_away([t], are_results)


def _store(body: Body) -> None:
    form = body.drawing.pick(stores(body.config.features))
    if form.feature in body.scope.features:
        access_of(body, form)


def _effect(body: Body) -> None:
    """An instruction that changes a global, memory, table, structure or array: the one that was chosen, or one in
    front of it that the module has something for."""
    forms, safe = body.drawing.downwards(EFFECTS), not risks(body)
    for form in forms:
        provide(body.scope, form)
        found = [c for c in body.scope.candidates(form) if not safe or is_safe(body, c)]
        if found:
            return _seen(body, body.drawing.pick(found), safe)


def _seen(body: Body, candidate: Candidate, safe: bool) -> None:
    """Emit an instruction with its operands, and often look at what it has done: what becomes of tables, and of
    structures and arrays that nothing refers to, is seen nowhere else. There, references that it writes are not null,
    which most elements are."""
    instruction, params, results = candidate
    if not body.drawing.below(2):
        body.apply(candidate, safe)
        body.put_away(results, False)
        return
    kept = body.new_local(params[0], hidden=True) if "type" in instruction.form.immediates else None
    tables = instruction.args if instruction.form.immediates == ("table", "table") else instruction.args[-1:]
    is_about_tables = "table" in instruction.form.immediates and "reference-types" in body.scope.features
    if is_about_tables and len(tables) > 1:
        _put_into_table(body, tables[1])
    body.apply((instruction, [_present(body, t) for t in params], results), safe, kept)
    body.put_away(results, False)
    if kept is not None:
        _look_into(body, kept, instruction)
    elif is_about_tables:
        _look_at_table(body, tables[0])


def _present(body: Body, t: ValType) -> ValType:
    """A type without null, if there are such references."""
    return RefType(False, t.heap) if isinstance(t, RefType) and body.scope.constructible(t.heap) else t


def _put_into_table(body: Body, table: int) -> None:
    """Set an element, so that there is something to copy."""
    t = body.scope.context.tables[table]
    if t.limits.minimum:
        body.emit(constant(t.address, body.drawing.below(t.limits.minimum)))
        body.expression(_present(body, t.element))
        body.emit(instr("table.set", table))


def _look_into(body: Body, kept: int, instruction: Instr) -> None:
    """Read the field of a structure, or an element of an array, that is in a local and was changed."""
    t = body.locals[kept]
    assert isinstance(t, RefType) and isinstance(t.heap, DefType)
    composite, index, get = t.heap.composite, body.scope.index(t.heap), instr("local.get", kept)
    if isinstance(composite, ArrayType):
        field, number = composite.field, body.drawing.below(FLOOR)
        body.emit(get, constant(I32, number))
    else:
        assert isinstance(composite, StructType)
        number = instruction.args[1]
        field = composite.fields[number]
        body.emit(get)
    sign = ("_s", "_u")[body.drawing.below(2)] if isinstance(field.storage, PackedType) else ""
    name, where = ("array", (index,)) if isinstance(composite, ArrayType) else ("struct", (index, number))
    body.emit(instr(f"{name}.get{sign}", *where))
    body.keep(unpacked(field.storage))


def _look_at_table(body: Body, table: int) -> None:
    """Whether an element of a table is null: one of the first, or, as often, the last one."""
    t = body.scope.context.tables[table]
    number = body.drawing.below(2 * t.limits.minimum)
    if not t.limits.minimum:
        return
    if number < t.limits.minimum:
        body.emit(constant(t.address, number))
    else:
        part(body, "table.size", f"{t.address.name}.sub")
        body.emit(instr("table.size", table), constant(t.address, 1), PLAIN[f"{t.address.name}.sub"])
    part(body, "table.get")
    body.emit(instr("table.get", table), PLAIN["ref.is_null"])
    body.keep(I32)


def _set_global(body: Body) -> None:
    found = [candidate for candidate in body.scope.candidates(EFFECTS[0]) if is_safe(body, candidate)]
    if found:
        body.apply(body.drawing.choose(found))


def _pair(body: Body) -> None:
    """An instruction that leaves two values."""
    table = pairs(body.config.features)
    form = body.drawing.pick(table) if table else None
    if form is not None and form.feature in body.scope.features:
        results = list(form.results or ())
        are_results = body.settle(results)
        body.apply((PLAIN[form.mnemonic], list(form.params or ()), results))
        if are_results:
            body.put_away(results, are_results)
        else:
            sink(body, results)


def _fence(body: Body) -> None:
    if "threads" in body.scope.features:
        body.emit(PLAIN["atomic.fence"])


def _if(body: Body) -> None:
    if is_nested(body):
        return
    has_other_arm = body.drawing.below(2)
    condition(body)
    block(body, "if", (), ())
    body.statements()
    if has_other_arm:
        body.emit(PLAIN["else"])
        body.statements()
    end(body)


def _block(body: Body) -> None:
    if is_nested(body):
        return
    is_block = opened(body, "block")
    body.statements()
    if is_block:
        end(body)


def _many(body: Body) -> None:
    """A block that takes values and leaves others."""
    if "multi-value" not in body.scope.features or is_nested(body):
        return
    params = [body.value_type() for _ in range(body.drawing.below(3))]
    results = [body.value_type() for _ in range(body.drawing.below(3))]
    values(body, params)
    block(body, ("block", "loop")[body.drawing.below(2)], params, results)
    sink(body, params)
    body.statements(1)
    values(body, results)
    end(body)
    sink(body, results)


def call(body: Body) -> bool:
    """A call whose results are kept or not; False: there is nothing to call. If the body comes first to it, it may be a
    tail call at the end, or its results may become those of the body."""
    index = callee(body, lambda t: True)
    if index is None:
        return False
    is_last = body.drawing.rarely(LAST) and not body.is_settled and "tail-call" in body.scope.features
    results = body.scope.func_type(index).results
    are_results = body.settle(results)
    is_last = is_last and body.results == results
    call_of(body, index, is_last)
    if is_last or are_results:
        body.put_away(results, True)
    else:
        sink(body, results)
    return True


def _call(body: Body) -> None:
    call(body)


def _once_set(body: Body) -> None:
    """A local that has no default value: it is set, and read in the rest of its block only."""
    scope = body.scope
    found: list[ValType] = [RefType(False, heap) for heap in scope.heaps() if scope.constructible(heap)]
    if not found or "function-references" not in scope.features:
        return
    t = body.drawing.pick(found)
    body.expression(t)
    index = body.new_local(t, hidden=True)
    body.emit(instr("local.set", index), instr("local.get", index), PLAIN["drop"])


#: The kinds of statements, the simplest one first; the more often one stands here, the more often it is chosen. Those
#: that have an instruction in common are neighbours: the shrinker counts down from the larger one.
#: (Besides, each kind of expression is one, with its value put away.)
_STATEMENTS: tuple[Callable[[Body], None], ...] = (
    _nothing, *[_set_local] * 8, *[_set_global] * 4, *[_store] * 10, *[_effect] * 16, *[_call] * 7, *[_pair] * 4,
    *[_block] * 4, *[_if] * 7, *[_many] * 4, *[branches.leave] * 4, *[loops.loop] * 4, *[loops.counted] * 8,
    *[branches.leave] * 3, *[branches.out] * 4, *[branches.table] * 4, *[branches.switch] * 4,
    *[branches.on_null] * 4, branches.throwing, *[branches.try_table] * 4, *[_nop] * 2, *[_fence] * 2, *[_once_set] * 3,
    *[soup.statement] * 4, drop,
)  # fmt: skip
#: What is a statement of its own where no value is asked for, by the number of its kind among the expressions of
#: :func:`refwasm.strategies.control.expression`.
STRUCTURED = {2: _if, 3: _block, 4: loops.loop}
#: The first of these may become the function's results; any other statement that comes first settles that there are
#: none.
_LEAVING = frozenset({_nothing, drop, _pair, _call})
#: How many numbers stand for statements.
KINDS = len(_STATEMENTS)
#: The number of those that others are made of.
LEAVE, OUT, THROW = (_STATEMENTS.index(kind) for kind in (branches.leave, branches.out, branches.throwing))
SET_GLOBAL, IF, TABLE = (_STATEMENTS.index(kind) for kind in (_set_global, _if, branches.table))
