"""The branch hint section (specification, appendix "Custom Sections"), both directions.

In the file a hint's place is a byte offset from the start of the function's code entry; in syntax it is an
instruction index.
"""

from __future__ import annotations

from bisect import bisect_left

from refwasm.binary.instructions import instruction_sizes
from refwasm.binary.values import Reader, encode_unsigned, encode_vector
from refwasm.errors import Malformed
from refwasm.syntax.modules import BranchHint, Func

SECTION = "metadata.code.branch_hint"


def decode_hints(content: bytes, imported: int, funcs: tuple[Func, ...], starts: list[int]) -> tuple[BranchHint, ...]:
    """The hints, or none if the section is malformed or points beside instructions.

    ``starts`` holds the file offset of each function's locals, from which its hints count.
    """
    r = Reader(content)
    hints: list[BranchHint] = []
    try:
        for _ in range(r.length()):
            index = r.u32()
            for _ in range(r.u32()):
                offset = r.u32()
                size, likely = r.u32(), r.byte()
                func = funcs[index - imported]
                place = bisect_left(func.positions, starts[index - imported] + offset)
                if size != 1 or likely > 1 or func.positions[place] != starts[index - imported] + offset:
                    return ()
                hints.append(BranchHint(index, place, likely == 1))
    except (Malformed, IndexError):
        return ()
    return tuple(hints)


def encode_hints(
    hints: tuple[BranchHint, ...], imported: int, funcs: tuple[Func, ...], locals_sizes: list[int]
) -> bytes:
    """The contents of a branch hint section; ``locals_sizes`` are the encoded sizes of the functions' locals."""
    entries: list[bytes] = []
    for index in sorted({hint.function for hint in hints}):
        sizes = instruction_sizes(funcs[index - imported].body)
        places = sorted((h.instruction, h.likely) for h in hints if h.function == index)
        rows = [
            encode_unsigned(locals_sizes[index - imported] + sum(sizes[:place])) + b"\x01" + bytes([likely])
            for place, likely in places
        ]
        entries.append(encode_unsigned(index) + encode_vector(rows))
    return encode_vector(entries)
