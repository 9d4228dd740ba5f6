"""wasi-parallel on all devices that are everywhere: SEQUENTIAL is the oracle of the others."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import re
import struct
import threading
import time

import pytest

from refwasm import Trap
from refwasm import embedding as e
from refwasm.host.parallel import ParallelLimits, Policies
from refwasm.host.parallel.schedule import Schedule
from refwasm.host.parallel.types import DeviceKind, Errno
from tests.support import CPU, KERNEL_AT, NATIVE, SEQUENTIAL, DeviceHint, Program, kernel_wat, program

DEVICES = pytest.mark.parametrize("hint", [SEQUENTIAL, CPU, NATIVE], ids=["sequential", "cpu", "native"])
MEMORIES = pytest.mark.parametrize("memory", ["2 8 shared", "2 8"], ids=["shared", "private"])

COUNT = kernel_wat(
    "(drop (i32.atomic.rmw.add (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) (i32.const 1)))"
)
PLACE = 65536  # where tests keep buffers in the caller's memory


def words(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(raw) // 4}I", raw)


def read_back(p: Program, handle: int, size: int) -> bytes:
    assert p.call("read_buffer", handle, PLACE, size) == 0
    return p.memory.read(PLACE, size)


@DEVICES
@MEMORIES
@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("block", [0, 1, 3, 0xFFFFFFFF])
def test_every_id_runs_exactly_once(hint: DeviceHint, memory: str, n: int, block: int) -> None:
    p = program(COUNT, memory)
    device = p.device(hint)
    handle = p.buffer(device, 4 * n)
    assert p.call("write_buffer", PLACE, 4 * n, handle) == 0
    assert p.exec(device, n, handle, block=block) == 0
    assert words(read_back(p, handle, 4 * n)) == (1,) * n
    run = p.context.runs[-1]
    assert (
        run.name == {SEQUENTIAL: "SEQUENTIAL", CPU: "CPU", NATIVE: "NATIVE"}[hint] and sum(run.by_worker.values()) == n
    )


@DEVICES
@MEMORIES
def test_nothing_runs_for_zero_iterations_but_everything_is_checked(hint: DeviceHint, memory: str) -> None:
    p = program(COUNT, memory)
    device = p.device(hint)
    handle = p.buffer(device, 8)
    assert p.exec(device, 0, handle) == 0
    assert read_back(p, handle, 8) == bytes(8)
    assert p.exec(device, 0) == Errno.INVALID_KERNEL
    assert p.exec(device, 0, 99) == Errno.INVALID_BUFFER


@DEVICES
@MEMORIES
def test_arguments_of_the_kernel(hint: DeviceHint, memory: str) -> None:
    """Inputs come before outputs; a buffer passed twice has one place; sizes are exact."""
    body = """(i32.store (local.get $p2) (i32.add (i32.load (local.get $p0)) (i32.load (local.get $p1))))
      (i32.store offset=4 (local.get $p2) (local.get $n)) (i32.store offset=8 (local.get $p2) (local.get $block))
      (i32.store offset=12 (local.get $p2) (local.get $s0))
      (i32.store offset=16 (local.get $p2) (i32.eq (local.get $p0) (local.get $p1)))"""
    p = program(kernel_wat(body, 3), memory)
    device = p.device(hint)
    a, out = p.buffer(device, 12), p.buffer(device, 20)
    p.memory.store(4, PLACE, 20)
    assert p.call("write_buffer", PLACE, 12, a) == 0
    for index, handle in enumerate((a, a, out)):
        p.memory.store(4, 16 + 4 * index, handle)
    assert p.call("parallel_exec", device, *p.kernel, 1, 9, 16, 2, 24, 1) == 0
    assert words(read_back(p, out, 20)) == (40, 1, 9, 12, 1)


@DEVICES
def test_a_buffer_never_written_reads_as_zeros(hint: DeviceHint) -> None:
    p = program(COUNT)
    device = p.device(hint)
    handle = p.buffer(device, 16)
    p.memory.write(PLACE, b"x" * 16)
    assert read_back(p, handle, 16) == bytes(16)
    assert p.exec(device, 4, handle) == 0
    assert words(read_back(p, handle, 16)) == (1, 1, 1, 1)


def test_alias_lets_both_sides_see_stores_and_copy_does_not() -> None:
    for policy, seen in (("memory=alias", 5 + 1), ("memory=copy", 3 + 1), ("memory=copy-back", 3 + 1)):
        p = program(COUNT, policies=policy)
        device = p.device(SEQUENTIAL)
        handle = p.buffer(device, 4)
        p.memory.store(4, PLACE, 3)
        assert p.call("write_buffer", PLACE, 4, handle) == 0
        p.memory.store(4, PLACE, 5)
        assert p.exec(device, 1, handle) == 0
        assert p.memory.load(4, PLACE) == (5 if policy == "memory=copy" else seen)
        assert p.call("read_buffer", handle, PLACE + 64, 4) == 0
        assert p.memory.load(4, PLACE + 64) == seen


@DEVICES
def test_a_kernel_reaches_nothing_but_its_buffers_under_copy(hint: DeviceHint) -> None:
    body = "(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536)) (i32.store (local.get $p0) (memory.size))"
    p = program(kernel_wat(body), policies="memory=copy")
    device = p.device(hint)
    handle = p.buffer(device, 4)
    before = p.memory.read(0, 65536)
    p.memory.store(4, 16, handle)
    assert p.call("parallel_exec", device, *p.kernel, 1, 1, 0, 0, 16, 1) == 0
    assert p.memory.read(32, 60000) == before[32:60032]
    assert words(read_back(p, handle, 4)) == (2,)


@DEVICES
@pytest.mark.parametrize("grows", [False, True])
def test_a_devices_memory_is_used_again_but_not_what_was_in_it(hint: DeviceHint, grows: bool) -> None:
    """What the kernel finds behind its buffer, and in the next page, is zero in every execution."""
    body = f"""
      (if {"(i32.const 1)" if grows else "(i32.const 0)"} (then (drop (memory.grow (i32.const 1)))))
      (i32.store (local.get $p0) (i32.add (memory.size)
        (i32.or (i32.load offset=1024 (local.get $p0)) (i32.load (i32.const 128)))))
      (memory.fill (i32.const 0) (i32.const 255) (i32.const 65536))
      (i32.store offset=1024 (local.get $p0) (i32.const -1))"""
    p = program(kernel_wat(body), policies="memory=copy")
    device = p.device(hint)
    handle = p.buffer(device, 4)
    memories = []
    for _ in range(3):
        assert p.exec(device, 1, handle) == 0
        assert words(read_back(p, handle, 4)) == (2 + grows,)
        memories += p.context.staging.kept.values()
    assert len(set(memories)) == len(memories[:1]) == (not grows)
    p.context.close()
    assert not p.context.staging.kept


@DEVICES
@pytest.mark.parametrize("memory", ["2 8 shared", "2 8"])
def test_module_state_is_fresh_for_every_iteration(hint: DeviceHint, memory: str) -> None:
    body = """(global.set $g (i32.add (global.get $g) (i32.const 1)))
      (i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) (global.get $g))"""
    p = program(kernel_wat(body, extra="(global $g (mut i32) (i32.const 10))"), memory)
    device = p.device(hint)
    handle = p.buffer(device, 400)
    for _ in range(2):
        assert p.exec(device, 100, handle) == 0
        assert set(words(read_back(p, handle, 400))) == {11}


@DEVICES
@pytest.mark.parametrize(
    ("extra", "bump", "read"),
    [
        (
            "(memory $own 1)",
            "(i32.store $own (i32.const 8) (i32.add (i32.load $own (i32.const 8)) (i32.const 1))) "
            "(drop (memory.grow $own (i32.const 1)))",
            "(i32.add (i32.load $own (i32.const 8)) (memory.size $own))",
        ),
        (
            "(type $s (struct (field (mut i32)))) (global $g (ref $s) (struct.new $s (i32.const 0)))",
            "(struct.set $s 0 (global.get $g) (i32.add (struct.get $s 0 (global.get $g)) (i32.const 1)))",
            "(i32.add (i32.const 2) (struct.get $s 0 (global.get $g)))",
        ),
        (
            "(table $t 1 funcref) (elem declare func $kernel)",
            "(if (ref.is_null (table.get $t (i32.const 0))) "
            "(then (table.set $t (i32.const 0) (ref.func $kernel))) (else (unreachable)))",
            "(i32.const 3)",
        ),
    ],
    ids=["memory", "object", "table"],
)
def test_all_kinds_of_module_state_are_fresh(hint: DeviceHint, extra: str, bump: str, read: str) -> None:
    body = f"{bump} (i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) {read})"
    p = program(kernel_wat(body, extra=extra))
    device = p.device(hint)
    handle = p.buffer(device, 80)
    p.call("write_buffer", PLACE, 80, handle)
    assert p.exec(device, 20, handle) == 0
    assert set(words(read_back(p, handle, 80))) == {3}


def test_two_guests_in_two_threads() -> None:
    """Jobs of one process take turns; nothing is lost or run twice."""
    wrong: list[tuple[int, ...]] = []

    def run() -> None:
        p = program(COUNT)
        device = p.device(CPU)
        handle = p.buffer(device, 400)
        p.call("write_buffer", PLACE, 400, handle)
        for times in range(1, 16):
            assert p.exec(device, 100, handle) == 0
            found = words(read_back(p, handle, 400))
            if set(found) != {times}:
                wrong.append(found)
            p.memory.write(PLACE, struct.pack("<100I", *[times] * 100))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_state_can_be_shared_by_policy() -> None:
    body = """(global.set $g (i32.add (global.get $g) (i32.const 1)))
      (i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) (global.get $g))"""
    kernel = kernel_wat(body, extra="(global $g (mut i32) (i32.const 0))")
    for hint, policy in (
        (SEQUENTIAL, "instance=single"),
        (CPU, "instance=single"),
        (SEQUENTIAL, "instance=per-worker"),
    ):
        p = program(kernel, policies=policy)
        device = p.device(hint)
        handle = p.buffer(device, 40)
        for _ in range(2):
            assert p.exec(device, 10, handle) == 0
            assert sorted(words(read_back(p, handle, 40))) == list(range(1, 11))


@DEVICES
def test_start_function_and_segments_act_once_per_execution(hint: DeviceHint) -> None:
    extra = """(data (i32.const 512) "\\07") (start $init)
      (func $init (drop (i32.atomic.rmw.add (i32.const 516) (i32.const 1))))"""
    body = "(i32.store (local.get $p0) (i32.load8_u (i32.const 512)))"
    p = program(kernel_wat(body, extra=extra), limits=ParallelLimits(workers=1))
    device = p.device(hint)
    handle = p.buffer(device, 4)
    p.call("write_buffer", PLACE, 4, handle)
    for times in (1, 2, 3):
        assert p.exec(device, 5, handle) == 0
        assert p.memory.load(4, 516) == times
    assert words(read_back(p, handle, 4)) == (7,)


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffle:3"])
def test_order_of_the_sequential_device(order: str) -> None:
    body = """(i32.store (i32.add (local.get $p0) (i32.shl (i32.load (local.get $p0)) (i32.const 2))) (local.get $id))
      (i32.store (local.get $p0) (i32.add (i32.load (local.get $p0)) (i32.const 1)))"""
    p = program(kernel_wat(body), policies=f"order={order}")
    device = p.device(SEQUENTIAL)
    handle = p.buffer(device, 40)
    p.memory.store(4, PLACE, 1)
    p.call("write_buffer", PLACE, 40, handle)
    assert p.exec(device, 9, handle) == 0
    ids = list(words(read_back(p, handle, 40))[1:])
    expected = list(Schedule(9, 1, Policies.parse(f"order={order}")).ids(0, 9))
    assert ids == expected and sorted(ids) == list(range(9))


# ---- error numbers --------------------------------------------------------------------------------------------------


def test_every_misuse_has_its_error_number() -> None:
    p = program(COUNT, limits=ParallelLimits(buffers=3, buffer_bytes=1000, workers=1))
    sequential, cpu = p.device(SEQUENTIAL), p.device(CPU)
    handle = p.buffer(sequential, 8)
    other = p.buffer(cpu, 8)
    assert p.call("create_buffer", 77, 8, 0, 0) == Errno.INVALID_DEVICE
    assert p.call("create_buffer", handle, 8, 0, 0) == Errno.INVALID_DEVICE
    assert p.call("create_buffer", sequential, 5000, 0, 0) == Errno.RESOURCE_LIMIT
    p.buffer(sequential, 0)
    assert p.call("create_buffer", sequential, 1, 0, 0) == Errno.RESOURCE_LIMIT
    for name in ("write_buffer", "read_buffer"):

        def call(buffer: int, size: int, name: str = name) -> int:
            return p.call(name, *((0, size, buffer) if name == "write_buffer" else (buffer, 0, size)))

        assert call(sequential, 8) == Errno.INVALID_BUFFER
        assert call(0, 8) == Errno.INVALID_BUFFER
        assert call(handle, 7) == call(handle, 9) == Errno.SIZE_MISMATCH
    assert p.exec(0, 1, handle) == Errno.INVALID_DEVICE
    assert p.exec(sequential, 1, 12345) == Errno.INVALID_BUFFER
    assert p.exec(sequential, 1, other) == Errno.WRONG_DEVICE
    assert p.exec(sequential, 1, handle) == 0
    assert len(p.failures) == 15 and all(str(f) for f in p.failures)


def test_bad_pointers_and_enumerations_trap_before_any_effect() -> None:
    p = program(COUNT)
    device = p.device(SEQUENTIAL)
    handle = p.buffer(device, 8)
    end = len(p.memory.u8)
    for call in (
        ("get_device", 4, 0), ("get_device", 0, end), ("get_device", 0, 2), ("create_buffer", device, 8, 3, 0),
        ("create_buffer", device, 8, 0, end - 2), ("create_buffer", device, 8, 0, 1),
        ("write_buffer", end - 4, 8, handle), ("read_buffer", handle, end - 4, 8), ("write_buffer", end, 8, 999),
        ("parallel_exec", device, end - 1, 8, 1, 1, 0, 0, 0, 0), ("parallel_exec", device, *p.kernel, 1, 1, 2, 1, 0, 0),
        ("parallel_exec", device, *p.kernel, 1, 1, end, 1, 0, 0),
        ("parallel_exec", device, *p.kernel, 1, 1, 0, 0, 16, 0x40000000),
    ):  # fmt: skip
        with pytest.raises(Trap):
            p.call(*call)  # type: ignore[arg-type]
    assert len(p.context.buffers) == 1 and not p.context.runs


@DEVICES
@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (b"not wasm", "not a valid module"),
        ('(module (func (export "kernel") (param i32 i32 i32 i32 i32)))', "imports nothing"),
        ('(module (import "env" "memory" (memory 1)) (func (export "kernel") (param i32 i32 i32 i32 i32)))', "shared"),
        (kernel_wat("", extra='(import "env" "f" (func))'), "imports 'env' 'memory', 'env' 'f'"),
        ('(module (import "env" "memory" (memory 1 1 shared)))', "no function named 'kernel'"),
        ('(module (import "" "m" (memory 1 1 shared)) (global (export "kernel") i32 (i32.const 0)))', "no function"),
        (kernel_wat("", 0), "takes 0 buffers, 1 were passed"),
        (kernel_wat("(unreachable)", 1).replace("$s0 i32", "$s0 i64"), "all i32"),
        (
            '(module (import "" "m" (memory 1 1 shared)) (func (export "kernel") (param i32 i32 i32 i32 i32) '
            "(result i32) (i32.const 0)))",
            "return nothing",
        ),
        (b"\0asm\1\0\0\0\1", "not a valid module"),
    ],
)
def test_what_is_no_kernel(hint: DeviceHint, kernel: str | bytes, reason: str) -> None:
    p = program(kernel)
    device = p.device(hint)
    handle = p.buffer(device, 4)
    for n in (0, 3):
        assert p.exec(device, n, handle) == Errno.INVALID_KERNEL
        assert reason in p.failures[-1].message
    assert not p.context.runs


@DEVICES
@MEMORIES
def test_a_trap_tells_which_iteration_and_where_and_keeps_stores(hint: DeviceHint, memory: str) -> None:
    body = """(if (i32.eq (local.get $id) (i32.const 5)) (then (unreachable)))
      (i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) (i32.const 1))"""
    p = program(kernel_wat(body), memory)
    device = p.device(hint)
    handle = p.buffer(device, 40)
    p.call("write_buffer", PLACE, 40, handle)
    assert p.exec(device, 10, handle) == Errno.KERNEL_TRAP
    failure = p.failures[-1]
    assert failure.iteration == 5 and failure.message == "unreachable"
    assert [(entry.func, entry.name) for entry in failure.backtrace] == [(0, "kernel")]
    assert failure.backtrace[0].location.startswith("0x")
    stored = words(read_back(p, handle, 40))
    assert stored[5] == 0 and sum(stored) <= 9
    if hint == SEQUENTIAL:
        assert stored[:5] == (1,) * 5 and not any(stored[5:])
    assert p.exec(device, 5, handle) == 0, "the device still works"


@DEVICES
def test_a_trap_while_others_spin_ends_the_execution(hint: DeviceHint) -> None:
    if hint == SEQUENTIAL:
        pytest.skip("iterations do not overlap")
    body = "(if (i32.eqz (local.get $id)) (then (unreachable))) (loop (br 0))"
    p = program(kernel_wat(body, 0))
    assert p.exec(p.device(hint), 2) == Errno.KERNEL_TRAP
    assert p.failures[-1].iteration == 0


@DEVICES
def test_limits_of_time_and_fuel(hint: DeviceHint) -> None:
    for limits, message in (
        (ParallelLimits(seconds=0.3, workers=2), "time limit"),
        (ParallelLimits(fuel=1000, workers=2), "fuel"),
    ):
        p = program(kernel_wat("(loop (br 0))", 0), limits=limits)
        assert p.exec(p.device(hint), 4) == Errno.RESOURCE_LIMIT
        assert message in p.failures[-1].message


@DEVICES
def test_a_time_limit_holds_for_short_iterations_too(hint: DeviceHint) -> None:
    p = program(kernel_wat("", 0), limits=ParallelLimits(seconds=0.3, workers=2))
    start = time.monotonic()
    assert p.exec(p.device(hint), 0xFFFFFFFF) == Errno.RESOURCE_LIMIT
    assert time.monotonic() - start < 5


def test_memory_limits_hold_for_a_devices_memory() -> None:
    p = program(kernel_wat("", 0, "60 60 shared"), settings=e.Settings(memory_pages=10))
    assert p.exec(p.device(SEQUENTIAL), 1) == Errno.RESOURCE_LIMIT


def test_a_shuffle_of_very_many_takes_no_memory_and_hits_all() -> None:
    ids = Schedule(0xFFFFFFFF, 1, Policies.parse("order=shuffle:3")).ids(0, 0xFFFFFFFF)
    first = list(itertools.islice(ids, 1000))
    assert len(set(first)) == 1000 and max(first) > 1 << 31
    n = (1 << 20) + 3
    assert len(set(Schedule(n, 1, Policies.parse("order=shuffle:3")).ids(0, n))) == n


def test_exhaustion_in_a_kernel_is_a_trap() -> None:
    kernel = kernel_wat("(call $f)", 0, extra="(func $f (call $f))")
    p = program(kernel)
    assert p.exec(p.device(CPU), 2) == Errno.KERNEL_TRAP
    assert p.failures[-1].message == "call stack exhausted"


@DEVICES
def test_buffers_too_large_for_the_kernels_memory(hint: DeviceHint) -> None:
    p = program(kernel_wat("", memory="1 2 shared"), memory="4 4")
    device = p.device(hint)
    assert p.exec(device, 1, p.buffer(device, 3 * 65536)) == Errno.RESOURCE_LIMIT


# ---- sharing --------------------------------------------------------------------------------------------------------


@DEVICES
def test_atomic_counters_lose_nothing(hint: DeviceHint) -> None:
    body = """(local $i i32)
      (loop $again
        (drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))
        (drop (i64.atomic.rmw16.add_u offset=8 (local.get $p0) (i64.const 3)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (i32.const 500))))"""
    p = program(kernel_wat(body))
    device = p.device(hint)
    handle = p.buffer(device, 16)
    p.call("write_buffer", PLACE, 16, handle)
    assert p.exec(device, 40, handle) == 0
    assert words(read_back(p, handle, 16)) == (20_000, 0, 60_000, 0)


def test_iterations_can_wait_for_each_other() -> None:
    """Two workers hand a token to and fro with wait and notify."""
    body = """(local $turn i32)
      (loop $again
        (if (i32.lt_u (i32.atomic.load (local.get $p0)) (i32.const 40))
          (then
            (local.set $turn (i32.atomic.load (local.get $p0)))
            (if (i32.eq (i32.and (local.get $turn) (i32.const 1)) (local.get $id))
              (then
                (i32.atomic.store (local.get $p0) (i32.add (local.get $turn) (i32.const 1)))
                (drop (memory.atomic.notify (local.get $p0) (i32.const 1))))
              (else
                (drop (memory.atomic.wait32 (local.get $p0) (local.get $turn) (i64.const 1000000000)))))
            (br $again))))"""
    p = program(kernel_wat(body), limits=ParallelLimits(workers=2, seconds=20))
    device = p.device(CPU)
    handle = p.buffer(device, 4)
    p.call("write_buffer", PLACE, 4, handle)
    assert p.exec(device, 2, handle) == 0
    assert words(read_back(p, handle, 4)) == (40,)


@DEVICES
def test_growth_in_a_kernel_is_seen_by_the_caller_under_alias(hint: DeviceHint) -> None:
    body = """(drop (memory.grow (i32.const 1)))
      (i32.store (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)) (i32.const 77))"""
    p = program(kernel_wat(body, 0))
    assert p.exec(p.device(hint), 3) == 0
    assert p.memory.size() == 5
    assert p.memory.load(4, 5 * 65536 - 4) == 77


def test_uneven_work_is_balanced() -> None:
    """Iteration 0 ends when 40 others have: with fixed halves no more than 32 could while it keeps its worker."""
    body = """(local $done i32)
      (if (local.get $id)
        (then (drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))
          (drop (memory.atomic.notify (local.get $p0) (i32.const 1))))
        (else (loop $again
          (local.set $done (i32.atomic.load (local.get $p0)))
          (if (i32.lt_u (local.get $done) (i32.const 40))
            (then (drop (memory.atomic.wait32 (local.get $p0) (local.get $done) (i64.const -1)))
              (br $again))))))"""
    p = program(kernel_wat(body), limits=ParallelLimits(workers=2, seconds=30))
    device = p.device(CPU)
    assert p.exec(device, 64, p.buffer(device, 4)) == 0
    assert sorted(p.context.runs[-1].by_worker) == [0, 1]


def test_hints_and_handles() -> None:
    p = program(COUNT)
    handles = [p.device(kind) for kind in DeviceKind]
    assert handles[0] != handles[1] == handles[2] == handles[3]
    assert handles == [p.device(kind) for kind in DeviceKind] and 0 not in handles
    forced = program(COUNT, force_device=DeviceKind.SEQUENTIAL)
    assert len({forced.device(kind) for kind in DeviceKind}) == 1


def test_the_kernel_bytes_may_be_anything_after_the_call_started() -> None:
    """They are copied once: a kernel that overwrites them (policy alias) still runs to its end."""
    body = f"(memory.fill (i32.const {KERNEL_AT}) (i32.const 0) (i32.const 64))"
    p = program(kernel_wat(body, 0))
    assert p.exec(p.device(CPU), 8) == 0
    assert p.exec(p.device(CPU), 8) == Errno.INVALID_KERNEL


# ---- schedules, strict mode, diagnostics ----------------------------------------------------------------------------


@pytest.mark.parametrize("grouping", ["guided", "one", "block", "whole"])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffle:4"])
def test_a_schedule_has_every_iteration_once(grouping: str, order: str) -> None:
    policies = Policies.parse(f"grouping={grouping},order={order}")
    for count, block, workers in itertools.product([0, 1, 2, 7, 100, 70_001], [0, 1, 3, 64, 0xFFFFFFFF], [1, 3]):
        schedule, ids, start = Schedule(count, block, policies), [], 0
        while start < schedule.units:
            stop = min(start + schedule.share(schedule.units - start, workers), schedule.units)
            assert stop > start
            ids += schedule.ids(start, stop)
            start = stop
            if len(ids) > 5000:  # enough of it
                break
        assert len(ids) == len(set(ids))
        assert len(ids) > 5000 or sorted(ids) == list(range(count))
        assert all(0 <= i < count for i in ids)


@DEVICES
@MEMORIES
def test_strict_mode_reports_what_the_kinds_speak_against(hint: DeviceHint, memory: str) -> None:
    body = """(i32.store offset=4 (local.get $p0) (i32.load (local.get $p1)))
      (i32.store (local.get $p2) (i32.load (local.get $p2)))"""
    p = program(kernel_wat(body, 3), memory, strict=True, limits=ParallelLimits(workers=1))
    device = p.device(hint)
    handles = [p.buffer(device, 8, kind) for kind in (0, 1, 2)]
    for index, handle in enumerate(handles):
        p.call("write_buffer", PLACE + 64 * index, 8, handle)
    for _ in range(2):
        assert p.exec(device, 5, *handles) == 0
        found = [(v.iteration, v.action, v.handle, v.place.name) for v in p.context.runs[-1].violations]
        assert found == [(0, "reads", handles[1], "kernel"), (0, "writes", handles[0], "kernel")]
    assert "created with kind read (PAR-BUF-03)" in str(p.context.runs[-1].violations[1])


@pytest.mark.parametrize(
    ("kind", "instruction", "actions"),
    [
        (0, "(memory.fill (local.get $p0) (i32.const 0) (i32.const 1))", ["writes"]),
        (0, "(memory.fill (i32.sub (local.get $p0) (i32.const 8)) (i32.const 0) (i32.const 8))", []),
        (1, "(memory.copy (i32.const 64) (local.get $p0) (i32.const 2))", ["reads"]),
        (0, "(memory.copy (local.get $p0) (i32.const 64) (i32.const 2))", ["writes"]),
        (0, '(memory.init $d (local.get $p0) (i32.const 0) (i32.const 2))', ["writes"]),
        (0, "(drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))", ["writes"]),
        (1, "(drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))", ["reads"]),
        (1, "(drop (memory.atomic.wait32 (local.get $p0) (i32.const 1) (i64.const 0)))", ["reads"]),
        (1, "(drop (memory.atomic.notify (local.get $p0) (i32.const 1)))", []),
        (0, "(v128.store (i32.sub (local.get $p0) (i32.const 15)) (v128.const i64x2 0 0))", ["writes"]),
        (1, "(drop (v128.load8_splat (local.get $p0)))", ["reads"]),
        (0, "(i32.store offset=8 (local.get $p0) (i32.const 1))", []),
    ],
)  # fmt: skip
def test_strict_mode_sees_bulk_and_atomic_accesses(kind: int, instruction: str, actions: list[str]) -> None:
    p = program(kernel_wat(instruction, extra='(data $d "abcd")'), strict=True)
    device = p.device(SEQUENTIAL)
    handle = p.buffer(device, 8, kind)
    p.call("write_buffer", PLACE, 8, handle)
    assert p.exec(device, 3, handle) == 0
    assert [v.action for v in p.context.runs[-1].violations] == actions


@DEVICES
def test_new_objects_repeat_nothing(hint: DeviceHint) -> None:
    """A kernel that changes objects gets new ones for each iteration; its segments and start function act once."""
    extra = """(type $a (array (mut i32))) (global $arr (ref $a) (array.new $a (i32.const 3) (i32.const 2)))
      (data (i32.const 512) "\\05\\00\\00\\00") (global $g (mut i32) (i32.const 0))
      (start $init) (func $init (global.set $g (i32.const 9)))"""
    body = """(drop (i32.atomic.rmw.add (i32.const 512) (i32.const 1)))
      (if (i32.ne (array.get $a (global.get $arr) (i32.const 0)) (i32.const 3)) (then (unreachable)))
      (if (i32.ne (global.get $g) (i32.const 9)) (then (unreachable)))
      (array.set $a (global.get $arr) (i32.const 0) (i32.const 7))"""
    p = program(kernel_wat(body, 0, extra=extra), limits=ParallelLimits(workers=1, fuel=1000))
    assert p.exec(p.device(hint), 50) == 0, p.failures
    assert p.memory.load(4, 512) == 55


def test_the_fuel_of_the_program_bounds_its_kernels() -> None:
    p = program(kernel_wat("(loop (br 0))", 0), settings=e.Settings(fuel=5000))
    assert p.exec(p.device(SEQUENTIAL), 1) == Errno.RESOURCE_LIMIT


def test_failures_name_their_rule() -> None:
    p = program(kernel_wat("(unreachable)"))
    device = p.device(CPU)
    handle = p.buffer(device, 4)
    p.call("write_buffer", PLACE, 5, handle)
    p.exec(device, 1, 4711)
    p.exec(device, 3, handle)
    assert [f.rule for f in p.failures] == ["PAR-BUF-01", "PAR-BUF-05", "PAR-EXEC-07"]
    assert re.match(  # all three trap, and any of them may be the first
        r"parallel_exec: kernel_trap in iteration [0-2]: unreachable \(PAR-EXEC-07\)\n    at func\[0\] \$kernel 0x",
        str(p.failures[-1]),
    )
    with pytest.raises(Trap, match=r"misaligned pointer 0x1: .*\(argument buffer_out; PAR-ARG-01\)"):
        p.call("create_buffer", device, 4, 0, 1)


# ---- many ------------------------------------------------------------------------------------------------------------


def test_ten_thousand_buffers() -> None:
    p = program(COUNT, limits=ParallelLimits(buffers=10_000, workers=2))
    device = p.device(CPU)
    handles = [p.buffer(device, 16) for _ in range(10_000)]
    assert len(set(handles)) == 10_000
    assert p.call("create_buffer", device, 16, 2, 0) == Errno.RESOURCE_LIMIT
    for handle in handles[::1111]:
        assert p.exec(device, 4, handle) == 0
        assert words(read_back(p, handle, 16)) == (1, 1, 1, 1)


def test_a_thousand_guests_leave_nothing() -> None:
    """One after the other: no process, mapping, descriptor or memory is left of them."""

    def use() -> None:
        p = program(COUNT)
        device = p.device(CPU)
        handle = p.buffer(device, 4096)
        assert p.exec(device, 3, handle) == 0
        p.context.close()

    def left() -> tuple[int, int, int]:
        gc.collect()
        return len(multiprocessing.active_children()), len(os.listdir("/proc/self/fd")), resident_kilobytes()

    for _ in range(100):
        use()
    processes, descriptors, memory = left()
    for _ in range(900):
        use()
    assert left()[0] == processes and left()[1] <= descriptors + 3
    assert left()[2] < memory + 20_000


def resident_kilobytes() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
