"""The device NATIVE, and whole programs in wasmtime: the conformance suite on both, and what is their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.running import judge
from conformance.suite import load
from refwasm import Crash, ResourceLimit, Trap, WasmError
from refwasm import embedding as e
from refwasm.host.parallel import ParallelLimits
from refwasm.host.parallel.devices.child import close_processes, shared_process
from refwasm.host.parallel.devices.native import device as native_device
from refwasm.host.parallel.types import Errno
from refwasm.strategies import DrawnModule
from tests.support import EXAMPLES, NATIVE, SEQUENTIAL, kernel_wat, program, refwasm
from tools.conforming import POLICIES, assembled, problem_of
from tools.generated_kernels import ANY, as_kernel, difference, drawn_kernels

wasmtime = pytest.importorskip("wasmtime")
from refwasm.native import NativeProgram, link_parallel  # noqa: E402

CASES = load()
CHAPTERS = sorted({case.chapter for case in CASES})
ADD = kernel_wat(
    """(i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))
      (i32.mul (local.get $id) (local.get $id)))"""
)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_case_on_the_native_device(chapter: str) -> None:
    problems = {}
    for name in [case.name for case in CASES if case.chapter == chapter]:
        case, binary = assembled(name)
        if problem := problem_of(case, binary, device=NATIVE):
            problems[name] = problem
    assert not problems


@pytest.mark.parametrize("chapter", ["memory", "sharing", "traps"])
def test_cases_where_memory_cannot_be_shared(chapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFWASM_NATIVE_MAPPING", "copy")
    close_processes()
    try:
        test_every_case_on_the_native_device(chapter)
    finally:
        close_processes()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_case_as_a_whole_program_in_wasmtime(chapter: str) -> None:
    problems = {}
    for name in [case.name for case in CASES if case.chapter == chapter]:
        case, binary = assembled(name)
        policies = ",".join(f"{name}={case.needs[name]}" for name in POLICIES if name in case.needs)
        limits = ParallelLimits(workers=int(case.needs.get("workers", 2)))
        with tempfile.NamedTemporaryFile() as out:
            options: dict[str, Any] = {"stdout": out.name, "policies": policies, "limits": limits}
            try:
                with NativeProgram(binary, ["program", *case.args], case.env, **options) as made:
                    code = made.run()
            except WasmError:
                code = 134
            if problem := judge(case, code, out.read().decode("utf-8", "replace")):
                problems[name] = problem
    assert not problems


# ---- the device -----------------------------------------------------------------------------------------------------

TRAPS = {
    "(unreachable)": "unreachable",
    "(drop (i32.load (i32.const -4)))": "out of bounds memory access",
    "(drop (i32.div_u (i32.const 1) (i32.const 0)))": "integer divide by zero",
    "(drop (i32.trunc_f32_s (f32.const nan)))": "invalid conversion to integer",
    "(drop (i32.atomic.load (i32.const 2)))": "unaligned atomic",
    "(call $deep)": "call stack exhausted",
    "(call_indirect (i32.const 1))": "uninitialized element",
    "(call_indirect (i32.const 9))": "undefined element",
    "(throw $t)": "uncaught exception",
    "(drop (ref.as_non_null (ref.null func)))": "null reference",
}


@pytest.mark.parametrize("body", TRAPS)
def test_a_trap_is_told_as_on_the_sequential_device(body: str) -> None:
    extra = "(table 2 funcref) (tag $t) (global $g (mut i32) (i32.const 1)) (func $deep (call $deep))"
    text = kernel_wat(f"(global.set $g (i32.const 2)) (if (i32.eq (local.get $id) (i32.const 3)) (then {body}))", 0,
                      extra=extra)  # fmt: skip
    told = []
    for hint in (SEQUENTIAL, NATIVE):
        p = program(text)
        assert p.exec(p.device(hint), 4) == Errno.KERNEL_TRAP
        told.append(p.failures[-1])
    sequential, native = told
    assert native.iteration == sequential.iteration == 3
    assert sequential.message.startswith(native.message)  # which may name the element too
    if sequential.backtrace and native.message != "unreachable":  # wasmtime gives the place of the branch to it
        assert native.backtrace[0] == sequential.backtrace[0]


def test_globals_of_every_type_start_afresh() -> None:
    kinds = {
        "i32": ("(i32.const 1)", "(i32.const 7)"), "i64": ("(i64.const 1)", "(i64.const 7)"),
        "f32": ("(f32.const nan:0x200001)", "(f32.const 1)"), "f64": ("(f64.const -nan)", "(f64.const 1)"),
        "v128": ("(v128.const i64x2 1 2)", "(v128.const i64x2 3 4)"),
        "funcref": ("(ref.null func)", "(ref.func $kernel)"),
    }  # fmt: skip
    for t, (first, later) in kinds.items():
        place = "(i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 4)))"
        seen = f"(i32.store {place} (ref.is_null (global.get $g)))"
        if t != "funcref":
            seen = f"({t}.store {place} (global.get $g))"
        text = kernel_wat(f"{seen} (global.set $g {later})", extra=f"(global $g (mut {t}) {first})").replace(
            "(func $kernel", "(elem declare func $kernel) (func $kernel"
        )
        found = []
        for hint in (SEQUENTIAL, NATIVE):
            p = program(text)
            device = p.device(hint)
            handle = p.buffer(device, 160)
            assert p.exec(device, 10, handle) == 0
            assert p.call("read_buffer", handle, 65536, 160) == 0
            found.append(p.memory.read(65536, 160))
        assert found[0] == found[1] and found[0][:16] == found[0][144:], t


def test_what_it_cannot_do_runs_on_the_cpu_and_is_told() -> None:
    p = program(ADD, force_device=NATIVE, strict=True)
    device = p.device(NATIVE)
    assert p.exec(device, 4, p.buffer(device, 16)) == 0
    assert p.context.runs[-1].name == "CPU" and "strict" in p.context.runs[-1].instead


def test_a_killed_process_is_a_crash_and_the_next_execution_works() -> None:
    p = program(kernel_wat("(loop (br_if 0 (i32.eqz (i32.atomic.load (i32.const 4096)))))", 0))
    device = p.device(NATIVE)
    process = shared_process("native", native_device._started)
    pid = process.process.pid
    subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {pid}"])
    with pytest.raises(Crash, match=r"the native process .* died of signal 9"):
        p.exec(device, 2)
    q = program(ADD)
    assert q.exec(q.device(NATIVE), 4, q.buffer(q.device(NATIVE), 16)) == 0


def test_a_kernel_that_never_ends_is_ended_with_its_process() -> None:
    p = program(kernel_wat("(loop (br 0))", 0), limits=ParallelLimits(workers=2, seconds=0.3))
    began = time.monotonic()
    assert p.exec(p.device(NATIVE), 2) == Errno.RESOURCE_LIMIT
    assert time.monotonic() - began < 10 and p.failures[-1].message == "time limit exceeded"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_after_an_end_from_outside(signal_number: int) -> None:
    script = """
from tests.support import *
p = program(kernel_wat("(loop (br 0))", 0))
d = p.device(NATIVE)
from refwasm.host.parallel.devices import child
print(child._processes["native"].process.pid, flush=True)
p.exec(d, 2)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)
        parent.send_signal(signal_number)
        parent.wait(20)
    end = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=drawn_kernels(ANY, "canonicalised"), seed=st.integers(0, 99))
def test_generated_kernels(drawn: DrawnModule, seed: int) -> None:
    assert not difference(as_kernel(drawn.module), NATIVE, seed)


# ---- the library ----------------------------------------------------------------------------------------------------


def test_an_ordinary_linker_gets_the_functions() -> None:
    """As a user of wasmtime-py would write it."""
    kernel = e.module_encode(e.module_parse(ADD))
    data = "".join(f"\\{byte:02x}" for byte in kernel)
    text = f"""(module
      (import "wasi_ephemeral_parallel" "get_device" (func $device (param i32 i32) (result i32)))
      (import "wasi_ephemeral_parallel" "create_buffer" (func $buffer (param i32 i32 i32 i32) (result i32)))
      (import "wasi_ephemeral_parallel" "parallel_exec"
        (func $exec (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (import "wasi_ephemeral_parallel" "read_buffer" (func $read (param i32 i32 i32) (result i32)))
      (memory (export "memory") 2) (data (i32.const 1024) "{data}")
      (func (export "squares") (param $n i32) (result i32)
        (drop (call $device (i32.const 1) (i32.const 0)))
        (drop (call $buffer (i32.load (i32.const 0)) (i32.shl (local.get $n) (i32.const 2)) (i32.const 1)
          (i32.const 4)))
        (drop (call $exec (i32.load (i32.const 0)) (i32.const 1024) (i32.const {len(kernel)}) (local.get $n)
          (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)))
        (drop (call $read (i32.load (i32.const 4)) (i32.const 65536) (i32.shl (local.get $n) (i32.const 2))))
        (i32.load (i32.sub (i32.add (i32.const 65536) (i32.shl (local.get $n) (i32.const 2))) (i32.const 4)))))"""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    with link_parallel(linker, limits=ParallelLimits(workers=2)) as linked:
        store = wasmtime.Store(engine)
        instance = linker.instantiate(store, wasmtime.Module(engine, text))
        assert instance.exports(store)["squares"](store, 100) == 99 * 99
        assert linked.runs[0].name == "NATIVE" and not linked.failures


def test_programs_end_as_with_refwasm() -> None:
    def run(body: str, settings: e.Settings | None = None, **more: Any) -> int:
        text = f"""(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1) (func $main (export "_start") {body}))"""
        binary = e.module_encode(e.module_parse(text))
        with NativeProgram(binary, settings=settings, **more) as made:
            return made.run()

    assert run("(call $exit (i32.const 7))") == 7
    assert run("") == 0
    with pytest.raises(Trap, match="integer divide by zero") as caught:
        run("(drop (i32.div_s (i32.const 1) (i32.const 0)))")
    assert caught.value.backtrace[0].name == "main" and caught.value.backtrace[0].location
    with pytest.raises(ResourceLimit, match="fuel"):
        run("(loop (br 0))", e.Settings(fuel=10_000))
    with pytest.raises(ResourceLimit, match="time limit"):
        run("(loop (br 0))", e.Settings(deadline=time.monotonic() + 0.3))


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [["--device", "native"], ["--engine", "wasmtime"]], ids=["device", "engine"])
@pytest.mark.parametrize("name", ["histogram", "mandelbrot", "matmul", "nstream", "sum"])
def test_the_examples_say_that_they_are_correct(name: str, how: list[str]) -> None:
    done = refwasm("run", *how, "--stats", str(EXAMPLES / f"{name}.wasm"))
    assert done.returncode == 0 and b"correct" in done.stdout and b": NATIVE, " in done.stderr


def test_the_command_with_wasmtime(tmp_path: Path) -> None:
    path = tmp_path / "add.wat"
    path.write_text("""(module (import "a" "b" (func))
      (func (export "add") (param i32 f32) (result i32 f32)
        (i32.add (local.get 0) (i32.const -2)) (f32.neg (local.get 1))))""")
    done = refwasm("run", "--engine", "wasmtime", "--invoke", "add", str(path), "1", "1.5")
    assert done.returncode == 1 and b"unknown import 'a' 'b'" in done.stderr
    path.write_text(path.read_text().replace('(import "a" "b" (func))', ""))
    done = refwasm("run", "--engine", "wasmtime", "--invoke", "add", str(path), "1", "1.5")
    assert (done.returncode, done.stdout.split()) == (0, [b"-1", b"-1.5"])
    done = refwasm("run", "--engine", "wasmtime", "--invoke", "ad", str(path))
    assert done.returncode == 2 and b"did you mean add?" in done.stderr
    done = refwasm("run", "--engine", "wasmtime", "--races", str(path))
    assert done.returncode == 2 and b"--races does not go with --engine wasmtime" in done.stderr
    done = refwasm("run", "--device", "nativ", str(path))
    assert done.returncode == 2 and b"did you mean native?" in done.stderr


def test_without_wasmtime_one_line_says_what_to_install(tmp_path: Path) -> None:
    """As if it was not there: a module of that name that can't be imported comes first."""
    (tmp_path / "wasmtime.py").write_text("raise ImportError('not here')")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    for how in (["--device", "native"], ["--engine", "wasmtime"]):
        done = refwasm("run", *how, str(EXAMPLES / "sum.wasm"), env=env)
        assert done.returncode == 1
        assert done.stderr.strip().endswith(b"wasmtime is not installed: pip install 'refwasm[native]'")
        assert b"Traceback" not in done.stderr


def test_nothing_is_kept_for_a_guest_that_has_ended() -> None:
    """The process gives up the mapping of its memory."""
    p = program(ADD)
    device = p.device(NATIVE)
    assert p.exec(device, 4, p.buffer(device, 16)) == 0
    process = shared_process("native", native_device._started)
    maps = Path(f"/proc/{process.process.pid}/maps")
    before = maps.read_text().count("memfd:refwasm")
    p.context.close()
    end = time.monotonic() + 5
    while maps.read_text().count("memfd:refwasm") >= before and time.monotonic() < end:
        time.sleep(0.05)
    assert maps.read_text().count("memfd:refwasm") < before
