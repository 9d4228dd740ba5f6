"""Forms by what they leave, and what is special about their operands: read from the table of forms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from refwasm.syntax.instructions import FORMS, Form
from refwasm.syntax.types import F32, F64, I32, I64, NUM_TYPES, ArrayType, NumType, StructType, ValType
from refwasm.validation.instructions import TYPINGS

if TYPE_CHECKING:
    from refwasm.strategies.scope import Scope

#: Instructions that wait for another thread.
WAITS = ("memory.atomic.wait32", "memory.atomic.wait64")
#: Roles of operands whose value decides whether an instruction traps, and of what is "stored" in fewer bits, by the
#: instruction; "" is any operand.
ROLES: dict[str, tuple[str, ...]] = {
    **{
        f"{t}.{name}": roles
        for t in ("i32", "i64")
        for name, roles in {
            "div_s": ("dividend", "signed divisor"), "rem_s": ("dividend", "divisor"),
            "div_u": ("", "divisor"), "rem_u": ("", "divisor"),
        }.items()
    },
    **{
        name: ("truncated",)
        for name, form in FORMS.items()
        if form.may_trap and form.params and form.params[0] in (F32, F64) and not form.width
    },
    "table.get": ("element",), "table.set": ("element", ""), "table.grow": ("", "growth"),
    "table.fill": ("element", "", "few"), "table.copy": ("element", "element", "few"),
    "table.init": ("element", "start", "few"),
    "memory.grow": ("growth",), "memory.fill": ("address", "", "length"),
    "memory.copy": ("address", "address", "length"), "memory.init": ("address", "start", "few"),
    "struct.get": ("object",), "struct.get_s": ("object",), "struct.get_u": ("object",),
    "struct.set": ("object", "stored"),
    "array.new": ("stored", "size"), "array.new_default": ("size",), "array.len": ("object",),
    "array.new_data": ("start", "size"), "array.new_elem": ("start", "size"),
    "array.get": ("object", "position"), "array.get_s": ("object", "position"),
    "array.get_u": ("object", "position"), "array.set": ("object", "position", "stored"),
    "array.fill": ("object", "start", "stored", "few"), "array.copy": ("object", "start", "object", "start", "few"),
    "array.init_data": ("object", "start", "start", "few"), "array.init_elem": ("object", "start", "start", "few"),
    "i31.get_s": ("object",), "i31.get_u": ("object",), "ref.as_non_null": ("object",),
    "ref.cast": ("cast",), "ref.cast null": ("cast",),
}  # fmt: skip

#: Instructions whose type the validator knows from their immediates, which are chosen from all that are valid. Those
#: with a memory argument are chosen otherwise, and functions are called by name.
TYPED: tuple[Form, ...] = tuple(
    form
    for form in TYPINGS
    if not form.width
    and form.feature not in ("custom-descriptors", "stack-switching")
    and form.immediates
    and form.immediates not in (("lane",), ("lanes",))
    and not {"func", "types", "label", "tag"} & set(form.immediates)
    and form.mnemonic not in ("call_indirect", "call_ref", "return_call_indirect", "return_call_ref", "local.get")
    and form.mnemonic != "ref.null"
) + tuple(FORMS[name] for name in ("ref.eq", "ref.i31", "i31.get_s", "i31.get_u", "array.len"))


def _forms(names: str) -> tuple[Form, ...]:
    return tuple(FORMS[name] for name in names.split(", "))


#: Typed forms that may leave an i32, another number or a reference, the one first that others fall back to.
LEAVING = {
    "i32": _forms(
        "global.get, struct.get, struct.get_s, struct.get_u, array.get, array.get_s, array.get_u, table.size, "
        "table.grow, memory.size, memory.grow, ref.test, ref.test null, ref.eq, i31.get_s, i31.get_u, array.len"
    ),
    "number": _forms("global.get, struct.get, array.get, table.size, table.grow, memory.size, memory.grow"),
    "ref": _forms(
        "global.get, struct.new, struct.new_default, struct.get, array.new, array.new_default, array.new_data, "
        "array.new_elem, array.get, table.get, ref.cast, ref.cast null, ref.i31"
    ),
}


def typed_forms(goal: ValType) -> tuple[Form, ...]:
    """The typed forms that may leave a value of a type, of which a module has not all."""
    return LEAVING["i32" if goal is I32 else "number" if isinstance(goal, NumType) else "ref"]


#: What the type is that a form names, by the first part of its name.
_COMPOSITES: dict[str, type[StructType] | type[ArrayType]] = {"struct": StructType, "array": ArrayType}


def composite_of(form: Form) -> type[StructType] | type[ArrayType] | None:
    """Whether the type that a typed form names is a structure, an array, or something else."""
    return _COMPOSITES.get(form.mnemonic.partition(".")[0])


def immediates_of(form: Form, scope: Scope) -> Iterator[tuple[Any, ...]]:
    """All rows of immediates of a typed form; not all of them are valid."""
    composite = composite_of(form)
    spaces = [scope.spaces.get(composite if word == "type" else word, ()) for word in form.immediates]
    return product(*spaces)


def spaces_of(scope: Scope) -> dict[Any, Sequence[Any]]:
    """What immediates may be, by their names; a "type" by :func:`composite_of`."""
    context = scope.context
    return {
        StructType: scope.composites(StructType), ArrayType: scope.composites(ArrayType),
        "table": [i for i in range(len(context.tables)) if i != scope.call_table],
        "memory": range(len(context.memories)), "data": range(context.datas), "elem": range(len(context.elems)),
        "global": [i for i in range(len(context.globals)) if i != scope.fuel],
        "field": range(max((len(getattr(t.composite, "fields", ())) for t in context.space.types), default=0)),
        "heap": [scope.open_heap(heap) for heap in scope.heaps()],
    }  # fmt: skip


class Rows:
    """The forms that may make a value of one number type, by kind; indices into these tables mean the same whatever
    else a module has."""

    def __init__(self, result: str, features: frozenset[str]) -> None:
        made = [f for f in FORMS.values() if f.feature in features and f.results == [NUM_TYPES[result]]]
        plain = [f for f in made if not f.takes_address and f.params]
        is_vector = ("simd", "relaxed-simd")
        numeric = [f for f in plain if result == "v128" or f.feature not in is_vector]
        # what makes an integer of integers, or a float of floats, is chosen four times as often as other conversions
        # and comparisons
        kind = next((kind for kind in ({I32, I64}, {F32, F64}) if NUM_TYPES[result] in kind), set())
        alike = [f for f in numeric if kind.issuperset(f.params or ()) and not f.is_relation]
        self.numeric = numeric if result == "v128" else [*alike * 3, *numeric]
        self.vector = [f for f in plain if result != "v128" and f.feature in is_vector]
        self.load = [f for f in made if f.takes_address and f.feature != "threads"]
        self.atomic = [f for f in made if f.takes_address and f.feature == "threads"]


@lru_cache(maxsize=256)
def rows(result: str, features: frozenset[str]) -> Rows:
    """The forms that make a value of a number type, of all that the features have."""
    return Rows(result, features)


@lru_cache(maxsize=64)
def stores(features: frozenset[str]) -> list[Form]:
    """The forms that write to a memory and leave nothing."""
    return [f for f in FORMS.values() if f.feature in features and f.takes_address and f.results == []]


@lru_cache(maxsize=64)
def pairs(features: frozenset[str]) -> list[Form]:
    """The forms of a fixed type that leave two values."""
    return [f for f in FORMS.values() if f.feature in features and f.results is not None and len(f.results) == 2]


#: Instructions that change tables, memories, structures and arrays; those that seldom have what they
#: need more than once.
EFFECTS = _forms(
    "global.set, memory.fill, memory.copy, memory.init, data.drop, table.set, table.fill, table.copy, table.init, "
    "elem.drop, struct.set, array.set, array.fill, array.copy, array.init_data, array.init_elem, array.init_elem, "
    "array.init_data, array.copy, array.init_elem, table.grow"
)
