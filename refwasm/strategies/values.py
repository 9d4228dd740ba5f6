"""Values and types: what functions are called with."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn, SearchStrategy

from refwasm.oracle.outcomes import Value
from refwasm.strategies.configuration import Features, configuration
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.leaves import number
from refwasm.strategies.scope import Scope
from refwasm.syntax.types import HEAP_TYPES, NUM_TYPES, FuncType, NumType, RefType, ValType

#: The null reference, as a host sees it.
NULL = Value("ref", 0)


def value_type(t: ValType | str) -> ValType:
    """A type, or the number type of that name. Raises InvalidArgument."""
    if isinstance(t, str) and t in NUM_TYPES:
        return NUM_TYPES[t]
    if isinstance(t, NumType) or (isinstance(t, RefType) and (not isinstance(t.heap, str) or t.heap in HEAP_TYPES)):
        return t
    raise InvalidArgument(f"{t!r} is no value type: expected one of {', '.join(NUM_TYPES)}, or a type of refwasm")


def function_type(t: object) -> FuncType:
    """A function type, whose types may be names of number types. Raises InvalidArgument."""
    if not isinstance(t, FuncType):
        raise InvalidArgument(f"{t!r} is no function type")
    for types in t:
        if isinstance(types, str) or not isinstance(types, Sequence):
            raise InvalidArgument(f"{types!r}: expected types in a row")
    return FuncType(tuple(map(value_type, t.params)), tuple(map(value_type, t.results)))


def value(drawing: Drawing, t: ValType) -> Value:
    """A value of a type; references are null."""
    return Value(t.name, number(drawing, t)) if isinstance(t, NumType) else NULL


@st.composite
def values(draw: DrawFn, type: ValType | str) -> Value:
    """Values of a type, which is one of refwasm's or the name of a number type: values that implementations treat
    specially, small numbers, or any. ``bits`` are their bits. References are null, which is all that a host can make.

    Raises InvalidArgument for types without such values."""
    t = value_type(type)
    if isinstance(t, RefType) and not t.nullable:
        raise InvalidArgument(f"{t!r} has no value that a host could make")
    return value(Drawing(draw), t)


def arguments(functype: FuncType) -> SearchStrategy[tuple[Value, ...]]:
    """Arguments of a function of a (closed) type, as tuples of values. Raises InvalidArgument."""
    return st.tuples(*map(values, function_type(functype).params))


@st.composite
def functypes(draw: DrawFn, features: Features = "all", max_params: int = 3, max_results: int = 2) -> FuncType:
    """Function types of numbers, vectors and abstract nullable references."""
    config = configuration(features, None, {}, "all", "rare", "any", None)
    scope, drawing = Scope(config, config.features), Drawing(draw)
    known: list[ValType] = [*scope.numbers(), *scope.nullable()]
    most = None if "multi-value" in config.features else 1

    def types(count: int) -> tuple[ValType, ...]:
        return tuple(draw(st.lists(st.builds(drawing.pick, st.just(known)), max_size=count)))

    return FuncType(types(max_params), types(max_results)[:most])
