"""Parts of fixed patterns, each drawn once more by itself and left out of the code.

A fixed pattern, such as the end of a counted loop, has instructions that nobody has chosen. The shrinker deletes
choices, and puts inner expressions in the place of outer ones: of a pattern it could keep all or nothing. So a pattern
draws each of its instructions also by itself, with choices that are made in advance. What these choices emit is
dropped, but the shrinker finds them, and can put them in the place of the whole pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from refwasm.strategies.configuration import TRAPS, Configuration
from refwasm.strategies.tables import LEAVING, rows
from refwasm.syntax.instructions import FORMS
from refwasm.syntax.types import NumType

if TYPE_CHECKING:
    from refwasm.strategies.body import Body

#: The choices of constants as operands of a numeric instruction, by their number: all are 0.
_ZEROS = {1: (3, 0), 2: (3, 0, 2)}


def part(body: Body, *mnemonics: str) -> None:
    """Draw instructions of a pattern, each by itself."""
    if body.is_apart or not body.is_settled:
        return
    for mnemonic in mnemonics:
        choices = _choices(mnemonic, body.config)
        if choices:
            _apart(body, choices)


def room(body: Body) -> None:
    """Leave room for an expression: what was drawn with one, and is to be drawn without, keeps its choices in place."""
    from refwasm.strategies.body import number_of

    _apart(body, (number_of("i32", "leaf"),))


def _apart(body: Body, choices: tuple[int, ...]) -> None:
    """Draw a statement by choices, and put back whatever it has changed in the body."""
    if not body.drawing.can_follow:
        return
    kept = body.out, body.tail, body.locals, body.labels, body.depth, body.goal, body.is_apart
    body.out, body.tail, body.locals, body.labels, body.depth, body.goal = [], [], [], body.labels[:1], 0, None
    body.is_apart = True
    with body.drawing.following(choices):
        body.drawing.draw(body.kit.statement)
    body.out, body.tail, body.locals, body.labels, body.depth, body.goal, body.is_apart = kept


@lru_cache(maxsize=4096)
def _choices(mnemonic: str, config: Configuration) -> tuple[int, ...]:
    """The choices that come to an instruction with the simplest operands, as a statement; (): there are none."""
    from refwasm.strategies.body import number_of
    from refwasm.strategies.branches import BR, RETURN, THROW_REF
    from refwasm.strategies.control import SELECT, TEE
    from refwasm.strategies.effects import IF, LEAVE, OUT, SET_GLOBAL, TABLE

    form = FORMS[mnemonic]
    if form.params and form.results and isinstance(form.results[0], NumType):
        name = form.results[0].name
        return number_of(name, "numeric"), rows(name, config.features).numeric.index(form), *_ZEROS[len(form.params)]
    for kind in ("i32", "ref"):
        if form in LEAVING[kind]:
            return number_of(kind, "typed"), LEAVING[kind].index(form)
    rare: tuple[int, ...] = () if config.traps == "allowed" else (TRAPS[config.traps] - 1,)
    return {
        "select": (number_of("i32", "control"), SELECT), "local.tee": (number_of("i32", "control"), TEE),
        "global.set": (SET_GLOBAL,), "if": (IF,), "return": (OUT, 0, RETURN), "br": (OUT, 0, BR),
        "br_if": (LEAVE,), "br_table": (TABLE, 0),
        "throw_ref": (OUT, 0, THROW_REF, *rare) if TRAPS[config.traps] else (),
    }[mnemonic]  # fmt: skip
