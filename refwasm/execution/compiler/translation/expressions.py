"""Expressions of a translation, as trees.

An expression carries the Python text that it is printed as. The text is made once, when the expression is, and an
expression never changes. A pass looks at the tree, and builds another expression where it wants another text.

Text may hold marks, ``START pc MIDDLE text END``, around what can trap or call (:class:`Located`). The printer turns
them into spans, so that the position of a failure in the generated line leads back to the instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import is_not

#: Marks around text that belongs to an instruction: no Python text has these characters.
START, MIDDLE, END = "\1", "\2", "\3"


class Expression:
    """A Python expression. ``text`` is what it is printed as, with marks."""

    __slots__ = ("text",)

    text: str

    def children(self) -> tuple[Expression, ...]:
        """What it is made of, from left to right."""
        return ()

    def __repr__(self) -> str:
        return f"<{self.text}>"


class Name(Expression):
    """A variable of the generated function: a local (``l0``, ``l1``, …) or a temporary (``t0``, …)."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        self.text = text


class Literal(Expression):
    """A number, or another text without variables."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        self.text = text


class Operation(Expression):
    """An operator or a call: a template in the sense of :meth:`str.format`, and its operands."""

    __slots__ = ("template", "operands")

    def __init__(self, template: str, *operands: Expression) -> None:
        self.template = template
        self.operands = operands
        if len(operands) == 2:  # most of them
            self.text = template.format(operands[0].text, operands[1].text)
        else:
            self.text = template.format(*[operand.text for operand in operands])

    def children(self) -> tuple[Expression, ...]:
        return self.operands


class Comparison(Expression):
    """``(left relation right)``."""

    __slots__ = ("left", "relation", "right")

    def __init__(self, left: Expression, relation: str, right: Expression) -> None:
        self.left, self.relation, self.right = left, relation, right
        self.text = f"({left.text} {relation} {right.text})"

    def children(self) -> tuple[Expression, ...]:
        return self.left, self.right


class Not(Expression):
    """``(not operand)``."""

    __slots__ = ("operand",)

    def __init__(self, operand: Expression) -> None:
        self.operand = operand
        self.text = f"(not {operand.text})"

    def children(self) -> tuple[Expression, ...]:
        return (self.operand,)


class Element(Expression):
    """``view[index]``: the element of a view of a memory (:mod:`refwasm.execution.compiler.linking.views`)."""

    __slots__ = ("view", "index")

    def __init__(self, view: str, index: Expression) -> None:
        self.view, self.index = view, index
        self.text = f"{view}[{index.text}]"

    def children(self) -> tuple[Expression, ...]:
        return (self.index,)


class Located(Expression):
    """An expression that may fail or call: a failure in it is one of the instruction with index ``pc``."""

    __slots__ = ("pc", "body")

    def __init__(self, pc: int, body: Expression) -> None:
        self.pc, self.body = pc, body
        self.text = f"{START}{pc}{MIDDLE}{body.text}{END}"

    def children(self) -> tuple[Expression, ...]:
        return (self.body,)


#: Templates that passes look for: sums, and local variables divided by a power of two.
ADD, SUB, SHIFT = "({} + {})", "({} - {})", "({} >> {})"

NONE, TRUE, FALSE, ZERO = Literal("None"), Literal("True"), Literal("False"), Literal("0")


@lru_cache(4096)
def literal(value: int) -> Literal:
    """An integer constant: large ones are written in hexadecimal."""
    return Literal(str(value) if -1 << 20 < value < 1 << 20 else hex(value))


@lru_cache(4096)
def hexadecimal(value: int) -> Literal:
    """A mask or a bound."""
    return Literal(hex(value))


@lru_cache(1024)
def local(index: int) -> Name:
    """The variable of a local."""
    return Name(f"l{index}")


def number(expression: Expression) -> int | None:
    """The value of an integer literal; None for anything else."""
    if type(expression) is not Literal:
        return None
    try:
        return int(expression.text, 0)
    except ValueError:
        return None


def shifted(operand: Expression, amount: int) -> Operation:
    """``(operand >> amount)``."""
    return Operation(SHIFT, operand, Literal(str(amount)))


def call(function: str, arguments: list[Expression]) -> Operation:
    """``function(arguments)``."""
    return Operation(f"{function}({', '.join(['{}'] * len(arguments))})", *arguments)


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and everything in it."""
    yield expression
    for child in expression.children():
        yield from walk(child)


def names(expression: Expression) -> frozenset[str]:
    """The variables that an expression reads."""
    return frozenset(part.text for part in walk(expression) if type(part) is Name)


def rewritten(expression: Expression, replace: Callable[[Expression], Expression | None]) -> Expression:
    """An expression with parts replaced: each part for which ``replace`` gives another one, outer parts first. It is
    the same object if nothing is replaced."""
    other = replace(expression)
    if other is not None:
        return other
    before = expression.children()
    if not before:
        return expression
    after = [rewritten(child, replace) for child in before]
    if not any(map(is_not, before, after)):
        return expression
    if isinstance(expression, Operation):
        return Operation(expression.template, *after)
    if isinstance(expression, Comparison):
        return Comparison(after[0], expression.relation, after[1])
    if isinstance(expression, Element):
        return Element(expression.view, after[0])
    if isinstance(expression, Located):
        return Located(expression.pc, after[0])
    return Not(after[0])
