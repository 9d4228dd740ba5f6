"""CUDA without a GPU: the text compiles, and nothing in the PTX is fused, flushed or approximate."""

from __future__ import annotations

import ctypes.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from refwasm import embedding as e
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.cuda import compiler
from refwasm.host.parallel.devices.opencl import probes
from refwasm.host.parallel.devices.opencl.messages import DriverMissing, DriverRefused
from refwasm.host.parallel.devices.opencl.program import translate
from refwasm.host.parallel.kernels import ExecutionParameters, Kernel, KernelInstance
from tests.support import EXAMPLES, refwasm
from tools.cuda_on_host import SITE
from tools.device_operations import ATOMICS, LOADS, SCALARS, STORES, VECTORS, kernel_of, wrong

ARCHITECTURE = "compute_90"


def _missing() -> str:
    try:
        compiler.library()
    except DriverMissing as error:
        return str(error)
    return ""


needs_nvrtc = pytest.mark.skipif(bool(_missing()), reason=_missing())


def translated(binary: bytes) -> str:
    """The text of a kernel in CUDA."""
    kernel = Kernel(binary)
    memory = e.mem_alloc(e.store_init(), kernel.memory_type)
    return translate(kernel, KernelInstance(kernel, memory, ExecutionParameters(1, 1, ())).instance, "cuda").text


@needs_nvrtc
@pytest.mark.parametrize("part", range(0, 24, 2))
def test_every_operation_compiles_and_stays_exact(part: int) -> None:
    """The names of PTX's instructions tell: no fused or approximate one, none that flushes subnormal numbers. Every
    other part: the test on a stand-in has the rest."""
    names = [*SCALARS, *VECTORS, *LOADS, *STORES, *ATOMICS][part::24]
    made = compiler.ptx(translated(e.module_encode(e.module_parse(kernel_of(names)))), ARCHITECTURE).decode()
    assert "run_one" in made and "run_many" in made
    assert not re.search(r"\b(fma|mad)\.r|\.ftz|\.approx|\.full", made)


@needs_nvrtc
def test_the_check_of_the_text_can_fail() -> None:
    text = 'extern "C" __global__ void f(float *p) { p[0] = p[1] * p[2] + p[3]; p[4] = p[5] / p[6]; }'
    made = compiler._compiled(text, [f"--gpu-architecture={ARCHITECTURE}", "--use_fast_math"]).decode()
    assert re.search(r"\bfma\.r", made) and ".ftz" in made and ".approx" in made


@needs_nvrtc
def test_the_probes_compile() -> None:
    made = compiler.ptx(probes.text("cuda", True), ARCHITECTURE)
    assert all(f"probe{number}".encode() in made for number in range(len(probes.PROBES)))


@needs_nvrtc
@pytest.mark.parametrize("name", ["histogram", "mandelbrot", "matmul", "nstream", "sum"])
def test_the_kernels_of_the_examples_compile(name: str) -> None:
    """The kernel is a module inside of the program's data."""
    program = (EXAMPLES / f"{name}.wasm").read_bytes()
    start = program.index(b"\0asm", 4)
    kernels = []
    for end in range(start + 8, len(program)):
        try:
            kernels.append(Kernel(program[start:end]))
        except Exception:  # cut off in the middle
            continue
        break
    assert compiler.ptx(translated(kernels[0].data), ARCHITECTURE)


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, str]:
    """An environment in which CUDA's text runs on this CPU."""
    pytest.importorskip("ziglang")
    (tmp_path / "sitecustomize.py").write_text(SITE)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}


def run(script: str, env: dict[str, str]) -> str:
    """What a script prints."""
    return subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout


def test_operations_are_exact_on_a_stand_in(stand_in: dict[str, str]) -> None:
    """Those that the even parts of the test above leave out."""
    script = """
from tools.cuda_on_host import SITE
from tools.device_operations import *
names = [*SCALARS, *VECTORS, *LOADS, *STORES, *ATOMICS]
print([name for k in (1, 3, 5, 7) for name in wrong(names[k::8], 100, "cuda")])"""
    assert run(script, stand_in) == "[]\n"


def test_traps_and_generated_kernels_on_a_stand_in(stand_in: dict[str, str]) -> None:
    script = """
from refwasm.strategies.sampling import sample
from conformance.suite import load
from tools.conforming import assembled, problem_of
from tools.generated_kernels import SCALAR, as_kernel, difference, drawn_kernels
for case in load(patterns=["traps/stores*", "traps/one-of*", "policies/*-cpu"]):
    if problem := problem_of(*assembled(case.name), device="cuda"):
        print(case.name, problem)
for number, drawn in enumerate(sample(drawn_kernels(SCALAR, "any"), 8, 5)):
    if problem := difference(as_kernel(drawn.module), "cuda", number):
        print(problem)
print("done")"""
    assert run(script, stand_in) == "done\n"


@needs_nvrtc
def test_what_was_compiled_is_kept(tmp_path: Path) -> None:
    text = 'extern "C" __global__ void f() {}'
    made = compiler.ptx(text, ARCHITECTURE, str(tmp_path))
    (kept,) = (tmp_path / "cuda").iterdir()
    kept.write_bytes(b"kept")
    assert compiler.ptx(text, ARCHITECTURE, str(tmp_path)) == b"kept" != made
    with pytest.raises(DriverRefused, match="storage class"):
        compiler.ptx("nonsense", ARCHITECTURE, str(tmp_path))


def _no_gpu() -> str:
    return registry.backend("cuda").found()[0].problem


@pytest.mark.skipif(bool(_no_gpu()), reason=_no_gpu())
def test_every_operation_is_exact_on_the_gpu() -> None:
    names = [*SCALARS, *VECTORS, *LOADS, *STORES, *ATOMICS]
    assert not [name for part in range(12) for name in wrong(names[part::12], 150, "cuda")]


@pytest.mark.skipif(ctypes.util.find_library("cuda") is not None, reason="there is an NVIDIA driver")
def test_without_a_driver_one_line_says_so() -> None:
    done = refwasm("run", "--device", "cuda", str(EXAMPLES / "sum.wasm"))
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert b"there is no NVIDIA driver" in done.stderr
