"""Modules (specification 5.5), both directions: the preamble and the sections in their order."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from refwasm.binary import types as t
from refwasm.binary.hints import SECTION as HINT_SECTION
from refwasm.binary.hints import decode_hints, encode_hints
from refwasm.binary.imports import EXPORT_KINDS, encode_import, imports
from refwasm.binary.instructions import decode_expr, encode_expr
from refwasm.binary.locations import Locations
from refwasm.binary.names import SECTION as NAME_SECTION
from refwasm.binary.names import decode_names, encode_names
from refwasm.binary.sections import (
    CODE,
    CUSTOM,
    DATA,
    DATA_COUNT,
    ELEMENT,
    EXPORT,
    FUNCTION,
    GLOBAL,
    IMPORT,
    MEMORY,
    SECTION_NAMES,
    START,
    TABLE,
    TAG,
    TYPE,
    encode_section,
)
from refwasm.binary.values import Reader, encode_name, encode_unsigned, encode_vector
from refwasm.errors import Malformed, ResourceLimit, WasmError
from refwasm.garbage import makes_what_stays
from refwasm.syntax.instructions import END, FORMS, Instr, instr
from refwasm.syntax.modules import (
    MAX_LOCALS,
    BranchHint,
    Custom,
    Data,
    Elem,
    Export,
    Expr,
    Func,
    Global,
    Module,
    Names,
    Table,
)
from refwasm.syntax.types import FUNCREF, FuncUse, RefType, ValType

MAGIC = b"\0asm"
VERSION = b"\1\0\0\0"

#: The order that 5.5.2 prescribes.
ORDER = (TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA)
_RANK = {section: rank for rank, section in enumerate(ORDER)}


#: Locals, body and positions of a function.
Code = tuple[tuple[tuple[int, ValType], ...], Expr, Sequence[int]]

NO_DATA_COUNT = "data count section required"
_WITH_DATA = frozenset(form for form in FORMS.values() if "data" in form.immediates)


class _DeferredFunc(Func):
    """A function whose code is decoded when it is first looked at. ``decode`` gives the locals, or with True all.

    Malformed locals look like none: who asks for the body is told.
    """

    __slots__ = ("decode",)

    decode: Callable[[bool], Code]

    def __init__(self, type_index: int, decode: Callable[[bool], Code]) -> None:
        self.type = type_index
        self.decode = decode

    def __getattr__(self, name: str) -> Any:
        """Python asks here for what has no value yet."""
        fields = ("locals",) if name == "locals" else ("locals", "body", "positions")
        if name not in fields:
            raise AttributeError(name)
        try:
            values = self.decode(name != "locals")
        except (Malformed, ResourceLimit):
            if name != "locals":
                raise
            return ()
        for field, value in zip(fields, values):
            setattr(self, field, value)
        return getattr(self, name)


class _Decoder:
    """State of decoding one module; a method per section. If that is ``deferred``, code is only passed over."""

    def __init__(self, data: bytes, deferred: bool) -> None:
        self.r = Reader(data)
        self.deferred = deferred
        self.memo: dict[Any, Instr] = {}
        self.fields: dict[str, Any] = {}
        self.type_indices: tuple[int, ...] = ()
        self.codes: list[Code] = []  # those that are not deferred
        self.code_section = 0  # where its contents begin
        self.code_starts: list[int] = []
        self.code_ends: list[int] = []
        self.customs: list[Custom] = []
        self.names: Names | None = None
        self.hints_content: bytes | None = None
        self.uses_data_index: int | None = None  # position of a use that asks for a data count section

    def module(self) -> Module:
        """The whole file."""
        r = self.r
        if r.data[:4] != MAGIC:
            r.fail("unexpected end" if len(r.data) < 4 else "magic header not detected", 0)
        if r.data[4:8] != VERSION:
            r.fail("unexpected end" if len(r.data) < 8 else "unknown binary version", 4)
        r.pos = 8
        last = rank = -1
        while r.pos < r.end:
            start = r.pos
            section = r.byte()
            if section > TAG:
                r.fail("malformed section id", start)
            size_at = r.pos
            end = r.u32() + r.pos
            if section == CUSTOM:
                r.pos = size_at
                end = r.length() + r.pos
                self.custom(end, 0 if last < 0 else last)
            else:
                if _RANK[section] <= rank:
                    r.fail("unexpected content after last section", start)
                last, rank = section, _RANK[section]
                try:
                    _SECTIONS[section](self)
                except Malformed as error:
                    if end > r.end and error.message.startswith("unexpected end"):
                        r.fail("length out of bounds", size_at)
                    error.context = error.context or f"in the {SECTION_NAMES[section]} section"
                    raise
                if end > r.end:  # an error inside, where there is one, is the first that a reader meets
                    r.fail("length out of bounds", size_at)
                if r.pos != end:
                    r.fail("section size mismatch", start)
        return self.finish()

    def finish(self) -> Module:
        """Join functions with their code, and check what spans sections."""
        if len(self.type_indices) != len(self.code_starts):
            self.r.fail("function and code section have inconsistent lengths")
        datas = self.fields.get("datas", ())
        count = self.fields.get("data_count")
        if count is not None and count != len(datas):
            self.r.fail("data count and data section have inconsistent lengths")
        if count is None and self.uses_data_index is not None:
            self.r.fail(NO_DATA_COUNT, self.uses_data_index)
        funcs: tuple[Func, ...]
        if self.deferred:
            codes = [partial(self.code_at, *place) for place in zip(self.code_starts, self.code_ends)]
            funcs = tuple(map(_DeferredFunc, self.type_indices, codes))
        else:
            funcs = tuple(Func(index, *code) for index, code in zip(self.type_indices, self.codes))
        imported = sum(isinstance(i.type, FuncUse) for i in self.fields.get("imports", ()))
        hints: tuple[BranchHint, ...] = ()
        if self.hints_content is not None:
            hints = decode_hints(self.hints_content, imported, funcs, self.code_starts)
        return Module(
            **self.fields, funcs=funcs, customs=tuple(self.customs), names=self.names or Names(),
            branch_hints=hints, locate=Locations(self.code_section, self.customs),
        )  # fmt: skip

    def custom(self, end: int, after: int) -> None:
        """A custom section (5.5.3); its contents can't make the module malformed, its name can."""
        name = self.r.name()
        if self.r.pos > end:
            self.r.fail("unexpected end")
        content = self.r.data[self.r.pos : end]
        self.r.pos = end
        if name == NAME_SECTION and (names := decode_names(content)) is not None:
            self.names = self.names or names  # a second one, or an empty one, says nothing
        elif name == HINT_SECTION and self.hints_content is None and _RANK.get(after, -1) < _RANK[CODE]:
            self.hints_content = content
        else:
            self.customs.append(Custom(name, content, after))

    def types(self) -> None:
        self.fields["types"] = self.r.vector(lambda: t.rec_type(self.r))

    def imports(self) -> None:
        r = self.r
        self.fields["imports"] = tuple(item for group in r.vector(partial(imports, r)) for item in group)

    def functions(self) -> None:
        self.type_indices = self.r.vector(self.r.u32)

    def table(self) -> Table:
        r = self.r
        if r.pos < r.end and r.data[r.pos] == t.TABLE_WITH_INIT:
            r.byte()
            if r.byte() != 0:
                r.fail("malformed table", r.pos - 1)
            return Table(t.table_type(r), self.expr())
        return Table(t.table_type(r))

    def tables(self) -> None:
        self.fields["tables"] = self.r.vector(self.table)

    def memories(self) -> None:
        self.fields["memories"] = self.r.vector(lambda: t.mem_type(self.r))

    def tags(self) -> None:
        self.fields["tags"] = self.r.vector(lambda: t.tag_type(self.r))

    def globals(self) -> None:
        self.fields["globals"] = self.r.vector(lambda: Global(t.global_type(self.r), self.expr()))

    def export(self) -> Export:
        r = self.r
        name = r.name()
        kind = r.byte()
        if kind >= len(EXPORT_KINDS):
            r.fail("malformed export kind", r.pos - 1)
        return Export(name, EXPORT_KINDS[kind], r.u32())

    def exports(self) -> None:
        self.fields["exports"] = self.r.vector(self.export)

    def start(self) -> None:
        self.fields["start"] = self.r.u32()

    def element(self) -> Elem:
        """An element segment (5.5.12): bit 0 passive or declarative, 1 index or declarative, 2 expressions."""
        r = self.r
        start = r.pos
        flags = r.u32()
        if flags > 7:
            r.fail("malformed elements segment kind", start)
        mode = ("active", "passive", "active", "declarative")[flags & 3]
        table = r.u32() if flags & 3 == 2 else 0
        offset = self.expr() if mode == "active" else None
        uses_expressions = bool(flags & 4)
        element = FUNCREF if uses_expressions else RefType(False, "func")
        if flags & 3:
            if uses_expressions:
                element = t.ref_type(r)
            elif r.byte() != 0:
                r.fail("malformed element kind", r.pos - 1)
        inits = r.vector(self.expr if uses_expressions else self.func_expr)
        return Elem(element, inits, mode, table, offset)

    def func_expr(self) -> Expr:
        return (instr("ref.func", self.r.u32()), END)

    def elements(self) -> None:
        self.fields["elems"] = self.r.vector(self.element)

    def data_count(self) -> None:
        self.fields["data_count"] = self.r.u32()

    def data(self) -> Data:
        r = self.r
        start = r.pos
        flags = r.u32()
        if flags > 2:
            r.fail("malformed data segment kind", start)
        memory = r.u32() if flags == 2 else 0
        offset = None if flags == 1 else self.expr()
        return Data(r.bytes(r.u32()), "passive" if flags == 1 else "active", memory, offset)

    def datas(self) -> None:
        self.fields["datas"] = self.r.vector(self.data)

    def code_at(self, start: int, end: int, whole: bool) -> Code:
        """The code that stands there, or only its locals. Several threads may want some at the same time."""
        other = _Decoder(self.r.data, True)
        other.memo, other.r.pos = self.memo, start
        try:
            code = other.code(start, whole)
            if whole:
                other.check_end(start, end)
            if whole and "data_count" not in self.fields and (use := _data_use(code)) is not None:
                other.r.fail(NO_DATA_COUNT, use)
        except (Malformed, ResourceLimit) as error:
            _locate(error)
            raise
        return code

    def check_end(self, start: int, end: int) -> None:
        """A body has been read."""
        if self.r.pos != end:
            self.r.fail("section size mismatch: the body ends before or after its size", start)

    def code(self, start: int, whole: bool = True) -> Code:
        r = self.r
        local_runs = r.vector(self.local_run)
        total = sum(count for count, _ in local_runs)
        if total >= 1 << 32:
            r.fail("too many locals", start)
        if total > MAX_LOCALS:
            raise ResourceLimit(f"too many locals: {total}, at most {MAX_LOCALS} are supported", start)
        positions: list[int] = []
        body = decode_expr(r, self.memo, positions) if whole else ()
        return _merged(local_runs), body, array("I", positions)

    def local_run(self) -> tuple[int, ValType]:
        return self.r.u32(), t.val_type(self.r)

    def codes_section(self) -> None:
        """The code section (5.5.13); a use of a data index is noted for :meth:`finish`."""
        r = self.r
        self.code_section = r.pos
        for _ in range(r.u32()):
            start = r.pos
            end = r.length() + r.pos
            self.code_starts.append(r.pos)
            self.code_ends.append(end)
            if self.deferred:
                r.pos = end
                continue
            self.codes.append(self.code(start))
            self.check_end(start, end)
        if not self.deferred and "data_count" not in self.fields:
            is_possible = any(i.form in _WITH_DATA for i in self.memo.values())
            uses = map(_data_use, self.codes if is_possible else ())
            self.uses_data_index = next((use for use in uses if use is not None), None)

    def expr(self) -> Expr:
        return decode_expr(self.r, self.memo)


def _data_use(code: Code) -> int | None:
    """Where some code first uses a data index, which asks for a data count section."""
    _, body, positions = code
    return next((place for i, place in zip(body, positions) if i.form in _WITH_DATA), None)


def _merged(runs: tuple[tuple[int, ValType], ...]) -> tuple[tuple[int, ValType], ...]:
    """Runs of locals without empty ones, neighbours of one type joined: the shortest form, which encoding gives."""
    if all(count for count, _ in runs) and all(a[1] != b[1] for a, b in pairwise(runs)):
        return runs
    merged: list[tuple[int, ValType]] = []
    for count, valtype in runs:
        if merged and merged[-1][1] == valtype:
            merged[-1] = (merged[-1][0] + count, valtype)
        elif count:
            merged.append((count, valtype))
    return tuple(merged)


_SECTIONS: dict[int, Callable[[_Decoder], None]] = {
    TYPE: _Decoder.types,
    IMPORT: _Decoder.imports,
    FUNCTION: _Decoder.functions,
    TABLE: _Decoder.tables,
    MEMORY: _Decoder.memories,
    TAG: _Decoder.tags,
    GLOBAL: _Decoder.globals,
    EXPORT: _Decoder.exports,
    START: _Decoder.start,
    ELEMENT: _Decoder.elements,
    DATA_COUNT: _Decoder.data_count,
    CODE: _Decoder.codes_section,
    DATA: _Decoder.datas,
}


@makes_what_stays
def decode(data: bytes, deferred: bool = False) -> Module:
    """Decode a binary module (5.5.16); with ``deferred``, each body when it is first looked at.

    Raises Malformed with the byte offset, or ResourceLimit; so does looking at a deferred body.
    """
    try:
        return _Decoder(bytes(data), deferred).module()
    except (Malformed, ResourceLimit) as error:
        _locate(error)
        raise


def _locate(error: WasmError) -> None:
    if error.position is not None:
        error.location = f"0x{error.position:x}"


# ---- encoding -------------------------------------------------------------------------------------------------------


def _encode_table(table: Table) -> bytes:
    raw = t.encode_extern_type(table.type)
    return raw if table.init is None else bytes([t.TABLE_WITH_INIT, 0]) + raw + encode_expr(table.init)


def _encode_elem(elem: Elem) -> bytes:
    """An element segment: function indices where possible, expressions otherwise."""
    plain_funcs = elem.type == RefType(False, "func") and all(
        len(e) == 2 and e[0].form.mnemonic == "ref.func" for e in elem.inits
    )
    implicit = elem.mode == "active" and elem.table == 0 and (plain_funcs or elem.type == FUNCREF)
    mode_bits = {"passive": 1, "declarative": 3}.get(elem.mode, 0 if implicit else 2)
    out = encode_unsigned(mode_bits | (0 if plain_funcs else 4))
    if mode_bits == 2:
        out += encode_unsigned(elem.table)
    if elem.offset is not None:
        out += encode_expr(elem.offset)
    if mode_bits:
        out += b"\0" if plain_funcs else t.encode_val_type(elem.type)
    if plain_funcs:
        return out + encode_vector([encode_unsigned(e[0].args[0]) for e in elem.inits])
    return out + encode_vector([encode_expr(e) for e in elem.inits])


def _encode_data(data: Data) -> bytes:
    raw = encode_unsigned(len(data.init)) + data.init
    if data.offset is None:
        return b"\x01" + raw
    head = b"\x00" if data.memory == 0 else b"\x02" + encode_unsigned(data.memory)
    return head + encode_expr(data.offset) + raw


def _encode_locals(func: Func) -> bytes:
    return encode_vector([encode_unsigned(n) + t.encode_val_type(valtype) for n, valtype in func.locals])


def _needs_data_count(module: Module) -> bool:
    return any("data" in i.form.immediates for func in module.funcs for i in set(func.body))


def _sections(module: Module) -> dict[int, bytes]:
    """Contents of the sections that are not empty."""
    memo: dict[Instr, bytes] = {}
    codes = []
    for func in module.funcs:
        raw = _encode_locals(func) + encode_expr(func.body, memo)
        codes.append(encode_unsigned(len(raw)) + raw)
    vectors = {
        TYPE: [t.encode_rec_type(x) for x in module.types],
        IMPORT: [encode_import(x) for x in module.imports],
        FUNCTION: [encode_unsigned(f.type) for f in module.funcs],
        TABLE: [_encode_table(x) for x in module.tables],
        MEMORY: [t.encode_extern_type(x) for x in module.memories],
        TAG: [t.encode_extern_type(x) for x in module.tags],
        GLOBAL: [t.encode_extern_type(g.type) + encode_expr(g.init, memo) for g in module.globals],
        EXPORT: [
            encode_name(e.name) + bytes([EXPORT_KINDS.index(e.kind)]) + encode_unsigned(e.index) for e in module.exports
        ],
        ELEMENT: [_encode_elem(x) for x in module.elems],
        CODE: codes,
        DATA: [_encode_data(x) for x in module.datas],
    }
    sections = {section: encode_vector(items) for section, items in vectors.items() if items}
    if module.start is not None:
        sections[START] = encode_unsigned(module.start)
    if _needs_data_count(module):
        sections[DATA_COUNT] = encode_unsigned(len(module.datas))
    return sections


def _last_before_code(sections: dict[int, bytes]) -> int:
    """The section after which the branch hints stand."""
    return max((s for s in sections if _RANK[s] < _RANK[CODE]), key=lambda s: _RANK[s], default=CUSTOM)


def encode(module: Module) -> bytes:
    """Encode a module. Decoding the result gives an equal module; the name section comes last."""
    out = [MAGIC, VERSION]
    sections = _sections(module)
    customs = list(module.customs)
    if module.branch_hints:
        imported = sum(isinstance(i.type, FuncUse) for i in module.imports)
        sizes = [len(_encode_locals(f)) for f in module.funcs]
        hints = encode_hints(module.branch_hints, imported, module.funcs, sizes)
        customs.append(Custom(HINT_SECTION, hints, _last_before_code(sections)))
    for section in (CUSTOM, *ORDER):
        if section in sections:
            out.append(encode_section(section, sections[section]))
        for custom in customs:
            if custom.after == section:
                out.append(encode_section(CUSTOM, encode_name(custom.name) + custom.content))
    if names := encode_names(module.names):
        out.append(encode_section(CUSTOM, encode_name(NAME_SECTION) + names))
    return b"".join(out)
