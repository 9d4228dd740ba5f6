"""What OpenCL C and CUDA C++ write differently, by the names that translated programs use.

Translated programs are written in what both have in common. One table says what each name stands for in either
language; everything that is the same in both stands in COMMON.
"""

from __future__ import annotations

from typing import NamedTuple


class Spelling(NamedTuple):
    """A row of the table."""

    opencl: str
    cuda: str


#: Lines before everything else.
FIRST = Spelling(
    """#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable
#pragma OPENCL EXTENSION cl_khr_int64_extended_atomics : enable
#pragma OPENCL FP_CONTRACT OFF
typedef uchar u8; typedef ushort u16; typedef uint u32; typedef ulong u64;
typedef char s8; typedef short s16; typedef int s32; typedef long s64; typedef float f32; typedef double f64;""",
    """typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef signed char s8; typedef short s16; typedef int s32; typedef long long s64;
typedef float f32; typedef double f64;""",
)

#: Read-modify-writes: our name, OpenCL's, CUDA's and what CUDA is given for the value v.
_ATOMICS = (
    ("RMW_ADD", "atomic_add", "atomicAdd", "v"), ("RMW_SUB", "atomic_sub", "atomicAdd", "-(v)"),
    ("RMW_AND", "atomic_and", "atomicAnd", "v"), ("RMW_OR", "atomic_or", "atomicOr", "v"),
    ("RMW_XOR", "atomic_xor", "atomicXor", "v"), ("RMW_XCHG", "atomic_xchg", "atomicExch", "v"),
)  # fmt: skip

#: Names of macros.
MACROS: dict[str, Spelling] = {
    "ENTRY": Spelling("__kernel", 'extern "C" __global__'),
    "INSIDE": Spelling("static inline", "static __device__"),
    "SHARED_BYTES": Spelling("__global u8 *", "u8 *"),
    "SHARED_WORDS": Spelling("__global u32 *", "u32 *"),
    "FIXED": Spelling("__constant", "__device__ const"),
    "FIXED_BYTES": Spelling("__constant u8 *", "const u8 *"),
    "ITEM": Spelling("((u64)get_global_id(0))", "((u64)blockIdx.x * blockDim.x + threadIdx.x)"),
    "BITS32(x)": Spelling("as_uint(x)", "__float_as_uint(x)"),
    "BITS64(x)": Spelling("as_ulong(x)", "((u64)__double_as_longlong(x))"),
    "FLOAT32(x)": Spelling("as_float((u32)(x))", "__uint_as_float((u32)(x))"),
    "FLOAT64(x)": Spelling("as_double((u64)(x))", "__longlong_as_double((s64)(x))"),
    "CLZ32(x)": Spelling("clz((u32)(x))", "((u32)__clz((s32)(x)))"),
    "CLZ64(x)": Spelling("clz((u64)(x))", "((u64)__clzll((s64)(x)))"),
    "POPCNT32(x)": Spelling("popcount((u32)(x))", "((u32)__popc((u32)(x)))"),
    "POPCNT64(x)": Spelling("popcount((u64)(x))", "((u64)__popcll((u64)(x)))"),
    "MULHI_U(a, b)": Spelling("mul_hi((u64)(a), (u64)(b))", "__umul64hi((u64)(a), (u64)(b))"),
    "MULHI_S(a, b)": Spelling("((u64)mul_hi((s64)(a), (s64)(b)))", "((u64)__mul64hi((s64)(a), (s64)(b)))"),
    "SQRT32(x)": Spelling("sqrt(x)", "__fsqrt_rn(x)"),
    "SQRT64(x)": Spelling("sqrt(x)", "__dsqrt_rn(x)"),
    "CEIL32(x)": Spelling("ceil(x)", "ceilf(x)"),
    "CEIL64(x)": Spelling("ceil(x)", "ceil(x)"),
    "FLOOR32(x)": Spelling("floor(x)", "floorf(x)"),
    "FLOOR64(x)": Spelling("floor(x)", "floor(x)"),
    "TRUNC32(x)": Spelling("trunc(x)", "truncf(x)"),
    "TRUNC64(x)": Spelling("trunc(x)", "trunc(x)"),
    "RINT32(x)": Spelling("nearest32(x)", "rintf(x)"),  # pocl 3.1 goes astray in rint of a constant from 2**31 on
    "RINT64(x)": Spelling("nearest64(x)", "rint(x)"),
    "ADD32(a, b)": Spelling("((a) + (b))", "__fadd_rn(a, b)"),
    "SUB32(a, b)": Spelling("((a) - (b))", "__fsub_rn(a, b)"),
    "MUL32(a, b)": Spelling("((a) * (b))", "__fmul_rn(a, b)"),
    "DIV32(a, b)": Spelling("((a) / (b))", "__fdiv_rn(a, b)"),
    "ADD64(a, b)": Spelling("((a) + (b))", "__dadd_rn(a, b)"),
    "SUB64(a, b)": Spelling("((a) - (b))", "__dsub_rn(a, b)"),
    "MUL64(a, b)": Spelling("((a) * (b))", "__dmul_rn(a, b)"),
    "DIV64(a, b)": Spelling("((a) / (b))", "__ddiv_rn(a, b)"),
    **{
        f"{name}32(p, v)": Spelling(f"{ours}((volatile __global u32 *)(p), v)", f"{theirs}((u32 *)(p), {v})")
        for name, ours, theirs, v in _ATOMICS
    },
    **{
        f"{name}64(p, v)": Spelling(
            f"{ours.replace('atomic_', 'atom_')}((volatile __global u64 *)(p), v)", f"{theirs}((u64 *)(p), {v})"
        )
        for name, ours, theirs, v in _ATOMICS
    },
    "FENCE": Spelling("mem_fence(CLK_GLOBAL_MEM_FENCE)", "__threadfence()"),
    "CAS32(p, old, new)": Spelling("atomic_cmpxchg((volatile __global u32 *)(p), old, new)",
                                   "atomicCAS((u32 *)(p), old, new)"),
    "CAS64(p, old, new)": Spelling("atom_cmpxchg((volatile __global u64 *)(p), old, new)",
                                   "atomicCAS((u64 *)(p), old, new)"),
}  # fmt: skip

#: Loads and stores at any address, by bits.
ACCESS = Spelling(
    "\n".join(
        f"typedef struct __attribute__((packed)) {{ u{n} value; }} any{n};\n"
        f"#define LOAD{n}(m, at) (((__global any{n} *)((m) + (at)))->value)\n"
        f"#define STORE{n}(m, at, v) (((__global any{n} *)((m) + (at)))->value = (u{n})(v))"
        for n in (16, 32, 64)
    )
    + "\n#define LOAD8(m, at) ((m)[at])\n#define STORE8(m, at, v) ((m)[at] = (u8)(v))",
    # a GPU faults where an address is not aligned
    "\n".join(
        f"INSIDE u{n} load{n}(const u8 *p) {{\n"
        f"  if (((u64)p & {n // 8 - 1}) == 0) return *(const u{n} *)p;\n"
        f"  u{n} v = 0; for (int k = 0; k < {n // 8}; k++) v |= (u{n})((u{n})p[k] << 8 * k); return v; }}\n"
        f"INSIDE void store{n}(u8 *p, u{n} v) {{\n"
        f"  if (((u64)p & {n // 8 - 1}) == 0) {{ *(u{n} *)p = v; return; }}\n"
        f"  for (int k = 0; k < {n // 8}; k++) p[k] = (u8)(v >> 8 * k); }}\n"
        f"#define LOAD{n}(m, at) load{n}((m) + (at))\n#define STORE{n}(m, at, v) store{n}((m) + (at), (u{n})(v))"
        for n in (16, 32, 64)
    )
    + "\n#define LOAD8(m, at) ((m)[at])\n#define STORE8(m, at, v) ((m)[at] = (u8)(v))",
)

#: What is the same in both languages, in terms of the names above. To round to a whole number is to add 2**23 (of f64,
#: 2**52), where floats are that far apart, and to subtract it. Whether a number is a NaN is asked of its bits:
#: compilers take one NaN for another, and fold ``x != x ? NAN : x`` to ``x``.
COMMON = """
typedef union { u8 b[16]; u16 h[8]; u32 w[4]; u64 d[2]; f32 f[4]; f64 g[2]; } v128;
#define NAN32 FLOAT32(0x7FC00000u)
#define NAN64 FLOAT64(0x7FF8000000000000ul)
INSIDE f32 canon32(f32 x) {
  u32 z = BITS32(x); return FLOAT32((z & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC00000u : z); }
INSIDE f64 canon64(f64 x) {
  u64 z = BITS64(x);
  return FLOAT64((z & 0x7FFFFFFFFFFFFFFFul) > 0x7FF0000000000000ul ? 0x7FF8000000000000ul : z); }
INSIDE f32 min32(f32 a, f32 b) {
  return a < b ? a : b < a ? b : a == b ? FLOAT32(BITS32(a) | BITS32(b)) : NAN32; }
INSIDE f64 min64(f64 a, f64 b) {
  return a < b ? a : b < a ? b : a == b ? FLOAT64(BITS64(a) | BITS64(b)) : NAN64; }
INSIDE f32 max32(f32 a, f32 b) {
  return a > b ? a : b > a ? b : a == b ? FLOAT32(BITS32(a) & BITS32(b)) : NAN32; }
INSIDE f64 max64(f64 a, f64 b) {
  return a > b ? a : b > a ? b : a == b ? FLOAT64(BITS64(a) & BITS64(b)) : NAN64; }
INSIDE f32 nearest32(f32 x) {
  u32 z = BITS32(x), sign = z & 0x80000000u; f32 ulp_is_1 = FLOAT32(0x4B000000u | sign);
  f32 rounded = SUB32(ADD32(x, ulp_is_1), ulp_is_1);
  return (z & 0x7FFFFFFFu) < 0x4B000000u ? FLOAT32((BITS32(rounded) & 0x7FFFFFFFu) | sign) : x; }
INSIDE f64 nearest64(f64 x) {
  u64 z = BITS64(x), sign = z & 0x8000000000000000ul; f64 ulp_is_1 = FLOAT64(0x4330000000000000ul | sign);
  f64 rounded = SUB64(ADD64(x, ulp_is_1), ulp_is_1);
  return (z & 0x7FFFFFFFFFFFFFFFul) < 0x4330000000000000ul
    ? FLOAT64((BITS64(rounded) & 0x7FFFFFFFFFFFFFFFul) | sign) : x; }
INSIDE v128 constant128(u64 low, u64 high) { v128 r; r.d[0] = low; r.d[1] = high; return r; }
"""

#: Atomic accesses, sequentially consistent: each is a read-modify-write between fences. Narrow ones change a part of a
#: word as long as nobody else changes the word.
ATOMICS = "\n".join(
    [
        f"INSIDE u{n} atomic_{name}{n}(SHARED_BYTES p, u{n} v) {{\n"
        f"  FENCE; u{n} old = RMW_{name}{n}(p, v); FENCE; return old; }}"
        for n in (32, 64) for name in ("ADD", "SUB", "AND", "OR", "XOR", "XCHG")
    ]
    + [
        f"INSIDE u{n} atomic_{name}{n}(SHARED_BYTES p, u{n} v) {{\n"
        f"  SHARED_BYTES word = p - ((u64)p & 3); u32 shift = 8 * ((u64)p & 3); u32 mask = {(1 << n) - 1}u << shift;\n"
        f"  FENCE; u32 old = LOAD32(word, 0);\n"
        f"  for (;;) {{\n"
        f"    u{n} now = (u{n})(old >> shift); u32 changed = (old & ~mask) | ((u32)(u{n})({change}) << shift);\n"
        f"    u32 seen = CAS32(word, old, changed); if (seen == old) {{ FENCE; return now; }} old = seen; }} }}"
        for n in (8, 16)
        for name, change in (
            ("ADD", "now + v"), ("SUB", "now - v"), ("AND", "now & v"), ("OR", "now | v"), ("XOR", "now ^ v"),
            ("XCHG", "v"),
        )
    ]
    + [
        f"INSIDE u{n} atomic_CMPXCHG{n}(SHARED_BYTES p, u{n} expected, u{n} v) {{\n"
        f"  SHARED_BYTES word = p - ((u64)p & 3); u32 shift = 8 * ((u64)p & 3); u32 mask = {(1 << n) - 1}u << shift;\n"
        f"  FENCE; u32 old = LOAD32(word, 0);\n"
        f"  for (;;) {{\n"
        f"    u{n} now = (u{n})(old >> shift); u32 changed = (old & ~mask) | ((u32)v << shift);\n"
        f"    if (now != expected) changed = old;\n"
        f"    u32 seen = CAS32(word, old, changed); if (seen == old) {{ FENCE; return now; }} old = seen; }} }}"
        for n in (8, 16)
    ]
    + [
        f"INSIDE u{n} atomic_CMPXCHG{n}(SHARED_BYTES p, u{n} expected, u{n} v) {{\n"
        f"  FENCE; u{n} old = CAS{n}(p, expected, v); FENCE; return old; }}"
        for n in (32, 64)
    ]
    + [
        f"INSIDE u{n} atomic_LOAD{n}(SHARED_BYTES p) {{ return atomic_OR{n}(p, 0); }}\n"
        f"INSIDE void atomic_STORE{n}(SHARED_BYTES p, u{n} v) {{ atomic_XCHG{n}(p, v); }}"
        for n in (8, 16, 32, 64)
    ]
)  # fmt: skip


def preamble(language: str) -> str:
    """What a translated program begins with, in ``opencl`` or ``cuda``."""
    macros = "\n".join(f"#define {name} {getattr(row, language)}" for name, row in MACROS.items())
    return "\n".join([getattr(FIRST, language), macros, getattr(ACCESS, language), COMMON, ATOMICS])
