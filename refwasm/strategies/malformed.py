"""Bytes and texts that are no modules (chapters 5 and 6 of the specification): each has one fault, at a place that is
known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn

from refwasm.binary.values import encode_unsigned
from refwasm.strategies.breaches import with_function
from refwasm.strategies.configuration import Features, Limits, configuration
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.modules import DrawnModule, modules
from refwasm.syntax.instructions import END, PLAIN, instr
from refwasm.syntax.modules import Global
from refwasm.syntax.types import I32, GlobalType


class Malformed(NamedTuple):
    """Something that is no module: ``source`` is bytes in the binary format, a string in the text format. ``rule`` says
    what is wrong, ``position`` where: an index into the source."""

    source: bytes | str
    rule: str
    position: int

    @property
    def line_and_column(self) -> tuple[int, int]:
        """The position in a text, counted from 1."""
        assert isinstance(self.source, str)
        before = self.source[: self.position]
        return before.count("\n") + 1, len(before) - before.rfind("\n")

    def __repr__(self) -> str:
        if isinstance(self.source, bytes):
            return f"malformed at {self.position:#x}: {self.rule}\n{self.source.hex(' ')}"
        line, column = self.line_and_column
        return f";; malformed at {line}:{column}: {self.rule}\n{self.source}"


@st.composite
def malformed_modules(
    draw: DrawFn, format: str = "binary", features: Features = "all", limits: Limits | None = None
) -> Malformed:
    """Modules with one fault in the ``format`` "binary" or "text", and where it is. All else belongs to
    ``features``."""
    config, drawing = configuration(features, limits, {}, "all", "rare", "any", "fuel"), Drawing(draw)
    if format == "binary":
        module = draw(modules(features, limits))
        return drawing.pick(_BINARY)(drawing, DrawnModule(with_function(module.module, [PLAIN["nop"]] * 3)))
    if format != "text":
        raise InvalidArgument(f"format={format!r}: expected 'binary' or 'text'")
    fault = drawing.pick([field for field in _FIELDS if field.feature in config.features])
    return _with_field(draw(modules(features, limits)).wat(), fault, drawing)


# ---- the binary format ----------------------------------------------------------------------------------------------

#: Bytes of the preamble, and the identifiers of sections.
PREAMBLE, TYPES, GLOBALS, CODE = 8, 1, 6, 10


#: Codes of reference types behind which a heap type stands.
_WITH_HEAP_TYPE = (0x63, 0x64)


class Section(NamedTuple):
    """A section: its identifier, and where it, its size and its contents begin, and where it ends."""

    id: int
    start: int
    contents: int
    end: int


def sections(binary: bytes) -> list[Section]:
    """The sections of a module."""
    found, at = [], PREAMBLE
    while at < len(binary):
        size, shift, contents = 0, 0, at + 1
        while True:
            byte = binary[contents]
            size |= (byte & 0x7F) << shift
            shift, contents = shift + 7, contents + 1
            if byte < 0x80:
                break
        found.append(Section(binary[at], at, contents, contents + size))
        at = contents + size
    return found


def _one(binary: bytes, id: int) -> Section:
    return next(section for section in sections(binary) if section.id == id)


def _byte(binary: bytes, at: int, value: int, rule: str) -> Malformed:
    return Malformed(binary[:at] + bytes([value]) + binary[at + 1 :], rule, at)


def _magic(drawing: Drawing, module: DrawnModule) -> Malformed:
    at = drawing.below(4)
    return _byte(module.bytes, at, module.bytes[at] ^ 1 + drawing.below(255), "magic: not \\0asm")._replace(position=0)


def _version(drawing: Drawing, module: DrawnModule) -> Malformed:
    return _byte(module.bytes, 4, 2 + drawing.below(200), "version: not 1")


def _cut(drawing: Drawing, module: DrawnModule) -> Malformed:
    """Cut off inside a section."""
    section = drawing.pick(sections(module.bytes))
    at = section.start + 1 + drawing.below(section.end - section.start - 1)
    return Malformed(module.bytes[:at], "the module ends inside a section", at)


def _unknown_section(drawing: Drawing, module: DrawnModule) -> Malformed:
    places = [PREAMBLE, *(section.end for section in sections(module.bytes))]
    at = drawing.pick(places)
    added = bytes([14 + drawing.below(100), 0])
    return Malformed(module.bytes[:at] + added + module.bytes[at:], "section: unknown identifier", at)


def _twice(drawing: Drawing, module: DrawnModule) -> Malformed:
    binary = module.bytes
    section = drawing.pick([s for s in sections(binary) if s.id])
    return Malformed(binary + binary[section.start : section.end], "section: it comes twice or too late", len(binary))


def _long_section(drawing: Drawing, module: DrawnModule) -> Malformed:
    """The last section, or a custom one, is said to be longer than the module."""
    binary = module.bytes
    added = b"\0" + encode_unsigned(5 + drawing.below(100)) + b"\x01a"
    return Malformed(binary + added, "section: longer than the module", len(binary))


def _long_integer(drawing: Drawing, module: DrawnModule) -> Malformed:
    """The size of a section takes more bytes than a number of 32 bits may."""
    binary = module.bytes
    section = drawing.pick(sections(binary))
    size = binary[section.start + 1 : section.contents]
    padded = bytes(b | 0x80 for b in size) + b"\x80" * (5 - len(size)) + b"\x00"
    source = binary[: section.start + 1] + padded + binary[section.contents :]
    return Malformed(source, "integer: longer than its type allows", section.start + 1)


def _large_integer(drawing: Drawing, module: DrawnModule) -> Malformed:
    """The size of a section has bits that a number of 32 bits does not."""
    binary = module.bytes
    section = drawing.pick(sections(binary))
    source = binary[: section.start + 1] + b"\x80\x80\x80\x80\x7f" + binary[section.contents :]
    return Malformed(source, "integer: greater than its type allows", section.start + 1)


def _bad_name(drawing: Drawing, module: DrawnModule) -> Malformed:
    binary = module.bytes
    bad = drawing.pick((b"\xff", b"\xc0\x80", b"\xe2\x28\xa1", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"))
    added = b"\0" + encode_unsigned(len(bad) + 1) + encode_unsigned(len(bad)) + bad
    at = drawing.pick([PREAMBLE, *(section.end for section in sections(binary))])
    return Malformed(binary[:at] + added + binary[at:], "name: not UTF-8", at + 3)


def _opcode(drawing: Drawing, module: DrawnModule) -> Malformed:
    """An opcode that means nothing, in the last function, which is three times nop."""
    at = _one(module.bytes, CODE).end - 2 - drawing.below(3)
    return _byte(module.bytes, at, drawing.pick((0xFF, 0x27, 0xD7, 0xEF)), "instruction: unknown opcode")


def _no_end(drawing: Drawing, module: DrawnModule) -> Malformed:
    at = _one(module.bytes, CODE).end - 1
    return _byte(module.bytes, at, 0x01, "function: no end")


def _no_code(drawing: Drawing, module: DrawnModule) -> Malformed:
    """Functions without bodies."""
    section = _one(module.bytes, CODE)
    source = module.bytes[: section.start] + module.bytes[section.end :]
    return Malformed(source, "module: functions and bodies differ in number", section.start)


def _first_global(module: DrawnModule) -> tuple[bytes, int, int]:
    """The binary of a module with a global, and where the type of its first one and its mutability are."""
    if not any(section.id == GLOBALS for section in sections(module.bytes)):
        added = Global(GlobalType(I32, False), (instr("i32.const", 0), END))
        module = DrawnModule(module.module._replace(globals=(added,), digest=b""))
    binary = module.bytes
    at = _one(binary, GLOBALS).contents + 1
    end = at + 1
    if binary[at] in _WITH_HEAP_TYPE:
        while binary[end] & 0x80:
            end += 1
        end += 1
    return binary, at, end


def _mutability(drawing: Drawing, module: DrawnModule) -> Malformed:
    binary, _, at = _first_global(module)
    return _byte(binary, at, 4 + drawing.below(200), "global: unknown mutability")


def _value_type(drawing: Drawing, module: DrawnModule) -> Malformed:
    binary, at, _ = _first_global(module)
    return _byte(binary, at, drawing.pick((0x01, 0x40, 0x7A, 0x67)), "global: unknown value type")


def _composite(drawing: Drawing, module: DrawnModule) -> Malformed:
    """The last type is a function type that takes and returns nothing."""
    at = _one(module.bytes, TYPES).end - 3
    return _byte(module.bytes, at, drawing.pick((0x00, 0x5A, 0x61, 0x7F)), "type: unknown form")


_BINARY: tuple[Callable[[Drawing, DrawnModule], Malformed], ...] = (
    _magic, _version, _cut, _unknown_section, _twice, _long_section, _long_integer, _large_integer, _bad_name, _opcode,
    _no_end, _no_code, _mutability, _value_type, _composite,
)  # fmt: skip

# ---- the text format ------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A field that is malformed: its text, with the fault between two bars, and the feature without which something
    before the fault is malformed already."""

    rule: str
    text: str
    feature: str = "mvp"


_FIELDS = (
    _Field("unknown operator", "(func |i32.bogus|)"),
    _Field("unknown field", "(|fun|)"),
    _Field("a number that is none", "(func (drop (i32.const |0x|)))"),
    _Field("an integer out of range", "(func (drop (i32.const |4294967296|)))"),
    _Field("a float out of range", "(func (drop (f32.const |1e39|)))"),
    _Field("a number of two kinds", "(func (drop (i64.const |1.5|)))"),
    _Field("a NaN without a payload", "(func (drop (f64.const |nan:0x0|)))"),
    _Field("unknown local", "(func (drop (local.get |$nowhere|)))"),
    _Field("unknown function", "(func (call |$nowhere|))"),
    _Field("unknown global", "(func (drop (global.get |$nowhere|)))"),
    _Field("unknown type", "(func (type |$nowhere|))"),
    _Field("unknown label", "(func (block $here (br |$nowhere|)))"),
    _Field("two functions of a name", "(func $twice) (func |$twice|)"),
    _Field("two locals of a name", "(func (local $twice i32) (local |$twice| i32))"),
    _Field("alignment no power of two", "(memory 1) (func (drop (i32.load |align=3| (i32.const 0))))"),
    _Field("alignment zero", "(memory 1) (func (drop (i32.load |align=0| (i32.const 0))))"),
    _Field("another label at the end", "(func block $one end |$two|)"),
    _Field("no end of a block", "(func block |)|"),
    _Field("an end too many", "(func |end|)"),
    _Field("unknown escape", '(memory 1) (data (i32.const 0) |"\\q"|)'),
    _Field("a byte that is no hexadecimal number", '(memory 1) (data (i32.const 0) |"\\0g"|)'),
    _Field("a character out of range", '(func (export |"\\u{110000}"|))'),
    _Field("lanes that are missing", "(func (drop (v128.const i32x4 1 2 3|)|))", "simd"),
    _Field("an unknown shape", "(func (drop (v128.const |i31x4| 1 2 3 4)))", "simd"),
    _Field("a result before a parameter", "(func (result i32) |(|param i32) (i32.const 0))"),
    _Field("an import behind a definition", '(func) |(|import "a" "b" (func))'),
    _Field("a reserved word", "(func |i32.const0|)"),
    _Field("two start functions", "(func) (start 0) |(|start 0)"),
)


def _with_field(wat: str, field: _Field, drawing: Drawing) -> Malformed:
    """The text with another field at its end."""
    before, bad, after = field.text.split("|")
    cut = wat.rstrip().rindex(")")
    if field.rule == "two start functions" and "(start" in wat:
        before = before.replace("(start 0) ", "")
    text = f"{wat[:cut]}\n  {before}{bad}{after})\n"
    return Malformed(text, field.rule, cut + 3 + len(before))
