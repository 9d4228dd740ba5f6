"""Where instructions come from: offsets in the file, and lines of the source where the module says so.

Compilers leave that in custom sections: DWARF (``.debug_line`` and others, "DWARF for WebAssembly"), or the address of
a source map (``sourceMappingURL``, tool-conventions "Debugging"). Nothing is read before the first place is asked
for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property

from refwasm.syntax.modules import Custom

SOURCE_MAP = "sourceMappingURL"
DEBUG_LINE = ".debug_line"
#: What is missing to read DWARF; empty if nothing is, or if nothing was to be read yet.
missing = ""

#: A file's name, a line and a column, from 1 on (column 0: not known).
Place = tuple[str, int, int]


class Locations:
    """Turns positions in a module's file into text. ``code`` is where the contents of the code section begin;
    ``folder`` is where a source map is looked for whose address is a file's name."""

    def __init__(self, code: int, customs: Sequence[Custom]) -> None:
        self.code = code
        self.sections = {custom.name: custom.content for custom in customs if _is_about_source(custom.name)}
        self.folder = ""

    def __call__(self, position: int) -> str:
        """``0x5a``, or ``0x5a (fib.c:3:10)``."""
        place = self.place(position)
        return f"0x{position:x} ({shown(place)})" if place else f"0x{position:x}"

    def place(self, position: int) -> Place | None:
        """The place in the source, if it is known."""
        return self._find(position) if self.sections else None

    @cached_property
    def _find(self) -> Callable[[int], Place | None]:
        """What finds places. Sections that can't be read are as good as none."""
        if DEBUG_LINE in self.sections:
            try:
                from refwasm.binary.dwarf import LineTables
            except ImportError:
                global missing
                missing = "the module has DWARF; pip install 'refwasm[debug]' shows its lines"
            else:
                tables = LineTables(self.sections)
                return lambda position: tables.find(position - self.code)
        from refwasm.binary.source_map import SourceMap, read_source_map

        text = read_source_map(self.sections.get(SOURCE_MAP, b""), self.folder)
        return SourceMap(text).find if text is not None else lambda position: None

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_find"}


def _is_about_source(name: str) -> bool:
    return name.startswith(".debug_") or name == SOURCE_MAP


def shown(place: Place) -> str:
    """A place as compilers write it; the file without its folders."""
    file, line, column = place
    return f"{os.path.basename(file)}:{line}{f':{column}' if column else ''}"


__all__ = ["Locations", "Place", "shown"]
