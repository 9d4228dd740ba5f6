"""Contexts (specification 3.1.1): what is in scope. All types are closed."""

from __future__ import annotations

from refwasm.errors import Invalid, UnsupportedFeature
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import (
    V128,
    ContType,
    DefType,
    Exact,
    FuncType,
    GlobalType,
    HeapType,
    MemType,
    RefType,
    TableType,
    ValType,
)
from refwasm.validation.matching import top_of
from refwasm.validation.types import TypeSpace

#: What an instruction takes from the stack and leaves there, the topmost last.
InstrType = tuple[list[ValType], list[ValType]]


class Context:
    """Index spaces of a module during validation, with look-ups that raise "unknown …"."""

    def __init__(self, features: frozenset[str]) -> None:
        self.features = features
        self.space = TypeSpace()
        self.funcs: list[DefType] = []
        #: Imported functions that may be of a subtype of their declared type.
        self.inexact: set[int] = set()
        self.tables: list[TableType] = []
        self.memories: list[MemType] = []
        self.globals: list[GlobalType] = []
        self.imported_globals = 0
        self.tags: list[DefType] = []
        self.elems: list[RefType] = []
        self.datas = 0
        #: Functions that may be referenced by ``ref.func`` in bodies: those mentioned outside of bodies.
        self.refs: set[int] = set()
        #: Structure types found to be defaultable, so that large ones are looked through once.
        self.defaultable: set[DefType] = set()
        #: Types of instructions that were looked up for bodies. Constant expressions see less of the context.
        self.types: dict[Instr, InstrType] = {}

    def need(self, feature: str, message: str = "") -> None:
        """Refuse what the chosen feature set leaves out; ``message`` is the wording of suites that predate it."""
        if feature not in self.features:
            prefix = f"{message}: " if message else ""
            raise UnsupportedFeature(f"{prefix}needs the feature {feature}")

    def need_type(self, t: object) -> None:
        """The same for a closed value or storage type."""
        if t is V128:
            self.need("simd")
        elif isinstance(t, RefType):
            self.need_heap(t.heap)
            if not t.nullable:
                self.need("function-references")

    def need_heap(self, heap: HeapType) -> None:
        """The same for a closed heap type."""
        if isinstance(heap, Exact):
            self.need("custom-descriptors")
        elif isinstance(heap, DefType):
            self.need("function-references")
        elif heap in ("exn", "noexn"):
            self.need("exception-handling")
        elif heap in ("cont", "nocont"):
            self.need("stack-switching")
        else:
            self.need("reference-types" if heap in ("func", "extern") else "gc")

    def new(self, deftype: DefType) -> RefType:
        """The type of a reference to something made just now, whose type is known exactly."""
        return RefType(False, Exact(deftype) if "custom-descriptors" in self.features else deftype)

    def func(self, index: int) -> DefType:
        if index >= len(self.funcs):
            raise Invalid(f"unknown function {index}")
        return self.funcs[index]

    def table(self, index: int) -> TableType:
        if index >= len(self.tables):
            raise Invalid(f"unknown table {index}")
        return self.tables[index]

    def memory(self, index: int) -> MemType:
        if index >= len(self.memories):
            raise Invalid(f"unknown memory {index}")
        return self.memories[index]

    def global_(self, index: int) -> GlobalType:
        if index >= len(self.globals):
            raise Invalid(f"unknown global {index}")
        return self.globals[index]

    def check_castable(self, heap: HeapType) -> None:
        """Continuations have no types at run time (stack-switching proposal)."""
        if top_of(heap) == "cont":
            raise Invalid("invalid cast: continuations can't be tested or cast")

    def continuation(self, index: int) -> tuple[DefType, FuncType]:
        """A continuation type, and the function type of what it has left to do."""
        deftype = self.space.use(index)
        return deftype, self.continued(deftype, index)

    def continued(self, heap: HeapType, index: object = None) -> FuncType:
        """The function type of what continuations of a closed heap type have left to do."""
        composite = heap.composite if isinstance(heap, DefType) else None
        if not isinstance(composite, ContType) or not isinstance(composite.func, DefType):
            raise Invalid(f"non-continuation type {heap if index is None else index}")
        found = composite.func.composite
        assert isinstance(found, FuncType)
        return found

    def tag(self, index: int) -> FuncType:
        if index >= len(self.tags):
            raise Invalid(f"unknown tag {index}")
        composite = self.tags[index].composite
        assert isinstance(composite, FuncType)
        return composite

    def exception_tag(self, index: int) -> FuncType:
        """The type of a tag that can be thrown: nothing comes back."""
        found = self.tag(index)
        if found.results:
            raise Invalid(f"type mismatch: tag {index} has results, so it can't be thrown")
        return found

    def elem(self, index: int) -> RefType:
        if index >= len(self.elems):
            raise Invalid(f"unknown elem segment {index}")
        return self.elems[index]

    def data(self, index: int) -> None:
        if index >= self.datas:
            raise Invalid(f"unknown data segment {index}")
