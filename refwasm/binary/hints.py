"""The branch hint section (specification, appendix "Custom Sections"), both directions.

In the file a hint's place is a byte offset from the start of the function's code entry; in syntax it is an
instruction index.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, pairwise

from refwasm.binary.instructions import instruction_sizes
from refwasm.binary.values import Reader, encode_unsigned, encode_vector
from refwasm.errors import Malformed
from refwasm.syntax.modules import BranchHint, Func

SECTION = "metadata.code.branch_hint"


def decode_hints(content: bytes, imported: int, funcs: tuple[Func, ...], starts: list[int]) -> tuple[BranchHint, ...]:
    """The hints, or none if the section is malformed, out of order, or points at anything but ``if`` and ``br_if``.

    ``starts`` holds the file offset of each function's locals, from which its hints count.
    """
    r = Reader(content)
    hints: list[BranchHint] = []
    try:
        for _ in range(r.u32()):
            index = r.u32()
            for _ in range(r.u32()):
                offset = r.u32()
                size, likely = r.u32(), r.byte()
                if index < imported or size != 1 or likely > 1:
                    return ()
                func, wanted = funcs[index - imported], starts[index - imported] + offset
                place = bisect_left(func.positions, wanted)
                if func.positions[place] != wanted or func.body[place].form.mnemonic not in ("if", "br_if"):
                    return ()
                hints.append(BranchHint(index, place, likely == 1))
    except (Malformed, IndexError):
        return ()
    order = [(hint.function, hint.instruction) for hint in hints]
    in_order = all(a < b for a, b in pairwise(order))
    return tuple(hints) if r.pos == r.end and in_order else ()


def encode_hints(
    hints: tuple[BranchHint, ...], imported: int, funcs: tuple[Func, ...], locals_sizes: list[int]
) -> bytes:
    """The contents of a branch hint section; ``locals_sizes`` are the encoded sizes of the functions' locals."""
    by_function: dict[int, list[BranchHint]] = {}
    for hint in hints:
        by_function.setdefault(hint.function, []).append(hint)
    entries: list[bytes] = []
    for index, own in sorted(by_function.items()):
        offsets = [0, *accumulate(instruction_sizes(funcs[index - imported].body))]
        rows = [
            encode_unsigned(locals_sizes[index - imported] + offsets[hint.instruction]) + b"\x01" + bytes([hint.likely])
            for hint in sorted(own, key=lambda hint: hint.instruction)
        ]
        entries.append(encode_unsigned(index) + encode_vector(rows))
    return encode_vector(entries)
