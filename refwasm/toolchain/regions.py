"""Which functions a program runs in parallel: those that its calls of the run-time library name.

The function pointer of such a call is a constant, or a parameter of the caller: then the caller starts regions, too,
and its callers are looked at in turn. Where it is neither, only a loop can go on: its kernel calls through the pointer.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.operands import Constant, Parameter, argument
from refwasm.toolchain.program import Program


class Kind(IntEnum):
    """Kinds of regions (``enum kind`` of ``runtime/region.h``)."""

    LOOP = 0
    TEAM = 1
    GROUPS = 2


#: The functions that start regions; the first argument is the function pointer.
STARTS = {
    "__refwasm_parallel_for": Kind.LOOP, "__refwasm_parallel_team": Kind.TEAM, "__refwasm_parallel_groups": Kind.GROUPS,
}  # fmt: skip
#: The function of a loop that calls another through a pointer.
CALL_POINTER = "__refwasm_call_pointer"
#: Names of functions that take the place of others inside kernels.
IN_KERNELS = "__refwasm_kernel_"


class Region(NamedTuple):
    """A function that is run in parallel: its index, its position in the function table, how it is run."""

    function: int
    position: int
    kind: Kind


def regions(program: Program) -> list[Region]:
    """All regions, sorted as the run-time library wants them: by position, then kind."""
    found: set[Region] = set()
    for kind, position in _pointers(program):
        if position not in program.table:
            continue  # never a valid function pointer: a call of it traps in the program
        found.add(Region(program.table[position], position, kind))
    for region in found:
        if region.kind is not Kind.TEAM and len(program.function_type(region.function).params) != 2 + region.kind // 2:
            raise ToolchainError(
                f"{program.name(region.function)} has not the type of a {region.kind.name.lower()} body"
            )
    return sorted(found, key=lambda region: (region.position, region.kind))


def _pointers(program: Program) -> Iterator[tuple[Kind, int]]:
    """Kind and function pointer of all calls that start regions."""
    starts = {(program.exports[name], 0): kind for name, kind in STARTS.items() if name in program.exports}
    in_kernels = {i for name, i in program.exports.items() if name.startswith(IN_KERNELS)}
    pointer = program.exports.get(CALL_POINTER)
    through_pointer = False
    new = dict(starts)
    while new:
        looked_for, new = new, {}
        for caller, func, index in program.calls_of({function for function, _ in looked_for}):
            if caller in in_kernels:
                continue
            for (function, parameter), kind in looked_for.items():
                if func.body[index].args[0] != function:
                    continue
                value = argument(program, func, index, parameter)
                if isinstance(value, Constant):
                    yield kind, value.value
                elif isinstance(value, Parameter) and (caller, value.number) not in starts:
                    new[caller, value.number] = starts[caller, value.number] = kind
                elif value is None and kind is Kind.LOOP:
                    through_pointer = True
                elif value is None:
                    raise ToolchainError(
                        f"{program.name(caller)} starts a parallel region with a function that is chosen at run time; "
                        f"compile it with optimisation (-O1 or more)"
                    )
    if _is_called_through_pointer(program, starts):
        through_pointer = True
    if through_pointer and pointer is not None:
        yield from ((Kind.LOOP, place) for place, function in program.table.items() if function == pointer)


def _is_called_through_pointer(program: Program, starts: dict[tuple[int, int], Kind]) -> bool:
    """Whether something that starts loops can be called through a function pointer itself."""
    callable_by_pointer = set(program.table.values())
    return any(function in callable_by_pointer for (function, _), kind in starts.items() if kind is Kind.LOOP)
