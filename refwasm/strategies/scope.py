"""What is in scope while a module is drawn: its index spaces, types in closed form, and what can be made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

from refwasm.errors import Invalid
from refwasm.strategies.configuration import Configuration
from refwasm.strategies.tables import immediates_of, spaces_of
from refwasm.syntax.instructions import END, Form, Instr, instr
from refwasm.syntax.modules import Data, Elem, Expr, Func, Global
from refwasm.syntax.types import (
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    ArrayType,
    BlockType,
    DefType,
    FuncType,
    GlobalType,
    HeapType,
    Limits,
    MemType,
    RecType,
    RefType,
    StructType,
    SubType,
    TableType,
    ValType,
)
from refwasm.validation.context import Context
from refwasm.validation.instructions import instr_type
from refwasm.validation.matching import match_val_type

#: An instruction that may be chosen, what it takes, and what it leaves.
Candidate = tuple[Instr, list[ValType], list[ValType]]

#: Abstract heap types that a generated module mentions, by the feature that brought them; those of which a reference is
#: made most simply come first.
_ABSTRACT = {
    "gc": ("any", "eq", "i31", "struct", "array", "none", "nofunc", "noextern"),
    "reference-types": ("func", "extern"),
    "exception-handling": ("noexn", "exn"),
}


def abstract_heaps(features: Set[str]) -> list[HeapType]:
    """The abstract heap types that belong to some features."""
    return [heap for feature, heaps in _ABSTRACT.items() if feature in features for heap in heaps]


class Scope:
    """The index spaces of a module that is being drawn. Types are closed, and :meth:`open` writes them as the module
    does. ``features`` are those that this module may use."""

    def __init__(self, config: Configuration, features: frozenset[str]) -> None:
        self.config, self.features = config, features
        self.context = Context(features)
        self.types: list[RecType] = []
        self.memories: list[MemType] = []
        self.tables: list[TableType] = []
        self.globals: list[Global] = []
        self.datas: list[Data] = []
        self.elems: list[Elem] = []
        self.funcs: list[Func] = []
        self.imported: dict[str, int] = {}  # how many of each kind are imported
        self.fuel: int | None = None  # the index of the global that counts down
        self.slots: dict[int, int] = {}  # elements of the table of calls, by function
        self.call_table: int | None = None
        self._spaces: dict[Any, Sequence[Any]] | None = None
        self._candidates: dict[Form, list[Candidate]] = {}
        self._leaving: dict[tuple[Form, ValType], list[Candidate]] = {}

    # ---- types -------------------------------------------------------------------------------------------------------

    def define(self, rec: RecType) -> None:
        """Add types, as the module writes them."""
        self.context.space.define(rec)
        self.types.append(rec)

    def index(self, deftype: DefType) -> int:
        """The type index of a closed type."""
        return self.context.space.types.index(deftype)

    def open_heap(self, heap: HeapType) -> HeapType:
        """A heap type as the module writes it."""
        return self.index(heap) if isinstance(heap, DefType) else heap

    def open(self, t: ValType) -> ValType:
        """A value type as the module writes it."""
        return RefType(t.nullable, self.open_heap(t.heap)) if isinstance(t, RefType) else t

    def func_index(self, t: FuncType) -> int:
        """The type index of a function type, which is added if the module does not have it."""
        for index, known in enumerate(self.context.space.types):
            if known.composite == t and known.sub.final and len(known.group.types) == 1:  # type: ignore[attr-defined]
                return index
        opened = FuncType(tuple(map(self.open, t.params)), tuple(map(self.open, t.results)))
        self.define(RecType((SubType(True, (), opened),)))
        return len(self.context.space.types) - 1

    def block_type(self, params: Iterable[ValType], results: Iterable[ValType]) -> BlockType:
        """A block type, in line if it can be."""
        params, results = tuple(params), tuple(results)
        if not params and len(results) < 2:
            return BlockType(None, self.open(results[0]) if results else None)
        return BlockType(self.func_index(FuncType(params, results)))

    def composites(self, kind: type[StructType] | type[ArrayType]) -> list[int]:
        """The indices of structure or array types."""
        return [i for i, t in enumerate(self.context.space.types) if isinstance(t.composite, kind)]

    def numbers(self) -> list[ValType]:
        """The number types, the simplest one first, and the vector type."""
        return [I32, I64, F32, F64, *([V128] if "simd" in self.features else [])]

    def heaps(self) -> list[HeapType]:
        """The heap types that references may have: abstract ones, then the module's arrays and structures."""
        found = abstract_heaps(self.features)
        if "gc" in self.features:
            types = self.context.space.types
            found += [types[i] for kind in (ArrayType, StructType) for i in self.composites(kind)]
        return found

    def nullable(self) -> list[ValType]:
        """The nullable reference types."""
        return [RefType(True, heap) for heap in self.heaps()]

    def reference(self) -> RefType | None:
        """The type of references of which a value is made where any type will do: to the module's last structure or
        array, a function or a number, as far as there are such; None: it has no references. No choice tells it, so that
        such a value is drawn as one of a given type is, and either can stand in the place of the other."""
        heaps = self.heaps()
        if not heaps:
            return None
        found = (heap for heap in (heaps[-1], "func", "i31") if self.constructible(heap))
        heap = next(found, None)
        return RefType(True, heaps[-1]) if heap is None else RefType(False, heap)

    def constructible(self, heap: HeapType) -> bool:
        """Whether a constant expression makes a reference to it that is not null."""
        if isinstance(heap, DefType):
            if isinstance(heap.composite, FuncType):
                return heap in self.context.funcs
            return self._fillable(heap, frozenset())
        if heap == "struct":
            return bool(self.composites(StructType))
        if heap == "array":
            return bool(self.composites(ArrayType))
        if heap == "func":
            return "function-references" in self.features and bool(self.context.funcs)
        return "gc" in self.features and heap in ("any", "eq", "i31", "extern")

    def _fillable(self, aggregate: DefType, within: frozenset[DefType]) -> bool:
        """Whether there are values for all fields of a structure, or the elements of an array, that hold no null. None
        is ``within`` itself."""
        composite = aggregate.composite
        fields = composite.fields if isinstance(composite, StructType) else (composite.field,)  # type: ignore[union-attr]
        strict = [f.storage.heap for f in fields if isinstance(f.storage, RefType) and not f.storage.nullable]
        if not strict:
            return True
        within |= {aggregate}
        return all(
            heap not in within and self._fillable(heap, within)
            if isinstance(heap, DefType) and not isinstance(heap.composite, FuncType)
            else self.constructible(heap)
            for heap in strict
        )

    def constants(self, t: ValType) -> list[int]:
        """The globals that a constant expression of a type may read."""
        globals = self.context.globals
        usable = len(globals) if "gc" in self.features else self.context.imported_globals
        return [i for i in range(usable) if not globals[i].mutable and match_val_type(globals[i].value, t)]

    def add_memory(self, t: MemType) -> None:
        """Define a memory."""
        self.context.memories.append(t)
        self.memories.append(t)
        self.forget()

    def add_global(self, t: GlobalType, init: Expr) -> None:
        """Define a global, of a closed type."""
        self.context.globals.append(t)
        self.globals.append(Global(GlobalType(self.open(t.value), t.mutable), init))
        self.forget()

    def add_data(self, segment: Data) -> None:
        """Define a data segment."""
        self.datas.append(segment)
        self.context.datas = len(self.datas)
        self.forget()

    def add_elem(self, element: RefType, count: int, segment: Elem) -> None:
        """Define an element segment of so many elements of a closed type, which are null for the time being."""
        opened = self.open(element)
        assert isinstance(opened, RefType)
        if self.tables_are_few:  # then segments list functions, which are not null
            opened = RefType(False, opened.heap)
        null = (instr("ref.null", opened.heap), END)
        self.elems.append(segment._replace(type=opened, inits=(null,) * count))
        self.context.elems.append(element)
        self.forget()

    def forget(self) -> None:
        """Have instructions looked for again, after a definition was added while functions are drawn."""
        self._spaces = None
        self._candidates.clear()
        self._leaving.clear()

    @property
    def tables_are_few(self) -> bool:
        """Whether a module has one table at most."""
        return "reference-types" not in self.features

    def add_table(self, t: TableType) -> None:
        """Define a table, of a closed type."""
        opened = self.open(t.element)
        assert isinstance(opened, RefType)
        self.context.tables.append(t)
        self.tables.append(TableType(t.address, t.limits, opened))
        self.forget()

    # ---- instructions ------------------------------------------------------------------------------------------------

    @property
    def spaces(self) -> dict[Any, Sequence[Any]]:
        """What immediates may be, by their names."""
        if self._spaces is None:
            self._spaces = spaces_of(self)
        return self._spaces

    def candidates(self, form: Form) -> list[Candidate]:
        """A form with all immediates with which it is valid here."""
        found = self._candidates.get(form)
        if found is None:
            found = self._candidates[form] = []
            if form.feature in self.features:
                for args in immediates_of(form, self):
                    instruction = Instr(form, args)
                    try:
                        found.append((instruction, *instr_type(self.context, instruction)))
                    except Invalid:
                        continue
        return found

    def leaving(self, form: Form, goal: ValType) -> list[Candidate]:
        """The candidates of a form that leave a value of a type."""
        found = self._leaving.get((form, goal))
        if found is None:
            known = self.candidates(form)
            found = [c for c in known if len(c[2]) == 1 and match_val_type(c[2][0], goal)]
            self._leaving[form, goal] = found
        return found

    def globals_for(self, t: ValType) -> list[int]:
        """The globals that a value of a type can be written to."""
        globals = self.context.globals
        return [i for i in self.spaces["global"] if globals[i].mutable and match_val_type(t, globals[i].value)]

    def callable(self) -> int:
        """How many functions can be called."""
        return len(self.context.funcs)

    def func_type(self, index: int) -> FuncType:
        """The closed type of a function."""
        composite = self.context.funcs[index].composite
        assert isinstance(composite, FuncType)
        return composite

    def slot(self, func: int) -> int | None:
        """The element of the table of calls that holds a function. The module gets that table with the first one; None:
        it may not have it."""
        if self.call_table is None:
            if not self.config.limits.tables or (self.tables_are_few and self.context.tables):
                return None
            self.call_table = len(self.context.tables)
            self.add_table(TableType(I32, Limits(0, None), FUNCREF))
        return self.slots.setdefault(func, len(self.slots))
