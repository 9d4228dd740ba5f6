"""Feature sets: which proposals a module may use.

A feature is named as in the list of finished proposals; editions are sets of them.
"""

from __future__ import annotations

from refwasm.errors import did_you_mean
from refwasm.syntax.forms import FORMS_BY_FEATURE

#: Features that show in something other than an instruction.
STRUCTURAL = ("mutable-globals", "multi-value", "multi-memory", "memory64", "extended-const", "compact-import-section",
              "custom-page-sizes")  # fmt: skip

VERSION_1 = frozenset({"mvp", "mutable-globals"})
VERSION_2 = VERSION_1 | {
    "sign-extension", "nontrapping-fptoint", "bulk-memory", "reference-types", "multi-value", "simd",
}  # fmt: skip
VERSION_3 = VERSION_2 | {
    "relaxed-simd", "tail-call", "function-references", "exception-handling", "gc", "multi-memory", "memory64",
    "extended-const",
}  # fmt: skip
#: Everything: what is validated against by default.
ALL = VERSION_3 | {"threads", "wide-arithmetic", "compact-import-section"}

#: Proposals that are not finished: on request only.
UNFINISHED = frozenset({"custom-descriptors", "custom-page-sizes", "stack-switching"})

EDITIONS = {"1.0": VERSION_1, "2.0": VERSION_2, "3.0": VERSION_3, "all": ALL}
NAMES = frozenset(FORMS_BY_FEATURE) | frozenset(STRUCTURAL)


def parse(text: str) -> frozenset[str]:
    """A set from words separated by commas: editions and features, ``-name`` takes one away; ValueError otherwise.

    >>> sorted(parse("1.0,threads"))
    ['mutable-globals', 'mvp', 'threads']
    """
    chosen: frozenset[str] = frozenset({"mvp"})
    for word in filter(None, (w.strip() for w in text.split(","))):
        remove = word.startswith("-")
        name = word.removeprefix("-").removeprefix("+")
        if name not in EDITIONS and name not in NAMES:
            guess = did_you_mean(name, [*EDITIONS, *NAMES])
            known = ", ".join([*EDITIONS, *sorted(NAMES)])
            raise ValueError(f"unknown feature {name!r}{guess or f'; known are {known}'}")
        members = EDITIONS.get(name, frozenset({name}))
        chosen = chosen - members if remove else chosen | members
    return chosen
