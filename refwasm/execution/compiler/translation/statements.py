"""Statements of a translation: the Python of a function as a tree, before it is printed (:mod:`.printer`).

A statement tells what it ``reads`` and ``writes`` (names of variables, by text), whether it ``may_trap`` or call, and,
through the located expressions in it, which instructions it came from. Memory, globals and tables are not variables:
what touches them is located or an effect, and no pass moves it.

Bodies are lists because the translation fills them as it goes. A statement that is finished is never changed: a pass
makes new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from refwasm.execution.compiler.translation.expressions import (
    Expression,
    Located,
    Name,
    Operation,
    names,
    rewritten,
    walk,
)

NOTHING: frozenset[str] = frozenset()
Body = list["Statement"]
Expressions = tuple[Expression, ...]


class Statement:
    """A statement. Of what stands in the bodies of a compound statement, its own methods tell nothing."""

    __slots__ = ()

    def bodies(self) -> Sequence[Body]:
        """The bodies of a compound statement."""
        return ()

    def with_bodies(self, change: Callable[[Body], Body]) -> Statement:
        """The same with other bodies."""
        return self

    def targets(self) -> Expressions:
        """What it sets."""
        return ()

    def values(self) -> Expressions:
        """The expressions that it evaluates."""
        return ()


@dataclass(slots=True)
class Assign(Statement):
    """``target = value``. The target is a variable, an element of a view, or a field."""

    target: Expression
    value: Expression

    def targets(self) -> Expressions:
        return (self.target,)

    def values(self) -> Expressions:
        return (self.value,)


@dataclass(slots=True)
class AssignAll(Statement):
    """``left = right``: as many values as targets, or one value that is a tuple."""

    left: Expressions
    right: Expressions

    def targets(self) -> Expressions:
        return self.left

    def values(self) -> Expressions:
        return self.right


@dataclass(slots=True)
class Declare(Statement):
    """``name = name = … = value``."""

    names: tuple[Name, ...]
    value: Expression

    def targets(self) -> Expressions:
        return self.names

    def values(self) -> Expressions:
        return (self.value,)


@dataclass(slots=True)
class Step(Statement):
    """``target operator= amount``, as in ``t0 += 4`` or ``l1 &= 0xffffffff``."""

    target: Expression
    operator: str
    amount: Expression

    def targets(self) -> Expressions:
        return (self.target,)

    def values(self) -> Expressions:
        return self.target, self.amount


@dataclass(slots=True)
class Evaluate(Statement):
    """An expression for its effect."""

    value: Expression

    def values(self) -> Expressions:
        return (self.value,)


@dataclass(slots=True)
class Poll(Statement):
    """Count a turn of a loop, and look at the limits now and then with ``call``."""

    call: Expression

    def values(self) -> Expressions:
        return (self.call,)


@dataclass(slots=True)
class Break(Statement):
    """``break``."""


@dataclass(slots=True)
class Continue(Statement):
    """``continue``."""


@dataclass(slots=True)
class Return(Statement):
    """``return results``."""

    results: Expressions

    def values(self) -> Expressions:
        return self.results


@dataclass(slots=True)
class SideExit(Statement):
    """Leave compiled code before an instruction: the interpreter goes on there. ``call`` names the place, all locals
    and the operands."""

    call: Expression

    def values(self) -> Expressions:
        return (self.call,)


@dataclass(slots=True)
class Raise(Statement):
    """``raise error``; without an error, what was caught goes on."""

    error: Expression | None = None

    def values(self) -> Expressions:
        return () if self.error is None else (self.error,)


@dataclass(slots=True)
class If(Statement):
    """``if condition: body else: otherwise``."""

    condition: Expression
    body: Body = field(default_factory=list)
    otherwise: Body = field(default_factory=list)

    def bodies(self) -> Sequence[Body]:
        return self.body, self.otherwise

    def with_bodies(self, change: Callable[[Body], Body]) -> Statement:
        return replace(self, body=change(self.body), otherwise=change(self.otherwise))

    def values(self) -> Expressions:
        return (self.condition,)


@dataclass(slots=True)
class While(Statement):
    """``while condition: body``."""

    condition: Expression
    body: Body = field(default_factory=list)

    def bodies(self) -> Sequence[Body]:
        return (self.body,)

    def with_bodies(self, change: Callable[[Body], Body]) -> Statement:
        return replace(self, body=change(self.body))

    def values(self) -> Expressions:
        return (self.condition,)


@dataclass(slots=True)
class For(Statement):
    """``for variable in range(variable, bound, step): body else: otherwise``."""

    variable: Name
    bound: Expression
    step: int
    body: Body = field(default_factory=list)
    otherwise: Body = field(default_factory=list)

    def bodies(self) -> Sequence[Body]:
        return self.body, self.otherwise

    def with_bodies(self, change: Callable[[Body], Body]) -> Statement:
        return replace(self, body=change(self.body), otherwise=change(self.otherwise))

    def targets(self) -> Expressions:
        return (self.variable,)

    def values(self) -> Expressions:
        return self.variable, self.bound


@dataclass(slots=True)
class Handler:
    """``except exception as name: body``."""

    exception: str
    name: Name
    body: Body = field(default_factory=list)


@dataclass(slots=True)
class Try(Statement):
    """``try: body``, the handlers, ``finally: final``."""

    body: Body = field(default_factory=list)
    handlers: list[Handler] = field(default_factory=list)
    final: Body = field(default_factory=list)

    def bodies(self) -> Sequence[Body]:
        return self.body, *(handler.body for handler in self.handlers), self.final

    def with_bodies(self, change: Callable[[Body], Body]) -> Statement:
        handlers = [replace(handler, body=change(handler.body)) for handler in self.handlers]
        return Try(change(self.body), handlers, change(self.final))


#: What nothing in the same body follows.
JUMPS = (Break, Continue, Return, SideExit, Raise)


def is_jump(statement: Statement) -> bool:
    """Whether what follows in the same body is never reached."""
    return isinstance(statement, JUMPS)


def everything(statements: Sequence[Statement]) -> Iterator[Statement]:
    """Statements and all that stand in their bodies."""
    for statement in statements:
        yield statement
        for body in statement.bodies():
            yield from everything(body)


def expressions(statements: Sequence[Statement]) -> Iterator[Expression]:
    """Every expression that some statements evaluate or set."""
    for statement in everything(statements):
        yield from statement.values()
        yield from statement.targets()


def reads(statements: Sequence[Statement]) -> frozenset[str]:
    """The variables that some statements read."""
    found: frozenset[str] = NOTHING
    for statement in everything(statements):
        for value in statement.values():
            found |= names(value)
        for target in statement.targets():
            if type(target) is not Name:
                found |= names(target)
    return found


def assigned(statements: Sequence[Statement]) -> frozenset[str]:
    """The variables that some statements set by themselves. Expressions set temporaries only, so these are all locals
    that are set."""
    return frozenset([target.text for s in everything(statements) for target in s.targets() if type(target) is Name])


def writes(statements: Sequence[Statement]) -> frozenset[str]:
    """The variables that some statements may set, those that an expression sets (``:=``) among them."""
    found = set(assigned(statements))
    for expression in expressions(statements):
        for part in walk(expression):
            if isinstance(part, Operation) and ":=" in part.template:
                found.add(part.operands[0].text)
    return frozenset(found)


def mentions(statements: Sequence[Statement], name: str) -> bool:
    """Whether some statements read or set a variable."""
    return name in reads(statements) or name in writes(statements)


def may_trap(statement: Statement) -> bool:
    """Whether a statement, or one in its bodies, may trap or call."""
    return any(isinstance(part, Located) for expression in expressions([statement]) for part in walk(expression))


def instructions(statement: Statement) -> frozenset[int]:
    """The instructions that a statement can fail in, by index."""
    return frozenset(part.pc for found in expressions([statement]) for part in walk(found) if isinstance(part, Located))


def jumps(statements: Sequence[Statement]) -> bool:
    """Whether some statements may leave the body that they stand in, or the function."""
    return any(is_jump(statement) for statement in everything(statements))


def with_expressions(statement: Statement, change: Callable[[Expression], Expression | None]) -> Statement:
    """A statement with parts of its expressions replaced, in its bodies too: see :func:`.expressions.rewritten`. What
    ``for`` statements count with stays."""

    def new(expression: Expression) -> Expression:
        return rewritten(expression, change)

    def all_new(expressions: tuple[Expression, ...]) -> tuple[Expression, ...]:
        return tuple(map(new, expressions))

    def inside(body: Body) -> Body:
        return [with_expressions(inner, change) for inner in body]

    if isinstance(statement, Assign):
        return Assign(new(statement.target), new(statement.value))
    if isinstance(statement, AssignAll):
        return AssignAll(all_new(statement.left), all_new(statement.right))
    if isinstance(statement, (Evaluate, Declare)):
        return replace(statement, value=new(statement.value))
    if isinstance(statement, Step):
        return replace(statement, amount=new(statement.amount))
    if isinstance(statement, Return):
        return Return(all_new(statement.results))
    if isinstance(statement, (Poll, SideExit)):
        return replace(statement, call=new(statement.call))
    if isinstance(statement, Raise) and statement.error is not None:
        return Raise(new(statement.error))
    if isinstance(statement, (If, While)):
        statement = replace(statement, condition=new(statement.condition))
    return statement.with_bodies(inside)


def with_statements(body: Body, change: Callable[[Statement], Statement | None]) -> Body:
    """A body with statements replaced for which ``change`` gives another one, in inner bodies too."""

    def inside(inner: Body) -> Body:
        return with_statements(inner, change)

    return [other if (other := change(found)) is not None else found.with_bodies(inside) for found in body]
