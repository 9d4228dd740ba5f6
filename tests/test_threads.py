"""wasi-threads: how programs end, whatever the other threads are doing, in processes and interleaved."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from refwasm import Program, ResourceLimit, Trap, Unlinkable
from refwasm import embedding as e
from refwasm.binary import encode
from refwasm.host.parallel.types import DeviceKind
from refwasm.text import parse_module
from refwasm.text.printer import quote
from tests.support import IMPORTS

HOW = pytest.mark.parametrize("how", ["processes", "interleaved", "interleaved:5"])

#: What the other thread does when the program ends.
OTHERS = {
    "spinning": "(loop (br 0))",
    "waiting": "(drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1)))",
    "polling": """(i64.store (i32.const 216) (i64.const 100000000000)) (i32.store (i32.const 208) (i32.const 1))
      (drop (call $poll (i32.const 192) (i32.const 320) (i32.const 1) (i32.const 400)))""",
    "reading": """(i32.store (i32.const 128) (i32.const 160)) (i32.store (i32.const 132) (i32.const 4))
      (drop (call $fd_read (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 140)))""",
    "finished": "",
}
#: How the thread that ends the program does so, and the exit code.
ENDS = {"exit": ("(call $exit (i32.const 33))", 33), "trap": ("(unreachable)", 134), "return": ("", 0)}
SLEEP = "(drop (memory.atomic.wait32 (i32.const 96) (i32.const 0) (i64.const 200000000)))"


def module(main: str, thread: str, extra: str = "") -> str:
    return f"""(module
      (import "env" "mem" (memory 1 4 shared))
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (export "memory" (memory 0)) {extra}
      (func $print (param $at i32) (param $size i32)
        (i32.store (i32.add (local.get $at) (i32.const 100)) (local.get $at))
        (i32.store (i32.add (local.get $at) (i32.const 104)) (local.get $size))
        (drop (call $fd_write (i32.const 1) (i32.add (local.get $at) (i32.const 100)) (i32.const 1)
          (i32.add (local.get $at) (i32.const 108)))))
      (func $work (param $tid i32) (param $arg i32) {thread})
      (func (export "wasi_thread_start") (param i32 i32) (call $work (local.get 0) (local.get 1)))
      (func (export "_start") {main}))"""


def run(path: Path, how: str, source: str) -> tuple[int, bytes, bytes]:
    """Run a program whose standard input never ends and never gives anything."""
    path.write_text(source)
    command = [sys.executable, "-m", "refwasm", "run", "--threads", how, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            code = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return code, process.stdout.read(), process.stderr.read()


#: Who ends the program, how, and what the other one is doing. (A thread that returns ends nothing, and a main thread
#: that has finished has ended the program.)
MATRIX = [("main", end, other) for end in ENDS for other in OTHERS] + [
    ("thread", end, other) for end in ENDS for other in OTHERS if end != "return" and other != "finished"
]


@HOW
@pytest.mark.parametrize(("ending", "end", "other"), MATRIX)
def test_the_end_of_one_is_the_end_of_all(tmp_path: Path, how: str, end: str, other: str, ending: str) -> None:
    act, code = ENDS[end]
    spawn = "(if (i32.le_s (call $spawn (i32.const 7)) (i32.const 0)) (then (unreachable)))"
    if ending == "main":
        source = module(f"{spawn} {SLEEP} {act}", OTHERS[other])
    else:
        source = module(f"{spawn} {OTHERS[other]} (unreachable)", f"{SLEEP} {act}")
    start = time.monotonic()
    got, _, errors = run(tmp_path / "p.wat", how, source)
    assert got == code, errors
    assert time.monotonic() - start < 10
    if end == "trap":
        where = b"$work" if ending == "thread" else b"func["
        assert errors.startswith(b"refwasm: trap: unreachable\n    at ") and where in errors


@HOW
def test_threads_share_memory_and_descriptors_and_have_numbers(tmp_path: Path, how: str) -> None:
    """Each thread writes its own line; the numbers are different and in range; main waits for all."""
    main = """(local $i i32) (local $t i32)
      (loop $more
        (local.set $t (call $spawn (local.get $i)))
        (if (i32.or (i32.le_s (local.get $t) (i32.const 0)) (i32.ge_s (local.get $t) (i32.const 0x20000000)))
          (then (unreachable)))
        (i32.store (i32.add (i32.const 1024) (i32.shl (local.get $t) (i32.const 2))) (i32.const 1))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
      (loop $wait
        (local.set $t (i32.atomic.load (i32.const 64)))
        (if (i32.lt_u (local.get $t) (i32.const 5)) (then
          (drop (memory.atomic.wait32 (i32.const 64) (local.get $t) (i64.const 1000000000))) (br $wait))))"""
    thread = """(local $at i32)
      (local.set $at (i32.add (i32.const 4096) (i32.mul (local.get $arg) (i32.const 256))))
      (i32.store (local.get $at) (i32.const 0x0a3a2074))
      (i32.store8 (i32.add (local.get $at) (i32.const 1)) (i32.add (local.get $arg) (i32.const 48)))
      (call $print (local.get $at) (i32.const 4))
      (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
      (drop (memory.atomic.notify (i32.const 64) (i32.const 1)))"""
    code, out, errors = run(tmp_path / "p.wat", how, module(main, thread))
    assert code == 0 and sorted(out.splitlines()) == [b"t%d:" % i for i in range(5)], (out, errors)


def test_interleaved_runs_are_reproducible(tmp_path: Path) -> None:
    """The order of two threads' lines depends on the seed, and on nothing else."""
    main = """(drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1)))
      (loop $wait (br_if $wait (i32.lt_u (i32.atomic.load (i32.const 64)) (i32.const 2))))"""
    thread = """(local $i i32) (local $at i32)
      (local.set $at (i32.add (i32.const 4096) (i32.mul (local.get $arg) (i32.const 256))))
      (i32.store8 (local.get $at) (i32.add (local.get $arg) (i32.const 48)))
      (loop $more
        (drop (i32.atomic.load (i32.const 64)))
        (call $print (local.get $at) (i32.const 1))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
      (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))"""
    path = tmp_path / "p.wat"
    outputs = {seed: run(path, f"interleaved:{seed}", module(main, thread))[1] for seed in range(4)}
    assert all(sorted(out) == sorted(b"01" * 10) for out in outputs.values())
    assert len(set(outputs.values())) > 1
    assert run(path, "interleaved:2", module(main, thread))[1] == outputs[2]


@HOW
def test_too_many_threads_are_refused_with_a_number(tmp_path: Path, how: str) -> None:
    main = """(local $i i32)
      (loop $more
        (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0)) (then (call $exit (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more))"""
    code, _, errors = run(tmp_path / "p.wat", how, module(main, OTHERS["waiting"]))
    assert 50 <= code <= 60, errors


def test_each_thread_has_an_instance_of_its_own() -> None:
    main = """(global.set $g (i32.const 5)) (drop (call $spawn (i32.const 0)))
      (loop $wait (br_if $wait (i32.eqz (i32.atomic.load (i32.const 64)))))
      (call $exit (i32.atomic.load (i32.const 64)))"""
    thread = "(i32.atomic.store (i32.const 64) (i32.add (global.get $g) (local.get $tid)))"
    for how in ("processes", "interleaved"):
        with Program(module(main, thread, "(global $g (mut i32) (i32.const 8))"), threads=how) as program:
            assert program.run() == 9


def test_limits_hold_in_threads() -> None:
    spin = module("(drop (call $spawn (i32.const 0))) (loop (br 0))", "(loop (br 0))")
    for how in ("processes", "interleaved"):
        settings = e.Settings(deadline=time.monotonic() + 1)
        with Program(spin, threads=how, settings=settings) as program, pytest.raises(ResourceLimit):
            program.run()
        with Program(spin, threads=how, settings=e.Settings(fuel=10_000)) as program, pytest.raises(ResourceLimit):
            program.run()


def test_programs_that_cannot_have_threads_are_refused() -> None:
    whole = module("", "")
    for source in (
        whole.replace("(memory 1 4 shared)", "(memory 1 4)"),
        whole.replace('(export "wasi_thread_start")', ""),
        module("", "")
        .replace("(param $tid i32) (param $arg i32)", "")
        .replace("(param i32 i32) (call $work (local.get 0) (local.get 1))", "(call $work)"),
    ):
        with pytest.raises(Unlinkable):
            Program(source)
    with pytest.raises(ValueError, match="green"):
        Program(whole, threads="green")
    with Program('(module (import "a" "b" (memory 0 0 shared)) (func (export "_start")))') as program:
        assert program.run() == 0


def test_a_trap_in_a_host_call_of_a_thread_names_it() -> None:
    main = "(drop (call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 0)))"
    with Program(module(main, "")) as program, pytest.raises(Trap, match="out of bounds"):
        program.run()


@HOW
def test_absolute_clocks_are_waited_for_in_full(tmp_path: Path, how: str) -> None:
    """A wait that is tried again and again takes no longer and no shorter."""
    main = """(drop (call $spawn (i32.const 0)))
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 500)))
      (i32.store (i32.const 208) (i32.const 1)) (i32.store16 (i32.const 232) (i32.const 1))
      (i64.store (i32.const 216) (i64.add (i64.load (i32.const 500)) (i64.const 600000000)))
      (drop (call $poll (i32.const 192) (i32.const 320) (i32.const 1) (i32.const 400)))
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 600)))
      (call $exit (i32.wrap_i64 (i64.div_u (i64.sub (i64.load (i32.const 600)) (i64.load (i32.const 500)))
        (i64.const 100000000))))"""
    source = module(main, "").replace(
        '(import "wasi_snapshot_preview1" "fd_read"',
        '(import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))\n'
        '      (import "wasi_snapshot_preview1" "fd_read"',
    )
    code, _, errors = run(tmp_path / "p.wat", how, source)
    assert 6 <= code <= 9, errors


def test_a_program_that_ends_during_an_execution_leaves_nothing() -> None:
    """A thread runs a kernel without end while the main thread exits."""
    kernel = encode(
        parse_module(
            '(module (import "" "m" (memory 1 1 shared)) (func (export "kernel") (param i32 i32 i32) (loop (br 0))))'
        )
    )
    text = f"""(module (import "env" "mem" (memory 1 4 shared))
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) {IMPORTS} (export "memory" (memory 0))
      (data (i32.const 1024) {quote(kernel)})
      (func (export "wasi_thread_start") (param i32 i32)
        (drop (call $gd (i32.const 1) (i32.const 0)))
        (drop (call $pe (i32.load (i32.const 0)) (i32.const 1024) (i32.const {len(kernel)}) (i32.const 4) (i32.const 1)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
      (func (export "_start") (drop (call $spawn (i32.const 0))) {SLEEP} (call $exit (i32.const 7))))"""
    for device in (DeviceKind.SEQUENTIAL, DeviceKind.CPU):
        with Program(text, device=device) as program:
            assert program.run() == 7
        end = time.monotonic() + 5
        while time.monotonic() < end and (multiprocessing.active_children() or threading.active_count() > 1):
            time.sleep(0.05)
        assert not multiprocessing.active_children()
