"""Litmus tests as WebAssembly: for exploring and the memory model, and for running many instances on real threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refwasm.concurrency.litmus.notation import LOCATIONS, RMW, LitmusTest, Operation, Place
from refwasm.concurrency.programs import Ending, Threads
from refwasm.errors import Trap

#: What a register holds that was never set.
UNSET = (1 << 64) - 1


class LitmusThreads(Threads):
    """A test that can be explored. Its final states are written as in the notation."""

    def __init__(self, test: LitmusTest) -> None:
        super().__init__(as_module(test), list(test.threads), name=test.name)
        self.test = test

    def ending(
        self, results: Sequence[Any], memory: bytes, asleep: Sequence[str], ended: Ending = Ending("")
    ) -> Ending:
        """Registers and locations."""
        words = ["deadlock"] if asleep or ended.failed == "deadlock" else []
        for operations, result in zip(self.test.threads.values(), results):
            names = _registers(operations)
            if isinstance(result, Ending):
                words.append("trap")
            elif result is not None:
                words += [f"{name}={'-' if v == UNSET else v}" for name, v in zip(names, result)]
        words += [f"{name}={value_at(memory, name)}" for name in self.test.observed]
        return Ending(" ".join(sorted(words)) or "nothing", ended.failed)


def value_at(memory: bytes, name: str, base: int = 0) -> int:
    """The value of a location, written as in the notation."""
    place = _named(name)
    start = base + place.address
    return int.from_bytes(memory[start : start + place.width // 8], "little")


def _named(name: str) -> Place:
    rest, _, offset = name[1:].partition("+")
    return Place(LOCATIONS[name[0]] + int(offset or 0), int(rest or 32), False)


def _registers(operations: Sequence[Operation]) -> list[str]:
    return list(dict.fromkeys(o.register for o in operations if o.register))


def as_module(test: LitmusTest) -> str:
    """A module whose exported functions are the threads; each returns its registers, as i64."""
    functions = "\n".join(
        f'  (func (export "{name}") {_results(ops)}{_locals(ops)}\n{_body(ops, "(i32.const 0)")}\n'
        f"    {' '.join(f'(local.get ${r})' for r in _registers(ops))})"
        for name, ops in test.threads.items()
    )
    return f"(module\n  (memory 1 3 shared)\n{functions})\n"


def _results(operations: Sequence[Operation]) -> str:
    count = len(_registers(operations))
    return f"(result{' i64' * count}) " if count else ""


def _locals(operations: Sequence[Operation]) -> str:
    return "".join(f"(local ${r} i64) " for r in _registers(operations))


def _body(operations: Sequence[Operation], base: str) -> str:
    lines = [f"    (local.set ${r} (i64.const -1))" for r in _registers(operations)]
    for operation in operations:
        code = _code(operation, base)
        if operation.register:
            code = f"(local.set ${operation.register} {code})"
        elif operation.kind not in ("store", "fence"):
            code = f"(drop {code})"
        if operation.only_if is not None:
            register, value = operation.only_if
            code = f"(if (i64.eq (local.get ${register}) (i64.const {value})) (then {code}))"
        lines.append(f"    {code}")
    return "\n".join(lines)


def _code(operation: Operation, base: str) -> str:
    """An operation as an expression of type i64."""
    kind, place = operation.kind, operation.place
    if place is None:
        return {
            "fence": "(atomic.fence)",
            "size": "(i64.extend_i32_u (memory.size))",
            "grow": f"(i64.extend_i32_u (memory.grow (i32.const {(operation.values or (0,))[0]})))",
        }[kind]
    part = "" if place.width == 64 else str(place.width)
    dot, suffix = ".atomic" if place.atomic else "", part and "_u"
    at = f"offset={place.address} {base}"
    values = [f"(i64.const {value})" for value in operation.values]
    if kind == "load":
        return f"(i64{dot}.load{part}{suffix} {at})"
    if kind == "store":
        return f"(i64{dot}.store{part} {at} {values[0]})"
    if kind in RMW:
        return f"(i64.atomic.rmw{part}.{kind}{suffix} {at} {values[0]})"
    if kind == "cas":
        return f"(i64.atomic.rmw{part}.cmpxchg{suffix} {at} {values[0]} {values[1]})"
    if kind == "notify":
        return f"(i64.extend_i32_u (memory.atomic.notify {at} (i32.const {operation.values[0]})))"
    expected, milliseconds = operation.values
    timeout = -1 if milliseconds < 0 else milliseconds * 1_000_000
    return f"(i64.extend_i32_u (memory.atomic.wait32 {at} (i32.const {expected}) (i64.const {timeout})))"


# ---- many instances --------------------------------------------------------------------------------------------------

#: Bytes of an instance's locations; of a thread's results in an instance; turns of a thread that waits for the others.
BLOCK, ROW, PATIENCE = 256, 64, 300
#: Where a row says that the thread has run.
RAN = ROW - 8
#: Where the instances' locations begin: before them stand the counters that instances begin with.
FIRST = 1 << 16


def as_native_module(test: LitmusTest, instances: int) -> str:
    """A module that runs ``instances`` of the test: it imports the memory, and exports a function for each thread, with
    an offset to stagger its start by and an odd number to shuffle the instances with. The threads begin each instance
    together, as far as spinning for a while can achieve that."""
    pages = native_pages(test, instances)
    return f'(module\n  (import "env" "memory" (memory {pages} {pages} shared))\n{_functions(test, instances)})\n'


def _functions(test: LitmusTest, instances: int) -> str:
    counters, results = _layout(test, instances)
    return "\n".join(
        _native(number, name, ops, len(test.threads), instances, counters, results)
        for number, (name, ops) in enumerate(test.threads.items())
    )


def as_wasi_program(test: LitmusTest, instances: int, numbers: Sequence[tuple[int, int]]) -> str:
    """The same as a program of wasi-threads: it starts a thread for each of the test's, with these numbers, waits for
    all, and writes its memory to standard output."""
    pages, count = native_pages(test, instances), len(test.threads)
    calls = "\n".join(
        f"    (if (i32.eq (local.get $which) (i32.const {at})) (then (call ${name} (i32.const {stagger}) "
        f"(i32.const {odd}))))"
        for at, (name, (stagger, odd)) in enumerate(zip(test.threads, numbers))
    )
    spawns = "\n".join(f"    (drop (call $spawn (i32.const {at})))" for at in range(count))
    # 0: the vector of what is left to write; 8: how many bytes were written; 16: how many threads have ended
    return f"""(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "env" "memory" (memory {pages} {pages} shared))
  (export "memory" (memory 0))
{_functions(test, instances)}
  (func (export "wasi_thread_start") (param $id i32) (param $which i32)
{calls}
    (drop (i32.atomic.rmw.add (i32.const 16) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 16) (i32.const 1))))
  (func (export "_start") (local $done i32) (local $at i32)
{spawns}
    (loop $wait
      (local.set $done (i32.atomic.load (i32.const 16)))
      (if (i32.lt_u (local.get $done) (i32.const {count})) (then
        (drop (memory.atomic.wait32 (i32.const 16) (local.get $done) (i64.const -1)))
        (br $wait))))
    (loop $more
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (i32.sub (i32.const {pages << 16}) (local.get $at)))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (br_if $more (i32.lt_u (local.get $at) (i32.const {pages << 16}))))))
"""


def _layout(test: LitmusTest, instances: int) -> tuple[int, int]:
    """Where the counters are, and the results."""
    counters = FIRST + instances * BLOCK
    return counters, counters + instances * 64


def native_pages(test: LitmusTest, instances: int) -> int:
    """Pages of the memory of a native module."""
    _, results = _layout(test, instances)
    return -(-(results + len(test.threads) * instances * ROW) >> 16) + 1


def _native(
    number: int, name: str, operations: list[Operation], threads: int, instances: int, counters: int, results: int
) -> str:  # fmt: skip
    stores = "\n".join(
        f"    (i64.store offset={8 * at} (local.get $row) (local.get ${register}))"
        for at, register in enumerate(_registers(operations))
    )
    return f"""  (func ${name} (export "{name}") (param $stagger i32) (param $odd i32)
    (local $i i32) (local $base i32) (local $row i32) (local $left i32) (local $k i32) {_locals(operations)}
    (loop $each
    (local.set $k (i32.rem_u (i32.mul (local.get $i) (local.get $odd)) (i32.const {instances})))
    (local.set $base (i32.add (i32.const {FIRST}) (i32.mul (local.get $k) (i32.const {BLOCK}))))
    (local.set $row (i32.add (i32.const {results + number * instances * ROW})
      (i32.mul (local.get $k) (i32.const {ROW}))))
    (drop (i32.atomic.rmw.add offset={counters} (i32.mul (local.get $i) (i32.const 64)) (i32.const 1)))
    (local.set $left (i32.const {PATIENCE}))
    (block $go (loop $wait
      (br_if $go (i32.ge_u (i32.atomic.load offset={counters} (i32.mul (local.get $i) (i32.const 64)))
        (i32.const {threads})))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $wait (local.get $left))))
    (local.set $left (i32.rem_u (i32.mul (local.get $i) (local.get $stagger)) (i32.const 64)))
    (block $go (loop $wait
      (br_if $go (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $wait)))
{_body(operations, "(local.get $base)")}
{stores}
    (i64.store offset={RAN} (local.get $row) (i64.const 1))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $each (i32.lt_u (local.get $i) (i32.const {instances})))))"""


def native_states(test: LitmusTest, memory: bytes, instances: int) -> list[str]:
    """The final state of each instance. Raises Trap if one did not run."""
    _, results = _layout(test, instances)
    found = []
    for k in range(instances):
        words = []
        for number, operations in enumerate(test.threads.values()):
            row = results + (number * instances + k) * ROW
            if memory[row + RAN] != 1:
                raise Trap(f"{test.name}: instance {k} did not run")
            for at, register in enumerate(_registers(operations)):
                value = int.from_bytes(memory[row + 8 * at : row + 8 * at + 8], "little")
                words.append(f"{register}={'-' if value == UNSET else value}")
        words += [f"{name}={value_at(memory, name, FIRST + k * BLOCK)}" for name in test.observed]
        found.append(" ".join(sorted(words)) or "nothing")
    return found
