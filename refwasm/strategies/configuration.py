"""What a user may ask of generated modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from hypothesis.errors import InvalidArgument

from refwasm.syntax.types import FuncType, GlobalType, MemType, TableType
from refwasm.validation.features import ALL, UNFINISHED, parse

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
    "gc": ("function-references",),
    "function-references": ("reference-types",),
    "reference-types": ("bulk-memory",),
}


#: What an import may be; a function by its type.
ImportType = FuncType | MemType | TableType | GlobalType
Imports = Mapping[tuple[str, str], ImportType]


class Limits(NamedTuple):
    """Most of everything that a module has. ``depth`` is that of expressions, ``nesting`` that of blocks;
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


class Configuration(NamedTuple):
    """The arguments of :func:`refwasm.strategies.modules`, checked."""

    features: frozenset[str] = ALL
    limits: Limits = Limits()
    imports: tuple[tuple[tuple[str, str], ImportType], ...] = ()
    exports: str | tuple[tuple[str, FuncType], ...] = "all"
    traps: str = "rare"
    nan: str = "any"
    termination: str | None = "fuel"


def configuration(
    features: str | frozenset[str], limits: Limits | None, imports: Imports,
    exports: str | Mapping[str, FuncType], traps: str, nan: str, termination: str | None,
) -> Configuration:  # fmt: skip
    """The configuration. Raises InvalidArgument, as Hypothesis does for arguments of its own."""
    chosen = _features(features if isinstance(features, str) else frozenset(features))
    _one_of("traps", traps, tuple(TRAPS))
    _one_of("nan", nan, NANS)
    _one_of("termination", termination, ("fuel", None))
    if isinstance(exports, str):
        _one_of("exports", exports, EXPORTS)
    limits = Limits() if limits is None else limits
    if not isinstance(limits, Limits) or min(limits) < 0:
        raise InvalidArgument(f"limits={limits!r}: expected Limits of numbers that are not negative")
    if limits.functions < 1 or limits.instructions < 1:
        raise InvalidArgument("limits: a module has one function of one instruction at least")
    for key, wanted in imports.items():
        if not isinstance(wanted, (FuncType, MemType, TableType, GlobalType)):
            raise InvalidArgument(f"imports: {key!r} has {wanted!r}, which is no type of something to import")
    named = exports if isinstance(exports, str) else tuple(exports.items())
    return Configuration(chosen, limits, tuple(imports.items()), named, traps, nan, termination)


@lru_cache(maxsize=64)
def _features(features: str | frozenset[str]) -> frozenset[str]:
    try:
        chosen = parse(features) if isinstance(features, str) else features
    except ValueError as error:
        raise InvalidArgument(f"features={features!r}: {error}") from None
    unfinished = chosen & UNFINISHED
    if unfinished:
        raise InvalidArgument(f"features: modules with {', '.join(sorted(unfinished))} can't be generated")
    return without_orphans(chosen)


@lru_cache(maxsize=1024)
def without_orphans(features: frozenset[str]) -> frozenset[str]:
    """The features without those that need one that is missing."""
    while True:
        left = frozenset(f for f in features if all(needed in features for needed in NEEDS.get(f, ())))
        if left == features:
            return features
        features = left


def _one_of(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise InvalidArgument(f"{name}={value!r}: expected one of {', '.join(map(repr, known))}")
