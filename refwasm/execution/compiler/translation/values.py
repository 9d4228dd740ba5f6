"""Operands: expressions with what is known about them. They stand on the operand stack while a function is translated.

Integers are Python integers *congruent* to the WebAssembly value modulo 2**n; ``lo`` and ``hi`` bound them, and they
are *canonical*, the value itself, where the bounds say so: masks come late, and only where needed. Floats are Python
floats, f32 as the double of the same value.
"""

from __future__ import annotations

from refwasm.execution.compiler.translation.expressions import Expression, Located, Name, Operation, literal

BITS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64}
#: Instead of a local: the value is in the scratch cell that rounds to f32.
SCRATCH = -1
NOTHING: frozenset[int] = frozenset()

#: How two operands were compared, for what a branch on the outcome tells about them.
Comparison = tuple[str, "Value", "Value"]


class Value:
    """An operand.

    * ``type``: ``i32 i64 f32 f64``, or "" for vectors and references;
    * ``text``: the text of the ``expression``;
    * ``locals``: the locals that the expression reads;
    * ``ordered``: it may trap or depends on memory or globals: evaluated before the next effect, in order;
    * ``atom``: the expression is a name or a number, ``constant`` its number if it is one;
    * ``truth``: a Python condition for being other than zero; ``compare``: where that came from;
    * ``alignment``: it is a multiple of 2**alignment;
    * ``parts``: locals that are surely not greater (sums of things that are not negative);
    * ``adds``: it is this local plus something without it;
    * ``linear``: coefficients of locals (of 1 under SCRATCH) that it is the sum of, exactly;
    * ``mixes``: it was mixed as hashes are, so that it will rarely be small;
    * ``loose``: a float of which any NaN stands for the canonical one;
    * ``unrounded``: an f32 result in double precision, still to be rounded;
    * ``bits``: a float's bit pattern, where that is the more direct way;
    * ``signed``: an integer read as signed, where that is as direct.
    """

    __slots__ = (
        "expression", "text", "type", "lo", "hi", "locals", "ordered", "atom", "constant", "truth", "compare",
        "alignment", "parts", "adds", "linear", "mixes", "loose", "unrounded", "bits", "signed",
    )  # fmt: skip

    def __init__(
        self, expression: Expression, type: str, lo: int = 0, hi: int = 0, locals: frozenset[int] = NOTHING,
        ordered: bool = False, atom: bool = False,
    ) -> None:  # fmt: skip
        self.expression = expression
        self.text = expression.text
        self.type = type
        self.lo = lo
        self.hi = hi
        self.locals = locals
        self.ordered = ordered
        self.atom = atom
        self.constant: int | None = None
        self.truth: Expression | None = None
        self.compare: Comparison | None = None
        self.alignment = 0
        self.parts: tuple[int, ...] = ()
        self.adds: int | None = None
        self.linear: dict[int, int] | None = None
        self.mixes = False
        self.loose = False
        self.unrounded = False
        self.bits: Expression | None = None
        self.signed: Expression | None = None

    def within(self, low: int, high: int) -> bool:
        """Whether the bounds say that it is not outside of these."""
        return self.lo >= low and self.hi <= high

    @property
    def condition(self) -> Expression:
        """What is true where the value is not zero."""
        return self.truth or self.expression

    def locate(self, pc: int) -> None:
        """A failure in it is one of an instruction."""
        self.become(Located(pc, self.expression))

    def become(self, expression: Expression) -> None:
        """Another expression for the same value."""
        self.expression, self.text = expression, expression.text

    def __repr__(self) -> str:
        return f"<{self.type} {self.text} in {self.lo}..{self.hi}>"


def expr(template: str, *operands: Value | Expression) -> Operation:
    """An operation on values and expressions."""
    if len(operands) == 2:  # most of them
        a, b = operands
        return Operation(
            template,
            a if isinstance(a, Expression) else a.expression,
            b if isinstance(b, Expression) else b.expression,
        )
    return Operation(template, *[v if isinstance(v, Expression) else v.expression for v in operands])


def plain(
    expression: Expression, type: str, locals: frozenset[int] = NOTHING, ordered: bool = False, atom: bool = False
) -> Value:
    """A value of which nothing is known but its type."""
    most = (1 << BITS[type]) - 1 if type in ("i32", "i64") else 0
    return Value(expression, type, 0, most, locals, ordered, atom)


def unknown(name: str, type: str) -> Value:
    """A variable of which nothing is known but its type."""
    return plain(Name(name), type, atom=True)


def integer(value: int, type: str) -> Value:
    """An integer constant."""
    found = Value(literal(value), type, value, value, atom=True)
    found.constant = value
    found.alignment = (value & -value).bit_length() - 1 if value else 64
    found.linear = {SCRATCH: value}
    return found


def combined(expression: Expression, type: str, lo: int, hi: int, *operands: Value) -> Value:
    """An expression made of others."""
    if len(operands) == 1:
        return Value(expression, type, lo, hi, operands[0].locals, operands[0].ordered)
    locals, ordered = NOTHING, False
    for operand in operands:
        if operand.locals:
            locals = locals | operand.locals if locals else operand.locals
        ordered = ordered or operand.ordered
    return Value(expression, type, lo, hi, locals, ordered)
