"""The post-link step: a linked program gets the kernels of its parallel regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.host.parallel.abi import MODULE as PARALLEL
from refwasm.host.parallel.demands import SECTION
from refwasm.host.parallel.forms import Form, older_form
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.kernels import Kernel, kernels
from refwasm.toolchain.merging import merged
from refwasm.toolchain.program import Program
from refwasm.toolchain.reachable import Replacements
from refwasm.toolchain.regions import STARTS, regions
from refwasm.toolchain.splice import region_pointer, spliced, stripped

#: What programs with regions need of the host: pointers in them lead into the caller's memory.
DEMANDS = b"memory=alias"


class Parallelized(NamedTuple):
    """A finished program in the binary format, and its kernels."""

    code: bytes
    kernels: tuple[Kernel, ...]


def parallelize(data: bytes, *, allow_host_calls: bool = False, debug: bool = True, names: bool = True) -> Parallelized:
    """Finish a linked program (in the binary format): make a kernel of each function that it runs in parallel.

    ``allow_host_calls``: calls of the host in kernels trap when they happen, instead of being refused here. ``debug``
    keeps debug information and gives kernels their lines; ``names`` keeps names of functions. A program without
    parallel regions is left as it is, but for these.

    Raises Malformed if the program is no module, ToolchainError if it can't be finished; the message says why.
    """
    module = e.module_decode(data)
    program = Program(module)
    made: tuple[Kernel, ...] = ()
    form = Form.EXEC
    if any(name in program.exports for name in STARTS):
        if not module.names.maps.get("func"):
            raise ToolchainError("the program has no names: link it without -s (refwasm cc -s removes them afterwards)")
        replacements = Replacements(program)
        with_lines = debug and any(custom.name == ".debug_line" for custom in module.customs)
        form = _form(program)
        pointer = region_pointer(module) if form is Form.FOR_MODULE else None
        made = tuple(kernels(program, regions(program), replacements, allow_host_calls, with_lines, pointer))
    if not made:
        return Parallelized(stripped(data, module, _keeps(debug, names)), ())
    positions: list[int] = []
    if form is Form.FOR_FUNCTION:
        debug = False  # its addresses are those of the code as it was
        module, positions = merged(module, [kernel.code for kernel in made])
        data = e.module_encode(module)
    return Parallelized(spliced(data, module, made, [(SECTION, DEMANDS)], _keeps(debug, names), positions), made)


def _form(program: Program) -> Form:
    """The form of the interface that the program was linked for."""
    found = (older_form(item.name, program.function_type(index)) for index, item in enumerate(program.imports)
             if item.module == PARALLEL)  # fmt: skip
    return next(filter(None, found), Form.EXEC)


def _keeps(debug: bool, names: bool) -> Callable[[str], bool]:
    """Which custom sections stay."""
    return lambda name: (debug or not name.startswith(".debug")) and (names or name != "name")
