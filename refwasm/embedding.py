"""The embedding interface (specification, appendix "Embedding"): what everything above the core goes through.

Function names follow the appendix. Values are in internal representation (:mod:`refwasm.execution.values`), errors
are exceptions of :mod:`refwasm.errors`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from refwasm import binary
from refwasm.cache import CacheFile, default_directory, digest
from refwasm.errors import Malformed, Trap, Unlinkable, did_you_mean
from refwasm.execution import instantiation, store
from refwasm.execution.auto import Auto
from refwasm.execution.choices import Choices, Seeded
from refwasm.execution.compiler import Compiler
from refwasm.execution.compiler.explanation import Explanation, explanation
from refwasm.execution.interpreter import Interpreter, Scheduler
from refwasm.execution.memory import Memory
from refwasm.execution.store import (
    AnyFunc,
    Extern,
    FuncInst,
    GlobalInst,
    HostFunc,
    ModuleInst,
    Settings,
    Store,
    TableInst,
    TagInst,
)
from refwasm.execution.values import I31, ArrayInst, ExnInst, HostRef, StructInst, default, is_of_heap
from refwasm.execution.watchdog import within
from refwasm.syntax.modules import Module
from refwasm.syntax.types import (
    DefType,
    ExternType,
    FuncType,
    FuncUse,
    GlobalType,
    MemType,
    NumType,
    TableType,
    TagType,
    ValType,
)
from refwasm.validation import Validated, validate
from refwasm.validation.features import ALL
from refwasm.validation.matching import match_extern_type
from refwasm.validation.types import func_type as canonical_func_type

TIERS: dict[str, Callable[[Store], store.Tier]] = {
    "interpret": Interpreter,
    "compile": lambda in_store: Compiler(in_store, Interpreter(in_store)),
    "auto": Auto,
}

#: What stores execute on unless a tier is named; the variable is for running everything on one of them.
DEFAULT_TIER = os.environ.get("REFWASM_TIER") or "auto"

#: Bytes of a module; decoding and checking fewer takes less than 10 ms.
WORTH_NOTING = 5_000


def store_init(
    settings: Settings | None = None, tier: str = DEFAULT_TIER, seed: int | None = None,
    choices: Choices | None = None, interleaved: bool = False,
) -> Store:  # fmt: skip
    """A new store. With a ``seed``, or if it is ``interleaved``, agents (the interpreter's) take turns that the seed or
    the ``choices`` decide. With ``choices``, the interpreter asks them wherever the specification leaves something
    open, and time-outs come when they say so; without, it executes the deterministic profile."""
    scheduler = None
    if choices is not None and (interleaved or choices.scheduler is not None):
        scheduler = choices.scheduler or Scheduler(choices, virtual=True)
    elif seed is not None:
        scheduler = Scheduler(Seeded(seed))
    new = Store(settings, scheduler)
    if tier not in TIERS:
        raise ValueError(f"unknown tier {tier!r}; there are {', '.join(TIERS)}")
    new.tier = TIERS[tier if scheduler is None and choices is None else "interpret"](new)
    if choices is not None:
        from refwasm.execution.interpreter.choosing import choose_with  # not at start-up

        choose_with(new, choices)
    return new


def cache_directory() -> str | None:
    """Where compiled code is kept, unless somebody chooses another place: see :mod:`refwasm.cache`."""
    return default_directory()


# ---- modules --------------------------------------------------------------------------------------------------------


def module_decode(data: bytes) -> Module:
    """Bytes of the binary format to a module; raises Malformed."""
    return binary.decode(data)._replace(digest=digest(data))


def module_encode(module: Module) -> bytes:
    """A module to bytes of the binary format."""
    return binary.encode(module)


def module_parse(source: str | bytes) -> Module:
    """Characters of the text format to a module; raises Malformed."""
    from refwasm.text import parse_module  # a fifth of the start-up time, and most programs come in the binary format

    data = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    return parse_module(source)._replace(digest=digest(data))


def module_load(source: str | bytes) -> Module:
    """A module in either format, told apart by the magic number."""
    if isinstance(source, bytes) and source[:4] == binary.modules.MAGIC:
        return module_decode(source)
    if isinstance(source, bytes) and (not source or b"\0" in source[:64]):
        raise Malformed("magic header not detected: neither a binary module nor text" if source else "unexpected end")
    return module_parse(source)


def module_validate(module: Module, features: frozenset[str] = ALL) -> Validated:
    """Check a module; raises Invalid."""
    return validate(module, features)


def module_open(
    source: str | bytes, cache: str | None = None, features: frozenset[str] = ALL, deferred: bool = False
) -> Validated:
    """Load and check a module in either format; raises Malformed, Invalid.

    With ``deferred``, a function of a binary module is decoded and checked when it is first called; if there is
    something wrong with it, the call traps. In the directory ``cache`` it is noted which large binary modules are
    valid: those are deferred from then on.
    """
    if not isinstance(source, bytes) or source[:4] != binary.modules.MAGIC:
        return module_validate(module_load(source), features)
    key, note = digest(source), None
    if cache is not None and not deferred and len(source) >= WORTH_NOTING:
        note = CacheFile(cache, ("valid", key, sorted(features)))
        deferred = note.read() is not None
    validated = validate(binary.decode(source, deferred)._replace(digest=key), features, deferred)
    if note is not None and not deferred:
        note.write(b"")
    return validated


def module_instantiate(
    in_store: Store,
    validated: Validated,
    externs: Sequence[Extern],
    prepare: Callable[[ModuleInst], None] | None = None,
) -> ModuleInst:
    """Make an instance; raises Unlinkable, Trap, UncaughtException, ResourceLimit. ``prepare`` gets it before its code
    runs."""
    return instantiation.instantiate(in_store, validated, externs, prepare)


def resolve_imports(validated: Validated, provided: Mapping[str, Mapping[str, Extern]]) -> list[Extern]:
    """What to instantiate with, found by names; Unlinkable "unknown import" if something is missing."""
    externs = []
    for module, name, _ in module_imports(validated):
        try:
            externs.append(provided[module][name])
        except KeyError:
            known = provided.get(module)
            guess = did_you_mean(module, provided) if known is None else did_you_mean(name, known)
            raise Unlinkable(f"unknown import {module!r} {name!r}{guess}") from None
    return externs


def module_imports(validated: Validated) -> list[tuple[str, str, ExternType]]:
    """Module name, name and closed type of each import."""
    return [(i.module, i.name, validated.space.extern(i.type)) for i in validated.module.imports]


def module_exports(validated: Validated) -> list[tuple[str, ExternType]]:
    """Name and closed type of each export."""
    module = validated.module
    spaces: dict[str, list[ExternType]] = {"func": [FuncUse(t) for t in validated.func_types]}
    for kind, own in (
        ("table", [t.type for t in module.tables]),
        ("memory", list(module.memories)),
        ("global", [g.type for g in module.globals]),
        ("tag", list(module.tags)),
    ):
        wanted = {"table": TableType, "memory": MemType, "global": GlobalType, "tag": TagType}[kind]
        types = [i.type for i in module.imports if isinstance(i.type, wanted)] + own
        spaces[kind] = [validated.space.extern(t) for t in types]
    return [(e.name, spaces[e.kind][e.index]) for e in module.exports]


def instance_export(instance: ModuleInst, name: str) -> Extern:
    """What an instance exports under that name; KeyError if nothing."""
    return instance.exports[name]


# ---- functions, tables, memories, globals, tags ---------------------------------------------------------------------


def func_alloc(t: FuncType, function: Callable[..., Sequence[Any]], name: str = "") -> HostFunc:
    """A host function; its type must be closed. ``function`` takes and returns internal values."""
    return HostFunc(canonical_func_type(t.params, t.results), function, name)


def func_type(func: AnyFunc) -> FuncType:
    """The type of a function."""
    return func.signature


def func_invoke(in_store: Store, func: AnyFunc, args: Sequence[Any]) -> list[Any]:
    """Call a function. The arguments must have been checked: see :func:`value_has_type`."""
    return in_store.invoke(func, args)


def func_explain(validated: Validated, index: int, fuel: bool = False, limits: bool = False) -> Explanation:
    """What the compiler makes of a function, where fuel is counted or loops look at the limits if wanted. Raises
    Unlinkable for an imported function, and Untranslatable."""
    in_store = store_init(tier="interpret")
    instances: list[ModuleInst] = []

    def prepare(instance: ModuleInst) -> None:
        instances.append(instance)
        raise Unlinkable("nothing is to be executed")

    with suppress(Unlinkable):
        module_instantiate(
            in_store, validated, [_placeholder(in_store, t) for _, _, t in module_imports(validated)], prepare
        )
    func = instances[0].funcs[index]
    if not isinstance(func, FuncInst):
        raise Unlinkable(f"function {index} is imported")
    return explanation(func, limits, fuel)


def _placeholder(in_store: Store, t: ExternType) -> Extern:
    """Something of a type, to have it linked."""
    if isinstance(t, FuncUse):
        assert isinstance(t.type, DefType)
        return HostFunc(t.type, lambda *args: [])
    if isinstance(t, TableType):
        return table_alloc(t, None)
    if isinstance(t, MemType):
        return mem_alloc(in_store, t)
    if isinstance(t, GlobalType):
        return global_alloc(t, default(t.value))
    assert isinstance(t.type, DefType)
    return TagInst(t.type)


def func_start(
    in_store: Store, func: FuncInst, args: Sequence[Any], ended: Callable[[], object], label: str = ""
) -> None:
    """In an interleaved store: let another agent, which a person calls ``label``, call a function by turns with the
    others; ``ended`` is called when it has returned."""
    in_store.tier.start(func, args, ended, label)


def table_alloc(t: TableType, init: Any) -> TableInst:
    """A new table of a closed type."""
    return TableInst(t, init)


def mem_alloc(in_store: Store, t: MemType) -> Memory:
    """A new memory."""
    return instantiation.allocate_memory(t, in_store)


def global_alloc(t: GlobalType, value: Any) -> GlobalInst:
    """A new global of a closed type."""
    return GlobalInst(t, value)


def tag_alloc(t: FuncType) -> TagInst:
    """A new tag whose exceptions carry the parameters of a closed type."""
    return TagInst(canonical_func_type(t.params, ()))


def extern_type(item: Extern) -> ExternType:
    """The external type of an instance."""
    return store.extern_type(item)


# ---- values ---------------------------------------------------------------------------------------------------------


def val_default(t: ValType) -> Any:
    """The default value of a type."""
    return default(t)


def value_has_type(value: Any, t: ValType) -> bool:
    """Whether an internal value is one of a closed type."""
    if isinstance(t, NumType):
        return isinstance(value, int) and not isinstance(value, I31) and 0 <= value < 1 << t.bits
    if value is None:
        return t.nullable
    references = (FuncInst, HostFunc, I31, StructInst, ArrayInst, ExnInst, HostRef)
    return isinstance(value, references) and is_of_heap(value, t.heap)


__all__ = [
    "ALL", "DEFAULT_TIER", "TIERS", "AnyFunc", "ArrayInst", "DefType", "ExnInst", "Extern", "FuncInst",
    "GlobalInst", "HostFunc", "HostRef", "I31", "Memory", "ModuleInst", "Settings", "Store", "StructInst",
    "TableInst", "TagInst", "Trap", "Validated", "Explanation", "cache_directory", "extern_type", "func_alloc",
    "func_explain", "func_invoke", "func_start", "func_type", "global_alloc", "instance_export",
    "match_extern_type", "mem_alloc", "module_decode", "module_encode", "module_exports", "module_imports",
    "module_instantiate", "module_load", "module_open", "module_parse", "module_validate", "resolve_imports",
    "store_init", "table_alloc", "tag_alloc", "val_default", "value_has_type", "within",
]  # fmt: skip
