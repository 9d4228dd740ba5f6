"""Loops as statements, and the passes over them.

A pass is a function from a loop to a better one that does the same, or to None where it finds nothing to do. Each
stands in a file of its own, with what must hold, why the result is the same, and what it gains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from refwasm.execution.compiler.translation.expressions import ADD, SUB, Expression, Name, Operation, number
from refwasm.execution.compiler.translation.statements import Assign, For, Statement, While, assigned, writes


@dataclass(frozen=True)
class Loop:
    """A loop that is executed if all ``conditions`` hold in front of it (else another version of it is).

    ``before`` and ``behind`` are statements around it; breaking out of the loop leads to ``behind``, too.
    ``alignments`` are local variables of which every value in the loop is a multiple of a power of two. With
    ``runs_once``, the loop is known to execute its body at least once. ``fresh`` gives new variables. ``notes`` say
    what was done, for people."""

    statement: While | For
    fresh: Callable[[], Name]
    before: tuple[Statement, ...] = ()
    behind: tuple[Statement, ...] = ()
    conditions: tuple[Expression, ...] = ()
    alignments: Mapping[str, int] = field(default_factory=dict)
    runs_once: bool = False
    notes: tuple[str, ...] = ()

    def is_invariant(self, name: str) -> bool:
        """Whether the loop never sets a variable."""
        return name not in (assigned if name[0] == "l" else writes)([self.statement])

    def hoisted(self, expression: Expression) -> tuple[Loop, Name]:
        """A variable that holds an expression in front of the loop, which must not change it."""
        for statement in self.before:
            if (
                isinstance(statement, Assign)
                and statement.value.text == expression.text
                and type(statement.target) is Name
            ):
                return self, statement.target
        variable = self.fresh()
        return replace(self, before=(*self.before, Assign(variable, expression))), variable


Pass = Callable[[Loop], Loop | None]


def optimised(loop: Loop, passes: tuple[Pass, ...]) -> Loop:
    """A loop after all passes."""
    for one in passes:
        loop = one(loop) or loop
    return loop


def is_local(expression: Expression) -> bool:
    """Whether an expression is a local of the function."""
    return type(expression) is Name and expression.text[0] == "l"


def sum_of(value: Expression) -> tuple[Name, int] | None:
    """The local and the constant that an expression is the sum of."""
    if isinstance(value, Operation) and value.template in (ADD, SUB):
        left, right = value.operands
        amount = number(right)
        if is_local(left) and amount is not None and amount >= 0:
            assert isinstance(left, Name)
            return left, amount if value.template == ADD else -amount
    return None
