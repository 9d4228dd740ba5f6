"""Kernels: what is one and what is not, what it may contain, and its module state."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import HINTS, MINE, NOTHING, TALLY, store
from conformance.writing import Case, assemble, kernel

SHARED = '(import "env" "memory" (memory 1 64 shared))'
FIVE = "(param i32 i32 i32 i32 i32)"

#: Why it is none; rule; the module (text or bytes). All are passed one buffer.
BAD: dict[str, tuple[str, str, str | bytes]] = {
    "empty": ("no bytes at all", "PAR-KERN-01", b""),
    "garbage": ("bytes that are no module", "PAR-KERN-01", b"this is not WebAssembly"),
    "magic-only": ("nothing behind the magic number", "PAR-KERN-01", b"\0asm"),
    "version-2": ("another version", "PAR-KERN-01", b"\0asm\2\0\0\0"),
    "component": ("a component", "PAR-KERN-01", b"\0asm\x0d\0\1\0"),
    "text": ("text instead of bytes", "PAR-KERN-01", TALLY.encode()),
    "truncated": ("the last byte is missing", "PAR-KERN-01", assemble(TALLY)[:-1]),
    "one-byte-more": ("a byte too many", "PAR-KERN-01", assemble(TALLY) + b"\0"),
    "invalid-body": ("a body that is not valid", "PAR-KERN-01", kernel("(i32.add (i32.const 1))")),
    "no-import": ("no memory is imported", "PAR-KERN-02", f'(module (memory 1 64 shared) (func (export "kernel") {FIVE}))'),
    "private-memory": (
        "the memory is not shared", "PAR-KERN-02", f'(module (import "env" "memory" (memory 1)) (func (export "kernel") {FIVE}))',
    ),
    "bounded-private-memory": (
        "the memory is not shared, though bounded", "PAR-KERN-02",
        f'(module (import "env" "memory" (memory 1 64)) (func (export "kernel") {FIVE}))',
    ),
    "function-imported": ("a function is imported too", "PAR-KERN-02", kernel(extra='(import "env" "f" (func))')),
    "only-function-imported": (
        "a function is imported instead", "PAR-KERN-02", f'(module (import "env" "memory" (func)) (func (export "kernel") {FIVE}))',
    ),
    "wasi-imported": (
        "the host is imported", "PAR-EXEC-08",
        kernel(extra='(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))'),
    ),
    "parallel-imported": (
        "wasi-parallel is imported", "PAR-EXEC-08",
        kernel(extra='(import "wasi_ephemeral_parallel" "get_device" (func (param i32 i32) (result i32)))'),
    ),
    "global-imported": ("a global is imported too", "PAR-KERN-02", kernel(extra='(import "env" "g" (global i32))')),
    "table-imported": ("a table is imported too", "PAR-KERN-02", kernel(extra='(import "env" "t" (table 1 funcref))')),
    "two-memories": ("two memories are imported", "PAR-KERN-02", kernel(extra='(import "env" "m" (memory 1 1 shared))')),
    "no-export": ("nothing is exported", "PAR-KERN-01", f"(module {SHARED} (func {FIVE}))"),
    "other-name": ("the export has another name", "PAR-KERN-01", f'(module {SHARED} (func (export "Kernel") {FIVE}))'),
    "global-exported": (
        "'kernel' is a global", "PAR-KERN-01", f'(module {SHARED} (global (export "kernel") i32 (i32.const 0)))',
    ),
    "memory-exported": ("'kernel' is the memory", "PAR-KERN-01", f'(module {SHARED} (export "kernel" (memory 0)))'),
    "no-parameters": ("it takes nothing", "PAR-KERN-02", f'(module {SHARED} (func (export "kernel")))'),
    "two-parameters": ("it takes two parameters", "PAR-KERN-02", f'(module {SHARED} (func (export "kernel") (param i32 i32)))'),
    "buffer-missing": ("it takes no buffer", "PAR-KERN-02", NOTHING),
    "buffer-too-many": ("it takes two buffers", "PAR-KERN-02", kernel("", 2)),
    "half-a-buffer": (
        "a pointer has no length", "PAR-KERN-02", f'(module {SHARED} (func (export "kernel") (param i32 i32 i32 i32)))',
    ),
    "i64-id": (
        "the id is i64", "PAR-KERN-02", f'(module {SHARED} (func (export "kernel") (param i64 i32 i32 i32 i32)))',
    ),
    "i64-pointer": (
        "a pointer is i64", "PAR-KERN-02", f'(module {SHARED} (func (export "kernel") (param i32 i32 i32 i64 i32)))',
    ),
    "f32-length": (
        "a length is f32", "PAR-KERN-02", f'(module {SHARED} (func (export "kernel") (param i32 i32 i32 i32 f32)))',
    ),
    "result": ("it returns something", "PAR-KERN-02", kernel("(i32.const 0)", result=" (result i32)")),
}  # fmt: skip

#: What else may be in a kernel: what it shows; extra parts; an expression for the value of each iteration; the value.
GOOD: dict[str, tuple[str, str, str, int]] = {
    "functions": (
        "several functions that call each other",
        "(func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))\n"
        "  (func $inc (param i32) (result i32) (i32.add (call $twice (local.get 0)) (i32.const 1)))",
        "(call $inc (i32.const 20))", 41,
    ),
    "table": (
        "an indirect call",
        "(type $f (func (result i32)))\n  (table funcref (elem $one $two))\n"
        "  (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))",
        "(call_indirect (type $f) (i32.const 1))", 2,
    ),
    "recursion": (
        "recursion",
        "(func $fac (param i32) (result i32) (if (result i32) (local.get 0)\n"
        "    (then (i32.mul (local.get 0) (call $fac (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 1))))",
        "(call $fac (i32.const 10))", 3628800,
    ),
    "deep-recursion": (
        "a thousand nested calls",
        "(func $deep (param i32) (result i32) (if (result i32) (local.get 0)\n"
        "    (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))",
        "(call $deep (i32.const 1000))", 1000,
    ),
    "simd": (
        "vector instructions", "",
        "(i32x4.extract_lane 2 (i32x4.mul (i32x4.splat (i32.const 6)) (v128.const i32x4 1 2 7 4)))", 42,
    ),
    "floats": (
        "a multiplication and an addition that are rounded one by one, without fusing", "",
        "(i32.reinterpret_f32 (f32.add (f32.mul (f32.const 0x1.000002p0) (f32.const 0x1.000002p0)) (f32.const -0x1.000004p0)))",
        0,
    ),
    "subnormals": (
        "a subnormal result is not flushed to zero", "",
        "(i32.reinterpret_f32 (f32.mul (f32.const 0x1p-126) (f32.const 0.5)))", 0x00400000,
    ),
    "globals": ("a mutable global", "(global $g (mut i32) (i32.const 30))", "(global.get $g)", 30),
    "passive-data": (
        "a passive segment", '(data $d "\\2a\\00\\00\\00")',
        "(block (result i32) (memory.init $d (i32.const 2048) (i32.const 0) (i32.const 4)) (i32.load (i32.const 2048)))", 42,
    ),
    "other-exports": ("more exports than needed", '(func (export "other") (result i32) (i32.const 1))', "(i32.const 3)", 3),
    "custom-sections": ("custom sections", '(@custom "anything" "at all")', "(i32.const 4)", 4),
    "sign-extension": ("sign extension", "", "(i32.extend8_s (i32.const 0x80))", 0xFFFFFF80),
    "saturating": ("saturating conversions", "", "(i32.trunc_sat_f64_s (f64.const 1e300))", 0x7FFFFFFF),
    "multi-value": (
        "a function with two results", "(func $two (result i32 i32) (i32.const 40) (i32.const 2))",
        "(i32.add (call $two))", 42,
    ),
    "caught-exception": (
        "an exception that it catches itself", "(tag $t (param i32))",
        "(block $caught (result i32) (try_table (catch $t $caught) (throw $t (i32.const 9))) (unreachable))", 9,
    ),
    "tail-call": (
        "a tail call that is too deep for any stack",
        "(func $loop (param i32 i32) (result i32) (if (result i32) (local.get 0)\n"
        "    (then (return_call $loop (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 2))))\n"
        "    (else (local.get 1))))",
        "(call $loop (i32.const 20000) (i32.const 0))", 40000,
    ),
}  # fmt: skip

#: What is not in every engine's WebAssembly.
FEATURES = {"caught-exception": "exceptions", "tail-call": "tail-call"}


def cases() -> Iterator[Case]:
    for name, (why, rule, source) in BAD.items():
        case = Case(
            f"kernels/bad-{name}", f"No kernel: {why}. It is refused also for zero iterations.", [rule, "PAR-KERN-03"]
        )
        device = case.device()
        total = case.written(device, 4)
        code = case.code(source)
        case.refuse(device, code, 0, [total])
        case.refuse(device, code, 3, [total])
        case.read(total)
        case.words(total.region, [0])
        yield case
    for name, (what, extra, value, want) in GOOD.items():
        needs = f"feature={FEATURES[name]}" if name in FEATURES else ""
        case = Case(f"kernels/with-{name}", f"A kernel may contain {what}.", ["PAR-KERN-04"], needs)
        device = case.device()
        found = case.written(device, 12)
        case.run(device, case.code(kernel(store(value), extra=extra)), 3, [found])
        case.read(found)
        case.words(found.region, [want] * 3)
        yield case
    for name, names in (
        ("prototype", ('""', '"memory"')),
        ("other", ('"whatever"', '"mem"')),
        ("unicode", ('"ü"', '"空"')),
    ):
        case = Case(f"kernels/import-name-{name}", f"The memory may be imported as {' '.join(names)}.", ["PAR-KERN-02"])
        device = case.device()
        total = case.written(device, 4)
        case.run(device, case.code(TALLY.replace('"env" "memory"', " ".join(names))), 3, [total])
        case.read(total)
        case.words(total.region, [3])
        yield case
    yield from _cache()
    yield from _instances()


def _cache() -> Iterator[Case]:
    case = Case(
        "kernels/replaced-in-place", "Other code at the same address is another kernel.", ["PAR-KERN-01", "PAR-ARG-03"]
    )
    device = case.device()
    result = case.written(device, 4)
    first = case.code(kernel("(i32.store (local.get $p0) (i32.const 1))"))
    second = case.code(kernel("(i32.store (local.get $p0) (i32.const 2))"))
    assert first.size == second.size
    for want in (1, 2):
        case.run(device, first, 1, [result])
        case.read(result)
        case.words(result.region, [want])
        case.step(f"(memory.copy (i32.const {first.address}) (i32.const {second.address}) (i32.const {second.size}))")
    yield case

    case = Case("kernels/alternating", "Two kernels by turns, on both devices.", ["PAR-KERN-01"])
    devices = [case.device(hint) for hint in HINTS.values()]
    buffers = [case.written(device, 4) for device in devices]
    add = [case.code(kernel(f"(drop (i32.atomic.rmw.add (local.get $p0) (i32.const {k})))")) for k in (1, 100)]
    for _ in range(3):
        for code in add:
            for device, buffer in zip(devices, buffers):
                case.run(device, code, 2, [buffer])
    for buffer in buffers:
        case.read(buffer)
        case.words(buffer.region, [606])
    yield case


def _instances() -> Iterator[Case]:
    started = kernel(
        store("(i32.add (i32.load (i32.const 2048)) (i32.load8_u (i32.const 2056)))"),
        extra='(start $go) (func $go (i32.atomic.store (i32.const 2048) (i32.const 40)))\n  (data (i32.const 2056) "\\02")',
    )
    for hint_name, hint in HINTS.items():
        case = Case(
            f"kernels/start-and-data-first-{hint_name}", "Start function and active segments have acted before any "
            "iteration runs, in every execution.", ["PAR-INST-02"],
        )  # fmt: skip
        device = case.device(hint)
        found = case.written(device, 80)
        code = case.code(started)
        for _ in range(2):
            case.run(device, code, 20, [found])
            case.read(found)
            case.all(found.region, 20, 42)
            case.store(2048, 0)
            case.store(2056, 0)
        yield case

        case = Case(
            f"kernels/segments-overwrite-nothing-{hint_name}", "Active segments act before, not between iterations: what "
            "iterations have stored over them stays.", ["PAR-INST-02"], "memory=alias",
        )  # fmt: skip
        device = case.device(hint)
        result = case.written(device, 4)
        # Every iteration adds one to a word that a segment sets to 5 (the caller's word 2048 is in the same memory).
        body = "(i32.store (local.get $p0) (i32.add (i32.atomic.rmw.add (i32.const 2048) (i32.const 1)) (i32.const 1)))"
        code = case.code(kernel(body, extra='(data (i32.const 2048) "\\05\\00\\00\\00")'))
        case.run(device, code, 50, [result])
        case.words(2048, [55])
        yield case

        case = Case(
            f"kernels/trapping-start-{hint_name}", "A start function that traps ends the execution before any iteration.",
            ["PAR-INST-02", "PAR-EXEC-07"], outcome="ok or trap",
        )  # fmt: skip
        device = case.device(hint)
        total = case.written(device, 4)
        bad = TALLY.replace("(func $kernel", "(start $go) (func $go unreachable)\n  (func $kernel")
        case.refuse(device, case.code(bad), 4, [total])
        case.read(total)
        case.words(total.region, [0])
        yield case

        bump = "(global.set $g (i32.add (global.get $g) (i32.const 1)))\n    "
        case = Case(
            f"kernels/fresh-globals-{hint_name}", "By default each iteration finds globals as after instantiation.",
            ["PAR-INST-01"], "instance=fresh",
        )  # fmt: skip
        device = case.device(hint)
        found = case.written(device, 80)
        code = case.code(kernel(bump + store("(global.get $g)"), extra="(global $g (mut i32) (i32.const 6))"))
        for _ in range(2):
            case.run(device, code, 20, [found])
            case.read(found)
            case.all(found.region, 20, 7)
        yield case

        case = Case(
            f"kernels/single-instance-{hint_name}", "With one instance for all, iterations share globals, and the next "
            "execution starts anew.", ["PAR-INST-01"], "instance=single",
        )  # fmt: skip
        device = case.device(hint)
        total = case.written(device, 4)
        code = case.code(
            kernel(
                bump + "(drop (i32.atomic.rmw.add (local.get $p0) (global.get $g)))",
                extra="(global $g (mut i32) (i32.const 0))",
            )
        )
        for want in (55, 110):
            case.run(device, code, 10, [total])
            case.read(total)
            case.words(total.region, [want])
        yield case

    for what, extra, change, value in (
        ("table", "(table $t 1 funcref) (elem declare func $kernel)", "(table.set $t (i32.const 0) (ref.func $kernel))",
         "(ref.is_null (table.get $t (i32.const 0)))"),
        ("table-size", "(table $t 1 funcref)", "(drop (table.grow $t (ref.null func) (i32.const 3)))",
         "(i32.eq (table.size $t) (i32.const 1))"),
        ("data-segment", '(data $d "abcd") (memory $own 1)', "(data.drop $d)",
         "(block (result i32) (memory.init $own $d (i32.const 0) (i32.const 0) (i32.const 4)) (i32.const 1))"),
        ("own-memory", "(memory $own 1)", "(i32.store $own (i32.const 4) (i32.const 9))",
         "(i32.eqz (i32.load $own (i32.const 4)))"),
    ):  # fmt: skip
        case = Case(
            f"kernels/fresh-{what}", f"By default each iteration finds its {what.replace('-', ' ')} as after instantiation.",
            ["PAR-INST-01"], "instance=fresh" + (",feature=multi-memory" if "$own" in extra else ""),
        )  # fmt: skip
        device = case.device()
        found = case.written(device, 80)
        case.run(device, case.code(kernel(store(value) + "\n    " + change, extra=extra)), 20, [found])
        case.read(found)
        case.all(found.region, 20, 1)
        yield case

    case = Case(
        "kernels/read-only-state",
        "Tables, segments and globals that nobody changes serve every iteration.",
        ["PAR-KERN-04"],
    )
    device = case.device()
    found = case.written(device, 400)
    extra = '(global $g i32 (i32.const 2)) (data $d "\\28\\00\\00\\00")'
    body = f"(memory.init $d (i32.const 2048) (i32.const 0) (i32.const 4))\n    (i32.store {MINE} (i32.add (i32.load (i32.const 2048)) (global.get $g)))"
    case.run(device, case.code(kernel(body, extra=extra)), 100, [found], block=7)
    case.read(found)
    case.all(found.region, 100, 42)
    yield case
