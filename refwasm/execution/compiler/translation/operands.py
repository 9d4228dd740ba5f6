"""The operand stack of a translation: what is still an expression, and what must have been evaluated by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from refwasm.execution.compiler.translation.emitter import Emitter
from refwasm.execution.compiler.translation.expressions import (
    ZERO,
    Comparison,
    Element,
    Expression,
    Name,
    call,
    literal,
)
from refwasm.execution.compiler.translation.integers import canonical
from refwasm.execution.compiler.translation.statements import Assign, Evaluate, If, Statement
from refwasm.execution.compiler.translation.values import BITS, SCRATCH, Value, expr
from refwasm.syntax.instructions import FORMS, Form

#: Longer expressions get a variable: CPython's parser recurses.
MAX_TEXT = 1000
#: Operations that never need a statement of their own, so that two operands may stay as they are.
PLAIN = frozenset(
    [f"{t}.{name}" for t in ("i32", "i64")
     for name in ("add", "sub", "mul", "and", "or", "xor", "eq", "ne", "lt_u", "gt_u", "le_u", "ge_u")]
    + [f"f64.{name}" for name in ("add", "sub", "mul", "eq", "ne", "lt", "gt", "le", "ge", "min", "max")]
    + [f"f32.{name}" for name in ("add", "sub", "mul")]
)  # fmt: skip
#: Instructions that do nothing to an f32 operand but calculate with it, where all NaNs are the same.
CALCULATING = frozenset(
    form
    for name, form in FORMS.items()
    if name in PLAIN
    or name in ("f32.div", "i32.shl", "i64.shl", "local.get")
    or form.is_const
    or (form.loads and form.width and form.prefix == 0)
)
#: The cell that rounds to f32.
ROUNDING = Element("R", ZERO)


class Interest(Protocol):
    """Is told what would make operations cheaper: see :mod:`.speculation`."""

    def want_small(self, value: Value) -> None:
        """It would help if what an integer is made of were small."""

    def want_small_counters(self, a: Value, b: Value) -> None:
        """The same of locals that are compared, if one of them counts."""

    def read_as_signed(self, value: Value, signed: Expression | None) -> Expression | None:
        """An integer is read as signed, and ``signed`` is that if it can be had for nothing."""


class NoInterest:
    """Does nothing with it."""

    def want_small(self, value: Value) -> None:
        pass

    def want_small_counters(self, a: Value, b: Value) -> None:
        pass

    def read_as_signed(self, value: Value, signed: Expression | None) -> Expression | None:
        return signed


class Operands:
    """``stack`` holds operands, innermost last; ``temporaries`` counts the variables of a translation. This is the
    helper that :mod:`.integers` and :mod:`.floats` ask for."""

    def __init__(self, emitter: Emitter, interest: Interest | None = None) -> None:
        self.emitter = emitter
        self.interest: Interest = interest or NoInterest()
        self.stack: list[Value] = []
        self.temporaries = 0
        self.doubles: dict[str, Name] = {}  # variables with doubled words, by the text of the word
        self.form: Form | None = None  # that of the present instruction
        self.unchecked: dict[str, Expression] = {}  # variables that may have lost the payload of a NaN, and its bits

    def fresh(self) -> Name:
        """A new variable."""
        self.temporaries += 1
        return Name(f"t{self.temporaries - 1}")

    def push(self, value: Value) -> None:
        """Put an operand on the stack."""
        if len(value.text) > MAX_TEXT:
            value = self.stored(value)
        self.stack.append(value)

    def pop(self, count: int) -> list[Value]:
        """Take operands from the stack."""
        first = len(self.stack) - count
        assert first >= 0, "the function is valid"
        values = self.stack[first:]
        del self.stack[first:]
        return values

    # ---- evaluation --------------------------------------------------------------------------------------------------

    def emit(self, statement: Statement, ordered: bool) -> None:
        """A statement; with ``ordered``, what is pending and must come before it comes first."""
        if ordered:
            self.settle_ordered()
        self.emitter.bodies[-1].append(statement)

    def emit_effect(self, effect: Expression) -> None:
        """An expression with an effect and no result."""
        self.emit(Evaluate(effect), True)

    def stored(self, value: Value) -> Value:
        """A value in a variable of its own."""
        variable = self.fresh()
        self.emit(Assign(variable, value.expression), value.ordered)
        self.note_payload(variable, value)
        return _renamed(value, variable)

    def note_payload(self, variable: Name, value: Value) -> None:
        """A signalling NaN that was loaded as a number is a quiet one now: its bits must be had another way, unless
        all that is done with it is to calculate, since results are canonical NaNs."""
        if value.type == "f32" and value.bits and not value.atom:
            if self.form in CALCULATING:
                self.unchecked[variable.text] = value.bits
            else:
                self._keep_payload(variable, value.bits)

    def keep_payloads(self) -> None:
        """Something else follows: variables that are still operands get the bits of their NaNs."""
        waiting = {value.text for value in self.stack}
        for variable, bits in self.unchecked.items():
            if variable in waiting:
                self._keep_payload(Name(variable), bits)
        self.unchecked = {}

    def _keep_payload(self, variable: Name, bits: Expression) -> None:
        self.emitter.add(If(Comparison(variable, "!=", variable), [Assign(variable, call("f32_of", [bits]))]))

    def atom(self, value: Value) -> Value:
        """The same value as a name or a number."""
        return value if value.atom else self.stored(value)

    def in_order(self, operands: list[Value]) -> list[Value]:
        """All of them as names or numbers, evaluated in this order."""
        return [self.atom(operand) for operand in operands]

    def in_effect_order(self, operands: list[Value]) -> list[Value]:
        """Those that must not be evaluated after what follows in variables."""
        return [self.stored(v) if v.ordered and not v.atom else v for v in operands]

    def doubled(self, value: Value) -> Name:
        """A variable with a 32-bit value twice side by side."""
        value = self.atom(value)
        name = self.doubles.get(value.text)
        if name is None:
            name = self.fresh()
            self.emitter.add(Assign(name, expr("{} * 0x100000001", value)))
            self.doubles[value.text] = name
        return name

    def _settle(self, which: Callable[[Value], bool]) -> None:
        """Put operands that are still to be evaluated into variables; ordered ones keep their order."""
        stack = self.stack
        chosen = [index for index, value in enumerate(stack) if which(value)]
        if not chosen:
            return
        last = max((index for index in chosen if stack[index].ordered), default=-1)
        for index, value in enumerate(stack):
            if index in chosen or (value.ordered and index < last):
                variable = self.fresh()
                self.emitter.add(Assign(variable, value.expression))
                self.note_payload(variable, value)
                stack[index] = _renamed(value, variable)

    def settle_ordered(self) -> None:
        """Before an effect."""
        for value in self.stack:
            if value.ordered:
                self._settle(lambda pending: pending.ordered)
                return

    def settle_local(self, index: int) -> None:
        """Before a local (or the scratch cell) changes."""
        for value in self.stack:
            if index in value.locals:
                self._settle(lambda pending: index in pending.locals)
                return

    def settle_all(self) -> None:
        """Before a block: nothing but constants and variables of our own is carried over."""
        self._settle(lambda value: not value.atom or bool(value.locals))

    # ---- representations ---------------------------------------------------------------------------------------------

    def rounded(self, operands: list[Value]) -> list[Value]:
        """All of them in the precision of their type. The scratch cell rounds one at a time."""
        last = -1
        for index, value in enumerate(operands):
            if value.unrounded:
                last = index
            elif value.bits and value.type == "f32" and not value.atom:
                value.bits, value.loose = None, True
        if last < 0:
            return operands
        values = list(operands)
        if any(SCRATCH in v.locals for i, v in enumerate(values) if i != last) or (
            SCRATCH in values[last].locals and any(v.unrounded for v in values[:last])
        ):
            values = self.in_order(values)
        for index in range(last):
            value = values[index]
            if value.unrounded:
                value = self.stored(self._round(value))
            elif value.ordered and not value.atom:
                value = self.stored(value)
            values[index] = value
        values[last] = self._round(values[last])
        return values

    def _round(self, value: Value) -> Value:
        self.settle_local(SCRATCH)
        self.emit(Assign(ROUNDING, value.expression), value.ordered)
        found = Value(ROUNDING, value.type, locals=frozenset((SCRATCH,)))
        found.loose = value.loose
        return found

    def exact(self, operands: list[Value]) -> list[Value]:
        """All of them rounded, and with the right bits if they are NaNs."""
        for value in operands:
            if value.bits and value.type == "f32" and not value.atom:
                value.become(call("f32_of", [value.bits]))
                value.bits = None
        return [self.with_nan(value) for value in self.rounded(operands)]

    def with_nan(self, value: Value) -> Value:
        """A float whose NaNs have the right bits."""
        if not value.loose:
            return value
        if value.atom:
            found = expr("({0} if {0} == {0} else NAN)", value)
        else:
            found = expr("({0} if ({0} := {1}) == {0} else NAN)", self.fresh(), value)
        return Value(found, value.type, locals=value.locals, ordered=value.ordered)

    def want_small(self, value: Value) -> None:
        """See :class:`Interest`."""
        self.interest.want_small(value)

    def want_small_counters(self, a: Value, b: Value) -> None:
        """See :class:`Interest`."""
        self.interest.want_small_counters(a, b)

    def signed(self, value: Value) -> Expression | None:
        """An integer read as signed, if that can be had for nothing."""
        half = 1 << (BITS[value.type] - 1)
        if value.constant is not None:
            signed: Expression | None = literal(value.constant - 2 * half if value.constant >= half else value.constant)
        else:
            signed = value.expression if value.within(-half, half - 1) else value.signed
        return self.interest.read_as_signed(value, signed)

    def settled(self, values: list[Value]) -> list[Value]:
        """Values as calls, blocks and globals want them: canonical integers, exact floats."""
        if not any(value.type in BITS for value in values):
            return values
        return self.exact([canonical(self, v, BITS[v.type]) if v.type in ("i32", "i64") else v for v in values])


def _renamed(value: Value, variable: Name) -> Value:
    """The value once it is in a variable."""
    found = Value(variable, value.type, value.lo, value.hi, atom=True)
    found.alignment, found.mixes, found.loose, found.unrounded = (
        value.alignment, value.mixes, value.loose, value.unrounded,
    )  # fmt: skip
    return found
