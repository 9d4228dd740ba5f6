"""Values (specification 5.2): integers in LEB128, floats, names, vectors; a reader over bytes.

The reader always sees the whole file, so positions in errors are file offsets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from refwasm.errors import Malformed

T = TypeVar("T")


class Reader:
    """A cursor over a binary module: ``data`` from ``pos`` on."""

    __slots__ = ("data", "pos", "end")

    def __init__(self, data: bytes, pos: int = 0) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data)

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        """Raise Malformed at a position (default: here)."""
        raise Malformed(message, self.pos if position is None else position)

    def byte(self) -> int:
        """One byte (5.2.1)."""
        pos = self.pos
        if pos >= self.end:
            self.fail("unexpected end of section or function")
        self.pos = pos + 1
        return self.data[pos]

    def bytes(self, count: int) -> bytes:
        """``count`` raw bytes."""
        start = self.pos
        if count > self.end - start:
            self.fail("unexpected end of section or function")
        self.pos = start + count
        return self.data[start : self.pos]

    def unsigned(self, bits: int) -> int:
        """An unsigned integer of that many bits (5.2.2): at most ceil(bits/7) bytes, no set bit beyond the width."""
        start = self.pos
        result = shift = 0
        while True:
            byte = self.byte()
            if shift + 7 > bits and byte >> (bits - shift):
                message = "integer representation too long" if byte & 0x80 else "integer too large"
                self.fail(message, start)
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    def signed(self, bits: int) -> int:
        """A signed integer of that many bits (5.2.2); the unused bits of the last byte must repeat the sign."""
        start = self.pos
        result = shift = 0
        while True:
            byte = self.byte()
            if shift + 7 >= bits:
                rest = bits - shift  # payload bits that this last byte may carry
                if byte & 0x80:
                    self.fail("integer representation too long", start)
                sign_and_unused = (byte & 0x7F) >> (rest - 1)
                if sign_and_unused not in (0, 0x7F >> (rest - 1)):
                    self.fail("integer too large", start)
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result - (1 << shift) if byte & 0x40 else result

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        pos = self.pos
        if pos < self.end and (byte := self.data[pos]) < 0x80:
            self.pos = pos + 1
            return byte
        return self.unsigned(32)

    def length(self) -> int:
        """A u32 that counts things of at least one byte each, so it can't exceed what is left of the file."""
        start = self.pos
        count = self.u32()
        if count > self.end - self.pos:
            self.fail("length out of bounds", start)
        return count

    def name(self) -> str:
        """A name (5.2.4): UTF-8, strictly."""
        count = self.length()
        start = self.pos
        try:
            return self.bytes(count).decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail("malformed UTF-8 encoding", start + error.start)

    def vector(self, item: Callable[[], T]) -> tuple[T, ...]:
        """A vector (5.1.3) of what ``item`` reads: at least a byte each, so a count too large meets the end soon."""
        return tuple([item() for _ in range(self.u32())])


def encode_unsigned(value: int) -> bytes:
    """Shortest LEB128 of a non-negative integer."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_signed(value: int) -> bytes:
    """Shortest signed LEB128."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def encode_name(name: str) -> bytes:
    """A name with its length in bytes."""
    raw = name.encode("utf-8")
    return encode_unsigned(len(raw)) + raw


def encode_vector(items: list[bytes]) -> bytes:
    """A vector of encoded items."""
    return encode_unsigned(len(items)) + b"".join(items)


def as_signed(value: int, bits: int) -> int:
    """The signed reading of an unsigned ``bits``-wide integer."""
    return value - (1 << bits) if value >> (bits - 1) else value
