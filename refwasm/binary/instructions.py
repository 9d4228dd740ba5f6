"""Instructions (specification 5.4), both directions, driven by the table of forms.

``OPERANDS`` holds one reader and one writer per immediate word; nothing here knows a single mnemonic but those that
open and close blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from refwasm.binary import types as t
from refwasm.binary.values import Reader, as_signed, encode_signed, encode_unsigned, encode_vector
from refwasm.syntax.instructions import CATCH_KINDS, FORMS, OPENERS, PLAIN, Catch, Form, Instr, MemArg, On
from refwasm.syntax.types import RefType

MEMORY_INDEX_FOLLOWS = 0x40


class Operand(NamedTuple):
    """How one immediate word is read and written; it stands for ``yields`` operands of the instruction."""

    read: Callable[[Reader], Any]
    write: Callable[..., bytes]
    yields: int = 1


def _memarg(r: Reader) -> MemArg:
    start = r.pos
    flags = r.u32()
    if flags >= 2 * MEMORY_INDEX_FOLLOWS:
        r.fail("malformed memop flags", start)
    memory = r.u32() if flags & MEMORY_INDEX_FOLLOWS else 0
    return MemArg(memory, flags & (MEMORY_INDEX_FOLLOWS - 1), r.unsigned(64))


def _write_memarg(arg: MemArg) -> bytes:
    if arg.memory:
        align = encode_unsigned(arg.align | MEMORY_INDEX_FOLLOWS) + encode_unsigned(arg.memory)
    else:
        align = encode_unsigned(arg.align)
    return align + encode_unsigned(arg.offset)


def _zero(r: Reader) -> None:
    if r.byte() != 0:
        r.fail("zero byte expected", r.pos - 1)


def _cast(r: Reader) -> tuple[int, RefType, RefType]:
    start = r.pos
    flags = r.byte()
    if flags > 3:
        r.fail("malformed br_on_cast flags", start)
    label = r.u32()
    source = RefType(bool(flags & 1), t.heap_type(r))
    return label, source, RefType(bool(flags & 2), t.heap_type(r))


def _write_cast(label: int, source: RefType, target: RefType) -> bytes:
    flags = bytes([source.nullable | target.nullable << 1])
    heaps = t.encode_heap_type(source.heap) + t.encode_heap_type(target.heap)
    return flags + encode_unsigned(label) + heaps


def _catch(r: Reader) -> Catch:
    start = r.pos
    code = r.byte()
    if code >= len(CATCH_KINDS):
        r.fail("malformed catch clause", start)
    tag = r.u32() if code < 2 else None
    return Catch(CATCH_KINDS[code], tag, r.u32())


def _write_catches(catches: tuple[Catch, ...]) -> bytes:
    return encode_vector(
        [
            bytes([CATCH_KINDS.index(c.kind)])
            + (b"" if c.tag is None else encode_unsigned(c.tag))
            + encode_unsigned(c.label)
            for c in catches
        ]
    )


def _on(r: Reader) -> On:
    start = r.pos
    code = r.byte()
    if code > 1:
        r.fail("malformed on clause", start)
    return On(r.u32(), None if code else r.u32())


def _write_handlers(handlers: tuple[On, ...]) -> bytes:
    return encode_vector(
        [
            bytes([h.label is None]) + encode_unsigned(h.tag) + (b"" if h.label is None else encode_unsigned(h.label))
            for h in handlers
        ]
    )


def _fixed(size: int) -> Operand:
    return Operand(lambda r: int.from_bytes(r.bytes(size), "little"), lambda v: v.to_bytes(size, "little"))


def _integer(bits: int) -> Operand:
    mask = (1 << bits) - 1
    return Operand(lambda r: r.signed(bits) & mask, lambda v: encode_signed(as_signed(v, bits)))


_INDEX = Operand(Reader.u32, encode_unsigned)
_BYTE = Operand(Reader.byte, lambda lane: bytes([lane]))

OPERANDS: dict[str, Operand] = {
    "block": Operand(t.block_type, t.encode_block_type),
    **dict.fromkeys(
        ("label", "func", "type", "table", "memory", "global", "local", "tag", "elem", "data", "field", "count"), _INDEX
    ),
    "labels": Operand(
        lambda r: (r.vector(r.u32), r.u32()),
        lambda labels, default: encode_vector([encode_unsigned(x) for x in labels]) + encode_unsigned(default),
        2,
    ),
    "types": Operand(
        lambda r: r.vector(lambda: t.val_type(r)), lambda types: encode_vector([t.encode_val_type(x) for x in types])
    ),
    "heap": Operand(t.heap_type, t.encode_heap_type),
    "cast": Operand(_cast, _write_cast, 3),
    "catches": Operand(lambda r: r.vector(lambda: _catch(r)), _write_catches),
    "handlers": Operand(lambda r: r.vector(lambda: _on(r)), _write_handlers),
    **dict.fromkeys(("memarg8", "memarg16", "memarg32", "memarg64", "memarg128"), Operand(_memarg, _write_memarg)),
    "lane": _BYTE,
    "lanes": Operand(lambda r: tuple(r.bytes(16)), bytes),
    "i32": _integer(32),
    "i64": _integer(64),
    "f32": _fixed(4),
    "f64": _fixed(8),
    "v128": _fixed(16),
    "zero": Operand(_zero, lambda: b"\0", 0),
}

Decoder = Callable[[Reader], Instr]


def _decoder(form: Form) -> Decoder:
    """The reader of an instruction's operands."""
    operands = [OPERANDS[word] for word in form.immediates]
    if not operands:
        return lambda r, plain=PLAIN[form.mnemonic]: plain  # type: ignore[misc]
    if len(operands) == 1 and operands[0].yields == 1:
        read = operands[0].read
        return lambda r: Instr(form, (read(r),))

    def decode(r: Reader) -> Instr:
        args: list[Any] = []
        for operand in operands:
            value = operand.read(r)
            if operand.yields == 1:
                args.append(value)
            elif operand.yields > 1:
                args.extend(value)
        return Instr(form, tuple(args)) if args else PLAIN[form.mnemonic]

    return decode


class _Decoders(dict[int, Decoder]):
    """Decoders by opcode, made when first needed: a module uses few of the 566."""

    def __init__(self, prefix: int) -> None:
        self.forms = {form.opcode: form for form in FORMS.values() if form.prefix == prefix}

    def __missing__(self, opcode: int) -> Decoder:
        decoder = self[opcode] = _decoder(self.forms[opcode])
        return decoder


_PREFIXES = (0xFB, 0xFC, 0xFD, 0xFE)
_DECODERS: dict[int, _Decoders] = {prefix: _Decoders(prefix) for prefix in (0, *_PREFIXES)}
_PLAIN_BY_BYTE: list[Instr | None] = [None] * 256
for _form in FORMS.values():
    if _form.prefix == 0 and not _form.immediates:
        _PLAIN_BY_BYTE[_form.opcode] = PLAIN[_form.mnemonic]

_OPENERS = frozenset(FORMS[name].opcode for name in OPENERS)
_IF, _ELSE, _END = FORMS["if"].opcode, FORMS["else"].opcode, FORMS["end"].opcode


def decode_expr(r: Reader, memo: dict[Any, Instr], positions: list[int] | None = None) -> tuple[Instr, ...]:
    """An expression with its closing ``end`` (5.4.9).

    ``memo`` maps encodings to instructions, so that equal ones are one object; ``positions`` receives their offsets.
    """
    data, end, pos = r.data, r.end, r.pos
    body: list[Instr] = []
    append, known, mark = body.append, memo.get, ([] if positions is None else positions).append
    opened = [0]  # opcodes of the open blocks; the outermost stands for the expression itself
    while True:
        if pos >= end:
            r.fail("unexpected end of section or function", pos)
        opcode = data[pos]
        instr = _PLAIN_BY_BYTE[opcode]
        mark(pos)
        if instr is not None:
            append(instr)
            if opcode == _END:
                opened.pop()
                if not opened:
                    r.pos = pos + 1
                    return tuple(body)
            elif opcode == _ELSE:
                if opened[-1] != _IF:
                    r.fail("END opcode expected", pos)
                opened[-1] = _ELSE
            pos += 1
            continue
        if (instr := known(data[pos : pos + 2])) is not None:
            pos += 2
        elif (instr := known(data[pos : pos + 3])) is not None:
            pos += 3
        elif (instr := known(data[pos : pos + 6])) is not None:  # linkers fill up what they relocate
            pos += 6
        else:
            instr = _decode_operands(r, pos, opcode)
            instr = memo.setdefault(instr, instr)
            if r.pos - pos in (2, 3, 6):
                memo[data[pos : r.pos]] = instr
            pos = r.pos
        append(instr)
        if opcode in _OPENERS:
            opened.append(opcode)


def _decode_operands(r: Reader, start: int, opcode: int) -> Instr:
    """The instruction at ``start``, whose first byte is ``opcode``."""
    r.pos = start + 1
    prefix, name = 0, f"{opcode:02x}"
    if opcode in _PREFIXES:
        prefix, opcode = opcode, r.u32()
        name += f" {opcode:02x}"
    decoders = _DECODERS[prefix]
    if opcode not in decoders.forms:
        r.fail(f"illegal opcode {name}", start)
    return decoders[opcode](r)


class _Encoders(dict[Form, Callable[[tuple[Any, ...]], bytes]]):
    """Encoders by form, made when first needed."""

    def __missing__(self, form: Form) -> Callable[[tuple[Any, ...]], bytes]:
        code = bytes([form.opcode]) if not form.prefix else bytes([form.prefix]) + encode_unsigned(form.opcode)
        operands = [OPERANDS[word] for word in form.immediates]

        def encode(args: tuple[Any, ...]) -> bytes:
            out, index = [code], 0
            for operand in operands:
                out.append(operand.write(*args[index : index + operand.yields]))
                index += operand.yields
            return b"".join(out)

        self[form] = encode
        return encode


_ENCODERS = _Encoders()


def encode_expr(expr: tuple[Instr, ...], memo: dict[Instr, bytes] | None = None) -> bytes:
    """The bytes of an expression (which brings its closing ``end``)."""
    cache: dict[Instr, bytes] = {} if memo is None else memo
    out: list[bytes] = []
    for instr in expr:
        raw = cache.get(instr)
        if raw is None:
            raw = cache[instr] = _ENCODERS[instr.form](instr.args)
        out.append(raw)
    return b"".join(out)


def instruction_sizes(expr: tuple[Instr, ...]) -> list[int]:
    """Encoded size of each instruction, in bytes."""
    return [len(_ENCODERS[instr.form](instr.args)) for instr in expr]
