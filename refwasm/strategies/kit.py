"""The strategies inside :func:`refwasm.strategies.modules`, made once for a configuration: making them takes longer
than drawing from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm.strategies import definitions, functions
from refwasm.strategies.body import CONDITION, FIRST, Body, numbers_of
from refwasm.strategies.configuration import SWITCHES, Configuration
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.effects import LEAVE, THROW
from refwasm.strategies.scope import Scope
from refwasm.syntax.types import NUM_TYPES


class Kit:
    """The strategies of definitions, functions, statements and expressions. What they draw becomes part of ``scope``,
    and of the ``body`` that is being drawn."""

    scope: Scope
    body: Body

    def __init__(self, config: Configuration) -> None:
        self.expressions = {t: _node(self, *numbers_of(t)) for t in (*NUM_TYPES, "ref")}
        self.statement = _node(self, 0, numbers_of("ref")[1])
        self.first = _node(self, 0, FIRST)
        self.condition = _node(self, CONDITION, CONDITION)
        self.leave = _node(self, LEAVE, LEAVE)
        self.throwing = _node(self, THROW, THROW)
        self.definition = _definition(self)
        self.function = _function(self)
        self.switches = [feature for feature in SWITCHES if feature in config.features]


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


@st.composite
def _node(draw: DrawFn, kit: Kit, least: int, most: int) -> None:
    """A statement or an expression, by a number in the range that belongs to it.

    Both are one strategy, so that Hypothesis gives them one label: then the shrinker tries to put an inner one in the
    place of an outer one. It succeeds where the number is in the range of both: expressions of one type have one range,
    and that of statements includes all, since any expression is a statement if its value is put away."""
    drawing = kit.body.drawing if kit.body.is_apart else Drawing(draw)
    kit.body.node(drawing.between(least, most))


@st.composite
def _definition(draw: DrawFn, kit: Kit) -> None:
    definitions.definition(kit.scope, Drawing(draw))


@st.composite
def _function(draw: DrawFn, kit: Kit) -> None:
    functions.function(kit, Drawing(draw))
