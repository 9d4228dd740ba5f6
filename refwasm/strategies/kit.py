"""The strategies inside :func:`refwasm.strategies.modules`, made once for a configuration: making them takes longer
than drawing from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from refwasm.strategies import definitions, effects, functions
from refwasm.strategies.body import KINDS, Body
from refwasm.strategies.configuration import SWITCHES, Configuration
from refwasm.strategies.drawing import Drawing, below
from refwasm.strategies.scope import Scope
from refwasm.syntax.types import NUM_TYPES


class Kit:
    """The strategies of definitions, functions, statements and expressions. What they draw becomes part of ``scope``,
    and of the ``body`` that is being drawn."""

    scope: Scope
    body: Body

    def __init__(self, config: Configuration) -> None:
        limits = config.limits
        self.expressions = {name: made(self) for name, made in _EXPRESSIONS.items()}
        statement = _statement(self)
        self.statements = [st.lists(statement, max_size=most) for most in (1, 2, 3)]
        self.outermost = st.lists(statement, max_size=limits.statements)
        most = limits.types + limits.memories + limits.tables + limits.globals + limits.tags + 2 * limits.segments
        self.definitions = st.lists(_definition(self), max_size=most)
        self.functions = st.lists(_function(self), min_size=1, max_size=limits.functions)
        switches = [feature for feature in SWITCHES if feature in config.features]
        self.banned = st.frozensets(st.sampled_from(switches), max_size=4) if switches else st.just(frozenset())


@lru_cache(maxsize=64)
def _idle(config: Configuration) -> list[Kit]:
    """Kits that nobody draws from at the moment."""
    return []


@contextmanager
def kit_for(config: Configuration) -> Iterator[Kit]:
    """A kit, which one draw has for itself."""
    idle = _idle(config)
    try:
        kit = idle.pop()
    except IndexError:
        kit = Kit(config)
    try:
        yield kit
    finally:
        idle.append(kit)


_KIND = below(KINDS)


def _expression_of(name: str) -> Callable[[Kit], SearchStrategy[None]]:
    def expression(draw: DrawFn, kit: Kit, type: str = name) -> None:
        """Hypothesis tells strategies apart by their code and defaults: so each type has a label of its own, and the
        shrinker puts an expression only in the place of one of the same type."""
        kit.body.draw_expression(draw(_KIND))

    return st.composite(expression)


_EXPRESSIONS = {name: _expression_of(name) for name in (*NUM_TYPES, "ref")}


@st.composite
def _statement(draw: DrawFn, kit: Kit) -> None:
    effects.statement(kit.body, draw(effects.KIND))


@st.composite
def _definition(draw: DrawFn, kit: Kit) -> None:
    definitions.definition(kit.scope, Drawing(draw), draw(definitions.KIND))


@st.composite
def _function(draw: DrawFn, kit: Kit) -> None:
    functions.function(kit, Drawing(draw))
