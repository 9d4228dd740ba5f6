"""Kernels that trap, callers that trap or exit, and what the others are doing meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import COUNT, HINTS, MEMORIES, TALLY, works
from conformance.writing import CPU, Case, kernel

#: Sorts of traps: extra parts of the kernel, and what traps.
TRAPS: dict[str, tuple[str, str]] = {
    "unreachable": ("", "(unreachable)"),
    "division-by-zero": ("", "(drop (i32.div_u (i32.const 1) (i32.sub (local.get $n) (local.get $n))))"),
    "division-overflow": ("", "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (i32.const 0) (i32.const 1))))"),
    "conversion": ("", "(drop (i32.trunc_f32_s (f32.const nan)))"),
    "load-out-of-bounds": ("", "(drop (i32.load (i32.const -4)))"),
    "store-out-of-bounds": ("", "(i64.store (i32.const -9) (i64.const 1))"),
    "fill-out-of-bounds": ("", "(memory.fill (i32.const -100) (i32.const 1) (i32.const 200))"),
    "misaligned-atomic": ("", "(drop (i32.atomic.load offset=1 (i32.const 1024)))"),
    "null-call": ("(table 1 funcref) (type $f (func))", "(call_indirect (type $f) (i32.const 0))"),
    "table-bounds": ("(table 1 funcref) (type $f (func))", "(call_indirect (type $f) (i32.const 1))"),
    "wrong-type-call": (
        "(table funcref (elem $other)) (type $f (func)) (func $other (param i64))", "(call_indirect (type $f) (i32.const 0))",
    ),
    "exhaustion": ("(func $again (call $again))", "(call $again)"),
    "uncaught-exception": ("(tag $t)", "(throw $t)"),
}  # fmt: skip
MINE = "(i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))"
#: What the other iteration is doing when one traps; it gives up by itself, as no engine must end it.
OTHERS = {
    "spinning": """(local $i i32)
    (local.set $i (i32.const 3000000))
    (loop $spin (br_if $spin (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))""",
    "waiting": "(drop (memory.atomic.wait32 (local.get $p0) (i32.const 0) (i64.const 400000000)))",
    "finished": "",
}


def _traps(name: str, about: str) -> Case:
    return Case(f"traps/{name}", about, ["PAR-EXEC-07"], outcome="ok or trap")


def cases() -> Iterator[Case]:
    for name, (extra, instruction) in TRAPS.items():
        for hint_name, hint in HINTS.items():
            case = _traps(
                f"{name}-{hint_name}", f"A kernel that ends in {name.replace('-', ' ')}: an error number, and the device "
                "still works.",
            )  # fmt: skip
            case.needs = "feature=exceptions" if "$t" in extra and "throw" in instruction else ""
            device = case.device(hint)
            case.refuse(device, case.code(kernel(instruction, 0, extra=extra)), 3)
            works(case, device)
            yield case
    yield from _which()
    yield from _others()
    yield from _callers()


def _which() -> Iterator[Case]:
    for hint_name, hint in HINTS.items():
        for place, wanted in (("first", 0), ("middle", 50), ("last", 99)):
            case = _traps(f"one-of-a-hundred-{place}-{hint_name}", f"Only the {place} of a hundred iterations traps.")
            device = case.device(hint)
            body = f"(if (i32.eq (local.get $id) (i32.const {wanted})) (then (unreachable)))"
            code = case.code(kernel(body, 0))
            case.refuse(device, code, 100)
            case.run(device, code, wanted)
            yield case
        for memory_name, memory in MEMORIES.items():
            case = _traps(
                f"stores-stay-{hint_name}-{memory_name}", "What an iteration stored before it trapped stays, and its id "
                "ran at most once.",
            )  # fmt: skip
            case.memory = memory
            device = case.device(hint)
            stored = case.written(device, 4)
            body = "(drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1))) (unreachable)"
            case.refuse(device, case.code(kernel(body)), 1, [stored])
            case.read(stored)
            case.words(stored.region, [1])
            yield case


def _others() -> Iterator[Case]:
    for what, doing in OTHERS.items():
        case = _traps(f"while-another-is-{what}", f"One iteration traps while another is {what}.")
        device = case.device(CPU)
        buffer = case.written(device, 8)
        lines = doing.split("\n    ")
        declared = lines.pop(0) if doing.startswith("(local $") else ""
        body = f"""{declared}(if (i32.eqz (local.get $id)) (then (unreachable)))
    {(chr(10) + "    ").join(lines)}"""
        case.refuse(device, case.code(kernel(body)), 2, [buffer])
        works(case, device)
        yield case

        case = Case(
            f"traps/caller-traps-after-{what}", f"The caller traps when an iteration has been {what}: nothing keeps the "
            "engine from ending.", ["PAR-EXEC-06", "PAR-EXEC-10"], outcome="trap",
        )  # fmt: skip
        device = case.device(CPU)
        buffer = case.written(device, 8)
        short = doing.replace("3000000", "20000").replace("400000000", "20000000")
        case.run(device, case.code(kernel(short)), 2, [buffer])
        case.step("(call $print (i32.const 592) (i32.const 3))")
        case.step("(unreachable)")
        yield case

        case = Case(
            f"traps/exit-after-{what}", f"The caller ends with an exit code of its own after iterations were {what}.",
            ["PAR-EXEC-06", "PAR-EXEC-10"], exit_code=3,
        )  # fmt: skip
        device = case.device(CPU)
        buffer = case.written(device, 8)
        case.run(device, case.code(kernel(short)), 4, [buffer])
        yield case

    case = _traps("after-a-trap-others", "After a trap another kernel runs on the same buffers, and the first one too.")
    device = case.device()
    total = case.written(device, 4)
    once = kernel("""(if (i32.eqz (i32.atomic.rmw.add (local.get $p0) (i32.const 1))) (then (unreachable)))""")
    code = case.code(once)
    case.refuse(device, code, 1, [total])
    case.run(device, code, 5, [total])
    case.run(device, case.code(TALLY), 4, [total])
    case.read(total)
    case.words(total.region, [10])
    yield case

    case = _traps("twenty-in-a-row", "Twenty executions that trap, and one that does not.")
    device = case.device()
    left = case.variable("left")
    case.step("(global.set $left (i32.const 20))")
    case.step("(loop $again")
    case.refuse(device, case.code(kernel("(unreachable)", 0)), 5)
    case.step(f"  (global.set $left (i32.sub {left} (i32.const 1))) (br_if $again {left}))")
    works(case, device)
    yield case


def _callers() -> Iterator[Case]:
    case = Case(
        "traps/exit-while-idle", "A program may end with devices, buffers and kernels in its hands.", ["PAR-BUF-04", "PAR-EXEC-10"],
        exit_code=0,
    )  # fmt: skip
    for hint in HINTS.values():
        device = case.device(hint)
        counted = case.written(device, 400)
        case.run(device, case.code(COUNT), 100, [counted])
    yield case

    case = Case(
        "traps/caller-traps-at-once", "A trap of the caller before any execution.", ["PAR-EXEC-10"], outcome="trap"
    )
    case.written(case.device(), 400)
    case.step("(call $print (i32.const 592) (i32.const 3))")
    case.step("(unreachable)")
    yield case
