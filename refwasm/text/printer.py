"""Printer: syntax to text that parses to the same module. Flat instructions, indented by nesting, one per line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from refwasm.syntax.instructions import Catch, Form, Instr, MemArg, On
from refwasm.syntax.modules import Data, Elem, Expr, Func, Module
from refwasm.syntax.types import (
    EXTERN_KINDS,
    I32,
    PAGE_BITS,
    ArrayType,
    BlockType,
    CompositeType,
    ContType,
    DefType,
    ExternType,
    FieldType,
    FuncType,
    FuncUse,
    GlobalType,
    HeapType,
    Limits,
    MemType,
    RefType,
    StorageType,
    StructType,
    SubType,
    TableType,
    ValType,
)
from refwasm.text.annotations import SECTION_IDS
from refwasm.text.numbers import print_float, print_int

_ID_CHARS = set("!#$%&'*+-./:<=>?@\\^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
#: Deeper nesting is not indented further: the text would grow with the square of the depth.
MAX_INDENT = 16

_PLAIN_CHARS = set(map(chr, range(0x20, 0x7F))) - set('"\\')


def quote(raw: bytes) -> str:
    """A string token."""
    return '"' + "".join(chr(b) if chr(b) in _PLAIN_CHARS else f"\\{b:02x}" for b in raw) + '"'


def identifier(name: str) -> str:
    """An identifier token."""
    return f"${name}" if name and set(name) <= _ID_CHARS else f"${quote(name.encode())}"


# ---- types ----------------------------------------------------------------------------------------------------------


def _heap(t: HeapType) -> str:
    assert not isinstance(t, DefType), "syntax holds type indices"
    return str(t)


def val_type(t: StorageType) -> str:
    """A value or packed type."""
    return repr(t)


def _field(t: FieldType) -> str:
    return f"(mut {val_type(t.storage)})" if t.mutable else val_type(t.storage)


def _group(keyword: str, types: tuple[ValType, ...]) -> str:
    return f" ({keyword} {' '.join(map(val_type, types))})" if types else ""


def _composite(t: CompositeType) -> str:
    if isinstance(t, FuncType):
        return f"(func{_group('param', t.params)}{_group('result', t.results)})"
    if isinstance(t, StructType):
        return "(struct" + "".join(f" (field {_field(f)})" for f in t.fields) + ")"
    if isinstance(t, ContType):
        return f"(cont {_heap(t.func)})"
    assert isinstance(t, ArrayType)
    return f"(array {_field(t.field)})"


def _sub(t: SubType) -> str:
    clauses = (("describes", t.describes), ("descriptor", t.descriptor))
    body = "".join(f"({word} {_heap(clause)}) " for word, clause in clauses if clause is not None)
    body += _composite(t.composite)
    if t.final and not t.supertypes:
        return f"(type {body})"
    head = " ".join(["sub", *(["final"] if t.final else []), *map(_heap, t.supertypes)])
    return f"(type ({head} {body}))"


def _limits(t: Limits) -> str:
    return f"{t.minimum}" if t.maximum is None else f"{t.minimum} {t.maximum}"


def extern_type(t: ExternType) -> str:
    """An external type without its keyword."""
    if isinstance(t, MemType):
        pages = "" if t.page_bits == PAGE_BITS else f" (pagesize {1 << t.page_bits})"
        return f"{'' if t.address is I32 else 'i64 '}{_limits(t.limits)}{' shared' if t.shared else ''}{pages}"
    if isinstance(t, TableType):
        return f"{'' if t.address is I32 else 'i64 '}{_limits(t.limits)} {val_type(t.element)}"
    if isinstance(t, GlobalType):
        return f"(mut {val_type(t.value)})" if t.mutable else val_type(t.value)
    use = f"(type {_heap(t.type)})"
    return f"(exact {use})" if isinstance(t, FuncUse) and t.exact else use


# ---- instructions ---------------------------------------------------------------------------------------------------


def _block(t: BlockType) -> str:
    if t.index is not None:
        return f"(type {t.index})"
    return "" if t.result is None else f"(result {val_type(t.result)})"


def _memarg(width: int) -> Callable[[MemArg], str]:
    def show(arg: MemArg) -> str:
        words = [str(arg.memory)] if arg.memory else []
        if arg.offset:
            words.append(f"offset={arg.offset}")
        if 1 << arg.align != width:
            words.append(f"align={1 << arg.align}")
        return " ".join(words)

    return show


def _catches(clauses: tuple[Catch, ...]) -> str:
    return " ".join(f"({c.kind} {'' if c.tag is None else f'{c.tag} '}{c.label})" for c in clauses)


def _handlers(handlers: tuple[On, ...]) -> str:
    return " ".join(f"(on {h.tag} {'switch' if h.label is None else h.label})" for h in handlers)


def print_vector(value: int) -> str:
    """Shape and lanes of a vector."""
    return "i32x4 " + " ".join(f"0x{value >> shift & 0xFFFFFFFF:08x}" for shift in (0, 32, 64, 96))


Show = Callable[..., str]
_OPERANDS: dict[str, tuple[int, Show]] = {
    "block": (1, _block),
    "labels": (2, lambda labels, default: " ".join(map(str, (*labels, default)))),
    "types": (1, lambda types: f"(result{''.join(f' {val_type(t)}' for t in types)})"),
    "heap": (1, _heap),
    "cast": (3, lambda label, source, target: f"{label} {val_type(source)} {val_type(target)}"),
    "catches": (1, _catches),
    "handlers": (1, _handlers),
    **{f"memarg{width * 8}": (1, _memarg(width)) for width in (1, 2, 4, 8, 16)},
    "lanes": (1, lambda lanes: " ".join(map(str, lanes))),
    "i32": (1, lambda value: print_int(value, 32)),
    "i64": (1, lambda value: print_int(value, 64)),
    "f32": (1, lambda value: print_float(value, 32)),
    "f64": (1, lambda value: print_float(value, 64)),
    "v128": (1, print_vector),
    "zero": (0, lambda: ""),
}


def _operands(form: Form, args: tuple[Any, ...]) -> list[str]:
    words: list[str] = []
    index = 0
    for word in form.immediates:
        count, show = _OPERANDS.get(word, (1, str))
        words.append(show(*args[index : index + count]))
        index += count
    return [w for w in words if w]


def indented(body: Expr) -> Iterator[tuple[str, str]]:
    """Spaces for the blocks that an instruction is in, and it as text."""
    depth = 0
    for i in body:
        mnemonic = i.form.mnemonic
        depth -= mnemonic in ("end", "else")
        yield "  " * min(max(depth, 0), MAX_INDENT), instruction(i)
        depth += mnemonic == "else" or "block" in i.form.immediates


def instruction(i: Instr) -> str:
    """One instruction as text."""
    mnemonic, immediates = i.form.mnemonic, i.form.immediates
    if mnemonic.startswith(("ref.test", "ref.cast")):
        return f"{mnemonic.removesuffix(' null')} {val_type(RefType(mnemonic.endswith('null'), i.args[0]))}"
    if mnemonic == "select t":
        mnemonic = "select"
    if immediates == ("type", "table"):
        index, table = i.args
        return f"{mnemonic} {f'{table} ' if table else ''}(type {index})"
    if immediates in (("data", "memory"), ("elem", "table")):
        segment, target = i.args
        return f"{mnemonic} {f'{target} ' if target else ''}{segment}"
    if immediates in (("memory",), ("memory", "memory")) and not any(i.args):
        return mnemonic
    return " ".join([mnemonic, *_operands(i.form, i.args)])


def _expr_inline(expr: Expr) -> str:
    """A constant expression, folded where that is simple."""
    body = expr[:-1]
    return f"({instruction(body[0])})" if len(body) == 1 else " ".join(map(instruction, body))


def _lines(body: Expr, indent: str, hints: dict[int, bool]) -> Iterator[str]:
    for index, (spaces, text) in enumerate(indented(body[:-1])):
        if index in hints:
            yield f'{indent}{spaces}(@metadata.code.branch_hint "\\0{int(hints[index])}")'
        yield f"{indent}{spaces}{text}"


# ---- modules --------------------------------------------------------------------------------------------------------


class _Printer:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.used: dict[str, set[str]] = {}
        self.hints: dict[int, dict[int, bool]] = {}  # by function and instruction
        for hint in module.branch_hints:
            self.hints.setdefault(hint.function, {})[hint.instruction] = hint.likely

    def name(self, kind: str, index: int) -> str:
        """`` $name`` where the index has one, and the index as a comment. A name that another index has already can't
        be an identifier, and becomes an annotation."""
        name = self.module.names.of(kind, index)
        used = self.used.setdefault(kind, set())
        if name and name in used:
            return f" (;{index};) (@name {quote(name.encode())})"
        if name:
            used.add(name)
            return f" {identifier(name)} (;{index};)"
        return f" (;{index};)"

    def lines(self) -> Iterator[str]:
        """The module's fields, in the order of the binary format."""
        m = self.module
        yield from self._types()
        counts = {kind: 0 for kind in EXTERN_KINDS.values()}
        for item in m.imports:
            kind = EXTERN_KINDS[type(item.type)]
            names = f"{quote(item.module.encode())} {quote(item.name.encode())}"
            yield f"  (import {names} ({kind}{self.name(kind, counts[kind])} {extern_type(item.type)}))"
            counts[kind] += 1
        for index, func in enumerate(m.funcs, counts["func"]):
            yield from self._func(func, index)
        for index, table in enumerate(m.tables, counts["table"]):
            init = f" {_expr_inline(table.init)}" if table.init else ""
            yield f"  (table{self.name('table', index)} {extern_type(table.type)}{init})"
        for index, memory in enumerate(m.memories, counts["memory"]):
            yield f"  (memory{self.name('memory', index)} {extern_type(memory)})"
        for index, tag in enumerate(m.tags, counts["tag"]):
            yield f"  (tag{self.name('tag', index)} {extern_type(tag)})"
        for index, glob in enumerate(m.globals, counts["global"]):
            yield f"  (global{self.name('global', index)} {extern_type(glob.type)} {_expr_inline(glob.init)})"
        for export in m.exports:
            yield f"  (export {quote(export.name.encode())} ({export.kind} {export.index}))"
        if m.start is not None:
            yield f"  (start {m.start})"
        for index, elem in enumerate(m.elems):
            yield self._elem(elem, index)
        for index, data in enumerate(m.datas):
            yield self._data(data, index)
        sections = {number: word for word, number in SECTION_IDS.items()}
        for custom in m.customs:
            place = f"after {sections[custom.after]}" if custom.after else "before first"
            yield f"  (@custom {quote(custom.name.encode())} ({place}) {quote(custom.content)})"

    def _types(self) -> Iterator[str]:
        index = 0
        for group in self.module.types:
            texts = []
            for sub in group.subtypes:
                texts.append(_sub(sub).replace("(type", f"(type{self.name('type', index)}", 1))
                index += 1
            yield f"  {texts[0]}" if len(texts) == 1 else f"  (rec {' '.join(texts)})"

    def _func(self, func: Func, index: int) -> Iterator[str]:
        head = f"  (func{self.name('func', index)} (type {func.type})"
        types = [t for count, t in func.locals for _ in range(count)]
        if types:
            head += f" (local {' '.join(map(val_type, types))})"
        body = list(_lines(func.body, "    ", self.hints.get(index, {})))
        yield "\n".join([head, *body]) + ")"

    def _elem(self, elem: Elem, index: int) -> str:
        words = [f"(elem{self.name('elem', index)}"]
        if elem.mode == "declarative":
            words.append("declare")
        if elem.offset is not None:
            words += [f"(table {elem.table})"] if elem.table else []
            words.append(f"(offset {_expr_inline(elem.offset)})")
        words.append(val_type(elem.type))
        words += [f"(item {_expr_inline(e)})" for e in elem.inits]
        return "  " + " ".join(words) + ")"

    def _data(self, data: Data, index: int) -> str:
        words = [f"(data{self.name('data', index)}"]
        if data.offset is not None:
            words += [f"(memory {data.memory})"] if data.memory else []
            words.append(f"(offset {_expr_inline(data.offset)})")
        return "  " + " ".join([*words, quote(data.init)]) + ")"


def print_module(module: Module) -> str:
    """The module as text. Parsing it gives an equal module."""
    name = module.names.module
    head = f"(module {identifier(name)}" if name else "(module"
    return "\n".join([head, *_Printer(module).lines()]) + ")\n"
