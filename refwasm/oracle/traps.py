"""Kinds of traps: what of a trap's message is the same in all engines."""

from __future__ import annotations

#: Kind of trap, and how messages of refwasm and of the official suite begin.
KINDS: dict[str, tuple[str, ...]] = {
    "unreachable": ("unreachable",),
    "divide-by-zero": ("integer divide by zero",),
    "integer-overflow": ("integer overflow",),
    "invalid-conversion": ("invalid conversion to integer",),
    "memory-access": ("out of bounds memory access",),
    "table-access": ("out of bounds table access",),
    "array-access": ("out of bounds array access",),
    "undefined-element": ("undefined element",),
    "uninitialized-element": ("uninitialized element",),
    "call-type": ("indirect call type mismatch",),
    "null-reference": ("null ",),
    "cast": ("cast failure", "descriptor cast failure"),
    "unaligned": ("unaligned atomic",),
    "unshared-wait": ("expected shared memory",),
}

#: An access may be out of bounds and not aligned; the specification does not say which of it is the reason.
EITHER_REASON = frozenset({"unaligned", "memory-access"})
#: Kinds that a table's engines may not tell apart from an access out of bounds.
TABLE_ACCESS = frozenset({"table-access", "undefined-element"})


def kind_of(message: str) -> str:
    """The kind of a trap with this message; the message itself if it is of none."""
    for kind, beginnings in KINDS.items():
        if message.startswith(beginnings):
            return kind
    return message
