"""Small programs of two to four threads over a few shared slots, made for exploring schedules.

Each operation reads or writes a slot of a shared memory. What a thread reads is its result; so the outcome of a program
is what all threads read, and what is in the slots at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from refwasm import embedding as e
from refwasm.strategies.configuration import check_number
from refwasm.strategies.drawing import Drawing
from refwasm.strategies.modules import DrawnModule

#: Bytes from one slot to the next; the results of a thread begin at its number times ROW, behind the slots.
SLOT, ROW, RESULTS = 8, 256, 1024
#: Accesses that a thread may be asked to make: its results, and those of handing something over, fit a row.
MOST_ACCESSES = 24
#: Widths of accesses in bits.
WIDTHS = (32, 8, 16, 64)
RMW = ("add", "sub", "and", "or", "xor", "xchg")


class Access(NamedTuple):
    """An operation of a thread. ``kind`` is "load", "store", one of :data:`RMW`, "cmpxchg", "wait", "notify", "fence"
    or "grow"; ``width`` is in bits, ``value`` what is stored, added, expected or woken. ``only_if`` is a value: the
    operation is done only if the thread's last result was that."""

    kind: str
    slot: int = 0
    atomic: bool = False
    width: int = 32
    value: int = 0
    only_if: int | None = None

    @property
    def has_result(self) -> bool:
        """Whether the thread keeps what comes of it."""
        return self.kind not in ("store", "fence")

    def __repr__(self) -> str:
        if self.kind in ("fence", "grow"):
            shown = self.kind
        else:
            value = "" if self.kind == "load" else f", {self.value}"
            shown = f"{'atomic ' if self.atomic else ''}{self.kind}{self.width}(slot {self.slot}{value})"
        return shown if self.only_if is None else f"if last == {self.only_if}: {shown}"


class ThreadProgram:
    """Threads, each a sequence of accesses. ``race_free`` says that no execution has a data race, by construction."""

    def __init__(self, threads: Sequence[Sequence[Access]], slots: int, race_free: bool) -> None:
        self.threads, self.slots, self.race_free = tuple(map(tuple, threads)), slots, race_free

    def wat(self) -> str:
        """One module: its memory, exported as ``memory``, is shared; ``thread0``, ``thread1``, … are the threads."""
        return f'(module\n  (memory (export "memory") 1 4 shared)\n{self._functions()})\n'

    @property
    def module(self) -> DrawnModule:
        """The same as a module."""
        return DrawnModule(e.module_parse(self.wat()))

    def wast(self) -> str:
        """A script with ``thread`` and ``wait`` (threads proposal): each thread is an instance of its own."""
        lines = [
            '(module $Memory (memory (export "memory") 1 4 shared))', '(register "mem" $Memory)',
        ]  # fmt: skip
        for number, accesses in enumerate(self.threads):
            lines.append(
                f'(thread $T{number} (shared (module $Memory))\n  (register "mem" $Memory)\n'
                f'  (module (memory (import "mem" "memory") 1 4 shared)\n{_function(number, accesses)})\n'
                f'  (invoke "thread{number}"))'
            )
        lines += [f"(wait $T{number})" for number in range(len(self.threads))]
        return "\n".join(lines) + "\n"

    def results(self, memory: bytes) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
        """What the threads read, and the slots, out of a memory at the end. (What was left out reads as all ones.)"""
        read = []
        for number, accesses in enumerate(self.threads):
            start, count = RESULTS + ROW * number, sum(a.has_result for a in accesses)
            read.append(tuple(_word(memory, start + 8 * i) ^ ((1 << 64) - 1) for i in range(count)))
        return tuple(read), tuple(_word(memory, SLOT * i) for i in range(self.slots))

    def _functions(self) -> str:
        return "\n".join(_function(number, accesses) for number, accesses in enumerate(self.threads))

    def __repr__(self) -> str:
        width = max((len(repr(a)) for t in self.threads for a in t), default=0)
        rows = [[f"thread {i}" for i in range(len(self.threads))]]
        longest = max(map(len, self.threads), default=0)
        rows += [[repr(t[i]) if i < len(t) else "" for t in self.threads] for i in range(longest)]
        return "\n".join(" | ".join(cell.ljust(max(width, 8)) for cell in row).rstrip() for row in rows)


def _word(memory: bytes, at: int) -> int:
    return int.from_bytes(memory[at : at + 8], "little")


# ---- as WebAssembly -------------------------------------------------------------------------------------------------


def _function(number: int, accesses: Sequence[Access]) -> str:
    """A thread as a function. Results are stored inverted, so that 0 stands for an operation that was not done."""
    lines, kept = [], 0
    for access in accesses:
        code = _operation(access)
        if access.has_result:
            where = RESULTS + ROW * number + 8 * kept
            kept += 1
            code = (f"(local.set $last {code}) (i64.store (i32.const {where}) "
                    "(i64.xor (local.get $last) (i64.const -1)))")  # fmt: skip
        if access.only_if is not None:
            code = f"(if (i64.eq (local.get $last) (i64.const {access.only_if})) (then {code}))"
        lines.append(f"    {code}")
    body = "\n".join(lines)
    return f'  (func (export "thread{number}") (local $last i64)\n{body})'


def _operation(access: Access) -> str:
    """An access as an expression, of type i64 if it has a result."""
    address, dot = f"(i32.const {SLOT * access.slot})", ".atomic" if access.atomic else ""
    part = "" if access.width == 64 else str(access.width)
    value = f"(i64.const {access.value})"
    if access.kind == "load":
        return f"(i64{dot}.load{part and part + '_u'} {address})"
    if access.kind == "store":
        return f"(i64{dot}.store{part} {address} {value})"
    if access.kind in RMW:
        return f"(i64.atomic.rmw{part}.{access.kind}{part and '_u'} {address} {value})"
    if access.kind == "cmpxchg":
        return f"(i64.atomic.rmw{part}.cmpxchg{part and '_u'} {address} {value} (i64.const {access.value + 1}))"
    if access.kind == "wait":
        wait = f"(memory.atomic.wait32 {address} (i32.const {access.value}) (i64.const 1000000))"
        return f"(i64.extend_i32_u {wait})"
    if access.kind == "notify":
        return f"(i64.extend_i32_u (memory.atomic.notify {address} (i32.const {access.value})))"
    return "(atomic.fence)" if access.kind == "fence" else "(i64.extend_i32_u (memory.grow (i32.const 1)))"


# ---- strategies -----------------------------------------------------------------------------------------------------


@st.composite
def threads(
    draw: DrawFn, race_free: bool = False, slots: int = 3, max_threads: int = 3, max_accesses: int = 4,
) -> ThreadProgram:  # fmt: skip
    """Programs of two to ``max_threads`` (four at most) threads over up to eight slots.

    Each thread has one to ``max_accesses`` accesses (:data:`MOST_ACCESSES` at most; 0: none). With ``race_free``, a
    slot is accessed atomically and in one width only, or belongs to one thread, or is handed over by a flag; without,
    plain and atomic accesses of all widths mix."""
    check_number("slots", slots, 1, 8)
    check_number("max_threads", max_threads, 2, 4)
    check_number("max_accesses", max_accesses, 0, MOST_ACCESSES)
    # Most examples of a test are mutations of others, in which lists are often as short as they may be: a thread that
    # does nothing meets no other.
    body = st.lists(_access(race_free, slots), min_size=min(1, max_accesses), max_size=max_accesses)
    made = draw(st.lists(body, min_size=2, max_size=max_threads))
    if not race_free:
        return ThreadProgram(made, slots, False)
    made = [[_owned(access, slots + number) for access in accesses] for number, accesses in enumerate(made)]
    slots += len(made)
    drawing = Drawing(draw)
    if drawing.below(2):
        _hand_over(made, slots, 1 + drawing.below(len(made) - 1))
        slots += 2
    return ThreadProgram(made, slots, True)


@st.composite
def _access(draw: DrawFn, race_free: bool, slots: int) -> Access:
    drawing = Drawing(draw)
    kind = drawing.pick(("store", "load", "load", "store", "rmw", "cmpxchg", "fence", "notify", "wait", "grow"))
    slot = drawing.pick((0, *range(slots)))  # one slot more often than others, so that threads meet there
    value = drawing.below(3) + (kind == "store")
    only_if = drawing.below(2) if drawing.rarely(6) else None
    if kind in ("load", "store"):
        is_atomic = bool(drawing.below(2))
        width = 32 if race_free else drawing.pick(WIDTHS)
        return Access(kind, slot, is_atomic, width, value, only_if)
    if kind == "rmw":
        kind = drawing.pick(RMW)
    width = 32 if race_free or kind in ("wait", "notify") else drawing.pick(WIDTHS)
    return Access(kind, slot, kind not in ("fence", "grow"), width, value, only_if)


def _owned(access: Access, slot: int) -> Access:
    """The access; a plain one is to the thread's own slot."""
    return access._replace(slot=slot) if access.kind in ("load", "store") and not access.atomic else access


def _hand_over(made: list[list[Access]], data: int, reader: int) -> None:
    """The first thread writes a slot and then sets a flag, the slot behind it; another one reads the slot if it sees
    the flag."""
    flag = data + 1
    made[0] += [Access("store", data, value=7), Access("store", flag, True, value=1)]
    made[reader] += [Access("load", flag, True), Access("load", data, only_if=1)]
