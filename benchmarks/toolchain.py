"""How fast programs from the toolchain are: ``python -m benchmarks.toolchain [PART…]``. Needs the extra ``test`` and
gcc.

The parts are ``openmp`` (a stream triad, a matrix product and a mandelbrot with OpenMP, as wasi-parallel programs in
wasmtime with kernels on NATIVE, against ``gcc -O2 -fopenmp``, both with two threads) and ``link`` (seconds to compile,
link and finish a program of about a megabyte). Times are the best of several repetitions inside one process; ratios of
one run mean something, on an idle machine.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAD = """#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
static double best = 1e9, start;
#define BEGIN for (int rep = 0; rep < 8; rep++) { start = omp_get_wtime();
#define END double t = omp_get_wtime() - start; if (t < best) best = t; }
"""
PROGRAMS = {
    "triad": """int main(void) {
long n = 4000000; double *a = calloc(n, 8), *b = malloc(8 * n), *c = malloc(8 * n), s = 0;
for (long i = 0; i < n; i++) b[i] = 2, c[i] = i % 7;
BEGIN
#pragma omp parallel for
for (long i = 0; i < n; i++) a[i] += b[i] + 3.0 * c[i];
END
for (long i = 0; i < n; i++) s += a[i];
printf("%g result\\n%g seconds\\n", s, best); }""",
    "matrix product": """#define N 384
static double a[N][N], b[N][N], c[N][N];
int main(void) { double s = 0;
for (int i = 0; i < N; i++) for (int j = 0; j < N; j++) a[i][j] = i + j, b[i][j] = i - j;
BEGIN
#pragma omp parallel for
for (int i = 0; i < N; i++) { for (int j = 0; j < N; j++) c[i][j] = 0;
for (int k = 0; k < N; k++) for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j]; }
END
for (int i = 0; i < N; i++) for (int j = 0; j < N; j++) s += c[i][j];
printf("%g result\\n%g seconds\\n", s, best); }""",
    "mandelbrot": """int main(void) { int w = 512, h = 512; unsigned short *p = malloc(w * h * 2); long s = 0;
BEGIN
#pragma omp parallel for schedule(dynamic, 8)
for (int y = 0; y < h; y++) for (int x = 0; x < w; x++) {
double cr = x * 3.0 / w - 2, ci = y * 2.0 / h - 1, zr = 0, zi = 0; int n = 0;
while (n < 500 && zr * zr + zi * zi < 4) { double q = zr * zr - zi * zi + cr; zi = 2 * zr * zi + ci; zr = q; n++; }
p[y * w + x] = n; }
END
for (int i = 0; i < w * h; i++) s += p[i];
printf("%ld result\\n%g seconds\\n", s, best); }""",
}
REFWASM = (sys.executable, "-m", "refwasm")


def measured(command: list[str], env: dict[str, str] | None = None) -> tuple[str, float]:
    """What a program prints as its result, and its best time."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    seconds = re.search(r"(\S+) seconds", done.stdout)
    assert seconds is not None
    return done.stdout.split()[0], float(seconds[1])


def openmp(folder: Path) -> None:
    """A table: seconds and ratios."""
    print(f"{'two threads':16} {'wasi-parallel':>14} {'gcc':>10} {'ratio':>6}")
    for name, text in PROGRAMS.items():
        source = folder / "program.c"
        source.write_text(HEAD + text, encoding="utf-8")
        subprocess.run([*REFWASM, "cc", "-O2", "-fopenmp", str(source), "-o", str(folder / "p.wasm")], check=True)
        subprocess.run(["gcc", "-O2", "-fopenmp", str(source), "-o", str(folder / "p")], check=True)
        wasm = [*REFWASM, "run", "--engine", "wasmtime", "--workers", "2", "--env", "OMP_NUM_THREADS=2"]
        result, ours = measured([*wasm, str(folder / "p.wasm")])
        expected, theirs = measured([str(folder / "p")], {"OMP_NUM_THREADS": "2"})
        assert result == expected, (name, result, expected)
        print(f"{name:16} {ours:>14.5f} {theirs:>10.5f} {ours / theirs:>6.2f}")


def large() -> str:
    """A program with many functions and one parallel loop."""
    draw = random.Random(1)
    functions = ["static unsigned f0(unsigned x, int d) { return x + 1; }"]
    for number in range(1, 6000):
        calls = [draw.randrange(max(0, number - 50), number) for _ in range(2)]
        body = "".join(f"x ^= (x << {draw.randrange(1, 15)}) + f{c}(x % 7, d - 1);" for c in calls)
        functions.append(f"unsigned f{number}(unsigned x, int d) {{ if (d <= 0) return x; {body} return x; }}")
    return "\n".join(
        ["#include <stdio.h>", "#include <wasi_parallel.h>", *functions,
         "static void body(void *c, uint32_t i) { ((unsigned *)c)[i] = f5999(i, 3); }",
         'int main(void) { unsigned a[9]; wasi_parallel_for(body, a, 9); printf("%u\\n", a[8]); }']
    )  # fmt: skip


def link(folder: Path) -> None:
    """Seconds of the steps."""
    source, out = folder / "large.c", folder / "large.wasm"
    source.write_text(large(), encoding="utf-8")
    steps = {
        "compile": ["-O1", "-fno-inline", "-c", str(source), "-o", str(folder / "large.o")],
        "link and finish": ["-O1", str(folder / "large.o"), "-o", str(out)],
    }
    for name, words in steps.items():
        begin = time.perf_counter()
        subprocess.run([*REFWASM, "cc", *words], check=True)
        print(f"{name:16} {time.perf_counter() - begin:.2f} s")
    print(f"{'program':16} {out.stat().st_size / 1e6:.2f} MB")


PARTS = {"openmp": openmp, "link": link}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    chosen = parser.parse_args().parts or list(PARTS)
    if "openmp" in chosen and shutil.which("gcc") is None:
        parser.error("gcc is not here; choose link")
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen:
            PARTS[part](Path(folder))


if __name__ == "__main__":
    main()
