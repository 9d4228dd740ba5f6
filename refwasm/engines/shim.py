"""The shim: a module rewritten so that everything crosses its border as i32 and i64.

Engines' bindings differ in what they can pass: some know no v128, JavaScript loses the payloads of NaNs, some return
one value only. So the harness is WebAssembly itself. Each exported function ``k`` gets a wrapper ``call k`` that takes
words (an i32 for 32-bit values, an i64 for 64-bit ones, two i64 for vectors, nothing for references, which are null)
and returns how the call ended: 0 it returned, 1 an exception came out, 2 + t: one of tag ``t`` did. What came out is
read word by word by getters. A reference is read as its class, a number (:data:`refwasm.oracle.outcomes.CLASSES`), a
memory as its size, its words and one number for all of it (:mod:`.shim_memory`).
"""

from __future__ import annotations

from typing import NamedTuple

from refwasm import embedding as e
from refwasm.engines.shim_memory import hash_body, load_body, size_body
from refwasm.oracle.closing import closed, default_instr, signature, with_types
from refwasm.oracle.outcomes import CLASSES
from refwasm.syntax.instructions import END, Catch, Instr, instr
from refwasm.syntax.modules import Elem, Export, Expr, Func, Global, Module, Names, func_types, subtypes
from refwasm.syntax.types import (
    EMPTY_BLOCK,
    I32,
    I64,
    V128,
    BlockType,
    FuncType,
    GlobalType,
    HeapType,
    NumType,
    RefType,
    ValType,
)
from refwasm.validation.matching import top_of

RETURNED, THREW, FIRST_TAG = 0, 1, 2
#: Parameters of a function that engines take (the limits of the JavaScript API).
MOST_WORDS = 1_000


class Slot(NamedTuple):
    """Where a value can be read: its type, and the exported getters of its words, the lower first."""

    type: ValType
    getters: tuple[str, ...]


class Wrapped(NamedTuple):
    """An exported function: the name of its wrapper, its type, its results."""

    export: str
    type: FuncType
    results: tuple[Slot, ...]


class MemorySlot(NamedTuple):
    """How a memory can be read: its own export, and exported functions for its size in bytes, the number for its
    contents, and the word and the byte at an address (all i64)."""

    export: str
    size: str
    hash: str
    word: str
    byte: str


class Shimmed(NamedTuple):
    """A shimmed module, and what its exports are for, by the names of the original's exports. ``payloads`` are the
    values of each tag; ``tables`` have the exported getters of size and of the class of an element; ``uncallable`` are
    functions that need a reference that is not null, or more words than engines take."""

    module: Module
    funcs: dict[str, Wrapped]
    globals: dict[str, Slot]
    memories: dict[str, MemorySlot]
    tables: dict[str, tuple[str, str]]
    payloads: tuple[tuple[Slot, ...], ...]
    uncallable: tuple[str, ...]


def shim(validated: e.Validated) -> Shimmed:
    """Rewrite a module. Raises Unclosable if what it imports can't be defined."""
    return _Shim(closed(validated.module), validated).build()


class _Shim:
    """The parts that are added to a module, which has no imports."""

    def __init__(self, module: Module, validated: e.Validated) -> None:
        self.module, self.space = module, validated.space
        self.subtypes = subtypes(module)
        self.types: dict[FuncType, int] = {}  # those that are added, with their indices
        self.funcs: list[Func] = []
        self.globals: list[Global] = []
        self.exports: list[Export] = []
        self.getters = 0

    def build(self) -> Shimmed:
        module, by_index = self.module, func_types(self.module)
        payloads = tuple(self._slots(signature(self.subtypes, tag.type).params) for tag in module.tags)
        funcs: dict[str, Wrapped] = {}
        globals: dict[str, Slot] = {}
        memories: dict[str, MemorySlot] = {}
        tables: dict[str, tuple[str, str]] = {}
        uncallable = []
        for number, export in enumerate(module.exports):
            if export.kind == "func":
                t = signature(self.subtypes, by_index[export.index])
                needs_reference = any(isinstance(p, RefType) and not p.nullable for p in t.params)
                if needs_reference or len(_arguments(t.params)[0]) > MOST_WORDS:
                    uncallable.append(export.name)
                    continue
                funcs[export.name] = self._wrapped(f"call {number}", export.index, t, payloads)
            elif export.kind == "global":
                globals[export.name] = self._slot(module.globals[export.index].type.value, export.index)
            elif export.kind == "memory":
                memories[export.name] = self._memory(number, export.index)
            elif export.kind == "table":
                tables[export.name] = self._table(number, export.index)
        whole = with_types(module, self.types)._replace(
            funcs=(*module.funcs, *self.funcs), globals=(*module.globals, *self.globals), exports=tuple(self.exports),
            elems=(*module.elems, *_declared(module)), customs=(), branch_hints=(), names=Names(),
        )  # fmt: skip
        return Shimmed(whole, funcs, globals, memories, tables, payloads, tuple(uncallable))

    def type_index(self, params: tuple[ValType, ...], results: tuple[ValType, ...]) -> int:
        """The index of a function type, which is added if need be."""
        return self.types.setdefault(FuncType(params, results), len(self.subtypes) + len(self.types))

    def _function(
        self, name: str, params: tuple[ValType, ...], results: tuple[ValType, ...], body: Expr,
        locals: tuple[tuple[int, ValType], ...] = (),
    ) -> None:  # fmt: skip
        """An exported function."""
        index = len(self.module.funcs) + len(self.funcs)
        self.funcs.append(Func(self.type_index(params, results), locals, body))
        self.exports.append(Export(name, "func", index))

    # ---- values that are read ----------------------------------------------------------------------------------------

    def _slots(self, types: tuple[ValType, ...]) -> tuple[Slot, ...]:
        """New globals for values of these types; their indices are consecutive."""
        slots = []
        for t in types:
            kept = RefType(True, t.heap) if isinstance(t, RefType) else t
            first = default_instr(kept)
            assert first is not None
            index = len(self.module.globals) + len(self.globals)
            self.globals.append(Global(GlobalType(kept, True), (first, END)))
            slots.append(self._slot(t, index))
        return tuple(slots)

    def _slot(self, t: ValType, index: int) -> Slot:
        """The getters of a global."""
        got = instr("global.get", index)
        if isinstance(t, RefType):
            return Slot(t, (self._getter(I32, self._class_of([got], t.heap)),))
        if t is V128:
            return Slot(t, tuple(self._getter(I64, [got, instr("i64x2.extract_lane", lane)]) for lane in (0, 1)))
        assert isinstance(t, NumType)
        word = I32 if t.bits == 32 else I64
        raw = [got] if t.name[0] == "i" else [got, instr(f"{word.name}.reinterpret_{t.name}")]
        return Slot(t, (self._getter(word, raw),))

    def _getter(self, word: NumType, body: list[Instr]) -> str:
        name = f"get {self.getters}"
        self.getters += 1
        self._function(name, (), (word,), (*body, END))
        return name

    def _class_of(self, got: list[Instr], heap: HeapType) -> list[Instr]:
        """The class of a reference that ``got`` pushes."""
        top = top_of(self.space.heap(heap))
        if top != "any":
            number = instr("i32.const", CLASSES.index(top))
            return [*got, instr("ref.is_null"), instr("i32.eqz"), number, instr("i32.mul")]
        body: list[Instr] = [instr("i32.const", 0)]
        for name in ("i31", "struct", "array"):
            number = instr("i32.const", CLASSES.index(name))
            body += [*got, instr("ref.test", name), number, instr("i32.mul"), instr("i32.add")]
        return body

    def _memory(self, number: int, index: int) -> MemorySlot:
        memory = self.module.memories[index]
        found = MemorySlot(*(f"{word} {number}" for word in ("memory", "size", "hash", "word", "byte")))
        self.exports.append(Export(found.export, "memory", index))
        self._function(found.size, (), (I64,), (*size_body(index, memory), END))
        self._function(found.hash, (), (I64,), (*hash_body(index, memory), END), ((2, I64),))
        self._function(found.word, (I64,), (I64,), (*load_body(index, memory, "i64.load", 0), END))
        self._function(found.byte, (I64,), (I64,), (*load_body(index, memory, "i64.load8_u", 0), END))
        return found

    def _table(self, number: int, index: int) -> tuple[str, str]:
        table = self.module.tables[index].type
        size = [instr("table.size", index)]
        if table.address is I64:
            size.append(instr("i32.wrap_i64"))
        self._function(f"length {number}", (), (I32,), (*size, END))
        at = [instr("local.get", 0), *([instr("i64.extend_i32_u")] if table.address is I64 else [])]
        got = [*at, instr("table.get", index)]
        self._function(f"at {number}", (I32,), (I32,), (*self._class_of(got, table.element.heap), END))
        return f"length {number}", f"at {number}"

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _wrapped(self, name: str, func: int, t: FuncType, payloads: tuple[tuple[Slot, ...], ...]) -> Wrapped:
        first = len(self.module.globals) + len(self.globals)
        results = self._slots(t.results)
        words, body = _arguments(t.params)
        body += [instr("call", func), *_stores(first, len(t.results))]
        if payloads:
            body = self._catching(body, payloads)
        else:
            body.append(instr("i32.const", RETURNED))
        self._function(name, words, (I32,), (*body, END))
        return Wrapped(name, t, results)

    def _catching(self, call: list[Instr], payloads: tuple[tuple[Slot, ...], ...]) -> list[Instr]:
        """The call, with every exception caught: blocks inside each other, one for each tag, and one for all others
        around them."""
        count = len(payloads)
        clauses = (*(Catch("catch", tag, tag) for tag in range(count)), Catch("catch_all", None, count))
        body = [instr("block", EMPTY_BLOCK)]
        for slots in reversed(payloads):
            body.append(instr("block", BlockType(self.type_index((), tuple(slot.type for slot in slots)))))
        body += [instr("try_table", EMPTY_BLOCK, clauses), *call, END]
        body += [instr("i32.const", RETURNED), instr("return")]
        first = len(self.module.globals)
        for tag, slots in enumerate(payloads):
            body += [END, *_stores(first, len(slots)), instr("i32.const", FIRST_TAG + tag), instr("return")]
            first += len(slots)
        return [*body, END, instr("i32.const", THREW)]


def _declared(module: Module) -> list[Elem]:
    """A segment that declares the functions that the module exported: bodies may refer to these."""
    referred = {i.args[0] for func in module.funcs for i in func.body if i.form.mnemonic == "ref.func"}
    exported = sorted(referred & {export.index for export in module.exports if export.kind == "func"})
    if not exported:
        return []
    return [Elem(RefType(True, "func"), tuple((instr("ref.func", index), END) for index in exported), "declarative")]


def _stores(first: int, count: int) -> list[Instr]:
    """Pop so many values into globals, the last one first."""
    return [instr("global.set", index) for index in reversed(range(first, first + count))]


def _arguments(params: tuple[ValType, ...]) -> tuple[tuple[ValType, ...], list[Instr]]:
    """The words that a wrapper takes, and what makes arguments of them."""
    words: list[ValType] = []
    body: list[Instr] = []
    for t in params:
        if isinstance(t, RefType):
            body.append(instr("ref.null", t.heap))
            continue
        body.append(instr("local.get", len(words)))
        if t is V128:
            body += [instr("i64x2.splat"), instr("local.get", len(words) + 1), instr("i64x2.replace_lane", 1)]
            words += [I64, I64]
            continue
        word = I32 if t.bits == 32 else I64
        words.append(word)
        if t.name[0] == "f":
            body.append(instr(f"{t.name}.reinterpret_{word.name}"))
    return tuple(words), body
