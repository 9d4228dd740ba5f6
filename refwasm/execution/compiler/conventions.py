"""What translating a function and running it agree on. A process may run what another one translated: nothing here
imports the translation."""

from __future__ import annotations

from refwasm.errors import ResourceLimit

#: Iterations of loops between two looks at the limits.
POLL = 20_000
#: What fast versions of loops call small, by type; memories that are not larger are small, too.
SMALL = {"i32": 1 << 28, "i64": 1 << 60}


class Untranslatable(ResourceLimit):
    """The function nests too deeply for CPython."""
