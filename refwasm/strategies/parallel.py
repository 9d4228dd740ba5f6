"""Whole programs of wasi-parallel, with what the rules (``docs/semantics.md``) allow them to print."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm import embedding as e
from refwasm.host.parallel.types import Errno
from refwasm.strategies.configuration import check_number
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.kernels import MAPS, WORD, Kernel, Step, kernels
from refwasm.text.printer import quote

#: Where the program keeps things: results of calls, handles, its output's vector, the kernel, and the buffers.
ERRNOS, HANDLES, DEVICE, VECTOR, KERNEL, REGIONS = 0, 512, 504, 768, 1024, 16384
#: Executions of a program, whose error numbers come before the handles; and iterations of one.
MOST_EXECUTIONS, MOST_ITERATIONS = 100, 10_000
#: Iterations whose sums are told apart when only some of them were done.
FEW = 8
#: Policies that no result depends on.
POLICIES = {
    "order": ("ascending", "descending", "shuffle:3"), "grouping": ("guided", "one", "block", "whole"),
    "instance": ("fresh", "per-worker", "single"), "memory": ("auto", "copy-back", "copy"),
}  # fmt: skip


class Execution(NamedTuple):
    """A call of ``parallel_exec``: so many iterations in blocks of a size, on the buffers of the kernel; ``fault`` says
    what is wrong with the call: "" (nothing), "device", "buffer" or "count" (a buffer too few)."""

    iterations: int
    block: int = 1
    fault: str = ""


class ParallelProgram:
    """A program: its kernel, the words in its buffers, the device that it asks for, and its executions. It writes to
    stdout the error number of each execution, and then the contents of all buffers."""

    def __init__(
        self, kernel: Kernel, buffers: tuple[tuple[int, ...], ...], hint: int, executions: tuple[Execution, ...],
        policies: str,
    ) -> None:  # fmt: skip
        self.kernel, self.buffers, self.hint = kernel, buffers, hint
        self.executions, self.policies = executions, policies

    def _place(self, buffer: int) -> int:
        """Where the program keeps a buffer's words: one buffer behind the other."""
        return REGIONS + 4 * sum(map(len, self.buffers[:buffer]))

    def wat(self) -> str:
        """The program in the text format."""
        kernel = e.module_encode(self.kernel.module.module)
        calls = "\n".join(f"    {line}" for line in self._calls(len(kernel)))
        data = "\n".join(
            f"  (data (i32.const {self._place(i)}) {quote(struct.pack(f'<{len(words)}I', *words))})"
            for i, words in enumerate(self.buffers)
        )
        pages = (self._place(len(self.buffers)) >> 16) + 1
        return (
            f'(module\n{_IMPORTS}  (memory (export "memory") {pages} {pages} shared)\n'
            f"  (data (i32.const {KERNEL}) {quote(kernel)})\n{data}\n  (func (export \"_start\")\n{calls}))\n"
        )  # fmt: skip

    def binary(self) -> bytes:
        """The program in the binary format."""
        return e.module_encode(e.module_parse(self.wat()))

    def _calls(self, size: int) -> Iterator[str]:
        yield f"(drop (call $get_device (i32.const {self.hint}) (i32.const {DEVICE})))"
        device = f"(i32.load (i32.const {DEVICE}))"
        for i, words in enumerate(self.buffers):
            handle, place = f"(i32.load (i32.const {HANDLES + 4 * i}))", self._place(i)
            yield f"(drop (call $create_buffer {device} (i32.const {4 * len(words)}) (i32.const 2) " \
                  f"(i32.const {HANDLES + 4 * i})))"  # fmt: skip
            yield f"(drop (call $write_buffer (i32.const {place}) (i32.const {4 * len(words)}) {handle}))"
        wrong = f"(i32.store (i32.const {HANDLES + 64}) (i32.const 987654))"
        yield wrong
        for number, execution in enumerate(self.executions):
            count = len(self.buffers) - (execution.fault == "count")
            place = HANDLES + 64 if execution.fault == "buffer" else HANDLES
            count = 1 if execution.fault == "buffer" else count
            which = "(i32.const 987654)" if execution.fault == "device" else device
            yield (
                f"(i32.store (i32.const {ERRNOS + 4 * number}) (call $parallel_exec {which} (i32.const {KERNEL}) "
                f"(i32.const {size}) (i32.const {execution.iterations}) (i32.const {execution.block}) (i32.const 0) "
                f"(i32.const 0) (i32.const {place}) (i32.const {count})))"
            )
        yield from self._output()

    def _output(self) -> Iterator[str]:
        places = [(ERRNOS, 4 * len(self.executions))]
        for i, words in enumerate(self.buffers):
            place = self._place(i)
            yield (
                f"(drop (call $read_buffer (i32.load (i32.const {HANDLES + 4 * i})) (i32.const {place}) "
                f"(i32.const {4 * len(words)})))"
            )
            places.append((place, 4 * len(words)))
        for place, length in places:
            yield f"(i32.store (i32.const {VECTOR}) (i32.const {place}))"
            yield f"(i32.store (i32.const {VECTOR + 4}) (i32.const {length}))"
            yield (f"(drop (call $fd_write (i32.const 1) (i32.const {VECTOR}) (i32.const 1) (i32.const {VECTOR + 8})))")

    def admits(self, output: bytes) -> str:
        """What is wrong with an output; "" if the rules allow it. An error is told by being no success: programs may
        rely on no more (PAR-ARG-02)."""
        words = [struct.unpack_from("<I", output, at)[0] for at in range(0, len(output) & -4, 4)]
        count = len(self.executions) + sum(map(len, self.buffers))
        if len(output) != 4 * count:
            return f"expected {4 * count} bytes of output, found {len(output)}"
        errnos, allowed = self.allowed()
        for number, wanted in enumerate(errnos):
            if (words[number] == 0) != (wanted == Errno.SUCCESS):
                return f"execution {number}: expected {wanted.name}, found {words[number]}"
        at = len(errnos)
        for buffer, sets in enumerate(allowed):
            for index, known in enumerate(sets):
                if known is not None and words[at] not in known:
                    return f"b{buffer}[{index}]: {words[at]} is none of {sorted(known)}"
                at += 1
        return ""

    def allowed(self) -> tuple[list[Errno], list[list[frozenset[int] | None]]]:
        """The error number of each execution, and the values that each word may have at the end; None: any."""
        state: list[list[frozenset[int] | None]] = [[frozenset({w}) for w in words] for words in self.buffers]
        errnos = []
        for execution in self.executions:
            errno = _errno(self.kernel, execution)
            errnos.append(errno)
            if errno in (Errno.SUCCESS, Errno.KERNEL_TRAP):
                _execute(self.kernel, execution.iterations, errno == Errno.KERNEL_TRAP, state)
        return errnos, state

    def __repr__(self) -> str:
        buffers = ", ".join(f"b{i} = {list(words)}" for i, words in enumerate(self.buffers))
        runs = ", ".join(
            f"{x.iterations} iterations by {x.block}" + (f" (wrong {x.fault})" if x.fault else "")
            for x in self.executions
        )
        return f"kernel: {self.kernel!r}\nbuffers: {buffers}\nexecutions: {runs or 'none'}\npolicies: {self.policies}"


_PARAMS = {"get_device": 2, "create_buffer": 4, "write_buffer": 3, "read_buffer": 3, "parallel_exec": 9, "fd_write": 4}
_IMPORTS = "".join(
    f'  (import "{"wasi_snapshot_preview1" if name == "fd_write" else "wasi_ephemeral_parallel"}" "{name}" '
    f"(func ${name} (param{' i32' * count}) (result i32)))\n"
    for name, count in _PARAMS.items()
)

# ---- what the rules allow -------------------------------------------------------------------------------------------


def _errno(kernel: Kernel, execution: Execution) -> Errno:
    """PAR-DEV-04, PAR-BUF-05, PAR-KER-*, PAR-EXEC-07."""
    if execution.fault:
        found = {"device": Errno.INVALID_DEVICE, "buffer": Errno.INVALID_BUFFER, "count": Errno.INVALID_KERNEL}
        return found[execution.fault]
    is_trapping = any(0 <= trap < execution.iterations for trap in kernel.traps)
    return Errno.KERNEL_TRAP if is_trapping else Errno.SUCCESS


def _execute(kernel: Kernel, n: int, partial: bool, state: list[list[frozenset[int] | None]]) -> None:
    """What an execution makes of the words. If it is ``partial``, each step of each iteration may have been done or
    not."""
    for step in kernel.steps:
        words = state[step.buffer]
        if step.kind == "map":
            for i in range(n):
                words[i] = _each(words[i], [_operand(step, i)], partial)
        elif step.kind == "sum":
            words[0] = _each(words[0], [_operand(step, i) for i in range(n)], partial)
        elif step.kind == "last" and n:
            words[0] = _overwritten(words[0], n, partial)


def _operand(step: Step, i: int) -> tuple[str, int]:
    return step.operation, (step.value + i * step.by_id) & WORD


def _each(known: frozenset[int] | None, changes: list[tuple[str, int]], partial: bool) -> frozenset[int] | None:
    """The values after all of these changes, or any subset of them."""
    if known is None or (partial and (len(changes) > FEW or len(known) > 64)):
        return None
    found = set()
    for done in product((True, False) if partial else (True,), repeat=len(changes)):
        for value in known:
            for (operation, operand), is_done in zip(changes, done):
                value = _OPERATIONS[operation](value, operand) & WORD if is_done else value
            found.add(value)
    return frozenset(found)


_OPERATIONS = {**MAPS, "or": lambda x, k: x | k, "and": lambda x, k: x & k}


def _overwritten(known: frozenset[int] | None, n: int, partial: bool) -> frozenset[int] | None:
    """Any iteration may be the last one. Its word has no other bits: all write it as a whole."""
    last = frozenset(range(n))
    return last if not partial else None if known is None else last | known


# ---- strategy -------------------------------------------------------------------------------------------------------


@st.composite
def parallel_programs(
    draw: DrawFn, race_free: bool = True, failing: bool = True, max_executions: int = 3, max_iterations: int = 20
) -> ParallelProgram:
    """Complete programs: a kernel, buffers, up to so many executions (one at least, :data:`MOST_EXECUTIONS` at most) of
    up to so many iterations, and policies that no result may depend on. With ``race_free``, a program without traps has
    one outcome. With ``failing``, kernels may trap and calls may be wrong. Raises InvalidArgument."""
    check_number("max_executions", max_executions, 0, MOST_EXECUTIONS)
    check_number("max_iterations", max_iterations, 0, MOST_ITERATIONS)
    drawing = Drawing(draw)
    kernel = draw(kernels(race_free, traps=failing))
    execution = _execution(max_iterations, failing)
    executions = tuple(draw(st.lists(execution, min_size=min(1, max_executions), max_size=max_executions)))
    longest = max((x.iterations for x in executions), default=0)
    buffers = tuple(
        tuple(drawing.below(4) for _ in range(max(longest, 1) if role == "map" else 1)) for role in kernel.roles
    )
    policies = ",".join(f"{name}={drawing.pick(values)}" for name, values in POLICIES.items())
    return ParallelProgram(kernel, buffers, drawing.pick((0, 1, 2, 3)), executions, policies)


@st.composite
def _execution(draw: DrawFn, most: int, failing: bool) -> Execution:
    drawing = Drawing(draw)
    fault = drawing.pick(("", "", "", "", "", "", "device", "buffer", "count")) if failing else ""
    iterations = (1 + drawing.below(most + 1)) % (most + 1)  # none is the last choice: one is simpler
    return Execution(iterations, drawing.pick((1, 0, 2, 5, 1 << 20)), fault)
