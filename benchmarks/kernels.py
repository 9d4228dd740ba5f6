"""Ten kernels: WebAssembly (text, or C for zig), the size to run, and the same job by hand in Python.

Every kernel exports ``f(n)``, which prepares its own data, and returns a number that the Python function returns, too.
"""

from __future__ import annotations

import hashlib
import math
import struct
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from refwasm.binary import encode
from refwasm.text import parse_module


class Kernel(NamedTuple):
    """``size`` for compiled tiers, ``small`` for slow peers (though long enough that the first call after a while, with
    cold caches, makes no difference)."""

    name: str
    source: str
    size: int
    small: int
    python: Callable[[int], float]

    @property
    def data(self) -> bytes:
        """The module."""
        return encode(parse_module(self.source)) if self.source.startswith("(module") else compiled(self.source)


@cache
def compiled(source: str) -> bytes:
    """C to WebAssembly, as a kernel author would: ``-O2``."""
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "kernel.c", Path(folder) / "kernel.wasm"
        path.write_text(source)
        command = [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-freestanding", "-O2", "-nostdlib",
                   "-fno-builtin", "-Wl,--no-entry", "-Wl,--export=f", "-o", str(target), str(path)]  # fmt: skip
        subprocess.run(command, check=True)
        return target.read_bytes()


# ---- calls and counting ----------------------------------------------------------------------------------------------

FIB = """(module (func $fib (export "f") (param i32) (result i32)
  (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"""
SUM = """(module (func (export "f") (param i32) (result i32) (local i32 i32)
  (loop $again
    (local.set 2 (i32.add (local.get 2) (local.get 1)))
    (local.set 1 (i32.add (local.get 1) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get 1) (local.get 0))))
  (local.get 2)))"""


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def sum_(n: int) -> int:
    total = 0
    for i in range(n):
        total += i
    return total & 0xFFFFFFFF


# ---- arrays ----------------------------------------------------------------------------------------------------------

NSTREAM = """(module (memory 16)
  (func $nstream (param $a i32) (param $b i32) (param $c i32) (param $s f32) (param $n i32) (local $i i32)
    (block $done (loop $again
      (br_if $done (i32.ge_s (local.get $i) (local.get $n)))
      (f32.store (i32.add (local.get $a) (i32.shl (local.get $i) (i32.const 2)))
        (f32.add
          (f32.load (i32.add (local.get $a) (i32.shl (local.get $i) (i32.const 2))))
          (f32.add
            (f32.load (i32.add (local.get $b) (i32.shl (local.get $i) (i32.const 2))))
            (f32.mul (local.get $s) (f32.load (i32.add (local.get $c) (i32.shl (local.get $i) (i32.const 2))))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $again))))
  (func (export "f") (param $n i32) (result i32)
    (f32.store (i32.const 200000) (f32.const 1.5))
    (f32.store (i32.const 400000) (f32.const 2.25))
    (call $nstream (i32.const 0) (i32.const 200000) (i32.const 400000) (f32.const 3.1) (local.get $n))
    (i32.trunc_sat_f32_s (f32.load (i32.const 0)))))"""

MATMUL = """(module (memory 16)
  (func (export "f") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $p i32) (local $q i32) (local $row i32) (local $acc i32)
    (local $out i32)
    (loop $fill
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.mul (local.get $i) (i32.const 7)))
      (i32.store offset=65536 (i32.shl (local.get $i) (i32.const 2)) (i32.add (local.get $i) (i32.const 3)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $fill (i32.lt_u (local.get $i) (i32.mul (local.get $n) (local.get $n)))))
    (local.set $row (i32.shl (local.get $n) (i32.const 2)))
    (local.set $i (i32.const 0))
    (local.set $out (i32.const 131072))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $p (i32.mul (local.get $i) (local.get $row)))
        (local.set $q (i32.add (i32.const 65536) (i32.shl (local.get $j) (i32.const 2))))
        (local.set $k (local.get $n))
        (local.set $acc (i32.const 0))
        (loop $inner
          (local.set $acc
            (i32.add (local.get $acc) (i32.mul (i32.load (local.get $p)) (i32.load (local.get $q)))))
          (local.set $p (i32.add (local.get $p) (i32.const 4)))
          (local.set $q (i32.add (local.get $q) (local.get $row)))
          (br_if $inner (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
        (i32.store (local.get $out) (local.get $acc))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $j) (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (local.get $n))))
    (i32.load (i32.sub (local.get $out) (i32.const 4)))))"""

COPY = """(module (memory 16)
  (func (export "f") (param $n i32) (result i32) (local $from i32) (local $to i32) (local $left i32)
    (i32.store8 (i32.const 7) (i32.const 42))
    (local.set $to (i32.const 500000))
    (local.set $left (local.get $n))
    (loop $again
      (i32.store8 (local.get $to) (i32.load8_u (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.load8_u (i32.const 500007))))"""

_A, _B, _C = (array("f", bytes(200_000)) for _ in range(3))  # the same job has numbers of single precision


def nstream(n: int) -> int:
    a, b, c = _A, _B, _C
    a[0], b[0], c[0] = a[0], 1.5, 2.25
    for i in range(n):
        a[i] += b[i] + 3.1 * c[i]
    return int(a[0])


def matmul(n: int) -> int:
    a, b = [7 * i for i in range(n * n)], [i + 3 for i in range(n * n)]
    out = []
    for i in range(n):
        for j in range(n):
            acc, q = 0, j
            for p in range(i * n, i * n + n):
                acc += a[p] * b[q]
                q += n
            out.append(acc & 0xFFFFFFFF)
    return out[-1]


def copy(n: int) -> int:
    source, target = bytearray(n + 8), bytearray(n + 8)
    source[7] = 42
    for i in range(n):
        target[i] = source[i]
    return target[7]


# ---- programs in C ---------------------------------------------------------------------------------------------------

SHA256 = """
typedef unsigned int u32; typedef unsigned char u8;
static const u32 K[64] = {%s};
static u32 H[8]; static u8 block[64];
static u32 rotr(u32 x, int k) { return x >> k | x << (32 - k); }
static void compress(void) {
  u32 w[64];
  for (int i = 0; i < 16; i++)
    w[i] = block[4*i] << 24 | block[4*i+1] << 16 | block[4*i+2] << 8 | block[4*i+3];
  for (int i = 16; i < 64; i++) {
    u32 s0 = rotr(w[i-15], 7) ^ rotr(w[i-15], 18) ^ w[i-15] >> 3;
    u32 s1 = rotr(w[i-2], 17) ^ rotr(w[i-2], 19) ^ w[i-2] >> 10;
    w[i] = w[i-16] + s0 + w[i-7] + s1;
  }
  u32 a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
  for (int i = 0; i < 64; i++) {
    u32 t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
    u32 t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
  }
  H[0] += a; H[1] += b; H[2] += c; H[3] += d; H[4] += e; H[5] += f; H[6] += g; H[7] += h;
}
int f(int n) { /* n whole blocks of the letter a */
  static const u32 initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                 0x5be0cd19};
  for (int i = 0; i < 8; i++) H[i] = initial[i];
  for (int i = 0; i < 64; i++) block[i] = 'a';
  for (int i = 0; i < n; i++) compress();
  for (int i = 0; i < 64; i++) block[i] = 0;
  block[0] = 0x80;
  u32 bits = n * 512;
  for (int i = 0; i < 4; i++) block[63 - i] = bits >> 8 * i;
  compress();
  return H[0];
}
"""


_PRIMES = [p for p in range(2, 312) if all(p % q for q in range(2, p))]


def _cube_root_fraction(p: int) -> int:
    """The first 32 bits of the fraction of a cube root, exactly."""
    scaled = p << 96
    root = round(scaled ** (1 / 3))
    while root**3 > scaled:
        root -= 1
    while (root + 1) ** 3 <= scaled:
        root += 1
    return root & 0xFFFFFFFF


K = [_cube_root_fraction(p) for p in _PRIMES]


def sha256(n: int) -> int:
    """By hand; hashlib only says what is right."""
    mask = 0xFFFFFFFF
    state = [int.from_bytes(bytes.fromhex(h), "big") for h in
             ("6a09e667", "bb67ae85", "3c6ef372", "a54ff53a", "510e527f", "9b05688c", "1f83d9ab",
              "5be0cd19")]  # fmt: skip
    last = b"\x80" + bytes(59) + ((n * 512) & mask).to_bytes(4, "big")

    def rotr(x: int, k: int) -> int:
        return (x >> k | x << (32 - k)) & mask

    for number in range(n + 1):
        w = list(struct.unpack(">16I", b"a" * 64 if number < n else last))
        for i in range(16, 64):
            s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3
            s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10
            w.append((w[i - 16] + s0 + w[i - 7] + s1) & mask)
        a, b, c, d, e, f, g, h = state
        for i in range(64):
            t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]
            t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
            a, b, c, d, e, f, g, h = (t1 + t2) & mask, a, b, c, (d + t1) & mask, e, f, g
        state = [(x + y) & mask for x, y in zip(state, (a, b, c, d, e, f, g, h))]
    assert state[0] == int.from_bytes(hashlib.sha256(b"a" * 64 * n).digest()[:4], "big")
    return state[0]


NBODY = """
static double x[5], y[5], z[5], vx[5], vy[5], vz[5], mass[5] = {39.47, 0.037, 0.011, 0.0017, 0.002};
int f(int n) {
  for (int i = 0; i < 5; i++) { x[i] = i * 1.5; y[i] = i * i * 0.25; z[i] = 0.1 * i; vx[i] = vy[i] = vz[i] = 0; }
  for (int step = 0; step < n; step++) {
    for (int i = 0; i < 5; i++)
      for (int j = i + 1; j < 5; j++) {
        double dx = x[i] - x[j], dy = y[i] - y[j], dz = z[i] - z[j];
        double d2 = dx * dx + dy * dy + dz * dz;
        double mag = 0.001 / (d2 * __builtin_sqrt(d2));
        vx[i] -= dx * mass[j] * mag; vy[i] -= dy * mass[j] * mag; vz[i] -= dz * mass[j] * mag;
        vx[j] += dx * mass[i] * mag; vy[j] += dy * mass[i] * mag; vz[j] += dz * mass[i] * mag;
      }
    for (int i = 0; i < 5; i++) { x[i] += 0.001 * vx[i]; y[i] += 0.001 * vy[i]; z[i] += 0.001 * vz[i]; }
  }
  return (int)(x[1] * 1000000.0);
}
"""


def nbody(n: int) -> int:
    mass = [39.47, 0.037, 0.011, 0.0017, 0.002]
    x, y, z = [i * 1.5 for i in range(5)], [i * i * 0.25 for i in range(5)], [0.1 * i for i in range(5)]
    vx, vy, vz = [0.0] * 5, [0.0] * 5, [0.0] * 5
    for _ in range(n):
        for i in range(5):
            for j in range(i + 1, 5):
                dx, dy, dz = x[i] - x[j], y[i] - y[j], z[i] - z[j]
                d2 = dx * dx + dy * dy + dz * dz
                mag = 0.001 / (d2 * math.sqrt(d2))
                vx[i] -= dx * mass[j] * mag
                vy[i] -= dy * mass[j] * mag
                vz[i] -= dz * mass[j] * mag
                vx[j] += dx * mass[i] * mag
                vy[j] += dy * mass[i] * mag
                vz[j] += dz * mass[i] * mag
        for i in range(5):
            x[i] += 0.001 * vx[i]
            y[i] += 0.001 * vy[i]
            z[i] += 0.001 * vz[i]
    return int(x[1] * 1000000.0)


MANDELBROT = """
int f(int n) {
  int total = 0;
  for (int py = 0; py < n; py++)
    for (int px = 0; px < n; px++) {
      double cr = 3.0 * px / n - 2.0, ci = 2.0 * py / n - 1.0, zr = 0, zi = 0;
      int i = 0;
      while (i < 100 && zr * zr + zi * zi <= 4.0) {
        double t = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci; zr = t; i++;
      }
      total += i;
    }
  return total;
}
"""


def mandelbrot(n: int) -> int:
    total = 0
    for py in range(n):
        for px in range(n):
            cr, ci, zr, zi, i = 3.0 * px / n - 2.0, 2.0 * py / n - 1.0, 0.0, 0.0, 0
            while i < 100 and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
                i += 1
            total += i
    return total


SORT = """
static int a[20000];
static void sort(int low, int high) {
  while (low < high) {
    int pivot = a[(low + high) / 2], i = low, j = high;
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i <= j) { int t = a[i]; a[i] = a[j]; a[j] = t; i++; j--; }
    }
    sort(low, j);
    low = i;
  }
}
int f(int n) {
  unsigned seed = 12345;
  for (int i = 0; i < n; i++) { seed = seed * 1664525 + 1013904223; a[i] = (int)seed; }
  sort(0, n - 1);
  return a[n / 2];
}
"""


def sort(n: int) -> int:
    a, seed = [], 12345
    for _ in range(n):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        a.append(seed if seed < 1 << 31 else seed - (1 << 32))

    def part(low: int, high: int) -> None:
        while low < high:
            pivot, i, j = a[(low + high) // 2], low, high
            while i <= j:
                while a[i] < pivot:
                    i += 1
                while a[j] > pivot:
                    j -= 1
                if i <= j:
                    a[i], a[j] = a[j], a[i]
                    i += 1
                    j -= 1
            part(low, j)
            low = i

    part(0, n - 1)
    return a[n // 2]


SWITCH = """
static const unsigned char code[] = {0, 3, 7, 1, 5, 4, 2, 6, 0, 9, 8, 3, 7, 0, 10, 11};
int f(int n) {
  unsigned a = 1, b = 2, pc = 0;
  for (int left = n; left > 0; left--) {
    switch (code[pc & 15]) {
      case 0: a += b; break;
      case 1: b ^= a; break;
      case 2: a = a * 3 + 1; break;
      case 3: b += 7; break;
      case 4: a -= b >> 3; break;
      case 5: b = b << 1 | b >> 31; break;
      case 6: if (a & 1) pc++; break;
      case 7: a ^= 0x5555; break;
      case 8: b -= a; break;
      case 9: a = a >> 1; break;
      case 10: b |= 1; break;
      case 11: a &= 0xffffff; break;
    }
    pc++;
  }
  return a ^ b;
}
"""


def switch(n: int) -> int:
    code = bytes((0, 3, 7, 1, 5, 4, 2, 6, 0, 9, 8, 3, 7, 0, 10, 11))
    a, b, pc, mask = 1, 2, 0, 0xFFFFFFFF
    for _ in range(n):
        op = code[pc & 15]
        if op == 0:
            a = (a + b) & mask
        elif op == 1:
            b ^= a
        elif op == 2:
            a = (a * 3 + 1) & mask
        elif op == 3:
            b = (b + 7) & mask
        elif op == 4:
            a = (a - (b >> 3)) & mask
        elif op == 5:
            b = (b << 1 | b >> 31) & mask
        elif op == 6:
            pc += a & 1
        elif op == 7:
            a ^= 0x5555
        elif op == 8:
            b = (b - a) & mask
        elif op == 9:
            a >>= 1
        elif op == 10:
            b |= 1
        elif op == 11:
            a &= 0xFFFFFF
        pc += 1
    return a ^ b


KERNELS = [
    Kernel("fib", FIB, 19, 14, fib),
    Kernel("sum", SUM, 100_000, 3_000, sum_),
    Kernel("nstream", NSTREAM, 20_000, 500, nstream),
    Kernel("matmul", MATMUL, 30, 12, matmul),
    Kernel("sha256", SHA256 % ", ".join(map(hex, K)), 20, 3, sha256),
    Kernel("byte copy", COPY, 50_000, 1_000, copy),
    Kernel("mandelbrot", MANDELBROT, 32, 4, mandelbrot),
    Kernel("n-body", NBODY, 100, 5, nbody),
    Kernel("sort", SORT, 3_000, 200, sort),
    Kernel("switch", SWITCH, 20_000, 500, switch),
]
