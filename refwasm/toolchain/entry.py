"""Specialising a program for one region: the entry function of its kernel, and how the region's function is called.

The layouts here are those of ``runtime/region.h``, which checks them when it is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from refwasm.syntax.instructions import END, Instr, MemArg, instr
from refwasm.syntax.modules import Func, Global, Names
from refwasm.syntax.types import I32, BlockType, FuncType, GlobalType, NumType, RecType, SubType
from refwasm.toolchain.errors import ToolchainError
from refwasm.toolchain.program import STACK_POINTER, THREAD_LOCALS, Program
from refwasm.toolchain.reachable import Replacements
from refwasm.toolchain.regions import Kind

#: struct region: the position of its function, the pointer to the workers; struct worker: its size and fields.
FUNCTION, WORKERS, WORKER_SIZE = 20, 16, 40
LOW, HIGH, THREAD = 0, 4, 8
#: struct coroutine.
STATE, AT, SAVED, COROUTINE_LOW, LIMIT, COROUTINE_HIGH = 0, 4, 8, 12, 16, 20
SUSPENDED, DONE = 1, 2

#: The kernel's parameters: id, iterations, block size, pointer to the region, its size.
KERNEL_TYPE = FuncType((I32,) * 5, ())


class Coroutine(NamedTuple):
    """Global variables of a kernel that stops and goes on: what it is doing now, where functions leave their local
    variables, and where that area ends."""

    state: int
    saved: int
    limit: int


#: Values of the state.
RUNNING, UNWINDING, REWINDING = 0, 1, 2


class Specialised(NamedTuple):
    """A program made for one region. ``runners`` are the functions that start and continue coroutines."""

    program: Program
    replacements: Replacements
    entry: int
    stack_pointer: int
    stack_limit: int
    coroutine: Coroutine
    runners: tuple[int, ...]


def load(offset: int) -> Instr:
    """An i32 at an offset from the address on the stack."""
    return instr("i32.load", MemArg(0, 2, offset))


def store(offset: int) -> Instr:
    """The same, stored."""
    return instr("i32.store", MemArg(0, 2, offset))


def get(local: int) -> Instr:
    """``local.get``."""
    return instr("local.get", local)


def i32(value: int) -> Instr:
    """``i32.const``."""
    return instr("i32.const", value & 0xFFFFFFFF)


def variable(index: int) -> Instr:
    """``global.get``."""
    return instr("global.get", index)


def assign(index: int) -> Instr:
    """``global.set``."""
    return instr("global.set", index)


IF = instr("if", BlockType(None, None))


def specialised(
    program: Program, kind: Kind, roots: Sequence[int], replacements: Replacements, worker: bool, suspends: bool,
    pointer: int | None = None,
) -> Specialised:  # fmt: skip
    """The program with the entry of the kernel for the functions ``roots`` of regions. ``worker``: it gets a stack and
    thread-local variables; ``suspends``: it may wait at barriers; ``pointer``: the region's address is there, and is
    not passed."""
    module = program.module
    call = _call(program, roots, len(module.globals) + 4)
    first = len(module.globals)
    limit, coroutine = first, Coroutine(first + 1, first + 2, first + 3)
    stack_pointer = program.global_named(STACK_POINTER) if worker else -1
    funcs = list(module.funcs)
    runners: list[int] = []

    def replace(name: str, body: Iterable[Instr], locals_: tuple[tuple[int, NumType], ...] = ()) -> None:
        index = _needed(program, name)
        own = index - len(program.imports)
        funcs[own] = Func(funcs[own].type, locals_, (*body, END))

    if kind is Kind.LOOP:
        replace("__refwasm_call_loop", [get(0), get(1), *call])
    else:
        name = f"__refwasm_call_{kind.name.lower()}"
        arguments = _team_arguments(program, roots[0]) if kind is Kind.TEAM else [get(1), get(2), get(3)]
        run = _Runner(stack_pointer, limit, coroutine, len(program.function_type(_needed(program, name)).params))
        replace(name, run.body([*arguments, *call], suspends), ((2, I32),))
        runners.append(_needed(program, name))
        if kind is Kind.GROUPS:
            replace("__refwasm_call_item", [get(0), get(1), get(2), *call])
        if suspends:
            replace("__refwasm_suspend", _suspend(coroutine))
    region = [get(3)] if pointer is None else [i32(pointer), load(0)]
    entry = [*region, load(FUNCTION), assign(first + 4)] if len(roots) > 1 else []
    if worker:
        runner = _needed(program, f"__refwasm_run_{kind.name.lower()}")
        entry += _entry(stack_pointer, program.global_named(THREAD_LOCALS), limit, runner, region)
    else:
        entry += [*region, load(0), get(0), *call]
    t = KERNEL_TYPE if pointer is None else FuncType((I32,) * 3, ())
    types = (*module.types, RecType((SubType(True, (), t),)))
    funcs.append(Func(len(program.subs), ((6 - len(t.params), I32),), (*entry, END)))
    names = dict(module.names.maps.get("func", {}))
    index = len(program.imports) + len(funcs) - 1
    names[index] = f"kernel of {program.name(roots[0])}" if len(roots) == 1 else "kernel"
    new = module._replace(
        types=types, funcs=tuple(funcs), globals=(*module.globals, *[_zero()] * 5),
        names=Names(module.names.module, {**module.names.maps, "func": names}, {}),
    )  # fmt: skip
    made = Program(new)
    return Specialised(made, replacements, index, stack_pointer, limit, coroutine, tuple(runners))


def _call(program: Program, roots: Sequence[int], chosen: int) -> list[Instr]:
    """Call the region's function: the only one, or the one whose position is in the global variable ``chosen``."""
    if len(roots) == 1:
        return [instr("call", roots[0])]
    return [variable(chosen), instr("call_indirect", program.types[roots[0]], 0)]


def _needed(program: Program, name: str) -> int:
    if name not in program.exports:
        raise ToolchainError(f"the program lacks {name}: link it with refwasm's run-time library (refwasm cc does)")
    return program.exports[name]


def _zero() -> Global:
    return Global(GlobalType(I32, True), (i32(0), END))


def _entry(stack_pointer: int, thread_locals: int, limit: int, runner: int, region: list[Instr]) -> list[Instr]:
    """Give the worker its stack and thread-local variables, and run."""
    worker = 5
    return [
        *region, load(WORKERS), get(0), i32(WORKER_SIZE), instr("i32.mul"), instr("i32.add"),
        instr("local.tee", worker), load(THREAD), assign(thread_locals),
        get(worker), load(LOW), assign(limit),
        get(worker), load(HIGH), assign(stack_pointer),
        *region, get(0), instr("call", runner),
    ]  # fmt: skip


def _team_arguments(program: Program, root: int) -> list[Instr]:
    """A thread's arguments: pointers to its number (twice), then the words that the program passed."""
    params = program.function_type(root).params
    out, offset = [], 0
    for position, t in enumerate(params):
        if position < 2:
            out.append(get(1))
            continue
        size = t.bits // 8 if isinstance(t, NumType) else 4
        offset = (offset + size - 1) // size * size
        align = size.bit_length() - 1
        out += [get(2), instr(f"{t!r}.load", MemArg(0, align, offset))]
        offset += size
    return out


def _suspend(coroutine: Coroutine) -> list[Instr]:
    """Begin to unwind; or, having come back here, go on."""
    return [
        variable(coroutine.state), i32(REWINDING), instr("i32.eq"), IF,
        i32(RUNNING), assign(coroutine.state), instr("else"),
        i32(UNWINDING), assign(coroutine.state), END,
    ]  # fmt: skip


class _Runner:
    """The function that starts or continues a coroutine (its first parameter), and tells whether it stopped."""

    def __init__(self, stack_pointer: int, stack_limit: int, coroutine: Coroutine, params: int) -> None:
        self.stack_pointer, self.stack_limit, self.coroutine = stack_pointer, stack_limit, coroutine
        self.own_stack, self.own_limit = params, params + 1  # locals: those of the runner itself

    def body(self, call: list[Instr], suspends: bool) -> list[Instr]:
        """Its code around a call of the region's function."""
        if not suspends:
            return [*call, get(0), i32(DONE), store(STATE), i32(0)]
        return [
            variable(self.stack_pointer), instr("local.set", self.own_stack),
            variable(self.stack_limit), instr("local.set", self.own_limit),
            *self._begin(), *call, *self._end(),
        ]  # fmt: skip

    def _begin(self) -> list[Instr]:
        state = self.coroutine.state
        return [
            get(0), load(LIMIT), assign(self.stack_limit), get(0), load(LIMIT), assign(self.coroutine.limit),
            get(0), load(STATE), i32(SUSPENDED), instr("i32.eq"), IF,
            i32(REWINDING), assign(state), get(0), load(AT), assign(self.stack_pointer),
            get(0), load(SAVED), assign(self.coroutine.saved), instr("else"),
            get(0), load(COROUTINE_HIGH), assign(self.stack_pointer),
            get(0), load(COROUTINE_LOW), assign(self.coroutine.saved), END,
        ]  # fmt: skip

    def _end(self) -> list[Instr]:
        state = self.coroutine.state
        return [
            variable(state), i32(UNWINDING), instr("i32.eq"), IF,
            get(0), i32(SUSPENDED), store(STATE), get(0), variable(self.stack_pointer), store(AT),
            get(0), variable(self.coroutine.saved), store(SAVED), i32(RUNNING), assign(state), instr("else"),
            get(0), i32(DONE), store(STATE), END,
            get(self.own_stack), assign(self.stack_pointer), get(self.own_limit), assign(self.stack_limit),
            get(0), load(STATE), i32(SUSPENDED), instr("i32.eq"),
        ]  # fmt: skip
