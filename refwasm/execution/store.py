"""Store and instances (specification 4.2). Instances refer to each other directly: an address is an object.

Fields that several agents share are marked "guarded by".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Union

from refwasm.errors import Exhaustion, ResourceLimit
from refwasm.execution.memory import Memory
from refwasm.syntax.instructions import Instr
from refwasm.syntax.modules import Expr, Func, Module
from refwasm.syntax.types import (
    DefType,
    ExternType,
    FuncType,
    FuncUse,
    GlobalType,
    Limits,
    TableType,
    TagType,
)
from refwasm.validation.functions import SideTable

if TYPE_CHECKING:
    from refwasm.execution.choices import Choices
    from refwasm.validation import Validated

R = TypeVar("R")

#: Host calls that run WebAssembly that calls the host …: each level takes Python frames and C stack.
MAX_HOST_DEPTH = 100
#: Tables larger than this are refused (the JavaScript API's limit): an element takes 8 bytes here.
MAX_TABLE_ELEMENTS = 10_000_000


class Settings:
    """What a user may limit. ``call_depth`` counts nested WebAssembly calls, ``memory_pages`` is the total of one
    memory, ``fuel`` is what all invocations together may still use, ``deadline`` a ``time.monotonic`` value; None means
    unlimited. ``interrupted`` is asked every few milliseconds whether to stop. ``cache`` is the directory where
    compiled code is kept."""

    __slots__ = ("call_depth", "memory_pages", "fuel", "deadline", "interrupted", "cache")

    def __init__(
        self,
        call_depth: int = 100_000,
        memory_pages: int | None = None,
        fuel: int | None = None,
        deadline: float | None = None,
        cache: str | None = None,
    ) -> None:
        self.cache = cache
        self.call_depth = call_depth
        self.memory_pages = memory_pages
        self.fuel = fuel
        self.deadline = deadline
        self.interrupted: Callable[[], bool] | None = None

    def check(self) -> None:
        """Raise ResourceLimit if time is used up, or somebody asks to stop."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise ResourceLimit("time limit exceeded")
        if self.interrupted is not None and self.interrupted():
            raise ResourceLimit("interrupted")


class Tier(Protocol):
    """What executes functions: the interpreter, or the compiler."""

    def invoke(self, func: FuncInst, args: Sequence[Any]) -> list[Any]:
        """Call a WebAssembly function; arguments and results in internal representation."""

    def start(self, func: FuncInst, args: Sequence[Any], ended: Callable[[], object], label: str = "") -> None:
        """In an interleaved store: call a function by turns with other agents; ``ended`` is told when it returns.
        ``label`` is what a person calls the agent."""

    def batch(self, calls: Callable[[], R]) -> R:
        """Do what calls functions many times: what each call has to prepare is prepared once."""

    def evaluate(self, instance: ModuleInst, expr: Expr) -> Any:
        """The value of a constant expression."""

    def save(self) -> None:
        """Keep what was compiled for other processes, if there is a place for it."""


class Store:
    """All that instances share: settings, the tier that executes, how deep calls from outside are nested.

    ``interleaved`` is None or a scheduler: then agents stop before every shared-memory access, and it chooses who goes
    on. ``watch`` is None or told of every such access: the agent, the instruction, the memory and the address.
    ``prepare`` is None or called with the interpreter's code of a function before that runs for the first time, to make
    its closures or put others there. With ``switches``, an instance may switch stacks: only the interpreter, whose
    stacks are explicit, executes functions then. ``around`` is None or makes, of the closure of an instruction of the
    interpreter, another one that stands for it: it gets the code, the instruction and the closure. ``choices`` is None
    in the deterministic profile, or what the interpreter asks wherever the specification leaves something open.
    """

    __slots__ = ("settings", "tier", "interleaved", "depth", "watch", "prepare", "switches", "around", "choices")

    def __init__(self, settings: Settings | None = None, interleaved: Any = None) -> None:
        self.settings = settings or Settings()
        self.interleaved = interleaved
        self.tier: Tier
        self.depth = 0
        self.watch: Callable[[Any, Instr, Memory, int], object] | None = None
        self.prepare: Callable[[Any], object] | None = None
        self.switches = False
        self.around: Callable[[Any, Instr, Any], Any] | None = None
        self.choices: Choices | None = None

    def invoke(self, func: AnyFunc, args: Sequence[Any]) -> list[Any]:
        """Call any function (4.7.4 "Invocation"), trusting that the arguments fit its type."""
        if self.depth > MAX_HOST_DEPTH:
            raise Exhaustion("call stack exhausted")
        invocation = func.invocation
        self.depth += 1
        try:
            return self.tier.invoke(func, args) if invocation is None else invocation(args)  # type: ignore[arg-type]
        finally:
            self.depth -= 1


class _OfFuncType:
    """What has a function type: functions, and tags (whose parameters are the payload of an exception)."""

    __slots__ = ("type",)

    type: DefType

    @property
    def signature(self) -> FuncType:
        """Parameters and results."""
        composite = self.type.composite
        assert isinstance(composite, FuncType)
        return composite


class FuncInst(_OfFuncType):
    """A WebAssembly function of an instance. ``code``, ``invocation`` and ``life`` belong to the tiers: what they
    made of the body, what calls it from outside (None: the tier does), and where it is on its way to compiled code."""

    __slots__ = ("module", "func", "index", "code", "invocation", "life", "__weakref__")

    def __init__(self, deftype: DefType, module: ModuleInst, func: Func, index: int) -> None:
        self.type = deftype
        self.module = module
        self.func = func
        self.index = index
        self.code: Any = None
        self.invocation: Callable[[Sequence[Any]], list[Any]] | None = None
        self.life: Any = None

    @property
    def side(self) -> SideTable:
        """Where branches of the body go. Raises Trap if validation was deferred and the function is not valid."""
        return self.module.validated.side_table(self.index)

    @property
    def body(self) -> Expr:
        """The instructions. Raises the same."""
        _ = self.side
        return self.func.body

    def __repr__(self) -> str:
        return f"<function {self.index} {self.signature}>"


class HostFunc(_OfFuncType):
    """A function of the host's: takes and returns values in internal representation."""

    __slots__ = ("function", "name", "__weakref__")

    def __init__(self, deftype: DefType, function: Callable[..., Sequence[Any]], name: str = "") -> None:
        self.type = deftype
        self.function = function
        self.name = name

    def invocation(self, args: Sequence[Any]) -> list[Any]:
        """Call it."""
        return list(self.function(*args))

    def __repr__(self) -> str:
        return f"<host function {self.name} {self.signature}>"


AnyFunc = Union[FuncInst, HostFunc]


class TableInst:
    """A table (4.2.9)."""

    __slots__ = ("type", "elements")

    def __init__(self, t: TableType, init: Any) -> None:
        if t.limits.minimum > MAX_TABLE_ELEMENTS:
            raise ResourceLimit(f"table of {t.limits.minimum} elements: at most {MAX_TABLE_ELEMENTS} are supported")
        self.type = t
        self.elements: list[Any] = [init] * t.limits.minimum

    def current_type(self) -> TableType:
        """The type with the present size as its minimum, for import matching."""
        return TableType(self.type.address, Limits(len(self.elements), self.type.limits.maximum), self.type.element)

    def has_room(self, count: int) -> bool:
        """Whether so many elements can be appended."""
        maximum = self.type.limits.maximum
        return len(self.elements) + count <= min(MAX_TABLE_ELEMENTS, MAX_TABLE_ELEMENTS if maximum is None else maximum)

    def grow(self, count: int, init: Any) -> int:
        """Append elements; the old size, or -1 if that is not possible (4.6.9 "Growing tables")."""
        old = len(self.elements)
        if not self.has_room(count):
            return -1
        self.elements += [init] * count
        return old


class GlobalInst:
    """A global (4.2.11)."""

    __slots__ = ("type", "value")

    def __init__(self, t: GlobalType, value: Any) -> None:
        self.type = t
        self.value = value


class TagInst(_OfFuncType):
    """A tag (4.2.7)."""

    __slots__ = ()

    def __init__(self, t: DefType) -> None:
        self.type = t


class ElemInst:
    """An element segment; dropping it empties it."""

    __slots__ = ("elements",)

    def __init__(self, elements: list[Any]) -> None:
        self.elements = elements


class DataInst:
    """A data segment; dropping it empties it."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content


Extern = Union[FuncInst, HostFunc, TableInst, Memory, GlobalInst, TagInst]


class ModuleInst:
    """A module instance (4.2.4). ``compiled`` belongs to the compiler: what it made of the functions."""

    __slots__ = (
        "validated", "types", "funcs", "tables", "memories", "globals", "tags", "elems", "datas", "exports", "store",
        "compiled", "__weakref__",
    )  # fmt: skip

    def __init__(self, validated: Validated, store: Store) -> None:
        self.validated = validated
        self.store = store
        self.compiled: Any = None
        self.types: list[DefType] = validated.space.types
        self.funcs: list[AnyFunc] = []
        self.tables: list[TableInst] = []
        self.memories: list[Memory] = []
        self.globals: list[GlobalInst] = []
        self.tags: list[TagInst] = []
        self.elems: list[ElemInst] = []
        self.datas: list[DataInst] = []
        self.exports: dict[str, Extern] = {}

    @property
    def module(self) -> Module:
        """The module this is an instance of."""
        return self.validated.module


def extern_type(item: Extern) -> ExternType:
    """The external type of something that could be imported (4.7.2), memories and tables with their present size."""
    if isinstance(item, (FuncInst, HostFunc)):
        return FuncUse(item.type, exact=True)
    if isinstance(item, (TableInst, Memory)):
        return item.current_type()
    if isinstance(item, GlobalInst):
        return item.type
    return TagType(item.type)
