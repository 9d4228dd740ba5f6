"""Values and result patterns of scripts: bit-exact, with the two NaN classes and ``either``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refwasm.embedding import I31, ArrayInst, ExnInst, FuncInst, HostFunc, HostRef, StructInst
from refwasm.text.numbers import FLOAT_LAYOUT, print_float

CANONICAL, ARITHMETIC = "nan:canonical", "nan:arithmetic"


def is_canonical_nan(bits: int, width: int) -> bool:
    """Exactly the quiet bit set in the fraction, any sign."""
    fraction, _ = FLOAT_LAYOUT[width]
    return bits & ~(1 << (width - 1)) == ((1 << (width - fraction)) - 1) >> 1 << fraction | 1 << (fraction - 1)


def is_arithmetic_nan(bits: int, width: int) -> bool:
    """A NaN with the quiet bit set."""
    fraction, _ = FLOAT_LAYOUT[width]
    quiet = ((1 << (width - fraction)) - 1) >> 1 << fraction | 1 << (fraction - 1)
    return bits & quiet == quiet


@dataclass(frozen=True)
class Number:
    """A number: ``expected`` is its bits, or the name of a NaN class."""

    type: str
    expected: int | str

    def matches(self, value: Any) -> bool:
        width = int(self.type[1:])
        if not isinstance(value, int) or isinstance(value, I31):
            return False
        if self.expected == CANONICAL:
            return is_canonical_nan(value, width)
        if self.expected == ARITHMETIC:
            return is_arithmetic_nan(value, width)
        return value == self.expected

    def __str__(self) -> str:
        if isinstance(self.expected, str):
            return f"{self.type} {self.expected}"
        return _number(self.expected, self.type)


@dataclass(frozen=True)
class Vector:
    """A vector as lanes of numbers."""

    shape: str
    lanes: tuple[Number, ...]

    def matches(self, value: Any) -> bool:
        width = int(self.lanes[0].type[1:])
        mask = (1 << width) - 1
        return isinstance(value, int) and all(
            lane.matches(value >> width * i & mask) for i, lane in enumerate(self.lanes)
        )

    def __str__(self) -> str:
        return f"v128 {self.shape} " + " ".join(str(lane).split(" ", 1)[1] for lane in self.lanes)


_REFERENCES: dict[str, Callable[[Any], bool]] = {
    "ref.null": lambda v: v is None,
    "ref.func": lambda v: isinstance(v, (FuncInst, HostFunc)),
    "ref.extern": lambda v: v is not None,
    "ref.host": lambda v: isinstance(v, HostRef),
    "ref.any": lambda v: v is not None,
    "ref.eq": lambda v: isinstance(v, (I31, StructInst, ArrayInst)),
    "ref.i31": lambda v: isinstance(v, I31),
    "ref.struct": lambda v: isinstance(v, StructInst),
    "ref.array": lambda v: isinstance(v, ArrayInst),
    "ref.exn": lambda v: isinstance(v, ExnInst),
}


@dataclass(frozen=True)
class Reference:
    """A reference of some kind; ``number`` identifies a host reference where given."""

    kind: str
    number: int | None = None

    def matches(self, value: Any) -> bool:
        if self.number is not None:
            return isinstance(value, HostRef) and value.value == self.number
        return _REFERENCES[self.kind](value)

    def __str__(self) -> str:
        return f"({self.kind}{'' if self.number is None else f' {self.number}'})"


@dataclass(frozen=True)
class Either:
    """Any of several patterns."""

    patterns: tuple[Pattern, ...]

    def matches(self, value: Any) -> bool:
        return any(pattern.matches(value) for pattern in self.patterns)

    def __str__(self) -> str:
        return "(either " + " ".join(map(str, self.patterns)) + ")"


Pattern = Number | Vector | Reference | Either
KINDS = frozenset(_REFERENCES)


def show(value: Any, pattern: Pattern | None = None) -> str:
    """A value for messages, in the shape of the pattern that it was compared with: ``i32 5``, ``f32 1 (0x3f800000)``,
    ``v128 i32x4 1 2 3 4``."""
    while isinstance(pattern, Either):
        pattern = pattern.patterns[0]
    if isinstance(value, I31):
        return f"(ref.i31 {int(value)})"
    if not isinstance(value, int):
        return "(ref.null)" if value is None else repr(value)
    if isinstance(pattern, Vector):
        width = int(pattern.lanes[0].type[1:])
        lanes = (value >> width * i & (1 << width) - 1 for i in range(len(pattern.lanes)))
        return f"v128 {pattern.shape} " + " ".join(_lane(bits, pattern.shape[0], width) for bits in lanes)
    return _number(value, pattern.type) if isinstance(pattern, Number) else f"bits {value}"


def _number(bits: int, type: str) -> str:
    if type[0] == "i":
        return f"{type} {bits}"
    width = int(type[1:])
    return f"{type} {print_float(bits, width)} (0x{bits:0{width // 4}x})"


def _lane(bits: int, kind: str, width: int) -> str:
    return str(bits) if kind == "i" else f"{print_float(bits, width)} (0x{bits:0{width // 4}x})"
