"""The Python API, shaped after the JavaScript API of WebAssembly, on top of the embedding interface.

Values: i32 and i64 come back as signed ints and go in as any int that fits (signed or unsigned); f32 and f64 are
Python floats; v128 is an unsigned int. ``func.bits(…)`` takes and returns exact bit patterns (unsigned ints) instead,
so that NaN payloads survive. Null references are None, ``externref`` carries any Python object, ``funcref`` a
:class:`Func`; references to structures and arrays are opaque.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from refwasm import embedding as e
from refwasm.errors import Unlinkable, did_you_mean
from refwasm.execution.instantiation import describe
from refwasm.execution.numerics.floats import to_bits, to_float
from refwasm.syntax.types import (
    EXTERN_KINDS,
    I32,
    I64,
    NUM_TYPES,
    REF_ABBREVIATIONS,
    ExternType,
    FuncType,
    FuncUse,
    GlobalType,
    Limits,
    MemType,
    NumType,
    RefType,
    TableType,
    ValType,
)
from refwasm.validation.features import ALL, parse

# ---- values ---------------------------------------------------------------------------------------------------------


def _type(name: str | ValType) -> ValType:
    """A value type from its name in the text format."""
    if not isinstance(name, str):
        return name
    if name in NUM_TYPES:
        return NUM_TYPES[name]
    if name in REF_ABBREVIATIONS:
        return RefType(True, REF_ABBREVIATIONS[name])
    raise ValueError(f"unknown type {name!r}; types are {', '.join([*NUM_TYPES, *REF_ABBREVIATIONS])}")


def to_internal(value: Any, t: ValType) -> Any:
    """A Python value in internal representation; TypeError or OverflowError if it does not fit the type."""
    if isinstance(t, NumType):
        if t.name[0] == "f":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{t.name} takes a float, not {value!r}")
            return to_bits(t.bits, float(value))
        if not isinstance(value, int):
            raise TypeError(f"{t.name} takes an int, not {value!r}")
        if not -(1 << (t.bits - 1)) <= value < 1 << t.bits:
            raise OverflowError(f"{value} does not fit {t.name}")
        return value & ((1 << t.bits) - 1)
    assert isinstance(t, RefType)
    internal = _to_reference(value, t)
    if not e.value_has_type(internal, t):
        raise TypeError(f"{value!r} is no {t!r}")
    return internal


def _to_reference(value: Any, t: RefType) -> Any:
    if value is None or isinstance(value, (e.StructInst, e.ArrayInst, e.ExnInst, e.I31)):
        return value
    if isinstance(value, Func):
        return value._item
    if t.heap in ("extern", "any"):
        return e.HostRef(value)
    return e.I31(value & 0x7FFFFFFF) if t.heap == "i31" and isinstance(value, int) else value


def to_python(value: Any, t: ValType) -> Any:
    """An internal value as users see it."""
    if isinstance(t, NumType):
        if t.name[0] == "f":
            return to_float(t.bits, value)
        if t.name[0] == "i" and value >> (t.bits - 1):
            return value - (1 << t.bits)
        return value
    if isinstance(value, e.HostRef):
        return value.value
    if isinstance(value, e.I31):
        return int(value) - (1 << 31 if value >> 30 else 0)
    return Func._wrap(value) if isinstance(value, (e.FuncInst, e.HostFunc)) else value


def _results(values: Sequence[Any], t: FuncType) -> Any:
    """None for no result, the value for one, a tuple for several."""
    converted = tuple(to_python(value, r) for value, r in zip(values, t.results))
    return None if not converted else converted[0] if len(converted) == 1 else converted


# ---- what modules import and export ---------------------------------------------------------------------------------


class Func:
    """A function: of an instance, or made from a Python callable.

    >>> add = Func(lambda a, b: a + b, params=["i32", "i32"], results=["i32"])
    >>> add(2, 3)
    5
    """

    #: The wrapper of a function, while somebody has it: it knows the function's instance and all that belongs to that.
    _wrappers: WeakValueDictionary[Any, Func] = WeakValueDictionary()

    def __init__(
        self, function: Callable[..., Any], params: Sequence[str | ValType] = (), results: Sequence[str | ValType] = ()
    ) -> None:
        t = FuncType(tuple(map(_type, params)), tuple(map(_type, results)))
        name = getattr(function, "__name__", "")
        self._item: e.AnyFunc = e.func_alloc(t, _host_function(function, t), name)
        self._store = e.store_init()
        Func._wrappers[self._item] = self

    @classmethod
    def _wrap(cls, item: e.AnyFunc, store: e.Store | None = None) -> Func:
        wrapper = cls._wrappers.get(item)
        if wrapper is None:
            wrapper = cls.__new__(cls)
            wrapper._item = item
            wrapper._store = store or (item.module.store if isinstance(item, e.FuncInst) else e.store_init())
            cls._wrappers[item] = wrapper
        return wrapper

    @property
    def type(self) -> FuncType:
        """Parameters and results."""
        return e.func_type(self._item)

    def __call__(self, *args: Any) -> Any:
        """Call it. TypeError or OverflowError for arguments that do not fit; Trap and the like from the code."""
        params = self._check_count(args)
        internal = [to_internal(value, t) for value, t in zip(args, params)]
        return _results(e.func_invoke(self._store, self._item, internal), self.type)

    def bits(self, *args: int) -> tuple[Any, ...]:
        """Call it with exact bit patterns; the results are bit patterns too, always in a tuple."""
        params = self._check_count(args)
        for value, t in zip(args, params):
            if not e.value_has_type(value, t):
                raise TypeError(f"{value!r} is no bit pattern of {t!r}")
        return tuple(e.func_invoke(self._store, self._item, args))

    def _check_count(self, args: Sequence[Any]) -> tuple[ValType, ...]:
        params = self.type.params
        if len(args) != len(params):
            raise TypeError(f"{len(params)} arguments are needed, {len(args)} were given")
        return params

    def __repr__(self) -> str:
        return f"<Func {self.type!r}>"


def _host_function(function: Callable[..., Any], t: FuncType) -> Callable[..., Sequence[Any]]:
    params, results = t.params, t.results

    def call(*args: Any) -> Sequence[Any]:
        returned = function(*(to_python(value, p) for value, p in zip(args, params)))
        if len(results) == 1:
            return (to_internal(returned, results[0]),)
        values = () if returned is None else tuple(returned)
        if len(values) != len(results):
            raise TypeError(f"{function!r} should return {len(results)} values, not {returned!r}")
        return [to_internal(value, r) for value, r in zip(values, results)]

    return call


class Memory:
    """A linear memory; sizes in pages of 64 KiB.

    ``buffer`` is a writable memoryview of the present contents. It stays valid when the memory grows, but does not
    grow with it.

    >>> memory = Memory(1)
    >>> memory.buffer[0:5] = b"hello"
    >>> memory.read(1, 4)
    b'ello'
    """

    def __init__(self, initial: int, maximum: int | None = None, *, shared: bool = False, address: str = "i32") -> None:
        t = MemType(I64 if address == "i64" else I32, Limits(initial, maximum), shared)
        if shared and maximum is None:
            raise ValueError("a shared memory needs a maximum")
        self._item = e.mem_alloc(e.store_init(), t)

    @classmethod
    def _wrap(cls, item: e.Memory) -> Memory:
        wrapper = cls.__new__(cls)
        wrapper._item = item
        return wrapper

    @property
    def buffer(self) -> memoryview:
        """The present contents."""
        self._item.refresh()
        return self._item.u8

    def __buffer__(self, flags: int) -> memoryview:
        return self.buffer

    @property
    def pages(self) -> int:
        """Present size."""
        return self._item.size()

    def __len__(self) -> int:
        return self.pages * self._item.page

    def grow(self, delta: int) -> int:
        """Grow by ``delta`` pages; returns the old size. ValueError if that is not possible."""
        old = self._item.grow(delta) if delta >= 0 else -1
        if old < 0:
            raise ValueError(f"can't grow by {delta} pages from {self.pages}")
        return old

    def read(self, address: int, size: int) -> bytes:
        """A copy of ``size`` bytes; IndexError if they are out of bounds."""
        self._check(address, size)
        return self._item.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Store bytes; IndexError, and nothing stored, if they don't fit."""
        self._check(address, len(data))
        self._item.write(address, data)

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > len(self):
            raise IndexError(f"{size} bytes at {address} are beyond the {len(self)} bytes of the memory")


class Table:
    """A table of references.

    >>> table = Table("externref", 2)
    >>> table[1] = "anything"
    >>> table[1]
    'anything'
    """

    def __init__(
        self, element: str = "funcref", initial: int = 0, maximum: int | None = None, init: Any = None
    ) -> None:
        t = _type(element)
        if not isinstance(t, RefType):
            raise ValueError(f"a table holds references, not {element}")
        self._item = e.table_alloc(TableType(I32, Limits(initial, maximum), t), to_internal(init, t))

    @classmethod
    def _wrap(cls, item: e.TableInst) -> Table:
        wrapper = cls.__new__(cls)
        wrapper._item = item
        return wrapper

    def __len__(self) -> int:
        return len(self._item.elements)

    def __getitem__(self, index: int) -> Any:
        self._check(index)
        return to_python(self._item.elements[index], self._item.type.element)

    def __setitem__(self, index: int, value: Any) -> None:
        self._check(index)
        self._item.elements[index] = to_internal(value, self._item.type.element)

    def grow(self, delta: int, init: Any = None) -> int:
        """Append ``delta`` elements; returns the old size. ValueError if that is not possible."""
        old = self._item.grow(delta, to_internal(init, self._item.type.element)) if delta >= 0 else -1
        if old < 0:
            raise ValueError(f"can't grow by {delta} elements from {len(self)}")
        return old

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} in a table of {len(self)} elements")


class Global:
    """A global variable.

    >>> counter = Global("i32", 5, mutable=True)
    >>> counter.value = 7
    >>> counter.value
    7
    """

    def __init__(self, type: str | ValType, value: Any = 0, mutable: bool = False) -> None:
        t = _type(type)
        if isinstance(t, RefType) and value == 0:
            value = None
        self._item = e.global_alloc(GlobalType(t, mutable), to_internal(value, t))

    @classmethod
    def _wrap(cls, item: e.GlobalInst) -> Global:
        wrapper = cls.__new__(cls)
        wrapper._item = item
        return wrapper

    @property
    def value(self) -> Any:
        """Its value; AttributeError when an immutable one is set."""
        return to_python(self._item.value, self._item.type.value)

    @value.setter
    def value(self, value: Any) -> None:
        if not self._item.type.mutable:
            raise AttributeError("the global is immutable")
        self._item.value = to_internal(value, self._item.type.value)

    @property
    def bits(self) -> Any:
        """Its exact bit pattern."""
        return self._item.value


class Tag:
    """The tag of exceptions that carry values of some types."""

    def __init__(self, params: Sequence[str | ValType] = ()) -> None:
        self._item = e.tag_alloc(FuncType(tuple(map(_type, params)), ()))

    @classmethod
    def _wrap(cls, item: e.TagInst) -> Tag:
        wrapper = cls.__new__(cls)
        wrapper._item = item
        return wrapper


# ---- modules and instances ------------------------------------------------------------------------------------------


class ImportType(NamedTuple):
    """What a module wants imported; ``type`` as in the text format."""

    module: str
    name: str
    kind: str
    type: str


class ExportType(NamedTuple):
    """What a module exports."""

    name: str
    kind: str
    type: str


class Module:
    """A valid module, from the binary format (bytes) or the text format (str, or bytes that don't start with \\\\0asm).

    Raises Malformed or Invalid, with the place. ``features`` narrows what the module may use: ``"2.0"``, ``"3.0"``,
    single proposals separated by commas, ``-name`` to leave one out (see :mod:`refwasm.validation.features`).
    ``cache`` is a directory where it is noted that a large module is valid: the next time it is there at once.
    """

    def __init__(self, source: bytes | str, features: str | frozenset[str] = ALL, cache: str | None = None) -> None:
        chosen = parse(features) if isinstance(features, str) else features
        self._validated = e.module_open(source, cache, chosen)

    @classmethod
    def from_file(
        cls, path: str | Path, features: str | frozenset[str] = ALL, cache: str | None = None
    ) -> Module:  # fmt: skip
        """The module in a ``.wasm`` or ``.wat`` file."""
        return cls(Path(path).read_bytes(), features, cache)

    @property
    def imports(self) -> list[ImportType]:
        """What has to be imported, in order."""
        return [
            ImportType(module, name, EXTERN_KINDS[type(t)], _text_of(t))
            for module, name, t in e.module_imports(self._validated)
        ]

    @property
    def exports(self) -> list[ExportType]:
        """What is exported, in order."""
        return [ExportType(name, EXTERN_KINDS[type(t)], _text_of(t)) for name, t in e.module_exports(self._validated)]

    def custom_sections(self, name: str) -> list[bytes]:
        """Contents of the custom sections of that name."""
        return [c.content for c in self._validated.module.customs if c.name == name]


def _text_of(t: ExternType) -> str:
    return describe(t).partition(" ")[2]


class Exports:
    """What an instance exports: attributes, or items where a name is no Python identifier."""

    def __init__(self, items: dict[str, Any]) -> None:
        self._items = items

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_items"][name]
        except KeyError:
            guess = did_you_mean(name, self.__dict__["_items"])
            raise AttributeError(f"nothing is exported as {name!r}{guess}") from None

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __dir__(self) -> list[str]:
        return list(self._items)


Imports = Mapping[str, Any]


class Instance:
    """An instance of a module.

    ``imports`` maps module names to what they provide: mappings or :class:`Exports`, whose values are callables,
    numbers (for immutable globals), Func, Memory, Table, Global or Tag. Limits: ``fuel`` instructions in all calls
    together, ``timeout`` seconds from now on, ``call_depth`` nested calls, ``memory_pages`` in one memory. What
    executes functions is the ``tier``: ``interpret``, ``compile``, or ``auto``, which compiles what is hot; ``cache``
    is a directory where compiled code is kept for other processes. With a ``store``, that has the limits and the tier,
    and several instances share it (:func:`refwasm.explore`). Raises Unlinkable, and whatever the start function
    does.

    >>> module = Module('(module (func (export "twice") (param i32) (result i32) local.get 0 local.get 0 i32.add))')
    >>> Instance(module).exports.twice(21)
    42
    """

    def __init__(
        self, module: Module, imports: Imports | None = None, *, tier: str = e.DEFAULT_TIER, fuel: int | None = None,
        timeout: float | None = None, call_depth: int = 100_000, memory_pages: int | None = None,
        cache: str | None = None, store: e.Store | None = None,
    ) -> None:  # fmt: skip
        deadline = None if timeout is None else time.monotonic() + timeout
        self._store = store or e.store_init(e.Settings(call_depth, memory_pages, fuel, deadline, cache), tier)
        externs = [
            _extern(imports or {}, module_name, name, t) for module_name, name, t in e.module_imports(module._validated)
        ]
        self._instance = e.module_instantiate(self._store, module._validated, externs)
        self.exports = Exports({name: _wrap(item, self._store) for name, item in self._instance.exports.items()})

    @property
    def fuel(self) -> int | None:
        """What is left of it."""
        return self._store.settings.fuel

    @fuel.setter
    def fuel(self, fuel: int | None) -> None:
        self._store.settings.fuel = fuel


_WRAPPERS: dict[type, Any] = {
    e.TableInst: Table, e.GlobalInst: Global, e.TagInst: Tag,
}  # fmt: skip


def _wrap(item: e.Extern, store: e.Store) -> Any:
    if isinstance(item, (e.FuncInst, e.HostFunc)):
        return Func._wrap(item, store)
    if isinstance(item, e.Memory):
        return Memory._wrap(item)
    return _WRAPPERS[type(item)]._wrap(item)


def _extern(imports: Imports, module: str, name: str, t: ExternType) -> e.Extern:
    try:
        value = imports[module][name]
    except KeyError:
        raise Unlinkable(f"unknown import {module!r} {name!r}") from None
    if isinstance(value, (Func, Memory, Table, Global, Tag)):
        return value._item
    if isinstance(value, (e.FuncInst, e.HostFunc, e.Memory, e.TableInst, e.GlobalInst, e.TagInst)):
        return value
    if isinstance(t, FuncUse) and callable(value):
        signature: FuncType = t.type.composite  # type: ignore[union-attr, assignment]
        return Func(value, signature.params, signature.results)._item
    if isinstance(t, GlobalType) and not t.mutable:
        return Global(t.value, value)._item
    raise Unlinkable(f"incompatible import type for {module!r} {name!r}: expected {describe(t)}, got {value!r}")
