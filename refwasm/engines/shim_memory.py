"""How a shimmed module shows its memories: their sizes, words, and the contents as one number.

The number is the contents, read as one integer (little end first), modulo the prime 2^61 - 1: a harness in WebAssembly
computes it with shifts, and Python with one remainder.
"""

from __future__ import annotations

from refwasm.syntax.instructions import END, Instr, MemArg, instr
from refwasm.syntax.types import EMPTY_BLOCK, I64, MemType

PRIME = (1 << 61) - 1


def hash_of(contents: bytes) -> int:
    """The number for some contents."""
    return int.from_bytes(contents, "little") % PRIME


def size_body(index: int, memory: MemType) -> list[Instr]:
    """Pushes the size of a memory in bytes, as an i64."""
    pages = [instr("memory.size", index)]
    if memory.address is not I64:
        pages.append(instr("i64.extend_i32_u"))
    return [*pages, instr("i64.const", memory.page_bits), instr("i64.shl")]


def load_body(index: int, memory: MemType, name: str, address: int) -> list[Instr]:
    """Pushes what is at the address in a local of type i64; ``name`` is the instruction that loads."""
    wrapped = [] if memory.address is I64 else [instr("i32.wrap_i64")]
    return [instr("local.get", address), *wrapped, instr(name, MemArg(index, 0, 0))]


def hash_body(index: int, memory: MemType) -> list[Instr]:
    """Pushes the contents as a number; locals 0 (address) and 1 (number) are of type i64, and zero."""
    address, number = 0, 1
    byte = load_body(index, memory, "i64.load8_u", address)
    word = load_body(index, memory, "i64.load", address)
    return [
        *size_body(index, memory), instr("local.set", address),
        *_down(address, 7, 1, _taken(number, 8, byte)), *_down(address, -1, 8, _taken(number, 3, word)),
        instr("local.get", number),
    ]  # fmt: skip


def _down(address: int, mask: int, step: int, body: list[Instr]) -> list[Instr]:
    """While bits of the address in ``mask`` are set: go down by ``step``, and do something there."""
    return [
        instr("block", EMPTY_BLOCK), instr("loop", EMPTY_BLOCK),
        instr("local.get", address), instr("i64.const", mask & (1 << 64) - 1), instr("i64.and"),
        instr("i64.eqz"), instr("br_if", 1),
        instr("local.get", address), instr("i64.const", step), instr("i64.sub"), instr("local.set", address),
        *body, instr("br", 0), END, END,
    ]  # fmt: skip


def _taken(number: int, bits: int, piece: list[Instr]) -> list[Instr]:
    """The number times 2 to the power of ``bits``, and a piece, modulo the prime."""
    prime, got = instr("i64.const", PRIME), instr("local.get", number)
    return [
        got, instr("i64.const", bits), instr("i64.shl"), prime, instr("i64.and"),
        got, instr("i64.const", 61 - bits), instr("i64.shr_u"), instr("i64.add"),
        *piece, prime, instr("i64.rem_u"), instr("i64.add"), prime, instr("i64.rem_u"),
        instr("local.set", number),
    ]  # fmt: skip


def words_of(size: int) -> tuple[range, range]:
    """The addresses of whole words, and of the bytes behind them, of contents of that size."""
    return range(0, size - 7, 8), range(size & ~7, size)


def contents(size: int, words: list[int], tail: list[int]) -> bytes:
    """The contents from what is at the addresses of :func:`words_of`."""
    whole = b"".join(word.to_bytes(8, "little") for word in words)
    return (whole + bytes(tail))[:size]
