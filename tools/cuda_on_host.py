"""CUDA programs on this machine's CPU: a stand-in for the NVIDIA driver, so that what is translated for CUDA can run
where no GPU is.

A C++ compiler (``python -m ziglang cc``) compiles the very text that NVRTC gets, with CUDA's functions written down as
what they are defined to be. :data:`SITE` puts the stand-in into the process that serves the device.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refwasm.host.parallel.devices.opencl.messages import DeviceFacts, DriverRefused
from refwasm.host.parallel.devices.opencl.program import TOLD_WORDS

#: For a file ``sitecustomize.py`` that a test puts before everything else.
SITE = """
from refwasm.host.parallel.devices.cuda import driver
from tools import cuda_on_host
driver.Driver = cuda_on_host.Driver
"""

SHIM = r"""
#include <math.h>
#include <string.h>
#define __global__
#define __device__
struct Place { unsigned x; } blockIdx, blockDim, threadIdx;
extern "C" void at_item(unsigned item) { blockIdx.x = item; blockDim.x = 1; threadIdx.x = 0; }
template <class To, class From> static inline To bits(From x) { To r; memcpy(&r, &x, sizeof r); return r; }
static inline unsigned __float_as_uint(float x) { return bits<unsigned>(x); }
static inline long long __double_as_longlong(double x) { return bits<long long>(x); }
static inline float __uint_as_float(unsigned x) { return bits<float>(x); }
static inline double __longlong_as_double(long long x) { return bits<double>(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64); }
static inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline double __dsqrt_rn(double x) { return sqrt(x); }
#define ARITHMETIC(name, op) \
  static inline float __f##name##_rn(float a, float b) { return a op b; } \
  static inline double __d##name##_rn(double a, double b) { return a op b; }
ARITHMETIC(add, +) ARITHMETIC(sub, -) ARITHMETIC(mul, *) ARITHMETIC(div, /)
static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#define ATOMIC(name, what) template <class T, class V> static inline T name(T *p, V v) { \
  return what(p, (T)v, __ATOMIC_SEQ_CST); }
ATOMIC(atomicAdd, __atomic_fetch_add) ATOMIC(atomicAnd, __atomic_fetch_and) ATOMIC(atomicOr, __atomic_fetch_or)
ATOMIC(atomicXor, __atomic_fetch_xor) ATOMIC(atomicExch, __atomic_exchange_n)
template <class T, class A, class B> static inline T atomicCAS(T *p, A old, B changed) {
  T expected = (T)old;
  __atomic_compare_exchange_n(p, &expected, (T)changed, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected; }
"""


class Driver:
    """What :mod:`refwasm.host.parallel.devices.opencl.server` asks of a driver."""

    def devices(self) -> list[DeviceFacts]:
        """One device, which says that it is a GPU."""
        return [DeviceFacts(0, 0, "this CPU", "CUDA on the host", "gpu", 1 << 30, False, True)]

    def use(self, platform: int, device: int) -> DeviceFacts:
        """Take it."""
        self.told = (ctypes.c_uint32 * TOLD_WORDS)()
        self.folder = tempfile.mkdtemp(prefix="cuda-on-host-")
        return self.devices()[0]

    def build(self, text: str, cache: str | None) -> Any:
        """Compile and load."""
        name = hashlib.sha256(text.encode()).hexdigest()[:20]
        library = Path(cache or self.folder) / f"cuda-on-host-{name}.so"
        if not library.is_file():
            exact = ["-ffp-contract=off", "-fno-strict-aliasing", "-fno-sanitize=all", "-fno-exceptions", "-fno-rtti"]
            command = ["ziglang", "cc", "-O1", *exact, "-w", "-shared", "-fPIC", "-x", "c++", "-", "-o", str(library)]
            done = subprocess.run(
                [sys.executable, "-m", *command], input=SHIM + text, text=True, capture_output=True, check=False
            )
            if done.returncode:
                raise DriverRefused(done.stderr)
        return ctypes.CDLL(str(library))

    def entry(self, program: Any, name: str) -> Any:
        """A function, and the one that says which work-item it is."""
        return getattr(program, name), program.at_item

    def probe(self, program: Any, name: str, operands: bytes, size: int) -> bytes:
        """What a probe's kernel makes of operands."""
        made = ctypes.create_string_buffer(size)
        getattr(program, name)(ctypes.create_string_buffer(operands, len(operands)), made)
        return made.raw

    def buffer(self, view: memoryview) -> Any:
        """Memory of the device's own."""
        return (ctypes.c_uint64 * (len(view) // 8 + 1))()

    def copy_in(self, buffer: Any, view: memoryview) -> None:
        """Give it what a memory holds."""
        ctypes.memmove(buffer, (ctypes.c_char * len(view)).from_buffer(view), len(view))

    def copy_out(self, buffer: Any, view: memoryview) -> None:
        """Take what it made of it."""
        ctypes.memmove((ctypes.c_char * len(view)).from_buffer(view), buffer, len(view))

    def launch(
        self, entry: Any, items: int, local: int | None, buffer: Any, size: int, arguments: Sequence[tuple[int, int]]
    ) -> bytes:
        """One work-item after the other; what a trap told."""
        kinds = {4: ctypes.c_uint32, 8: ctypes.c_uint64}
        function, at_item = entry
        values = [ctypes.byref(buffer), ctypes.c_uint64(size), self.told, *(kinds[w](value) for w, value in arguments)]
        ctypes.memset(self.told, 0, 4 * TOLD_WORDS)
        for item in range(items):
            at_item(item)
            function(*values)
            if self.told[0]:
                break
        return bytes(self.told)
