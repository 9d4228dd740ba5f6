"""The interface's older forms, and the three public programs of its first implementation, done again with checks that
fail if the kernel does not run."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import MEMORIES
from conformance.writing import CPU, LISTS, READ_WRITE, RESULT, WRITE, Case, const, kernel, word

COMMON = {"get_device": 2, "create_buffer": 4, "write_buffer": 3, "read_buffer": 3}
MODULE_FORM = {**COMMON, "parallel_for": 8}
FUNCTION_FORM = {**COMMON, "parallel_for": 7}
OLD_CPU, OLD_DISCRETE, OLD_INTEGRATED = range(3)

#: The caller's functions that serve as kernels in the form of 2021: positions in its table are their order.
FUNCTIONS = """\
  (table (export "__indirect_function_table") 6 funcref)
  (elem (i32.const 0) $tally $count $count_in_global $print_something $wrong)
  (global $g (mut i32) (i32.const 100))
  (func $tally (param $id i32) (param $n i32) (param $block i32)
    (drop (i32.atomic.rmw.add (i32.const 1024) (i32.const 1)))
    (i32.atomic.store (i32.const 1028) (local.get $n))
    (i32.atomic.store (i32.const 1032) (local.get $block)))
  (func $count (param $id i32) (param $n i32) (param $block i32) (param $p0 i32) (param $s0 i32)
    (drop (i32.atomic.rmw.add (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))
      (i32.div_u (local.get $s0) (local.get $n)))))
  (func $count_in_global (param $id i32) (param $n i32) (param $block i32)
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.atomic.store (i32.const 1024) (global.get $g)))
  (func $print_something (param i32 i32 i32) (call $print (i32.const 512) (i32.const 1)))
  (func $wrong (param i64))"""
TALLY_AT, COUNT_AT, GLOBAL_AT, PRINT_AT, WRONG_AT, NULL_AT = range(6)


def _run(case: Case, *args: int) -> str:
    return case.call("parallel_for", *args)


def cases() -> Iterator[Case]:
    for form, imports in (("module", MODULE_FORM), ("function", FUNCTION_FORM)):
        for kind, name in enumerate(("cpu", "discrete-gpu", "integrated-gpu")):
            case = Case(
                f"forms/{form}-hint-{name}", f"In the old numbering {name} is {kind}.", ["PAR-FORM-02"], imports=imports
            )
            device = case.device(kind)
            case.buffer(device, 16)
            yield case
        case = Case(
            f"forms/{form}-hint-3", "The old numbering has no 3.", ["PAR-FORM-02", "PAR-ARG-01"], imports=imports
        )
        case.trap("get_device", 3, RESULT)
        yield case
        case = Case(
            f"forms/{form}-buffers",
            "Buffers are the same in the older forms.",
            ["PAR-FORM-01", "PAR-BUF-07"],
            imports=imports,
        )
        buffer = case.buffer(case.device(OLD_CPU), 100)
        case.fill(buffer.region, 100, 3)
        case.write(buffer)
        back = case.region(100)
        case.read(buffer, back)
        case.same(back, buffer.region, 100)
        yield case
    yield from _modules()
    yield from _functions()
    yield from _programs()


def _modules() -> Iterator[Case]:
    body = """(drop (i32.atomic.rmw.add (i32.const 1024) (i32.const 1)))
    (i32.atomic.store (i32.const 1028) (local.get $n))
    (i32.atomic.store (i32.const 1032) (local.get $block))"""
    for n, block in ((0, 1), (1, 0), (12, 4), (100, 7)):
        case = Case(
            f"forms/module-{n}-by-{block}", "parallel_for of a kernel module calls it with id, number and block size "
            "only.", ["PAR-FORM-01", "PAR-FORM-03", "PAR-FORM-04"], "memory=alias", imports=MODULE_FORM,
        )  # fmt: skip
        code = case.code(kernel(body, 0))
        case.expect(_run(case, code.address, code.size, n, block, LISTS, 0, LISTS, 0), 0)
        case.words(1024, [n, n, block] if n else [0, 0, 0])
        yield case

    case = Case(
        "forms/module-buffers-not-passed", "Buffers may be named, but the kernel takes none.", ["PAR-FORM-04", "PAR-FORM-03"],
        imports=MODULE_FORM,
    )  # fmt: skip
    buffer = case.written(case.device(OLD_CPU), 4)
    plain, with_buffer = case.code(kernel("", 0)), case.code(kernel("", 1))
    case.store(LISTS, 0)
    case.step(f"(i32.store {const(LISTS)} {buffer.handle})")
    case.expect(_run(case, plain.address, plain.size, 3, 1, LISTS, 1, LISTS, 0), 0)
    case.expect(f"(i32.eqz {_run(case, with_buffer.address, with_buffer.size, 3, 1, LISTS, 1, LISTS, 0)})", 0)
    case.store(LISTS, 0)
    case.expect(f"(i32.eqz {_run(case, plain.address, plain.size, 3, 1, LISTS, 1, LISTS, 0)})", 0)
    yield case

    case = Case(
        "forms/module-bad-kernel",
        "What is no kernel is refused here too.",
        ["PAR-FORM-04", "PAR-KERN-03"],
        imports=MODULE_FORM,
    )
    code = case.code(b"no module")
    case.expect(f"(i32.eqz {_run(case, code.address, code.size, 0, 1, LISTS, 0, LISTS, 0)})", 0)
    yield case


def _functions() -> Iterator[Case]:
    for memory_name, memory in MEMORIES.items():
        for n, block in ((0, 1), (1, 0), (12, 4), (100, 7)):
            case = Case(
                f"forms/function-{n}-by-{block}-{memory_name}", "parallel_for of a function in the caller's table, over "
                "the caller's memory.", ["PAR-FORM-01", "PAR-FORM-05"], memory=memory, imports=FUNCTION_FORM, extra=FUNCTIONS,
            )  # fmt: skip
            case.expect(_run(case, TALLY_AT, n, block, LISTS, 0, LISTS, 0), 0)
            case.words(1024, [n, n, block] if n else [0, 0, 0])
            yield case

        case = Case(
            f"forms/function-buffers-{memory_name}", "A kernel in the table is given the region of the last write_buffer, "
            "and its size.", ["PAR-FORM-06", "PAR-FORM-03"], memory=memory, imports=FUNCTION_FORM, extra=FUNCTIONS,
        )  # fmt: skip
        buffer = case.written(case.device(OLD_CPU), 80)
        case.step(f"(i32.store {const(LISTS)} {buffer.handle})")
        for want in (4, 8):
            case.expect(_run(case, COUNT_AT, 20, 1, LISTS, 0, LISTS, 1), 0)
            case.all(buffer.region, 20, want)
            back = case.region(80)
            case.read(buffer, back)
            case.all(back, 20, want)
        yield case

        case = Case(
            f"forms/function-globals-{memory_name}", "Kernels in the table find the caller's globals (its stack pointer "
            "too) with their initial values, not the present ones, and change none of the caller's.", ["PAR-FORM-05"],
            "instance=fresh", memory=memory, imports=FUNCTION_FORM, extra=FUNCTIONS,
        )  # fmt: skip
        case.step("(global.set $g (i32.const 5))")
        case.expect(_run(case, GLOBAL_AT, 9, 1, LISTS, 0, LISTS, 0), 0)
        case.words(1024, [101])
        case.expect("(global.get $g)", 5)
        yield case

        case = Case(
            f"forms/function-data-as-it-is-{memory_name}", "The fresh instances run no start function and apply no "
            "segments: memory is as the caller left it.", ["PAR-FORM-05"], memory=memory, imports=FUNCTION_FORM,
            extra=FUNCTIONS + '\n  (data (i32.const 1024) "\\09") (start $init)\n'
            "  (func $init (i32.store (i32.const 1036) (i32.add (i32.load (i32.const 1036)) (i32.const 1))))",
        )  # fmt: skip
        case.words(1024, [9])
        case.store(1024, 40)
        case.expect(_run(case, TALLY_AT, 2, 1, LISTS, 0, LISTS, 0), 0)
        case.words(1024, [42])
        case.words(1036, [1])
        yield case

    case = Case(
        "forms/function-calls-the-host", "A kernel in the table that calls the host traps.", ["PAR-FORM-05", "PAR-EXEC-08"],
        outcome="ok or trap", imports=FUNCTION_FORM, extra=FUNCTIONS,
    )  # fmt: skip
    case.expect(f"(i32.eqz {_run(case, PRINT_AT, 2, 1, LISTS, 0, LISTS, 0)})", 0)
    yield case
    for name, position in (("wrong-type", WRONG_AT), ("null", NULL_AT), ("out-of-bounds", 6), ("far-out", 0xFFFFFFFF)):
        case = Case(
            f"forms/function-{name}", "A position of the table without a fitting function is refused, for any number of "
            "iterations.", ["PAR-FORM-05", "PAR-KERN-03"], imports=FUNCTION_FORM, extra=FUNCTIONS,
        )  # fmt: skip
        for n in (0, 3):
            case.expect(f"(i32.eqz {_run(case, position, n, 1, LISTS, 0, LISTS, 0)})", 0)
        yield case
    case = Case(
        "forms/function-unwritten", "A buffer that was never written has no region: it is refused.", ["PAR-FORM-06"],
        imports=FUNCTION_FORM, extra=FUNCTIONS,
    )  # fmt: skip
    buffer = case.buffer(case.device(OLD_CPU), 80)
    case.step(f"(i32.store {const(LISTS)} {buffer.handle})")
    case.expect(f"(i32.eqz {_run(case, COUNT_AT, 20, 1, LISTS, 0, LISTS, 1)})", 0)
    yield case


def _programs() -> Iterator[Case]:
    case = Case(
        "forms/program-example", "As the prototype's example: every iteration stores to one place of the caller's memory, "
        "over the kernel's own code if need be. Some iteration must have been the last.", ["PAR-MEM-01"], "memory=alias",
    )  # fmt: skip
    device = case.device(CPU)
    code = case.code(kernel("(i32.store (i32.const 1024) (i32.add (local.get $id) (i32.const 1)))", 0))
    case.run(device, code, 12, block=4)
    case.expect(f"(i32.lt_u (i32.sub {word(1024)} (i32.const 1)) (i32.const 12))", 1)
    yield case

    case = Case(
        "forms/program-sum", "As the prototype's sum: each iteration counts to the block size and leaves the count as an "
        "i64 in a buffer of kind write that is passed as input; the caller adds them up.", ["PAR-BUF-03"],
    )  # fmt: skip
    device = case.device(CPU)
    counts = case.written(device, 32, WRITE)
    body = """(local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $i) (i64.extend_i32_u (local.get $block)))))
    (i64.store (i32.add (local.get $p0) (i32.mul (local.get $id) (i32.const 8))) (local.get $i))"""
    case.run(device, case.code(kernel(body)), 4, [], [counts], block=250)
    case.read(counts)
    case.words(counts.region, [250, 0] * 4)
    yield case

    case = Case(
        "forms/program-nstream", "As the prototype's nstream: A += B + s * C in single precision, all three passed as "
        "inputs, and A looked at without read_buffer.", ["PAR-MEM-02", "PAR-BUF-03"], "memory=auto",
    )  # fmt: skip
    device = case.device(CPU)
    a, b, c = case.written(device, 256, WRITE), case.buffer(device, 256), case.buffer(device, 256, READ_WRITE)
    case.step(f"(i32.store {const(RESULT)} (i32.const 0))")
    case.step("(loop $fill")
    for buffer, value in ((b, 2.0), (c, 3.0)):
        case.step(f"  (f32.store (i32.add {const(buffer.region)} {word(RESULT)}) (f32.const {value}))")
    case.step(f"  (i32.store {const(RESULT)} (i32.add {word(RESULT)} (i32.const 4)))")
    case.step(f"  (br_if $fill (i32.lt_u {word(RESULT)} (i32.const 256))))")
    case.write(b)
    case.write(c)
    body = """(local $i i32) (local $end i32)
    (local.set $i (i32.mul (local.get $id) (i32.shl (local.get $block) (i32.const 2))))
    (local.set $end (i32.add (local.get $i) (i32.shl (local.get $block) (i32.const 2))))
    (loop $again
      (f32.store (i32.add (local.get $p0) (local.get $i)) (f32.add
        (f32.load (i32.add (local.get $p0) (local.get $i)))
        (f32.add (f32.load (i32.add (local.get $p1) (local.get $i)))
          (f32.mul (f32.const 0.5) (f32.load (i32.add (local.get $p2) (local.get $i)))))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $end))))"""
    code = case.code(kernel(body, 3))
    for want in (0x40600000, 0x40E00000):  # 3.5, 7.0
        case.run(device, code, 4, [], [a, b, c], block=16)
        case.all(a.region, 64, want)
    yield case
