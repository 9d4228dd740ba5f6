"""Rewrites of a given module: such that keep its meaning, for metamorphic tests, and any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm.oracle.closing import signature
from refwasm.strategies.breaches import with_function, with_type
from refwasm.strategies.calls import AnyModule, drawn
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.leaves import constant, number
from refwasm.strategies.modules import DrawnModule
from refwasm.syntax.instructions import END, FORMS, PLAIN, Form, Instr, instr
from refwasm.syntax.modules import Custom, Data, Func, Global, Module, subtypes
from refwasm.syntax.types import I32, I64, BlockType, FuncType, GlobalType, NumType, SubType

#: A rewrite of a module; None where there is nothing for it.
Make = Callable[[Drawing, Module], "Module | None"]


class Mutation(DrawnModule):
    """A module that was made of another one; ``applied`` names the rewrites, in order."""

    def __init__(self, module: Module, applied: Sequence[str]) -> None:
        super().__init__(module)
        self.applied = tuple(applied)

    def __repr__(self) -> str:
        return "".join(f";; {name}\n" for name in self.applied) + super().__repr__()


class Rewrite(NamedTuple):
    """A kind of rewrite."""

    name: str
    make: Make


@st.composite
def mutations(draw: DrawFn, module: AnyModule, preserving: bool = True, max_mutations: int = 4) -> Mutation:
    """Modules made of a given one by some rewrites. With ``preserving``, every export does what it did (but for the
    depth of the stack and open NaNs); without, anything may change but the module stays valid."""
    drawing, current = Drawing(draw), drawn(module).module
    known = PRESERVING if preserving else CHANGING
    applied: list[str] = []
    for number_ in draw(st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=max_mutations)):
        rewrite = known[number_]
        changed = rewrite.make(drawing, current)
        if changed is not None:
            current, applied = changed._replace(digest=b"", branch_hints=()), [*applied, rewrite.name]
    return Mutation(current, applied)


# ---- places ---------------------------------------------------------------------------------------------------------


def _with_body(module: Module, number: int, body: Sequence[Instr], locals: tuple[Any, ...] = ()) -> Module:
    func = module.funcs[number]
    changed = Func(func.type, (*func.locals, *locals), tuple(body))
    return module._replace(funcs=(*module.funcs[:number], changed, *module.funcs[number + 1 :]))


def _place(drawing: Drawing, module: Module, wanted: Callable[[Instr], bool]) -> tuple[int, int] | None:
    """A function and an instruction of a kind in it."""
    found = [(f, i) for f, func in enumerate(module.funcs) for i, x in enumerate(func.body) if wanted(x)]
    return drawing.pick(found) if found else None


def _result(form: Form) -> NumType | None:
    """The number type of the one value that an instruction leaves, whatever the context; None: there is none."""
    if form.results is None or len(form.results) != 1 or not isinstance(form.results[0], NumType):
        return None
    return form.results[0]


def _is_number(instruction: Instr) -> bool:
    return _result(instruction.form) is not None


def _replaced(module: Module, place: tuple[int, int], new: Sequence[Instr], locals: tuple[Any, ...] = ()) -> Module:
    """The module with other instructions in the place of one."""
    number, index = place
    body = module.funcs[number].body
    return _with_body(module, number, (*body[:index], *new, *body[index + 1 :]), locals)


def _new_local(module: Module, number: int) -> int:
    """The index of another local of a function."""
    func = module.funcs[number]
    return len(signature(subtypes(module), func.type).params) + sum(count for count, _ in func.locals)


# ---- rewrites that keep the meaning ---------------------------------------------------------------------------------


def _nop(drawing: Drawing, module: Module) -> Module | None:
    place = _place(drawing, module, lambda x: True)
    return _replaced(module, place, [PLAIN["nop"], module.funcs[place[0]].body[place[1]]]) if place else None


def _dropped(drawing: Drawing, module: Module) -> Module | None:
    place = _place(drawing, module, lambda x: True)
    if place is None:
        return None
    t = drawing.pick((I32, I64))
    here = module.funcs[place[0]].body[place[1]]
    return _replaced(module, place, [constant(t, number(drawing, t)), PLAIN["drop"], here])


#: Pairs of integer instructions that undo each other with the same operand.
_UNDONE = (("add", "sub"), ("sub", "add"), ("xor", "xor"), ("rotl", "rotr"), ("rotr", "rotl"))
#: Integer instructions that change nothing with this operand.
_NEUTRAL = (("add", 0), ("or", 0), ("and", -1), ("mul", 1), ("shl", 0), ("shr_s", 0), ("xor", 0), ("div_u", 1))


def _undone(drawing: Drawing, module: Module) -> Module | None:
    """An integer, changed and changed back."""
    place = _place(drawing, module, lambda x: _result(x.form) in (I32, I64))
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    t = _result(here.form)
    assert t is not None
    amount, (there, back) = constant(t, number(drawing, t)), drawing.pick(_UNDONE)
    return _replaced(module, place, [here, amount, PLAIN[f"{t.name}.{there}"], amount, PLAIN[f"{t.name}.{back}"]])


def _neutral(drawing: Drawing, module: Module) -> Module | None:
    place = _place(drawing, module, lambda x: _result(x.form) in (I32, I64))
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    t, (name, value) = _result(here.form), drawing.pick(_NEUTRAL)
    assert t is not None
    return _replaced(module, place, [here, constant(t, value & (1 << t.bits) - 1), PLAIN[f"{t.name}.{name}"]])


_THERE_AND_BACK = {
    "i32": ("i64.extend_i32_u", "i32.wrap_i64"), "i64": ("f64.reinterpret_i64", "i64.reinterpret_f64"),
    "f32": ("i32.reinterpret_f32", "f32.reinterpret_i32"), "f64": ("i64.reinterpret_f64", "f64.reinterpret_i64"),
    "v128": ("v128.not", "v128.not"),
}  # fmt: skip


def _converted(drawing: Drawing, module: Module) -> Module | None:
    """A number, converted without loss and back."""
    place = _place(drawing, module, _is_number)
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    t = _result(here.form)
    assert t is not None
    return _replaced(module, place, [here, *(PLAIN[name] for name in _THERE_AND_BACK[t.name])])


def _kept(drawing: Drawing, module: Module) -> Module | None:
    """A number, kept in a new local and read again."""
    place = _place(drawing, module, _is_number)
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    index, t = _new_local(module, place[0]), _result(here.form)
    kept = [instr("local.set", index), instr("local.get", index)]
    new = [here, *kept] if drawing.below(2) else [here, instr("local.tee", index)]
    return _replaced(module, place, new, ((1, t),))


def _is_constant(instruction: Instr) -> bool:
    return _is_number(instruction) and not instruction.form.params and not instruction.form.takes_address


def _in_block(drawing: Drawing, module: Module) -> Module | None:
    """A constant in a block, a loop, or both arms of an ``if``."""
    place = _place(drawing, module, _is_constant)
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    t = BlockType(None, _result(here.form))
    kind = drawing.pick(("block", "loop", "if"))
    if kind == "if":
        decides = constant(I32, number(drawing, I32))
        return _replaced(module, place, [decides, instr("if", t), here, PLAIN["else"], here, END])
    return _replaced(module, place, [instr(kind, t), here, END])


def _sum(drawing: Drawing, module: Module) -> Module | None:
    """An integer constant as a sum."""
    place = _place(drawing, module, lambda x: x.form.mnemonic in ("i32.const", "i64.const"))
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    t = _result(here.form)
    assert t is not None
    part = number(drawing, t)
    rest = (here.args[0] - part) & (1 << t.bits) - 1
    return _replaced(module, place, [constant(t, rest), constant(t, part), PLAIN[f"{t.name}.add"]])


def _truth(drawing: Drawing, module: Module) -> Module | None:
    """A condition as 0 or 1."""
    place = _place(drawing, module, lambda x: x.form.mnemonic in ("if", "br_if", "select"))
    if place is None:
        return None
    here = module.funcs[place[0]].body[place[1]]
    return _replaced(module, place, [PLAIN["i32.eqz"], PLAIN["i32.eqz"], here])


def _unused_function(drawing: Drawing, module: Module) -> Module:
    t = drawing.pick((I32, I64))
    return with_function(module, [constant(t, number(drawing, t))], results=[t])


def _unused_type(drawing: Drawing, module: Module) -> Module:
    return with_type(module, SubType(True, (), FuncType((I64,) * drawing.below(4), (I32,))))


def _unused_global(drawing: Drawing, module: Module) -> Module:
    found = Global(GlobalType(I32, True), (constant(I32, number(drawing, I32)), END))
    return module._replace(globals=(*module.globals, found))


def _unused_data(drawing: Drawing, module: Module) -> Module | None:
    """Only modules that use passive segments anyway get another one."""
    if module.data_count is None:
        return None
    datas = (*module.datas, Data(bytes(drawing.below(9)), "passive"))
    return module._replace(datas=datas, data_count=len(datas))


def _custom(drawing: Drawing, module: Module) -> Module:
    return module._replace(customs=(*module.customs, Custom("refwasm", bytes(drawing.below(9)), 0)))


PRESERVING = (
    Rewrite("nop somewhere", _nop), Rewrite("a constant dropped", _dropped), Rewrite("changed and back", _undone),
    Rewrite("a neutral operand", _neutral), Rewrite("converted and back", _converted),
    Rewrite("kept in a local", _kept), Rewrite("a constant in a block", _in_block),
    Rewrite("a constant as a sum", _sum), Rewrite("a condition as 0 or 1", _truth),
    Rewrite("a function that nobody calls", _unused_function), Rewrite("a type that nobody uses", _unused_type),
    Rewrite("a global that nobody uses", _unused_global), Rewrite("a segment that nobody uses", _unused_data),
    Rewrite("a custom section", _custom),
)  # fmt: skip

# ---- others ---------------------------------------------------------------------------------------------------------


def _other_constant(drawing: Drawing, module: Module) -> Module | None:
    place = _place(drawing, module, lambda x: x.form.is_const)
    if place is None:
        return None
    t = _result(module.funcs[place[0]].body[place[1]].form)
    assert t is not None
    return _replaced(module, place, [constant(t, number(drawing, t))])


def _alike(form: Form) -> list[Form]:
    """The forms without immediates that take and leave the same types."""
    return [
        f for f in FORMS.values()
        if not f.immediates and f.params and f.params == form.params and f.results == form.results
        and f.feature == form.feature
    ]  # fmt: skip


def _other_instruction(drawing: Drawing, module: Module) -> Module | None:
    place = _place(drawing, module, lambda x: not x.form.immediates and len(_alike(x.form)) > 1)
    if place is None:
        return None
    form = module.funcs[place[0]].body[place[1]].form
    return _replaced(module, place, [PLAIN[drawing.pick(_alike(form)).mnemonic]])


def _emptied(drawing: Drawing, module: Module) -> Module | None:
    """A body that traps at once."""
    if not module.funcs:
        return None
    return _with_body(module, drawing.below(len(module.funcs)), (PLAIN["unreachable"], END))


def _less_exported(drawing: Drawing, module: Module) -> Module | None:
    if not module.exports or not _undeclared(module):
        return None
    index = drawing.below(len(module.exports))
    return module._replace(exports=module.exports[:index] + module.exports[index + 1 :])


def _undeclared(module: Module) -> bool:
    """Whether no function must be exported to be declared."""
    return not any(x.form.mnemonic == "ref.func" for func in module.funcs for x in func.body)


def _other_data(drawing: Drawing, module: Module) -> Module | None:
    if not module.datas:
        return None
    index = drawing.below(len(module.datas))
    data = module.datas[index]
    changed = data._replace(init=bytes((b + 1) & 0xFF for b in data.init))
    return module._replace(datas=(*module.datas[:index], changed, *module.datas[index + 1 :]))


CHANGING = (
    Rewrite("another constant", _other_constant), Rewrite("another instruction", _other_instruction),
    Rewrite("a body that traps", _emptied), Rewrite("an export less", _less_exported),
    Rewrite("other data", _other_data), *PRESERVING,
)  # fmt: skip
