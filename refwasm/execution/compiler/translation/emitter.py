"""Where statements go while a function is translated: into the innermost body that is open."""

from __future__ import annotations

from refwasm.execution.compiler.translation.statements import Body, If, Statement, Try, While, is_jump

#: Levels of indentation around the body of a function: its own, and that of the ``try`` around everything.
OUTSIDE = 2


class Emitter:
    """``bodies`` are the open ones, innermost last; ``deepest`` is the greatest depth of indentation so far."""

    def __init__(self) -> None:
        self.bodies: list[Body] = [[]]
        self.deepest = OUTSIDE

    def add(self, statement: Statement) -> None:
        """A statement at the end of the open body."""
        self.bodies[-1].append(statement)

    def begin(self, statement: If | While | Try) -> None:
        """A compound statement: what follows goes into its body."""
        self.bodies[-1].append(statement)
        self.open(statement.body)

    def begin_else(self) -> None:
        """The other body of the ``if`` whose body is open."""
        self.bodies.pop()
        statement = self.bodies[-1][-1]
        assert isinstance(statement, If)
        self.bodies.append(statement.otherwise)

    def open(self, body: Body) -> None:
        """What follows goes into a body."""
        self.bodies.append(body)
        self.deepest = max(self.deepest, len(self.bodies) - 1 + OUTSIDE)

    def close(self) -> Body:
        """The open body is finished."""
        return self.bodies.pop()

    @property
    def body(self) -> Body:
        """The open body."""
        return self.bodies[-1]

    def ends_in_jump(self) -> bool:
        """Whether what follows in the open body would never be reached."""
        body = self.bodies[-1]
        return bool(body) and is_jump(body[-1])
