"""From a region to its kernel module.

The kernel is made in steps, each from a module to a module: the program is *specialised* (the region's function in place
of what the run-time library calls, an entry function that gives the worker its stack), what the entry reaches is
*extracted*, stacks are *guarded*, and functions that wait at barriers learn to stop and go on (:mod:`asyncify`).
"""

from __future__ import annotations

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


class Kernel(NamedTuple):
    """A kernel: what it was made of, its module in the binary format, its flags (``runtime/region.h``)."""

    region: Region
    name: str
    code: bytes
    flags: int
    functions: int


def kernel(program: Program, region: Region, replacements: Replacements, allow_host_calls: bool, lines: bool) -> Kernel:
    """The kernel of a region.

    Raises ToolchainError if the region's function calls the host, with the ways that lead there.
    """
    reachable = Reachable(program, replacements, [replacements.pointed_to(region.function)])
    if not allow_host_calls:
        _check_host_calls(program, region, reachable)
    suspends = region.kind is not Kind.LOOP and _waits(program, reachable)
    worker = region.kind is not Kind.LOOP or _uses_worker(program, reachable)
    made = specialised(program, region, replacements, worker, suspends)
    everything = Reachable(made.program, made.replacements, [made.entry])
    piece = extracted(made.program, everything)
    module = guarded(piece.module, piece.index, made) if worker else piece.module
    if suspends:
        module = _with_barriers(module, made, everything, piece)
    module = module._replace(exports=(Export("kernel", "func", piece.index[made.entry]),))
    code = e.module_encode(module)
    try:
        e.module_validate(e.module_decode(code))
    except Invalid as error:  # of ours, not of the program's
        raise ToolchainError(f"the kernel of {program.name(region.function)} came out wrong: {error}") from None
    if lines:
        code = with_lines(code, module, program.module)
    flags = NEEDS_WORKER * worker | SUSPENDS * suspends
    return Kernel(region, program.name(region.function), code, flags, len(module.funcs))


def _with_barriers(module: Module, made: Specialised, everything: Reachable, piece: Extracted) -> Module:
    suspend = made.program.exports[SUSPEND]
    waiting = {piece.index[f] for f in everything.reaching(suspend)}
    outside = {piece.index[f] for f in (*made.runners, suspend) if f in piece.index}
    return asyncify(module, waiting, outside, made.coroutine)


def _check_host_calls(program: Program, region: Region, reachable: Reachable) -> None:
    ways = reachable.host_calls()
    if ways:
        shown = "\n".join("    " + " -> ".join(map(program.name, way)) for way in ways[:20])
        raise ToolchainError(
            f"{program.name(region.function)} can't run as a kernel, since kernels can't call the host:\n{shown}\n"
            f"move these calls out of the parallel region, or let them trap (--allow-host-calls)"
        )


def _waits(program: Program, reachable: Reachable) -> bool:
    suspend = program.exports.get(SUSPEND)
    return suspend in reachable.reason


def _uses_worker(program: Program, reachable: Reachable) -> bool:
    """Whether any function uses the stack in memory, or thread-local variables."""
    own = {program.global_named(STACK_POINTER), program.global_named(THREAD_LOCALS)}
    for function in reachable.reason:
        func = program.func(function)
        for instruction in () if func is None else set(func.body):
            if "global" in instruction.form.immediates and instruction.args[0] in own:
                return True
    return False
