"""Parts of modules, for tests of a single pass: expressions and bodies in a context, constant expressions, single
instructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm.strategies.body import Body
from refwasm.strategies.calls import AnyModule
from refwasm.strategies.configuration import Configuration, Features, Limits, configuration
from refwasm.strategies.contexts import check_inhabited, in_context, scope_of
from refwasm.strategies.definitions import constant_expression
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.functions import declared_locals
from refwasm.strategies.kit import kit_for
from refwasm.strategies.leaves import constant
from refwasm.strategies.modules import DrawnModule
from refwasm.strategies.scope import Scope, abstract_heaps
from refwasm.strategies.values import function_type
from refwasm.syntax.instructions import END, FORMS, Catch, Form, Instr, MemArg
from refwasm.syntax.modules import Elem, Export, Expr, Func, Global
from refwasm.syntax.types import (
    EMPTY_BLOCK,
    FUNCREF,
    I32,
    NUM_TYPES,
    V128,
    BlockType,
    FuncType,
    GlobalType,
    HeapType,
    RefType,
    ValType,
)
from refwasm.text.printer import instruction
from refwasm.validation.matching import match_val_type

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
    ``locals`` the types of locals that there are. They may need more locals than these. A number as the heap type of a
    reference is a type index of the context.

    Raises InvalidArgument, also for a context or types beyond ``features``."""
    config = configuration(features, limits, {}, "all", traps, "any", "fuel")
    module, t = in_context(context, function_type(FuncType(locals, (type,))), config)  # type: ignore[arg-type]
    with kit_for(config) as kit:
        kit.scope = scope = scope_of(module, config)
        _check_traps(scope, t)
        body = Body(scope, Drawing(draw), kit, t.params, t.results)
        body.expression(t.results[0])
        instructions = tuple(body.out)
        body.emit(END)
        return _fragment(scope, body, t, instructions, module)


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
    module, t = in_context(context, function_type(functype), config)
    drawing = Drawing(draw)
    with kit_for(config) as kit:
        kit.scope = scope = scope_of(module, config)
        _check_traps(scope, t)
        known = scope.numbers()
        declared = [drawing.pick(known) for _ in range(drawing.below(config.limits.locals + 1))]
        body = Body(scope, drawing, kit, [*t.params, *declared], t.results)
        body.outermost()
        return _fragment(scope, body, t, tuple(body.out), module)


def _check_traps(scope: Scope, t: FuncType) -> None:
    """That code of a function of a type need not trap if it must not."""
    if scope.config.traps == "none":
        check_inhabited(scope, (r for r in t.results if not any(match_val_type(p, r) for p in t.params)))


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
    module, t = in_context(context, function_type(FuncType((), (type,))), config)  # type: ignore[arg-type]
    scope = scope_of(module, config)
    check_inhabited(scope, t.results)
    out: list[Instr] = []
    constant_expression(scope, Drawing(draw), out, t.results[0])
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
    if word == "cast":
        return [drawing.below(_INDICES), RefType(bool(drawing.below(2)), _heap(drawing, config)),
                RefType(False, _heap(drawing, config))]  # fmt: skip
    simple: dict[str, Callable[[], Any]] = {
        "block": lambda: _block_type(drawing, config), "types": lambda: (_value_type(drawing, config),),
        "heap": lambda: _heap(drawing, config), "catches": lambda: _catches(drawing),
        "lane": lambda: drawing.below(_lanes(form)),
        "lanes": lambda: tuple(drawing.below(32) for _ in range(16)),
    }  # fmt: skip
    if word in simple:
        return [simple[word]()]
    is_first = _MANY.get(word, "mvp") not in config.features
    return [0 if is_first else drawing.below(_INDICES)]


#: The features without which an index is 0.
_MANY = {"memory": "multi-memory", "table": "reference-types"}
#: Offsets of addresses; the last one needs memories of 64 bits.
_OFFSETS = (0, 1, 127, 128, 65536, 0xFFFFFFFF, 1 << 40)


def _lanes(form: Form) -> int:
    """The lanes of the vectors that an instruction is about."""
    return 16 // form.width if form.width else int(form.mnemonic.split(".")[0].split("x")[1])


def _memarg(drawing: Drawing, form: Form, config: Configuration) -> MemArg:
    memory = drawing.below(4) if "multi-memory" in config.features else 0
    natural = form.width.bit_length() - 1
    align = natural if form.feature == "threads" else natural - drawing.below(natural + 1)
    return MemArg(memory, align, drawing.pick(_OFFSETS if "memory64" in config.features else _OFFSETS[:-1]))


def _value_type(drawing: Drawing, config: Configuration) -> ValType:
    numbers = [t for t in NUM_TYPES.values() if t is not V128 or "simd" in config.features]
    if "reference-types" in config.features and drawing.rarely(4):
        return RefType("function-references" not in config.features or drawing.rarely(2), _heap(drawing, config))
    return drawing.pick(numbers)


def _block_type(drawing: Drawing, config: Configuration) -> BlockType:
    k = drawing.below(4)
    if k == 0:
        return EMPTY_BLOCK
    if k == 1 and "multi-value" in config.features:
        return BlockType(drawing.below(_INDICES))
    return BlockType(None, _value_type(drawing, config))


def _heap(drawing: Drawing, config: Configuration) -> HeapType:
    index = [drawing.below(_INDICES)] if "function-references" in config.features else []
    return drawing.pick([*abstract_heaps(config.features), *index])


def _catches(drawing: Drawing) -> tuple[Catch, ...]:
    kinds = ("catch_all", "catch", "catch_ref", "catch_all_ref")
    chosen = [drawing.pick(kinds) for _ in range(drawing.below(3))]
    return tuple(Catch(k, None if "all" in k else drawing.below(4), drawing.below(4)) for k in chosen)
