"""The device OPENCL: the conformance suite, every operation, traps, what it leaves to others, and deliberate faults."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.suite import load
from refwasm.execution.numerics.table import OPERATIONS
from refwasm.host.parallel import ParallelLimits
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.child import close_processes
from refwasm.host.parallel.devices.device import Unsupported
from refwasm.host.parallel.devices.opencl import device as opencl_device
from refwasm.host.parallel.devices.opencl import operations, probes, spelling, vectors
from refwasm.host.parallel.devices.opencl.messages import DeviceFacts
from refwasm.host.parallel.types import Errno
from refwasm.strategies import DrawnModule
from refwasm.syntax.instructions import FORMS
from tests.support import EXAMPLES, SEQUENTIAL, kernel_wat, program, refwasm
from tools.conforming import assembled, problem_of
from tools.device_operations import ATOMICS, LOADS, SCALARS, STORES, VECTORS, wrong
from tools.generated_kernels import SCALAR as TRANSLATED
from tools.generated_kernels import as_kernel, difference, drawn_kernels

OPENCL = "opencl"
CASES = load()
SQUARES = """(i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))
  (i32.mul (local.get $id) (local.get $id)))"""
CHAPTERS = sorted({case.chapter for case in CASES})


pytest.importorskip("pyopencl")
FOUND = registry.backend(OPENCL).found()
USABLE = [found.spec for found in FOUND if not found.problem]
needs_device = pytest.mark.skipif(not USABLE, reason=FOUND[0].problem)


# ---- exactness ------------------------------------------------------------------------------------------------------


def test_every_scalar_and_vector_instruction_is_translated() -> None:
    """Or it is one of those that the documentation names."""
    known = {*SCALARS, *VECTORS, *LOADS, *STORES, *ATOMICS, *operations.TRAPPING}
    left = {name for name, form in FORMS.items() if form.feature in ("simd", "sign-extension", "nontrapping-fptoint",
            "wide-arithmetic") and name not in known and not name.endswith(".const")}  # fmt: skip
    assert not left


@pytest.mark.parametrize("n", ["f32", "f64"])
def test_the_probes_know_what_is_right(n: str) -> None:
    """As refwasm's own numerics have it."""
    names = {"MUL": "mul", "DIV": "div", "ADD": "add", "SQRT": "sqrt", "RINT": "nearest"}
    for what, t, expression, operands, right in probes.PROBES:
        found = re.fullmatch(r"(?:canon\d\d\()?([A-Z]+)\d\d\((a|a, b)\)\)?", expression)
        if t == n and found:
            count = 1 if found[2] == "a" else 2
            assert OPERATIONS[f"{t}.{names[found[1]]}"](*operands[:count]) == right, what


@needs_device
@pytest.mark.parametrize("part", range(7))
def test_every_operation_is_exact(part: int) -> None:
    names = [*SCALARS, *VECTORS, *LOADS, *STORES, *ATOMICS][part::7]
    assert not wrong(names, 150, OPENCL)


@needs_device
@pytest.mark.parametrize("name", operations.TRAPPING)
def test_operations_that_trap(name: str) -> None:
    """On which operands, and the results on the others."""
    form = FORMS[name]
    types = [repr(t) for t in form.params or ()]
    lines = "".join(
        f"(local.set $v{k} ({t}.load offset={16 * k} (local.get $in)))" for k, t in enumerate(types)
    )  # fmt: skip
    locals_ = "(local $in i32)" + "".join(f"(local $v{k} {t})" for k, t in enumerate(types))
    given = " ".join(f"(local.get $v{k})" for k in range(len(types)))
    body = f"""{locals_} (local.set $in (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 5)))) {lines}
      ({form.results[0]!r}.store (local.get $in) ({name} {given}))"""  # type: ignore[index]
    from refwasm.execution.numerics.edges import EDGES

    edges = EDGES[types[0]][:24]
    pairs = [(a, b) for a in edges for b in (edges if len(types) == 2 else edges[:1])][:200]
    told: dict[Any, list[Any]] = {}
    for hint in (SEQUENTIAL, OPENCL):
        p = program(kernel_wat(body, memory="1 8 shared"), "2 8 shared")
        device = p.device(hint)
        handle = p.buffer(device, 32)
        for a, b in pairs:
            p.memory.write(65536, a.to_bytes(16, "little") + b.to_bytes(16, "little"))
            p.call("write_buffer", 65536, 32, handle)
            code = p.exec(device, 1, handle)
            told.setdefault(hint, []).append(
                (code, p.failures[-1].message if code else p.memory.read(65536, 16))
            )  # fmt: skip
    assert told[SEQUENTIAL] == told[OPENCL]
    assert {code for code, _ in told[OPENCL]} == {Errno.SUCCESS, Errno.KERNEL_TRAP}


# ---- conformance, traps, ends ---------------------------------------------------------------------------------------


@needs_device
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_case_on_the_device(chapter: str) -> None:
    problems = {}
    for name in [case.name for case in CASES if case.chapter == chapter]:
        case, binary = assembled(name)
        if problem := problem_of(case, binary, device=OPENCL):
            problems[name] = problem
    assert not problems


@needs_device
def test_a_trap_tells_all_active_calls() -> None:
    extra = """(func $inner (param i32) (result i32) (i32.load (local.get 0)))
      (func $outer (param i32) (result i32) (i32.add (i32.const 1) (call $inner (local.get 0))))"""
    body = "(if (i32.eq (local.get $id) (i32.const 7)) (then (drop (call $outer (i32.const -4)))))"
    told = []
    for hint in (SEQUENTIAL, OPENCL):
        p = program(kernel_wat(body, 0, extra=extra))
        assert p.exec(p.device(hint), 10) == Errno.KERNEL_TRAP
        told.append(p.failures[-1])
    assert told[0] == told[1] and told[1].iteration == 7
    assert [entry.name for entry in told[1].backtrace] == ["inner", "outer", "kernel"]


LEFT = {
    "(drop (memory.grow (i32.const 0)))": "memory.grow",
    "(drop (ref.null func))": "ref.null",
    "(call $again)": "recursion: function 0 calls itself",
    "(loop (br_if 0 (i32.atomic.load (i32.const 8192))))": "a loop that may wait for other iterations",
}


@needs_device
@pytest.mark.parametrize("body", LEFT)
def test_what_it_cannot_do_runs_on_the_cpu_and_is_told(body: str) -> None:
    p = program(kernel_wat(body, 0, extra="(func $again (if (i32.const 0) (then (call $again))))"))
    assert p.exec(p.device(OPENCL), 3) == 0
    assert p.context.runs[-1].name == "CPU" and LEFT[body] in p.context.runs[-1].instead


@needs_device
def test_a_device_that_is_not_exact_does_not_get_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    found = opencl_device._facts
    monkeypatch.setattr(opencl_device, "_facts", lambda process: found(process)._replace(inexact=("f32 division: …",)))
    for body, instead in (("(drop (f32.add (f32.const 1) (f32.const 2)))", True), ("(nop)", False)):
        p = program(kernel_wat(body, 0))
        assert p.exec(p.device(OPENCL), 3) == 0
        assert ("not exact: f32 division" in p.context.runs[-1].instead) == instead


@needs_device
def test_a_kernel_that_never_ends_is_ended_with_its_process() -> None:
    p = program(kernel_wat("(loop (br 0))", 0), limits=ParallelLimits(seconds=1.0))
    began = time.monotonic()
    assert p.exec(p.device(OPENCL), 2) == Errno.RESOURCE_LIMIT
    assert time.monotonic() - began < 10
    q = program(kernel_wat("(nop)", 0))
    assert q.exec(q.device(OPENCL), 2) == 0 and not q.context.runs[-1].instead


@needs_device
@pytest.mark.parametrize("name", ["histogram", "mandelbrot", "matmul", "nstream", "sum"])
def test_the_examples_say_that_they_are_correct(name: str) -> None:
    done = refwasm("run", "--device", "opencl", "--stats", str(EXAMPLES / f"{name}.wasm"))
    assert done.returncode == 0 and b"correct" in done.stdout and b": OPENCL (" in done.stderr


@needs_device
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=drawn_kernels(TRANSLATED, "any"), seed=st.integers(0, 99))
def test_generated_kernels(drawn: DrawnModule, seed: int) -> None:
    assert not difference(as_kernel(drawn.module), OPENCL, seed)


# ---- deliberate faults ----------------------------------------------------------------------------------------------

SCALAR, VECTOR, TWO = operations.EXPRESSIONS, vectors.STATEMENTS, operations.WIDE
FAULTS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a shift is not masked": (SCALAR, "i32.shl", "b & 31", "(b > 31 ? 31 : b)"),
    "a 64-bit shift is masked as a 32-bit one": (SCALAR, "i64.shr_u", "b & 63", "b & 31"),
    "unsigned for signed shift": (SCALAR, "i32.shr_s", "(s32)a", "a"),
    "unsigned for signed comparison": (SCALAR, "i32.lt_s", "(s32)a < (s32)b", "a < b"),
    "signed for unsigned comparison": (SCALAR, "i64.gt_u", "a > b", "(s64)a > (s64)b"),
    "rotl turns the other way": (SCALAR, "i32.rotl", "-b", "(1 - b)"),
    "ctz of zero": (SCALAR, "i32.ctz", "~a & (a - 1)", "a ? ~a & (a - 1) : 0"),
    "extend8_s extends zeros": (SCALAR, "i32.extend8_s", "(u32)(s32)(s8)a", "a & 255"),
    "extend_i32_u extends the sign": (SCALAR, "i64.extend_i32_u", "(u64)a", "(u64)(s64)(s32)a"),
    "a NaN is not made canonical": (SCALAR, "f32.sqrt", "canon32(SQRT32(a))", "SQRT32(a)"),
    "min of a NaN is the other operand": (SCALAR, "f32.min", "min32(a, b)", "a < b ? a : b"),
    "max of two zeros is the first": (SCALAR, "f64.max", "max64(a, b)", "a != a || b != b ? NAN64 : a < b ? b : a"),
    "nearest rounds ties up": (SCALAR, "f32.nearest", "RINT32(a)", "FLOOR32(a + 0.5f)"),
    "copysign takes the wrong sign": (SCALAR, "f64.copysign", "BITS64(b)", "BITS64(a)"),
    "a signalling NaN is promoted as it is": (SCALAR, "f64.promote_f32", "NAN64", "FLOAT64(0x7FF0000000000001ul)"),
    "convert_u takes the number as signed": (SCALAR, "f32.convert_i32_u", "(f32)a", "(f32)(s32)a"),
    "saturation gives zero": (SCALAR, "i32.trunc_sat_f32_s", "0x7FFFFFFFu", "0"),
    "a carry is lost": (TWO, "i64.add128", " + (lo < a)", ""),
    "mul_wide_s is unsigned": (TWO, "i64.mul_wide_s", "MULHI_S", "MULHI_U"),
    "lanes do not saturate": (VECTOR, "i8x16.add_sat_s", "x > 127 ? 127", "x > 127 ? x"),
    "narrow_u takes lanes as unsigned": (VECTOR, "i8x16.narrow_i16x8_u", "(s64)(s16)", "(s64)(u16)"),
    "a mask has only its lowest bit": (VECTOR, "i16x8.eq", "(u16)-1", "1"),
    "the high half is the low half": (VECTOR, "i16x8.extmul_high_i8x16_s", "k + 8", "k"),
    "pmin of a NaN is the other operand": (VECTOR, "f32x4.pmin", "b.f[k] < a.f[k]", "!(a.f[k] <= b.f[k])"),
}  # fmt: skip


@needs_device
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_translator_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, name, old, new = FAULTS[fault]
    assert old in table[name]
    monkeypatch.setitem(table, name, table[name].replace(old, new))
    assert wrong([name], 1500, OPENCL) == [name]


@needs_device
def test_a_wrong_bound_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from refwasm.host.parallel.devices.opencl import memory_access

    body = "(drop (i32.load (i32.const 65533)))"

    def told() -> int:
        p = program(kernel_wat(body, 0, memory="1 1 shared"), "1 1 shared")
        return p.exec(p.device(OPENCL), 1)

    assert told() == Errno.KERNEL_TRAP
    place = memory_access.place
    monkeypatch.setattr(memory_access, "place", lambda to, memarg, width: place(to, memarg, width - 1))
    opencl_device._programs.clear()
    assert told() == 0
    opencl_device._programs.clear()


@needs_device
@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("MUL32(a, b)", "((a) * (b) * 1.0000001f)", "f32 subnormal"),
        ("DIV32(a, b)", "((a) * (1.0f / (b)))", "f32 division"),
        ("ADD32(a, b)", "fma(1.0000001f, a, b)", "f32"),
        ("SQRT32(x)", "native_sqrt(x * 1.00001f)", "f32 square root"),
        ("RINT32(x)", "round(x)", "f32 rounding"),
    ],
)
def test_the_probes_notice_what_is_not_exact(
    name: str, text: str, what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a process of their own, which takes its spelling from an altered table."""
    hook = tmp_path / "sitecustomize.py"
    hook.write_text(
        "from refwasm.host.parallel.devices.opencl import spelling\n"
        f"spelling.MACROS[{name!r}] = spelling.Spelling({text!r}, '')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = refwasm("devices", "--json", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    (found,) = (item for item in json.loads(done.stdout)["devices"] if item["spec"] == USABLE[0])
    assert any("inexact" in fact and what in fact for fact in found["facts"])


@needs_device
def test_a_driver_that_builds_nothing_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from refwasm.host.parallel.devices.opencl import spelling\nspelling.COMMON = '#error no such processor'\n"
    )
    done = refwasm("devices", "--json", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    for found in json.loads(done.stdout)["devices"]:
        if found["spec"].startswith(OPENCL):
            assert found["problem"].startswith("its driver can't build any kernel: "), found
            assert "\n" not in found["problem"]


def test_the_name_alone_is_the_first_device_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [DeviceFacts(k, 0, f"d{k}", "", kind, 0, True, True) for k, kind in enumerate(("cpu", "cpu", "gpu"))]

    def made(language: str, platform: int, device: int, limits: ParallelLimits) -> str:
        if platform != 1:
            raise Unsupported(f"d{platform} is broken")
        return f"d{platform}"

    monkeypatch.setattr(opencl_device, "_listed", lambda language: listed)
    monkeypatch.setattr(opencl_device, "Translating", made)
    backend = opencl_device.TranslatingBackend(OPENCL)
    assert backend.make("", ParallelLimits()) == "d1"  # type: ignore[comparison-overlap]
    with pytest.raises(Unsupported, match="d0 is broken"):
        backend.make("0:0", ParallelLimits())
    del listed[1]
    with pytest.raises(Unsupported, match="d2 is broken"):
        backend.make("", ParallelLimits())


AS_A_GPU = """
from refwasm.host.parallel.devices.opencl import driver
facts = driver.Driver._facts
driver.Driver._facts = lambda *given: facts(*given)._replace(kind="gpu", unified=False)
"""


@needs_device
def test_a_gpu_gets_hints_copies_and_work_groups(tmp_path: Path) -> None:
    """This device in its place: its process is told that it is one."""
    (tmp_path / "sitecustomize.py").write_text(AS_A_GPU)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    script = f"""
from tests.support import *
for memory in ("2 8 shared", "2 8"):
    p = program(kernel_wat({SQUARES!r}), memory)
    device = p.device(2)
    handle = p.buffer(device, 400)
    assert p.call("write_buffer", 65536, 400, handle) == 0
    assert p.exec(device, 100, handle, block=7) == 0
    assert p.call("read_buffer", handle, 65536, 400) == 0
    run = p.context.runs[-1]
    print(run.device.name, run.name[:6], run.instead, [p.memory.load(4, 65536 + 4 * k) for k in (0, 9, 99)])"""
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["DISCRETE_GPU OPENCL  [0, 81, 9801]"] * 2


# ---- the command ----------------------------------------------------------------------------------------------------


def test_devices_are_listed_with_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "pyopencl.py").write_text("raise ImportError('not here')")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = refwasm("devices", env=env)
    assert done.returncode == 0
    assert b"can't be used: pyopencl is not installed: pip install 'refwasm[opencl]'" in done.stdout
    done = refwasm(
        "run", "--device", "opencl", str(EXAMPLES / "sum.wasm"), env=os.environ | {"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert b"pip install 'refwasm[opencl]'" in done.stderr


@needs_device
def test_devices_that_there_are_not() -> None:
    for spec, message in (("opencl:9", "there is no device opencl:9"), ("opencl:x", "write numbers after the name")):
        done = refwasm("run", "--device", spec, str(EXAMPLES / "sum.wasm"))
        assert done.returncode == 1 and message.encode() in done.stderr and done.stderr.count(b"\n") == 1


def test_both_spellings_say_the_same_names() -> None:
    assert all(row.opencl and row.cuda for row in spelling.MACROS.values())
    close_processes()
