"""What a user may ask of generated modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

from hypothesis.errors import InvalidArgument

from refwasm import embedding as e
from refwasm.errors import Invalid, did_you_mean
from refwasm.syntax.modules import Import, Module
from refwasm.syntax.types import FuncType, FuncUse, GlobalType, MemType, RecType, RefType, SubType, TableType
from refwasm.validation.features import ALL, NAMES, UNFINISHED, parse

#: Values of the argument ``traps``: the share of instructions that may trap whose operands are left to chance.
TRAPS = {"allowed": 3, "rare": 40, "none": 0}
#: Values of the argument ``nan``.
NANS = ("any", "canonicalised")
#: Values of the argument ``exports``, if it is a word.
EXPORTS = ("all", "none")

#: Features that may be missing from a module; the others show in little.
SWITCHES = ("simd", "gc", "exception-handling", "threads", "memory64", "multi-memory", "tail-call", "relaxed-simd",
             "function-references", "wide-arithmetic", "reference-types", "bulk-memory", "multi-value")  # fmt: skip
#: Features without which a module can't have another one.
NEEDS = {
    "relaxed-simd": ("simd",),
    "exception-handling": ("reference-types",),
    "gc": ("function-references",),
    "function-references": ("reference-types",),
    "reference-types": ("bulk-memory",),
}


#: Features as users name them: as text, or a set of names.
Features = str | Set[str]
#: What an import may be; a function by its type.
ImportType = FuncType | MemType | TableType | GlobalType
Imports = Mapping[tuple[str, str], ImportType]


class Limits(NamedTuple):
    """Most of everything that is drawn for a module. (What an instruction is about comes on top where a module has
    nothing of the kind, unless the limit is 0: a page of memory, a table of four elements, a structure.) ``types`` are
    structures and arrays. ``depth`` is that of expressions, ``nesting`` that of blocks;
    ``instructions`` and ``statements`` are those of one function, the first one being a budget that ends soon after
    it is used up. ``fuel`` is how many iterations and recursive calls the module may execute, if it counts them."""

    functions: int = 4
    statements: int = 6
    instructions: int = 100
    depth: int = 4
    nesting: int = 3
    params: int = 3
    results: int = 2
    locals: int = 4
    types: int = 3
    memories: int = 2
    memory_pages: int = 2
    tables: int = 2
    table_elements: int = 16
    globals: int = 3
    tags: int = 2
    segments: int = 3
    fuel: int = 1000


#: The greatest values that limits may have, where not any number will do.
_GREATEST = {"memory_pages": 1 << 16, "table_elements": 10_000_000, "fuel": (1 << 31) - 1}


#: Heap types that generated code has no reference to but null.
_EMPTY = ("none", "nofunc", "noextern", "noexn", "exn")


class Configuration(NamedTuple):
    """The arguments of :func:`refwasm.strategies.modules`, checked."""

    features: frozenset[str] = ALL
    limits: Limits = Limits()
    imports: tuple[tuple[tuple[str, str], ImportType], ...] = ()
    exports: str | tuple[tuple[str, FuncType], ...] = "all"
    traps: str = "rare"
    nan: str = "any"
    termination: str | None = "fuel"
    needed: frozenset[str] = frozenset()  # features that imports and exports need


def configuration(
    features: Features, limits: Limits | None, imports: Imports,
    exports: str | Mapping[str, FuncType], traps: str, nan: str, termination: str | None,
) -> Configuration:  # fmt: skip
    """The configuration. Raises InvalidArgument, as Hypothesis does for arguments of its own."""
    chosen = _features(features if isinstance(features, str) else _set_of(features))
    _one_of("traps", traps, tuple(TRAPS))
    _one_of("nan", nan, NANS)
    _one_of("termination", termination, ("fuel", None))
    limits = _checked(Limits() if limits is None else limits)
    imported, exported = _imports(imports), _exports(exports)
    named = () if isinstance(exported, str) else exported
    if traps == "none":
        _refuse_uninhabited(named)
    needed = needed_features(chosen, tuple(t for _, t in imported), tuple(t for _, t in named))
    return Configuration(chosen, limits, imported, exported, traps, nan, termination, needed)


def _checked(limits: Limits) -> Limits:
    if not isinstance(limits, Limits) or not all(isinstance(n, int) and n >= 0 for n in limits):
        raise InvalidArgument(f"limits={limits!r}: expected Limits of numbers that are not negative")
    if limits.functions < 1 or limits.instructions < 1:
        raise InvalidArgument("limits: a module has one function of one instruction at least")
    for name, most in _GREATEST.items():
        if getattr(limits, name) > most:
            raise InvalidArgument(f"limits: {name}={getattr(limits, name)}: expected {most} at most")
    return limits


def _imports(imports: Imports) -> tuple[tuple[tuple[str, str], ImportType], ...]:
    if not isinstance(imports, Mapping):
        raise InvalidArgument(f"imports={imports!r}: expected types by pairs of module and name")
    for key, wanted in imports.items():
        if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(name, str) for name in key)):
            raise InvalidArgument(f"imports: {key!r} is no pair of module and name")
        if not isinstance(wanted, (FuncType, MemType, TableType, GlobalType)):
            raise InvalidArgument(f"imports: {key!r} has {wanted!r}, which is no type of something to import")
    return tuple(imports.items())


def _exports(exports: str | Mapping[str, FuncType]) -> str | tuple[tuple[str, FuncType], ...]:
    if isinstance(exports, str):
        _one_of("exports", exports, EXPORTS)
        return exports
    if not isinstance(exports, Mapping):
        raise InvalidArgument(f"exports={exports!r}: expected {', '.join(map(repr, EXPORTS))}, or types by name")
    for name, wanted in exports.items():
        if not isinstance(name, str) or not isinstance(wanted, FuncType):
            raise InvalidArgument(f"exports: {name!r} has {wanted!r}: expected a name and a function type")
    return tuple(exports.items())


def _refuse_uninhabited(exports: tuple[tuple[str, FuncType], ...]) -> None:
    for name, t in exports:
        for result in t.results:
            if isinstance(result, RefType) and not result.nullable and result.heap in _EMPTY:
                raise InvalidArgument(f"exports: {name!r} can only trap, but traps='none': nothing makes a {result!r}")


# ---- features -------------------------------------------------------------------------------------------------------


def _set_of(features: Set[str]) -> frozenset[str]:
    try:
        found = frozenset(features)
    except TypeError:
        raise InvalidArgument(f"features={features!r}: expected text, or names of features") from None
    for name in found:
        if name not in NAMES:
            guess = did_you_mean(str(name), NAMES) or f": expected some of {', '.join(sorted(NAMES))}"
            raise InvalidArgument(f"features: there is no {name!r}{guess}")
        missing = [needed for needed in NEEDS.get(name, ()) if needed not in found]
        if missing:
            raise InvalidArgument(f"features: {name} needs {', '.join(missing)}")
    return found | {"mvp"}


@lru_cache(maxsize=64)
def _features(features: str | frozenset[str]) -> frozenset[str]:
    """The features that are meant. A text that names one has those that it needs too; one that takes some away loses
    those that need them."""
    try:
        chosen = _with_needs(features) if isinstance(features, str) else features
    except ValueError as error:
        raise InvalidArgument(f"features={features!r}: {error}") from None
    unfinished = chosen & UNFINISHED
    if unfinished:
        raise InvalidArgument(f"features: modules with {', '.join(sorted(unfinished))} can't be generated")
    return without_orphans(chosen)


def _with_needs(features: str) -> frozenset[str]:
    words = [word.strip() for word in features.split(",")]
    needed = [word.removeprefix("+") for word in words if not word.startswith("-")]
    for name in needed:  # which grows
        needed += NEEDS.get(name, ())
    return parse(",".join([*needed, *words]))


@lru_cache(maxsize=256)
def needed_features(
    features: frozenset[str], imports: tuple[ImportType, ...], exports: tuple[FuncType, ...]
) -> frozenset[str]:
    """The features of which no module with imports and exports of these types can be without. Raises InvalidArgument
    for types that are invalid, or need other features."""
    functions = [t for t in (*imports, *exports) if isinstance(t, FuncType)]
    if any(isinstance(t, RefType) and not isinstance(t.heap, str) for t in mentioned((*imports, *exports))):
        raise InvalidArgument("imports and exports: their types can't mention types of a module")
    others = [t for t in imports if not isinstance(t, FuncType)]
    module = Module(
        types=tuple(RecType((SubType(True, (), t),)) for t in functions),
        imports=(
            *(Import("", "", FuncUse(number)) for number in range(len(functions))),
            *(Import("", "", t) for t in others),
        ),
    )
    reason = problem(module, features)
    if reason:
        raise InvalidArgument(f"imports and exports: {reason}")
    switches = features & frozenset(SWITCHES)
    return frozenset(name for name in switches if problem(module, without_orphans(features - {name})))


def mentioned(types: Iterable[ImportType]) -> Iterator[object]:
    """The value types that types are made of."""
    for t in types:
        if isinstance(t, FuncType):
            yield from (*t.params, *t.results)
        elif isinstance(t, TableType):
            yield t.element
        elif isinstance(t, GlobalType):
            yield t.value


def problem(module: Module, features: frozenset[str]) -> str:
    """What is wrong with a module; "" if it is valid."""
    try:
        e.module_validate(module, features)
    except Invalid as error:
        return str(error)
    return ""


@lru_cache(maxsize=1024)
def without_orphans(features: frozenset[str]) -> frozenset[str]:
    """The features without those that need one that is missing."""
    while True:
        left = frozenset(f for f in features if all(needed in features for needed in NEEDS.get(f, ())))
        if left == features:
            return features
        features = left


def check_number(name: str, number: object, least: int, most: int) -> None:
    """That an argument is a number in a range. Raises InvalidArgument."""
    if not isinstance(number, int) or not least <= number <= most:
        raise InvalidArgument(f"{name}={number!r}: expected a number from {least} to {most}")


def _one_of(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise InvalidArgument(f"{name}={value!r}: expected one of {', '.join(map(repr, known))}")
