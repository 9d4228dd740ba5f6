"""Putting kernels into a program: its file is changed in few places, and its code not at all, so that addresses in
debug information stay right.

The kernels lie behind the memory that the program starts with, in a data segment of their own. The run-time library has
a directory in the program's data, known by its mark, which says where they are (``struct directory`` of
``runtime/region.c``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from refwasm.binary import encode as encode_module
from refwasm.binary.sections import CUSTOM, DATA, DATA_COUNT, EXPORT, MEMORY, encode_section, sections
from refwasm.binary.values import Reader, encode_name, encode_unsigned
from refwasm.syntax.instructions import END, instr
from refwasm.syntax.modules import Data, Export, Module
from refwasm.syntax.types import Limits
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.kernels import Kernel
from refwasm.toolchain.program import Program

MARK = b"refwasm kernels1"
#: Exports with this prefix are for the post-link step only.
OURS = "__refwasm_"
PAGE = 65536


def spliced(
    data: bytes,
    module: Module,
    kernels: Sequence[Kernel],
    customs: Sequence[tuple[str, bytes]],
    keep: Callable[[str], bool],
    positions: Sequence[int] = (),
) -> bytes:
    """The program's file with its kernels, and with custom sections: new ones, and of the old ones those to
    ``keep``. With ``positions`` kernels are functions at these positions of the table."""
    memory = Program(module).memory
    base = memory.limits.minimum * PAGE
    contents = packed(kernels, base, positions)
    pages = memory.limits.minimum + -(-len(contents) // PAGE)
    if memory.limits.maximum is None or pages > memory.limits.maximum:
        raise ToolchainError(f"the kernels take {len(contents)} bytes: link with a larger --max-memory")
    larger = memory._replace(limits=Limits(pages, memory.limits.maximum))
    segment = Data(contents, "active", 0, (instr("i32.const", base), END))
    changes: dict[int, Callable[[bytes], bytes]] = {
        MEMORY: lambda _: _content_of(MEMORY, Module(memories=(larger,))),
        EXPORT: lambda _: _content_of(EXPORT, Module(exports=_exports(module))),
        DATA_COUNT: lambda _: encode_unsigned(len(module.datas) + 1),
        DATA: lambda old: _directed(_with_segment(old, segment), sum(len(k.regions) for k in kernels), base),
    }
    new = [encode_section(CUSTOM, encode_name(name) + content) for name, content in customs]
    return _rewritten(data, lambda name: keep(name) and name not in dict(customs), changes) + b"".join(new)


def stripped(data: bytes, module: Module, keep: Callable[[str], bool]) -> bytes:
    """The file of a program without kernels: with the custom sections to ``keep`` only, and without exports of ours."""
    return _rewritten(data, keep, {EXPORT: lambda _: _content_of(EXPORT, Module(exports=_others(module)))})


def _rewritten(data: bytes, keep: Callable[[str], bool], changes: Mapping[int, Callable[[bytes], bytes]]) -> bytes:
    """The file with other contents of some sections."""
    kept = (s for s in sections(data) if s.id != CUSTOM or keep(s.name))
    return data[:8] + b"".join(
        encode_section(s.id, changes[s.id](s.content) if s.id in changes else s.content) for s in kept
    )


def packed(kernels: Sequence[Kernel], base: int, positions: Sequence[int] = ()) -> bytes:
    """The array of ``struct kernel`` and the kernels' bytes, at an address; or the array alone, where kernels are
    functions."""
    head = struct.Struct("<5I")
    place = base + head.size * sum(len(kernel.regions) for kernel in kernels)
    rows: list[tuple[int, ...]] = []
    codes: list[bytes] = []
    for number, kernel in enumerate(kernels):
        code = b"" if positions else kernel.code
        at = positions[number] if positions else place
        rows += [(region.position, region.kind, kernel.flags, at, len(code)) for region in kernel.regions]
        codes.append(code)
        place += len(code)
    return b"".join([*(head.pack(*row) for row in sorted(rows)), *codes])


def directory(data: bytes) -> int:
    """Where in the program's data the directory stands."""
    place = data.find(MARK)
    if place < 0:
        raise ToolchainError(
            "the program has parallel regions but not refwasm's run-time library: link with refwasm cc"
        )
    if data.find(MARK, place + 1) >= 0:
        raise ToolchainError("the program has refwasm's run-time library twice")
    return place


def region_pointer(module: Module) -> int:
    """The address of the pointer to the present region, for kernels that are not passed it."""
    contents = b"".join(data.init for data in module.datas)
    place = directory(contents) + len(MARK) + 8
    return int.from_bytes(contents[place : place + 4], "little")


def _directed(content: bytes, count: int, kernels: int) -> bytes:
    """The data section with the directory filled in."""
    place = directory(content) + len(MARK)
    if content[place : place + 8] != bytes(8):
        raise ToolchainError("the program has its kernels already")
    return content[:place] + struct.pack("<II", count, kernels) + content[place + 8 :]


def _exports(module: Module) -> tuple[Export, ...]:
    exports = _others(module)
    if not any(e.kind == "memory" for e in exports):
        raise ToolchainError("the program does not export its memory: link it with --export-memory")
    return exports


def _others(module: Module) -> tuple[Export, ...]:
    return tuple(e for e in module.exports if not e.name.startswith(OURS))


def _content_of(number: int, module: Module) -> bytes:
    """One section of a module that has little else."""
    return next((s.content for s in sections(encode_module(module)) if s.id == number), b"\0")


def _with_segment(content: bytes, segment: Data) -> bytes:
    """A data section with one more segment at its end."""
    reader = Reader(content)
    count = reader.u32()
    new = _content_of(DATA, Module(datas=(segment,)))
    return encode_unsigned(count + 1) + content[reader.pos :] + new[1:]
