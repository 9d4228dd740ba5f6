"""Does the oracle notice? Deliberate faults in a copy of refwasm's interpreter, which is then judged as an engine:
``python -m tools.oracle_faults [PATTERN…]`` prints which item finds each fault, and in which bucket.

Every fault must be found by the source of single instructions, or among generated modules, in the bucket of an
instruction that it breaks. Exit codes: 0 all are, 1 some is not, 2 a fault does not apply to the code any more.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from refwasm.campaign.findings import difference
from refwasm.campaign.reduce import size
from refwasm.campaign.reproducer import about, reproducer
from refwasm.campaign.singles import singles
from refwasm.campaign.smith import smith
from refwasm.campaign.source import Item
from refwasm.campaign.structures import structures
from refwasm.engines.judging import judge
from refwasm.engines.process import ProcessEngine
from refwasm.engines.protocol import Died
from refwasm.oracle import Oracle
from refwasm.oracle.outcomes import DIFFERS
from refwasm.validation.features import ALL

ROOT = Path(__file__).parent.parent
#: Generated modules that are tried where single instructions find nothing; seconds for reducing a finding.
MODULES, REDUCE = 20_000, 20.0


class Fault(NamedTuple):
    """A change of one place: what goes wrong, a pattern of the instructions that it breaks, the file below
    refwasm/execution, the text there and what replaces it."""

    what: str
    kinds: str
    file: str
    old: str
    new: str


TEMPLATES, INTEGERS, FLOATS = "numerics/templates.py", "numerics/integers.py", "numerics/floats.py"
CONVERSIONS, VECTORS = "numerics/conversions.py", "numerics/vectors.py"
MEMORY, BULK, VECTOR = "interpreter/memory.py", "bulk.py", "interpreter/vector.py"
CONTROL, VARIABLES, TABLES = "interpreter/control.py", "interpreter/variables.py", "interpreter/tables.py"
REFERENCES, AGGREGATES, EXCEPTIONS = (f"interpreter/{name}.py" for name in ("references", "aggregates", "exceptions"))

FAULTS = (
    # ---- integers
    Fault("shifts are not taken modulo the width", r"i(32|64)\.shl", TEMPLATES,
          'a << (b & {modulo})) & {mask}",\n        "shr_u',
          'a << min(b, 999)) & {mask}",\n        "shr_u'),
    Fault("shr_s shifts in zeros", r"i(32|64)\.shr_s", TEMPLATES,
          "(a if a < {half} else a - {1 << n}) >> (b & {modulo}) & {mask}",
          "a >> (b & {modulo})"),
    Fault("rotl loses the top bit", r"i(32|64)\.rotl", TEMPLATES,
          "a >> ({top} - (b & {modulo}))) & {mask}",
          "a >> ({top} - (b & {modulo}))) & {mask} >> 1"),
    Fault("clz of zero is one too few", r"i(32|64)\.clz", TEMPLATES,
          '"clz": f"{n} - a.bit_length()"',
          '"clz": f"{n} - (a.bit_length() or 1)"'),
    Fault("ctz of zero is 0", r"i(32|64)\.ctz", TEMPLATES,
          "if a else {n}",
          "if a else 0"),
    Fault("lt_s compares as unsigned", r"i(32|64)\.(lt|gt|le|ge)_s", TEMPLATES,
          "(a ^ {half}) {operator} (b ^ {half})",
          "a {operator} b"),
    Fault("extend8_s extends zeros", r"i(32|64)\.extend(8|16|32)_s", TEMPLATES,
          "((a & {(1 << bits) - 1} ^ {sign}) - {sign}) & {mask}",
          "a & {(1 << bits) - 1}"),
    Fault("div_s rounds down", r"i(32|64)\.div_s", INTEGERS,
          "quotient = abs(x) // abs(y)\n    if (x < 0) != (y < 0):\n        quotient = -quotient",
          "quotient = x // y"),
    Fault("div_s does not trap on overflow", r"i(32|64)\.div_s", INTEGERS,
          'if quotient >> (n - 1) == 1:\n        raise Trap("integer overflow")\n    ',
          ""),
    Fault("rem_s has the sign of the divisor", r"i(32|64)\.rem_s", INTEGERS,
          "-remainder if x < 0 else remainder",
          "-remainder if y < 0 else remainder"),
    Fault("rem_u by zero gives the dividend", r"i(32|64)\.rem_u", INTEGERS,
          'def irem_u(n: int, a: int, b: int) -> int:\n    if b == 0:\n        raise Trap("integer divide '
          'by zero")',
          "def irem_u(n: int, a: int, b: int) -> int:\n    if b == 0:\n        return a"),
    Fault("a division by zero is an overflow", r"i(32|64)\.div_u", INTEGERS,
          'def idiv_u(n: int, a: int, b: int) -> int:\n    if b == 0:\n        raise Trap("integer divide '
          'by zero")',
          'def idiv_u(n: int, a: int, b: int) -> int:\n    if b == 0:\n        raise Trap("integer overflow")'),
    # ---- floats
    Fault("min of two zeros is the first", r"f\d+(x\d)?\.min", FLOATS,
          "return a | b",
          "return a"),
    Fault("max of a NaN is the other operand", r"f\d+(x\d)?\.max", FLOATS,
          "return CANONICAL_NAN[n]\n    if x == y:\n        return a & b",
          "return a if y != y else b\n    if x == y:\n        return a & b"),
    Fault("a NaN result is a signalling one", r"f.*", FLOATS,
          "        return CANONICAL_NAN[n]\n    if n == 64:",
          "        return INFINITY[n] | 1\n    if n == 64:"),
    Fault("the root of -0 is +0", r"f\d+(x\d)?\.sqrt", FLOATS,
          "return a if x == 0 else to_bits(n, math.sqrt(x))",
          "return to_bits(n, math.sqrt(abs(x)))"),
    Fault("rounding up loses the sign of zero", r"f\d+(x\d)?\.(ceil|trunc|nearest|floor)", FLOATS,
          "to_bits(n, math.copysign(float(towards), x))",
          "to_bits(n, float(towards))"),
    Fault("nearest rounds halves away from zero", r"f\d+\.nearest", FLOATS,
          "return _rounding(n, a, round)",
          "return _rounding(n, a, lambda x: math.trunc(x + math.copysign(0.5, x)))"),
    Fault("copysign takes the sign of the first operand", r"f\d+\.copysign", FLOATS,
          "return a & ~SIGN[n] | b & SIGN[n]",
          "return a"),
    Fault("ne of NaNs is false", r"f\d+\.ne", FLOATS,
          "return int(to_float(n, a) != to_float(n, b))",
          "return int(to_float(n, a) < to_float(n, b) or to_float(n, a) > to_float(n, b))"),
    Fault("x / 0 has the sign of x", r"f\d+(x\d)?\.div", FLOATS,
          "return INFINITY[n] | (a ^ b) & SIGN[n]",
          "return INFINITY[n] | a & SIGN[n]"),
    Fault("abs keeps the sign of NaNs", r"f\d+\.abs", TEMPLATES,
          '"f32.abs": "a & 0x7FFFFFFF"',
          '"f32.abs": "a & 0x7FFFFFFF if a & 0x7FFFFFFF <= 0x7F800000 else a"'),
    # ---- conversions
    Fault("trunc of a NaN is an overflow", r"i\d+\.trunc_f.*", CONVERSIONS,
          'raise Trap("invalid conversion to integer")',
          'raise Trap("integer overflow")'),
    Fault("trunc_s takes 2**31", r"i\d+\.trunc_f\d+_s", CONVERSIONS,
          "if not -half <= i < half:",
          "if not -half <= i <= half:"),
    Fault("trunc_u of -0.5 traps", r"i\d+\.trunc_f\d+_u", CONVERSIONS,
          "    i = _truncated(m, z)\n    if not 0 <= i < 1 << n:",
          "    i = _truncated(m, z)\n    if to_float(m, z) < 0 or not 0 <= i < 1 << n:"),
    Fault("trunc_sat of a NaN is the least value", r"i\d+\.trunc_sat.*", CONVERSIONS,
          "    if x != x:\n        return 0",
          "    if x != x:\n        return -(1 << 128)"),
    Fault("convert_i64 to f32 rounds twice", r"f32\.convert_i64.*", CONVERSIONS,
          "if n == 32 and abs(i) >> 53:",
          "if False:"),
    Fault("convert_u reads a sign", r"f\d+\.convert_i\d+_u", CONVERSIONS,
          "def convert_u(m: int, n: int, i: int) -> int:\n    return _nearest(n, i)",
          "def convert_u(m: int, n: int, i: int) -> int:\n    return _nearest(n, signed(m, i))"),
    Fault("extend_i32_s extends zeros", r"i64\.extend_i32_s", TEMPLATES,
          '"a if a < 0x80000000 else a | 0xFFFFFFFF00000000"',
          '"a"'),
    # ---- vectors
    Fault("lanes carry into each other", r"i\d+x\d+\.add", VECTORS,
          "return lambda a, b: ((a & low) + (b & low)) ^ ((a ^ b) & high)",
          "return lambda a, b: a + b & ALL_ONES"),
    Fault("vector shifts are not modulo the lane", r"i\d+x\d+\.shr_u", VECTORS,
          "return lambda a, count: a >> count % n & masks[count % n]",
          "return lambda a, count: a >> min(count, 127) & masks[count % n]"),
    Fault("vector shr_s by more than 32 shifts less", r"i64x2\.shr_s", VECTORS,
          "        k = count % n\n",
          "        k = count % n % 33\n"),
    Fault("swizzle wraps its indices", r"i8x16\.(relaxed_)?swizzle", VECTORS,
          "source[i] if i < 16 else 0 for i in lanes(8, b)",
          "source[i % 16] for i in lanes(8, b)"),
    Fault("q15mulr does not saturate", r"i16x8\.q15mulr_sat_s", VECTORS,
          "return _clamped_q15([(i * j + 0x4000) >> 15 for",
          "return _clamped_q15([min((i * j + 0x4000) >> 15, 0x7FFE) for"),
    Fault("narrow mixes up its operands", r"i\d+x\d+\.narrow.*", VECTORS,
          'clamped([*_read(m, "s", a), *_read(m, "s", b)])',
          'clamped([*_read(m, "s", b), *_read(m, "s", a)])'),
    Fault("bitmask misses the last lane", r"i\d+x\d+\.bitmask", VECTORS,
          "return lambda v: sum((i >> (n - 1)) << k for k, i in enumerate(lanes(n, v)))",
          "return lambda v: sum((i >> (n - 1)) << k for k, i in enumerate(lanes(n, v)[:-1]))"),
    Fault("shuffle takes lanes of the first operand only", r"i8x16\.shuffle", VECTORS,
          "source = lanes(8, a) + lanes(8, b)",
          "source = lanes(8, a) + lanes(8, a)"),
    Fault("extract_lane_s extends zeros", r"i\d+x\d+\.extract_lane_s", VECTOR,
          "s[-1] = iextend_s(32, bits, v.extract_u(bits, s[-1], lane))",
          "s[-1] = v.extract_u(bits, s[-1], lane)"),
    Fault("pmin of a NaN is the other operand", r"f\d+x\d\.pmin", FLOATS,
          "return b if to_float(n, b) < to_float(n, a) else a",
          "return a if to_float(n, a) < to_float(n, b) else b"),
    Fault("load8_splat fills half", r"v128\.load\d+_splat", VECTOR,
          "return lambda value: value * ones",
          "return lambda value: value * (ones >> 64)"),
    # ---- memories
    Fault("load8_s extends zeros", r"i\d+\.load\d+_s", MEMORY,
          "s[-1] = (s[-1] ^ sign) - sign & mask",
          "s[-1] = s[-1] & mask"),
    Fault("store16 writes one byte", r"i\d+\.store16", MEMORY,
          "value = s.pop() & 0xFFFF\n",
          "value = s.pop() & 0xFF\n"),
    Fault("a load past the end gives zero", r"i\d+\.load.*|f\d+\.load", MEMORY,
          "            memory.check(a, 4)\n            s[-1] = memory.u32[a & 3][a >> 2]",
          "            s[-1] = 0"),
    Fault("memory.grow gives the new size", r"memory\.grow", MEMORY,
          "else memory.grow(delta) & mask",
          "else memory.grow(delta) + (delta == 1) & mask"),
    Fault("memory.fill fills one byte too few", r"memory\.fill", BULK,
          "memory.u8[d + i : d + i + size] = bytes([value & 0xFF]) * size",
          "memory.u8[d + i : d + i + size - 1] = bytes([value & 0xFF]) * (size - 1) if size else b''"),
    Fault("memory.copy checks its target only", r"memory\.copy", BULK,
          "    source.check(s, n)\n    target.check(d, n)\n    for",
          "    target.check(d, n)\n    s = min(s, 65536 - n)\n    for"),
    Fault("memory.init of nothing past the end does not trap", r"memory\.init", BULK,
          "if s + n > len(data.content):\n        raise Trap(OUT_OF_MEMORY)",
          "if n and s + n > len(data.content):\n        raise Trap(OUT_OF_MEMORY)"),
    # ---- tables and references
    Fault("table.fill checks nothing", r"table\.fill", BULK,
          "if d + n > len(table.elements):\n        raise Trap(OUT_OF_TABLE)\n    work(n)\n    table.elements["
          "d : d + n] = [value] * n",
          "work(min(n, 99))\n    table.elements[d : d + min(n, 99)] = [value] * min(n, 99)"),
    Fault("table.copy copies nothing", r"table\.copy", BULK,
          "target.elements[d : d + n] = source.elements[s : s + n]",
          "pass"),
    Fault("table.get past the end is null", r"table\.get", TABLES,
          "            raise Trap(bulk.OUT_OF_TABLE)\n        s[-1] = table.elements[index]",
          "            s[-1] = None\n            return following\n        s[-1] = table.elements[index]"),
    Fault("table.grow fails always", r"table\.grow", TABLES,
          "s[-1] = mask if refused else table.grow(count, s[-1]) & mask",
          "s[-1] = table.grow(count, None) & mask"),
    Fault("ref.test of null holds", r"ref\.test.*|br_on.*", REFERENCES,
          "s[-1] = null if value is None else",
          "s[-1] = 1 if value is None else"),
    Fault("ref.cast lets null pass", r"ref\.cast", REFERENCES,
          "if not (nullable if value is None else is_of_heap(value, heap)):",
          "if value is not None and not is_of_heap(value, heap):"),
    Fault("i31 values are not signed", r"i31\.get_s|ref\.i31", REFERENCES,
          "int(value) | 0x80000000 if signed and value >> 30 else int(value)",
          "int(value)"),
    Fault("array.get_s extends zeros", r"(array|struct)\.get_s", AGGREGATES,
          "return lambda value: (value ^ sign) - sign & 0xFFFFFFFF",
          "return lambda value: value"),
    Fault("array.fill fills too little", r"array\.fill", AGGREGATES,
          "elements[index : index + count] = [value if mask is None else value & mask] * count\n        return "
          'following\n\n    return op\n\n\n@meaning("array.copy")',
          "elements[index : index + count // 2] = [value if mask is None else value & mask] * (count // 2)"
          '\n        return following\n\n    return op\n\n\n@meaning("array.copy")'),
    Fault("struct.set does not wrap", r"(struct|array)\..*", AGGREGATES,
          "struct.fields[field] = value if mask is None else value & mask",
          "struct.fields[field] = value"),
    # ---- control
    Fault("br_table takes the last label for the default", r"br_table.*", CONTROL,
          "jumps[index] if index < count else default",
          "jumps[min(index, count - 1)] if count else default"),
    Fault("br_if keeps what it should drop", r"br.*", CONTROL,
          "del s[len(s) - drop - arity : len(s) - arity]",
          "del s[len(s) - drop - arity + 1 : len(s) - arity]\n            if arity and drop:\n            "
          "    s[-1] = s[-1] if isinstance(s[-1], int) and s[-1] % 2 else 0"),
    Fault("select takes the other operand", r"select.*", VARIABLES,
          "        if s.pop():\n            s.pop()\n        else:",
          "        if not s.pop():\n            s.pop()\n        else:"),
    Fault("local.tee pops", r"local\.tee", VARIABLES,
          "t.locals[index] = s[-1]",
          "t.locals[index] = s[-1] & 0x7FFFFFFF if type(s[-1]) is int else s[-1]"),
    Fault("call_indirect looks at no type", r"(return_)?call_indirect", "tables.py",
          "if func.type is not wanted and wanted not in func.type.supers:",
          "if len(func.signature.params) != len(wanted.composite.params):"),
    Fault("a null element is undefined", r"(return_)?call_indirect", "tables.py",
          'raise Trap(f"uninitialized element {index}")',
          'raise Trap("undefined element")'),
    Fault("a tail call keeps the locals", r"return_call", CONTROL,
          "t.locals = s[first:] + zeros\n        del s[first:]\n        return callee.entry",
          "t.locals = [*s[first:-1], 0, *zeros] if arity > 1 else s[first:] + zeros\n        del s[first:]\n "
          "       return callee.entry"),
    Fault("catch_all catches nothing", r"try_table.*|throw.*", EXCEPTIONS,
          "if tag is not None and tag is not exception.tag:",
          "if tag is not exception.tag:"),
    Fault("the payload of an exception is reversed", r"try_table.*|throw.*", EXCEPTIONS,
          "payload = tuple(s[first:])",
          "payload = tuple(s[first:])[::-1]"),
    Fault("unreachable goes on", r"unreachable", CONTROL,
          '        raise Trap("unreachable")',
          "        return following"),
)  # fmt: skip


class DoesNotApply(Exception):
    """The text that a fault replaces is not there, or more than once."""


def copied(fault: Fault, folder: Path) -> None:
    """A copy of the package with the fault in it. Raises DoesNotApply."""
    shutil.copytree(ROOT / "refwasm", folder / "refwasm", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "refwasm" / "execution" / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        raise DoesNotApply(f"{fault.what}: {text.count(fault.old)} places in {fault.file}")
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


def items_for(fault: Fault, modules: int) -> Iterator[tuple[str, Item]]:
    """What may find a fault: items about its instructions, then the other ones, then generated modules."""
    everything = [*singles(ALL), *structures(ALL)]
    pattern = re.compile(fault.kinds)
    mine = [item for item in everything if pattern.fullmatch(item.kind)]
    yield from (("singles", item) for item in mine)
    yield from (("smith", item) for item in islice(smith(ALL), modules))


@contextmanager
def faulty_engine(fault: Fault) -> Iterator[ProcessEngine]:
    """The interpreter with a fault in it, as an engine."""
    with tempfile.TemporaryDirectory() as folder:
        copied(fault, Path(folder))
        # where python -m runs comes first among the imports
        command = ["env", "-C", folder, sys.executable, "-m", "refwasm.engines.serve", "interpret"]
        engine = ProcessEngine(command, "faulty", timeout=20.0)
        engine.features = ALL
        try:
            yield engine
        finally:
            engine.close()


class Found(NamedTuple):
    """What found a fault: the source, the bucket, after how many modules, and how many instructions are left of it."""

    source: str
    bucket: str
    number: int
    size: int = 0


def find(fault: Fault, items: Iterable[tuple[str, Item]]) -> Found | None:
    """What finds a fault first; None if nothing does."""
    oracle = Oracle()
    with faulty_engine(fault) as engine:
        for number, (source, item) in enumerate(items, 1):
            try:
                judgement = judge(oracle, engine, item.module, item.calls, item.seed)
            except Died:
                return Found(source, f"{item.kind}: died", number)
            if judgement.verdict.kind == DIFFERS:
                until = time.monotonic() + REDUCE
                module, _ = reproducer(oracle, engine, item.module, judgement, until)
                return Found(source, f"{about(module, item.kind)}: {difference(judgement)}", number, size(module))
    return None


def is_right(fault: Fault, bucket: str) -> bool:
    """Whether a bucket is one of an instruction that the fault breaks."""
    kind = bucket.partition(":")[0]
    return any(re.fullmatch(fault.kinds, word) for word in [kind, *kind.split(" + ")])


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.oracle_faults", description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"], help="of what goes wrong")
    parser.add_argument("--modules", type=int, default=MODULES, help="generated ones at most")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if any(fnmatch.fnmatch(fault.what, pattern) for pattern in options.patterns)]
    missed = 0
    for fault in chosen:
        try:
            found = find(fault, items_for(fault, options.modules))
        except DoesNotApply as error:
            print(f"does not apply: {error}", flush=True)
            return 2
        right = found is not None and is_right(fault, found.bucket)
        missed += not right
        told = f"{found.source} {found.number}: {found.bucket}; {found.size} instructions" if found else "NOT FOUND"
        print(f"{'WRONG BUCKET ' if found and not right else ''}{fault.what:55} {told}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} found in the right bucket")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
