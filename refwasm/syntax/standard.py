"""Which texts of the standard the code follows: repository, commit, date. Nothing else states this."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """A text of the standard, or the official tests of one."""

    repository: str
    commit: str
    date: str

    def __str__(self) -> str:
        return f"{self.repository} {self.commit} ({self.date})"


#: By feature; "3.0" is WebAssembly 3.0 with all that is finished. The official tests stand for the text that they test.
FOLLOWS: dict[str, Text] = {
    "3.0": Text("WebAssembly/testsuite", "193e551", "2026-06-17"),
    "threads": Text("WebAssembly/threads", "979d0fc", "2026-04-22"),
    "wide-arithmetic": Text("WebAssembly/testsuite", "193e551", "2026-06-17"),
    "custom-page-sizes": Text("WebAssembly/testsuite", "193e551", "2026-06-17"),
    "custom-descriptors": Text("WebAssembly/custom-descriptors", "b7b4a91", "2026-03-03"),
    "compact-import-section": Text("WebAssembly/testsuite", "baa86dc", "2026-03-25"),
    "stack-switching": Text("WebAssembly/stack-switching", "c5f2622", "2026-03-13"),
}
