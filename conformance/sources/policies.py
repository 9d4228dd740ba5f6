"""Orders and groups that a policy selects, and what must be the same under all of them."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.sources.common import COUNT, HINTS
from conformance.writing import CPU, SEQUENTIAL, Case, kernel, word

#: Notes the ids in the order in which they run: the first word counts them.
NOTE = kernel("""(i32.store (i32.add (local.get $p0) (i32.shl (i32.atomic.rmw.add (local.get $p0) (i32.const 1)) (i32.const 2)))
      (local.get $id))""")
ORDERS = {"ascending": list(range(7)), "descending": list(range(6, -1, -1))}


def cases() -> Iterator[Case]:
    for order, ids in ORDERS.items():
        for hint_name, hint in HINTS.items():
            case = Case(
                f"policies/{order}-{hint_name}", f"With order={order} one worker runs ids in {order} order.",
                ["PAR-EXEC-05"], f"order={order},workers=1",
            )  # fmt: skip
            device = case.device(hint)
            noted = case.buffer(device, 32)
            case.store(noted.region, 1)
            case.write(noted)
            case.run(device, case.code(NOTE), 7, [noted])
            case.read(noted)
            case.words(noted.region, [8, *ids])
            yield case

    case = Case(
        "policies/blocks-descending", "With grouping=block, blocks run in the chosen order and ids inside one ascend.",
        ["PAR-EXEC-03", "PAR-EXEC-05"], "order=descending,grouping=block",
    )  # fmt: skip
    device = case.device(SEQUENTIAL)
    noted = case.buffer(device, 44)
    case.store(noted.region, 1)
    case.write(noted)
    case.run(device, case.code(NOTE), 10, [noted], block=4)
    case.read(noted)
    case.words(noted.region, [11, 8, 9, 4, 5, 6, 7, 0, 1, 2, 3])
    yield case

    for seed in (1, 2):
        case = Case(
            f"policies/shuffle-{seed}", "A shuffled order runs every id once, and not in ascending order.",
            ["PAR-EXEC-05", "PAR-EXEC-01"], f"order=shuffle:{seed}",
        )  # fmt: skip
        device = case.device(SEQUENTIAL)
        noted, counted = case.buffer(device, 4 * 41), case.written(device, 160)
        case.store(noted.region, 1)
        case.write(noted)
        code = case.code(NOTE)
        case.run(device, code, 40, [noted])
        case.read(noted)
        ascending = " ".join("(i32.const 0)" for _ in range(1))
        for index in range(1, 40):
            here, following = word(noted.region + 4 * index), word(noted.region + 4 * index + 4)
            ascending = f"(i32.add {ascending} (i32.lt_u {here} {following}))"
        case.expect(f"(i32.eq {ascending} (i32.const 39))", 0)
        case.run(device, case.code(COUNT), 40, [counted])
        case.read(counted)
        case.all(counted.region, 40, 1)
        yield case

    for needs in (
        "grouping=one", "grouping=block", "grouping=whole", "order=descending", "order=shuffle:5", "memory=copy",
        "memory=copy-back", "instance=per-worker", "instance=single", "workers=1", "workers=3",
        "memory=copy,order=shuffle:9,grouping=block,instance=per-worker,workers=3",
    ):  # fmt: skip
        for hint_name, hint in HINTS.items():
            case = Case(
                f"policies/all-once-{needs.replace('=', '-').replace(',', '-').replace(':', '-')}-{hint_name}",
                f"Under {needs} every id runs exactly once too.", ["PAR-EXEC-01", "PAR-EXEC-03", "PAR-EXEC-05"], needs,
            )  # fmt: skip
            device = case.device(hint)
            counted = case.written(device, 4 * 103)
            case.run(device, case.code(COUNT), 103, [counted], block=10)
            case.read(counted)
            case.all(counted.region, 103, 1)
            yield case

    case = Case(
        "policies/per-worker-state", "With instance=per-worker and one worker, iterations share globals.", ["PAR-INST-01"],
        "instance=per-worker,workers=1",
    )  # fmt: skip
    device = case.device(CPU)
    total = case.written(device, 4)
    body = """(global.set $g (i32.add (global.get $g) (i32.const 1)))
    (drop (i32.atomic.rmw.add (local.get $p0) (global.get $g)))"""
    code = case.code(kernel(body, extra="(global $g (mut i32) (i32.const 0))"))
    for want in (55, 110):
        case.run(device, code, 10, [total])
        case.read(total)
        case.words(total.region, [want])
    yield case
