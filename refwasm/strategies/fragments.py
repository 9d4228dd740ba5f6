"""Parts of modules, for tests of a single pass: expressions and bodies in a context, constant expressions, single
instructions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn

from refwasm.strategies.body import Body
from refwasm.strategies.calls import AnyModule, drawn
from refwasm.strategies.configuration import Configuration, Features, Limits, configuration
from refwasm.strategies.definitions import constant_expression
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.functions import declared_locals
from refwasm.strategies.kit import kit_for
from refwasm.strategies.leaves import constant
from refwasm.strategies.modules import DrawnModule
from refwasm.strategies.scope import Scope
from refwasm.strategies.values import value_type
from refwasm.syntax.instructions import END, FORMS, Catch, Form, Instr, MemArg
from refwasm.syntax.modules import Elem, Export, Expr, Func, Global
from refwasm.syntax.types import (
    EMPTY_BLOCK,
    FUNCREF,
    HEAP_TYPES,
    I32,
    NUM_TYPES,
    BlockType,
    FuncType,
    GlobalType,
    MemType,
    RefType,
    TableType,
    ValType,
)
from refwasm.text.printer import instruction

#: The name under which a fragment's function is exported; with a number behind it where the context has that name.
NAME = "fragment"


class Fragment:
    """The instructions of an expression or a body, with its final ``end`` in the latter case. ``locals`` are the types
    of its locals, the parameters first; ``whole`` is the context with a function of these instructions, which it
    exports as ``name`` ("fragment", unless the context exports that)."""

    def __init__(self, instructions: Expr, locals: Sequence[ValType], whole: DrawnModule, name: str = NAME) -> None:
        self.instructions, self.locals, self.whole, self.name = DrawnExpr(instructions), tuple(locals), whole, name

    def __repr__(self) -> str:
        return repr(self.instructions)


class DrawnInstr(Instr):
    """An instruction that prints as text."""

    def __repr__(self) -> str:
        return instruction(self)


class DrawnExpr(tuple[Instr, ...]):
    """Instructions in a row that print as text."""

    def __repr__(self) -> str:
        return " ".join(map(instruction, self))


@st.composite
def expressions(
    draw: DrawFn,
    type: ValType | str,
    context: AnyModule = "(module)",
    locals: Sequence[ValType | str] = (),
    features: Features = "all",
    limits: Limits | None = None,
    traps: str = "rare",
) -> Fragment:
    """Expressions of a type: instructions that leave one value. ``context`` is the module that they may use,
    ``locals`` the types of locals that there are. They may need more locals than these."""
    config = configuration(features, limits, {}, "all", traps, "any", "fuel")
    goal, types = value_type(type), tuple(map(value_type, locals))
    with kit_for(config) as kit:
        kit.scope = scope = scope_of(drawn(context), config)
        body = Body(scope, Drawing(draw), kit, types, (goal,))
        body.expression(goal)
        instructions = tuple(body.out)
        body.emit(END)
        return _fragment(scope, body, FuncType(types, (goal,)), instructions, drawn(context))


@st.composite
def bodies(
    draw: DrawFn,
    functype: FuncType,
    context: AnyModule = "(module)",
    features: Features = "all",
    limits: Limits | None = None,
    traps: str = "rare",
) -> Fragment:
    """Bodies of functions of a type, which declare locals of their own. ``context`` is the module that they may use."""
    config = configuration(features, limits, {}, "all", traps, "any", "fuel")
    drawing = Drawing(draw)
    with kit_for(config) as kit:
        kit.scope = scope = scope_of(drawn(context), config)
        known = scope.numbers()
        declared = [drawing.pick(known) for _ in range(drawing.below(config.limits.locals + 1))]
        body = Body(scope, drawing, kit, [*functype.params, *declared], functype.results)
        body.outermost()
        return _fragment(scope, body, functype, tuple(body.out), drawn(context))


def scope_of(module: DrawnModule, config: Configuration) -> Scope:
    """The scope of a module that is given; fuel is another global of it."""
    syntax, scope = module.module, Scope(config, config.features)
    context, validated = scope.context, module.validated
    for rec in syntax.types:
        scope.define(rec)
    spaces: dict[type, list[Any]] = {
        TableType: context.tables, MemType: context.memories, GlobalType: context.globals,
    }  # fmt: skip
    for wanted in syntax.imports:
        t = context.space.extern(wanted.type)
        if type(t) in spaces:
            spaces[type(t)].append(t)
    context.imported_globals = len(context.globals)
    context.tables += [context.space.extern(table.type) for table in syntax.tables]  # type: ignore[misc]
    context.memories += syntax.memories
    context.globals += [context.space.extern(g.type) for g in syntax.globals]  # type: ignore[misc]
    context.tags += [context.space.func(tag.type) for tag in syntax.tags]
    context.funcs += validated.func_types
    context.elems += [context.space.ref(elem.type) for elem in syntax.elems]
    scope.datas, scope.elems, context.datas = list(syntax.datas), list(syntax.elems), len(syntax.datas)
    scope.fuel = len(context.globals)
    context.globals.append(GlobalType(I32, True))
    scope.config = config._replace(limits=config.limits._replace(memories=0, tables=0, types=0, globals=0, segments=0))
    return scope


def _fragment(scope: Scope, body: Body, t: FuncType, instructions: Expr, context: DrawnModule) -> Fragment:
    module = context.module
    func = Func(scope.func_index(t), declared_locals(body, len(t.params)), tuple(body.out))
    elems = module.elems
    if scope.context.refs:
        inits = tuple((Instr(FORMS["ref.func"], (f,)), END) for f in sorted(scope.context.refs))
        elems = (*elems, Elem(FUNCREF, inits, "declarative"))
    uses_datas = any("data" in i.form.immediates for i in instructions)
    fuel = Global(GlobalType(I32, True), (constant(I32, scope.config.limits.fuel), END))
    taken = {export.name for export in module.exports}
    name = next(name for name in chain([NAME], (f"{NAME}{k}" for k in count(1))) if name not in taken)
    whole = module._replace(
        types=tuple(scope.types), funcs=(*module.funcs, func), globals=(*module.globals, fuel), elems=elems,
        exports=(*module.exports, Export(name, "func", len(scope.context.funcs))), digest=b"",
        data_count=len(module.datas) if uses_datas else module.data_count,
    )  # fmt: skip
    return Fragment(instructions, body.locals, DrawnModule(whole), name)


@st.composite
def const_exprs(draw: DrawFn, type: ValType | str, context: AnyModule = "(module)", features: Features = "all") -> Expr:
    """Constant expressions of a type, with their ``end``. ``context`` has the globals that they may use."""
    config = configuration(features, None, {}, "all", "rare", "any", None)
    goal = value_type(type)
    scope = scope_of(drawn(context), config)
    if isinstance(goal, RefType) and not goal.nullable and not scope.constructible(goal.heap):
        raise InvalidArgument(f"there is no constant expression of type {goal!r} here")
    out: list[Instr] = []
    constant_expression(scope, Drawing(draw), out, goal)
    return DrawnExpr((*out, END))


# ---- single instructions --------------------------------------------------------------------------------------------

#: Indices in single instructions: one and two bytes long in the binary format.
_INDICES = 200


@st.composite
def instructions(draw: DrawFn, features: Features = "all") -> Instr:
    """Single instructions of some features with any immediates: well-formed, and valid in some module or in none. For
    tests of encoders, decoders, printers and parsers."""
    config = configuration(features, None, {}, "all", "rare", "any", None)
    drawing = Drawing(draw)
    form = drawing.pick([f for f in FORMS.values() if f.feature in config.features])
    args: list[Any] = []
    for word in form.immediates:
        args += _immediates(drawing, form, word, config)
    return DrawnInstr(form, tuple(args))


def _immediates(drawing: Drawing, form: Form, word: str, config: Configuration) -> list[Any]:
    """The operands that an immediate stands for."""
    if word == "zero":
        return []
    if word == "labels":
        return [tuple(drawing.below(_INDICES) for _ in range(drawing.below(4))), drawing.below(_INDICES)]
    if word.startswith("memarg"):
        return [_memarg(drawing, form, config)]
    if word in ("i32", "i64", "f32", "f64", "v128"):
        return [drawing.bits(NUM_TYPES[word].bits)]
    simple: dict[str, Any] = {
        "block": _block_type, "types": lambda d: (drawing.pick(list(NUM_TYPES.values())),), "heap": _heap,
        "lane": lambda d: d.below(16 // form.width if form.width else int(form.mnemonic.split(".")[0].split("x")[1])),
        "lanes": lambda d: tuple(d.below(32) for _ in range(16)), "catches": _catches,
    }  # fmt: skip
    if word == "cast":
        return [
            drawing.below(_INDICES),
            RefType(bool(drawing.below(2)), _heap(drawing)),
            RefType(False, _heap(drawing)),
        ]
    return [simple.get(word, lambda d: d.below(_INDICES))(drawing)]


def _memarg(drawing: Drawing, form: Form, config: Configuration) -> MemArg:
    memory = drawing.below(4) if "multi-memory" in config.features else 0
    natural = form.width.bit_length() - 1
    align = natural if form.feature == "threads" else natural - drawing.below(natural + 1)
    return MemArg(memory, align, drawing.pick((0, 1, 127, 128, 65536, 0xFFFFFFFF)))


def _block_type(drawing: Drawing) -> BlockType:
    k = drawing.below(4)
    if k == 0:
        return EMPTY_BLOCK
    return BlockType(drawing.below(_INDICES)) if k == 1 else BlockType(None, drawing.pick(list(NUM_TYPES.values())))


def _heap(drawing: Drawing) -> Any:
    heaps = [heap for heap in HEAP_TYPES if "cont" not in heap]
    return drawing.pick([*heaps, drawing.below(_INDICES)])


def _catches(drawing: Drawing) -> tuple[Catch, ...]:
    kinds = ("catch_all", "catch", "catch_ref", "catch_all_ref")
    chosen = [drawing.pick(kinds) for _ in range(drawing.below(3))]
    return tuple(Catch(k, None if "all" in k else drawing.below(4), drawing.below(4)) for k in chosen)
