"""The operand stack of a translation: what is still an expression, and what must have been evaluated by now."""

from __future__ import annotations

from collections.abc import Callable

from refwasm.execution.compiler.integers import canonical
from refwasm.execution.compiler.source import Source
from refwasm.execution.compiler.values import BITS, SCRATCH, Value, plain

#: Longer expressions get a variable: CPython's parser recurses.
MAX_TEXT = 1000
#: Bounds and factor (a power of two) of an integer local.
Fact = tuple[int, int, int]


class Operands:
    """``stack`` holds operands, innermost last; ``source`` the lines so far; ``temporaries`` counts our variables;
    ``facts`` is what is known about integer locals here; ``wishes`` what it would be good to know."""

    def __init__(self) -> None:
        self.source = Source()
        self.stack: list[Value] = []
        self.temporaries = 0
        self.facts: dict[int, Fact] = {}
        self.wishes: set[tuple[int, int]] = set()  # a local, and the power of two that it should be a multiple of
        self.lows: dict[int, int] = {}  # and what it should be at least
        self.doubles: dict[str, str] = {}  # names of doubled words, by the text of the word
        self.sums: dict[int, dict[int, int]] = {}  # what locals are the sum of, as Value.linear says it
        self.calculates = False  # the present instruction does nothing to an f32 operand but calculate with it
        self.unchecked: dict[str, str] = {}  # variables that may have lost the payload of a NaN, and where its bits are

    def forget(self) -> None:
        """Ways come together: the names and the sums of one of them are no longer known."""
        self.doubles, self.sums = {}, {}

    def fresh(self) -> str:
        """The name of a new variable."""
        self.temporaries += 1
        return f"t{self.temporaries - 1}"

    def push(self, value: Value) -> None:
        """Put an operand on the stack."""
        if len(value.text) > MAX_TEXT:
            value = self._stored(value)
        self.stack.append(value)

    def _pop(self, count: int) -> list[Value]:
        first = len(self.stack) - count
        assert first >= 0, "the function is valid"
        values = self.stack[first:]
        del self.stack[first:]
        return values

    # ---- evaluation --------------------------------------------------------------------------------------------------

    def _stored(self, value: Value) -> Value:
        """A value in a variable of its own."""
        variable = self.fresh()
        self._emit(f"{variable} = {value.text}", value.ordered)
        self._note_payload(variable, value)
        return _renamed(value, variable)

    def _note_payload(self, variable: str, value: Value) -> None:
        """A signalling NaN that was loaded as a number is a quiet one now: its bits must be had another way, unless
        all that is done with it is to calculate, since results are canonical NaNs."""
        if value.type == "f32" and value.bits and not value.atom:
            if self.calculates:
                self.unchecked[variable] = value.bits
            else:
                self._keep_payload(variable, value.bits)

    def keep_payloads(self) -> None:
        """Something else follows: variables that are still operands get the bits of their NaNs."""
        waiting = {value.text for value in self.stack}
        for variable, bits in self.unchecked.items():
            if variable in waiting:
                self._keep_payload(variable, bits)
        self.unchecked = {}

    def _keep_payload(self, variable: str, bits: str) -> None:
        self._line(f"if {variable} != {variable}: {variable} = f32_of({bits})")

    def atom(self, value: Value) -> Value:
        """The same value as a name or a number."""
        return value if value.atom else self._stored(value)

    def in_order(self, operands: list[Value]) -> list[Value]:
        """All of them as names or numbers, evaluated in this order."""
        return [self.atom(operand) for operand in operands]

    def in_effect_order(self, operands: list[Value]) -> list[Value]:
        """Those that must not be evaluated after what follows in variables."""
        return [self._stored(v) if v.ordered and not v.atom else v for v in operands]

    def doubled(self, value: Value) -> str:
        """A name for a 32-bit value twice side by side."""
        value = self.atom(value)
        name = self.doubles.get(value.text)
        if name is None:
            name = self.fresh()
            self._line(f"{name} = {value.text} * 0x100000001")
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
                self._line(f"{variable} = {value.text}")
                self._note_payload(variable, value)
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

    def _settle_all(self) -> None:
        """Before a block: nothing but constants and variables of our own is carried over."""
        self._settle(lambda value: not value.atom or bool(value.locals))

    def _emit(self, line: str, ordered: bool) -> None:
        """A line; with ``ordered``, what is pending and must come before it comes first."""
        if ordered:
            self.settle_ordered()
        self.source.add(line)

    def _line(self, text: str) -> None:
        self.source.add(text)

    # ---- representations ---------------------------------------------------------------------------------------------

    def rounded(self, operands: list[Value]) -> list[Value]:
        """All of them in the precision of their type. The scratch cell rounds one at a time."""
        last = -1
        for index, value in enumerate(operands):
            if value.unrounded:
                last = index
            elif value.bits and value.type == "f32" and not value.atom:
                value.bits, value.loose = "", True
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
                value = self._stored(self._round(value))
            elif value.ordered and not value.atom:
                value = self._stored(value)
            values[index] = value
        values[last] = self._round(values[last])
        return values

    def _round(self, value: Value) -> Value:
        self.settle_local(SCRATCH)
        self._emit(f"R[0] = {value.text}", value.ordered)
        found = Value("R[0]", value.type, locals=frozenset((SCRATCH,)))
        found.loose = value.loose
        return found

    def exact(self, operands: list[Value]) -> list[Value]:
        """All of them rounded, and with the right bits if they are NaNs."""
        for value in operands:
            if value.bits and value.type == "f32" and not value.atom:
                value.text, value.bits = f"f32_of({value.bits})", ""
        return [self._with_nan(value) for value in self.rounded(operands)]

    def _with_nan(self, value: Value) -> Value:
        if not value.loose:
            return value
        if value.atom:
            text = f"({value.text} if {value.text} == {value.text} else NAN)"
        else:
            variable = self.fresh()
            text = f"({variable} if ({variable} := {value.text}) == {variable} else NAN)"
        return Value(text, value.type, locals=value.locals, ordered=value.ordered)

    def wish(self, value: Value) -> None:
        """It would be good to know that what an integer is made of is small."""
        for index in value.locals:
            self.wishes.add((index, 0))
        if value.adds is not None and -256 < value.lo < 0:
            self.lows[value.adds] = max(-value.lo, self.lows.get(value.adds, 0))

    def wish_counters(self, a: Value, b: Value) -> None:
        """The same of locals that are compared, if one of them counts: see :mod:`.loops`."""

    def signed(self, value: Value) -> str:
        """Text of an integer read as signed, if that can be had for nothing."""
        half = 1 << (BITS[value.type] - 1)
        if value.constant is not None:
            return str(value.constant - 2 * half if value.constant >= half else value.constant)
        return value.text if value.within(-half, half - 1) else value.signed

    def settled(self, values: list[Value]) -> list[Value]:
        """Values as calls, blocks and globals want them: canonical integers, exact floats."""
        if not any(value.type in BITS for value in values):
            return values
        return self.exact([canonical(self, v, BITS[v.type]) if v.type in ("i32", "i64") else v for v in values])


def _renamed(value: Value, variable: str) -> Value:
    """The value once it is in a variable."""
    found = Value(variable, value.type, value.lo, value.hi, atom=True)
    found.twos, found.mixes, found.loose, found.unrounded = value.twos, value.mixes, value.loose, value.unrounded
    return found


def unknown(name: str, type: str) -> Value:
    """A variable of which nothing is known."""
    return plain(name, type, atom=True)
