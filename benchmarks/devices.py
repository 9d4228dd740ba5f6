"""How fast the devices are: ``python -m benchmarks.devices [PART…] [--device NAME…]``. Needs the extra ``test``.

The parts are ``examples`` (the five examples on every device that is here, seconds in the kernel), ``dispatch`` (an
execution of one empty iteration, and one more empty iteration) and ``native`` (the mandelbrot kernel on NATIVE against
wasmtime called directly, two workers against one, and both against gcc -O2 with OpenMP, where there is a gcc). Ratios
are of best times in one run; those of workers mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.host.parallel import ParallelLimits
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.native import binding
from refwasm.host.parallel.kernels import Kernel
from refwasm.program import Program
from tools.guests import CPU, EXAMPLES, SEQUENTIAL, DeviceHint, kernel_wat, program

#: Arguments of the examples: large enough to measure, small enough for SEQUENTIAL.
SIZES = {
    "nstream": ["400000", "1"], "sum": ["400000"], "mandelbrot": ["192", "128"], "matmul": ["96"],
    "histogram": ["200000"],
}  # fmt: skip
WIDTH, HEIGHT, LIMIT = 1024, 1024, 250
PLACE = 1 << 20


def devices() -> list[str]:
    """What is here, by the names that the command takes."""
    found = (item for name in registry.names() for item in registry.backend(name).found())
    return ["sequential", "cpu", *(item.spec for item in found if not item.problem)]


def best(function: Callable[[], float], times: int = 5) -> float:
    """The least of what a function gives."""
    return min(function() for _ in range(times))


# ---- examples -------------------------------------------------------------------------------------------------------


def examples(chosen: list[str]) -> None:
    """A table: milliseconds in the kernel, the best of three runs."""
    print(f"{'milliseconds':34} " + " ".join(f"{name:>10}" for name in SIZES))
    for device in chosen:
        times = [best(partial(_example, name, device), 3) * 1e3 for name in SIZES]
        print(f"{device:34} " + " ".join(f"{ms:10.2f}" for ms in times), flush=True)


def _example(name: str, device: str) -> float:
    """Seconds that the executions of one run took, without making instances."""
    from refwasm.cli.run import _device

    with (
        open(os.devnull, "w") as sink,
        Program((EXAMPLES / f"{name}.wasm").read_bytes(), [name, *SIZES[name]], device=_device(device),
                stdout=sink.fileno()) as running,
    ):  # fmt: skip
        assert running.run() == 0
        return sum(run.kernel_seconds for run in running.runs)


# ---- dispatch -------------------------------------------------------------------------------------------------------


def dispatch(chosen: list[str]) -> None:
    """Microseconds of an execution, and nanoseconds of an iteration."""
    print("empty kernel: microseconds per execution, nanoseconds per iteration, one worker")
    for device in chosen:
        hint: DeviceHint = {"sequential": SEQUENTIAL, "cpu": CPU}.get(device, device)
        p = program(kernel_wat("", 0), limits=ParallelLimits(workers=1))
        handle = p.device(hint)

        def run(count: int, p: Any = p, handle: int = handle) -> float:
            began = time.perf_counter()
            assert p.exec(handle, count) == 0
            return time.perf_counter() - began

        run(1)
        once = statistics.median(run(1) for _ in range(500))
        many = 20_000 if device in ("sequential", "cpu") else 20_000_000
        print(f"{device:12} {once * 1e6:8.0f} {best(partial(run, many), 3) / many * 1e9:8.1f}")


# ---- native ---------------------------------------------------------------------------------------------------------


def kernel_in(name: str) -> bytes:
    """The kernel that an example's data hold."""
    whole = (EXAMPLES / f"{name}.wasm").read_bytes()
    start = whole.index(b"\0asm", 4)
    for end in range(start + 8, len(whole)):
        try:
            return Kernel(whole[start:end]).data
        except Exception:  # cut off in the middle
            continue
    raise ValueError(f"{name} has no kernel")


def native(chosen: list[str]) -> None:
    """Ratios of the mandelbrot kernel."""
    binary = kernel_in("mandelbrot")
    one, two = (best(partial(_on_native, binary, n)) for n in (1, 2))
    direct = best(partial(_direct, binary))
    print(f"mandelbrot {WIDTH}x{HEIGHT}, limit {LIMIT}: NATIVE with one worker {one:.3f} s, with two {two:.3f} s")
    print(f"  wasmtime called directly {direct:.3f} s: one worker takes {one / direct:.2f} times that")
    print(f"  two workers are {one / two:.2f} times as fast as one")
    if shutil.which("gcc") is None:
        print("  no gcc: nothing to compare with")
        return
    for threads, ours in ((1, one), (2, two)):
        theirs = best(partial(_openmp, threads), 3)
        print(f"  gcc -O2 -fopenmp, {threads} threads: {theirs:.3f} s; NATIVE takes {ours / theirs:.2f} times that")


def _on_native(binary: bytes, workers: int) -> float:
    memory = "64 64 shared"
    p = program(binary, memory, limits=ParallelLimits(workers=workers))
    device = p.device("native")
    view, steps = p.buffer(device, 12), p.buffer(device, WIDTH * HEIGHT)
    p.memory.write(PLACE - 64, struct.pack("<3I", WIDTH, HEIGHT, LIMIT))
    p.call("write_buffer", PLACE - 64, 12, view)
    p.call("write_buffer", PLACE, WIDTH * HEIGHT, steps)
    assert p.exec(device, 1, view, steps) == 0
    began = time.perf_counter()
    assert p.exec(device, HEIGHT, view, steps) == 0
    return time.perf_counter() - began


def _direct(binary: bytes) -> float:
    """A loop in WebAssembly that calls the kernel, in wasmtime."""
    api = binding.api()
    engine = binding.make_engine()
    memory = binding.make_shared_memory(engine, 64, Kernel(binary).memory_type.limits.maximum or 64)
    ctypes.memmove(binding.address_of(memory) + PLACE - 64, struct.pack("<3I", WIDTH, HEIGHT, LIMIT), 12)
    store = api.Store(engine)
    inner = api.Instance(store, api.Module(engine, binary), [memory]).exports(store)
    loop = f"""(module (import "" "kernel" (func $k (param i32 i32 i32 i32 i32 i32 i32)))
      (func (export "run") (local $i i32) (loop
        (call $k (local.get $i) (i32.const {HEIGHT}) (i32.const 1) (i32.const {PLACE - 64}) (i32.const 12)
          (i32.const {PLACE}) (i32.const {WIDTH * HEIGHT}))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {HEIGHT}))))))"""
    outer = api.Module(engine, e.module_encode(e.module_parse(loop)))
    run = api.Instance(store, outer, [inner["kernel"]]).exports(store)["run"]
    began = time.perf_counter()
    run(store)
    return time.perf_counter() - began


def _openmp(threads: int) -> float:
    """The same kernel, compiled to machine code; seconds as the program measures them."""
    source = f"""
    #include <stdint.h>
    #include <stdio.h>
    #include <time.h>
    #define KERNEL static void kernel
    #define _WASI_PARALLEL_H
    {(EXAMPLES / "mandelbrot_kernel.c").read_text().replace('#include "wasi_parallel.h"', "")}
    static uint8_t steps[{WIDTH * HEIGHT}];
    int main(void) {{
      struct view view = {{{WIDTH}, {HEIGHT}, {LIMIT}}}; struct timespec a, b;
      #pragma omp parallel
      {{ }}
      clock_gettime(CLOCK_MONOTONIC, &a);
      #pragma omp parallel for schedule(guided)
      for (uint32_t i = 0; i < {HEIGHT}; i++) kernel(i, {HEIGHT}, 1, &view, sizeof view, steps, sizeof steps);
      clock_gettime(CLOCK_MONOTONIC, &b);
      printf("%.9f\\n", (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) * 1e-9);
      return steps[7] == 255; }}"""
    with tempfile.TemporaryDirectory() as folder:
        program_file = Path(folder) / "native"
        subprocess.run(["gcc", "-O2", "-fopenmp", "-x", "c", "-", "-o", str(program_file)], input=source, text=True,
                       check=True)  # fmt: skip
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run([str(program_file)], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="examples, dispatch, native")
    parser.add_argument("--device", action="append", metavar="NAME", help="only these")
    chosen = parser.parse_args()
    known = {"examples": examples, "dispatch": dispatch, "native": native}
    for part in chosen.parts:
        if part not in known:
            parser.error(f"{part!r} is no part: expected {', '.join(known)}")
    for part in chosen.parts or known:
        known[part](chosen.device or devices())


if __name__ == "__main__":
    main()
