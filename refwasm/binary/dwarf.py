"""DWARF in custom sections, read by pyelftools (extra ``debug``): the line of an address.

Addresses are offsets into the contents of the code section ("DWARF for WebAssembly", "Code Addresses").
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from inspect import signature
from typing import Any

from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

#: An address, and the file, line and column from there on; no file where a sequence ends.
Row = tuple[int, str, int, int]
#: Code that a linker dropped has this address, or 0.
_TOMBSTONE = 0xFFFF_FFFE


class LineTables:
    """The line tables of a module's compilation units, each read when an address of the unit is first asked for."""

    def __init__(self, sections: Mapping[str, bytes]) -> None:
        self.tables: list[tuple[list[tuple[int, int]], Any]] = []
        self.rows: dict[int, list[Row]] = {}
        try:
            self.dwarf = _dwarf(sections)
            self.tables = [(list(self._ranges(unit)), unit) for unit in self.dwarf.iter_CUs()]
        except Exception:  # whatever is wrong with these sections, the program is not to blame
            self.tables = []

    def find(self, address: int) -> tuple[str, int, int] | None:
        """File, line and column of an address."""
        for number, (ranges, unit) in enumerate(self.tables):
            if ranges and not any(low <= address < high for low, high in ranges):
                continue
            if number not in self.rows:
                self.rows[number] = self._read(unit)
            rows = self.rows[number]
            place = bisect_right(rows, address, key=lambda row: row[0]) - 1
            if place >= 0 and rows[place][1] and rows[place][2]:  # line 0: the compiler's own
                return rows[place][1:]
        return None

    def _ranges(self, unit: Any) -> Iterator[tuple[int, int]]:
        """The addresses of a unit; none if it does not say."""
        attributes = unit.get_top_DIE().attributes
        low = attributes.get("DW_AT_low_pc")
        base = low.value if low is not None else 0
        if "DW_AT_ranges" in attributes:
            lists = self.dwarf.range_lists()
            for entry in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
                if hasattr(entry, "begin_offset"):
                    start = 0 if getattr(entry, "is_absolute", False) else base
                    yield start + entry.begin_offset, start + entry.end_offset
                elif hasattr(entry, "base_address"):
                    base = entry.base_address
        elif low is not None and "DW_AT_high_pc" in attributes:
            high = attributes["DW_AT_high_pc"]
            yield base, high.value if high.form == "DW_FORM_addr" else base + high.value

    def _read(self, unit: Any) -> list[Row]:
        """A unit's table, sorted by address."""
        rows: list[Row] = []
        try:
            program = self.dwarf.line_program_for_CU(unit)
            for entry in program.get_entries() if program is not None else ():
                state = entry.state
                if state is None or state.address >= _TOMBSTONE:
                    continue
                name = "" if state.end_sequence else _file(program, state.file)
                rows.append((state.address, name, state.line, state.column))
        except Exception:  # as above
            return []
        return sorted(rows, key=lambda row: (row[0], bool(row[1])))


def _file(program: Any, number: int) -> str:
    header = program.header
    entries = header["file_entry"]
    index = number if header["version"] >= 5 else number - 1
    if not 0 <= index < len(entries):
        return "?"
    name = entries[index].name
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _dwarf(sections: Mapping[str, bytes]) -> Any:
    """The library's view of the sections: its parameters are named after them, in each version those that it knows."""
    found: dict[str, Any] = {}
    for parameter in signature(DWARFInfo).parameters:
        name = parameter.removesuffix("_sec")
        if name != parameter:
            data = sections.get("." + name)
            found[parameter] = data and DebugSectionDescriptor(io.BytesIO(data), name, 0, len(data), 0)
    return DWARFInfo(config=DwarfConfig(little_endian=True, machine_arch="wasm", default_address_size=4), **found)
