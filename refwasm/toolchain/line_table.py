"""Lines of the source in kernels: a source map inside the module, made from the program's DWARF.

DWARF describes the program's code by addresses, and a kernel's code is at others. A source map says the same in a few
bytes for each line, and tools know it.
"""

from __future__ import annotations

from collections.abc import Iterator

from refwasm import embedding as e
from refwasm.binary.locations import SOURCE_MAP, Locations
from refwasm.binary.source_map import Row, encode_source_map
from refwasm.syntax.modules import Custom, Module


def with_lines(code: bytes, kernel: Module, program: Module) -> bytes:
    """An encoded kernel with its source map. ``kernel`` is the same module; its positions are those of the program."""
    # Decoding joins runs of local variables, so encoding once more is shorter; from then on positions stay.
    placed = e.module_decode(e.module_encode(e.module_decode(code)))
    section = encode_source_map(_rows(placed, kernel, program))
    return e.module_encode(placed._replace(customs=(*placed.customs, Custom(SOURCE_MAP, section, 11)), digest=b""))


def _rows(placed: Module, kernel: Module, program: Module) -> Iterator[Row]:
    """Where a new line begins: position, and place in the source if there is one."""
    locate = program.locate
    if not isinstance(locate, Locations):
        return
    for new, old in zip(placed.funcs, kernel.funcs):
        if not old.positions:
            yield new.positions[0], None
            continue
        last: object = ()
        for at, position in zip(new.positions, old.positions):
            place = locate.place(position)
            if place != last:
                last = place
                yield at, place
