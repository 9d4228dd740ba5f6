"""From regions to kernel modules.

A kernel is made in steps, each from a module to a module: the program is *specialised* (the region's function in place
of what the run-time library calls, an entry function that gives the worker its stack), what the entry reaches is
*extracted*, stacks are *guarded*, and functions that wait at barriers learn to stop and go on (:mod:`asyncify`).

A region has a kernel of its own if that is small. Large ones consist of the C and C++ library mostly, so they share a
kernel with others of their sort, which calls the region's function through the function table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.errors import Invalid
from refwasm.syntax.modules import Export, Module
from refwasm.toolchain.asyncify import asyncify
from refwasm.toolchain.entry import Specialised, specialised
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.extraction import Extracted, extracted
from refwasm.toolchain.line_table import with_lines
from refwasm.toolchain.program import STACK_POINTER, THREAD_LOCALS, Program
from refwasm.toolchain.reachable import Reachable, Replacements
from refwasm.toolchain.regions import Kind, Region
from refwasm.toolchain.stack_guard import guarded

NEEDS_WORKER, SUSPENDS = 1, 2
#: The function that waits for others, which the run-time library has.
SUSPEND = "__refwasm_suspend"
#: A kernel is small with so many functions; and there may be so many small ones.
FEW_FUNCTIONS, FEW_KERNELS = 60, 16


class Sort(NamedTuple):
    """What regions that share a kernel have in common: how they run (``runtime/region.h``), and for teams the type of
    their functions."""

    kind: Kind
    flags: int
    type: int


class Planned(NamedTuple):
    """A region and what its kernel will be like."""

    region: Region
    root: int
    sort: Sort
    size: int


class Kernel(NamedTuple):
    """A kernel: the regions that it runs, their name, its module in the binary format, its flags, its functions."""

    regions: tuple[Region, ...]
    name: str
    code: bytes
    flags: int
    functions: int


def kernels(
    program: Program, regions: Sequence[Region], replacements: Replacements, allow_host_calls: bool, lines: bool,
    pointer: int | None = None,
) -> Iterator[Kernel]:  # fmt: skip
    """The kernels of all regions. ``pointer`` is the address of the pointer to the present region where kernels are not
    passed it.

    Raises ToolchainError if a region's function calls the host, with the ways that lead there.
    """
    planned = [_planned(program, region, replacements, allow_host_calls) for region in regions]
    for together in _grouped(planned):
        yield _kernel(program, together, replacements, lines, pointer)


def _planned(program: Program, region: Region, replacements: Replacements, allow_host_calls: bool) -> Planned:
    root = replacements.pointed_to(region.function)
    reachable = Reachable(program, replacements, [root])
    if not allow_host_calls:
        _check_host_calls(program, region, reachable)
    suspends = region.kind is not Kind.LOOP and program.exports.get(SUSPEND) in reachable.reason
    worker = region.kind is not Kind.LOOP or _uses_worker(program, reachable)
    flags = NEEDS_WORKER * worker | SUSPENDS * suspends
    return Planned(region, root, Sort(region.kind, flags, program.types[root]), len(reachable.reason))


def _grouped(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Regions that share a kernel."""
    small = sum(p.size <= FEW_FUNCTIONS for p in planned)
    together: dict[object, list[Planned]] = {}
    for p in planned:
        alone = p.size <= FEW_FUNCTIONS and small <= FEW_KERNELS
        together.setdefault(p.region if alone else p.sort, []).append(p)
    return list(together.values())


def _kernel(
    program: Program, together: Sequence[Planned], replacements: Replacements, lines: bool, pointer: int | None
) -> Kernel:  # fmt: skip
    sort = together[0].sort
    worker, suspends = bool(sort.flags & NEEDS_WORKER), bool(sort.flags & SUSPENDS)
    made = specialised(program, sort.kind, [p.root for p in together], replacements, worker, suspends, pointer)
    reachable = Reachable(made.program, made.replacements, [made.entry, *(p.root for p in together)])
    piece = extracted(made.program, reachable)
    module = guarded(piece.module, piece.new, made) if worker else piece.module
    if suspends:
        module = _with_barriers(module, made, reachable, piece)
    module = module._replace(exports=(Export("kernel", "func", piece.new[made.entry]),))
    name = program.name(together[0].region.function)
    try:
        e.module_validate(module)
    except Invalid as error:  # of ours, not of the program's
        raise ToolchainError(f"the kernel of {name} came out wrong: {error}") from None
    code = e.module_encode(module)
    if lines:
        code = with_lines(code, module, program.module)
    if len(together) > 1:
        name += f" and {len(together) - 1} others"
    return Kernel(tuple(p.region for p in together), name, code, sort.flags, len(module.funcs))


def _with_barriers(module: Module, made: Specialised, reachable: Reachable, piece: Extracted) -> Module:
    suspend = made.program.exports[SUSPEND]
    waiting = {piece.new[f] for f in reachable.reaching(suspend)}
    outside = {piece.new[f] for f in (made.entry, *made.runners, suspend) if f in piece.new}
    return asyncify(module, waiting, outside, made.coroutine)


def _check_host_calls(program: Program, region: Region, reachable: Reachable) -> None:
    ways = reachable.host_calls()
    if ways:
        shown = "\n".join("    " + " -> ".join(map(program.name, way)) for way in ways[:20])
        raise ToolchainError(
            f"{program.name(region.function)} can't run as a kernel, since kernels can't call the host:\n{shown}\n"
            f"move these calls out of the parallel region, or let them trap (--allow-host-calls)"
        )


def _uses_worker(program: Program, reachable: Reachable) -> bool:
    """Whether any function uses the stack in memory, or thread-local variables."""
    own = {program.global_named(STACK_POINTER), program.global_named(THREAD_LOCALS)}
    for function in reachable.reason:
        func = program.func(function)
        for instruction in () if func is None else set(func.body):
            if "global" in instruction.form.immediates and instruction.args[0] in own:
                return True
    return False
