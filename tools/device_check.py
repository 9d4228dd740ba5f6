"""Does a device do what SEQUENTIAL does? ``python -m tools.device_check DEVICE [--kernels N]`` runs
the conformance suite, every operation of a translated kernel, and generated kernels there, and compares bit for bit.

Prints what differs. Exit codes: 0 nothing does, 1 something does.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator

from conformance.suite import load
from refwasm.strategies.sampling import sample
from tools.conforming import assembled, problem_of
from tools.device_operations import ATOMICS, LOADS, SCALARS, STORES, VECTORS, wrong
from tools.generated_kernels import ANY, SCALAR, as_kernel, difference, drawn_kernels, told

BATCH = 500


def cases(device: str) -> Iterator[str]:
    """Conformance cases that fail."""
    for case in load():
        found, binary = assembled(case.name)
        if problem := problem_of(found, binary, device=device):
            yield f"{case.name}: {problem}"


def operations(device: str) -> Iterator[str]:
    """Operations that give something else."""
    names = [*SCALARS, *VECTORS, *LOADS, *STORES, *ATOMICS]
    for start in range(0, len(names), 60):
        yield from wrong(names[start : start + 60], 200, device)


def generated(device: str, count: int) -> Iterator[str]:
    """Generated kernels of which the device makes something else. What it leaves to the CPU is counted."""
    features, nan = (ANY, "canonicalised") if device == "native" else (SCALAR, "any")
    left: Counter[str] = Counter()
    done = 0
    for start in range(0, count, BATCH):
        for number, module in enumerate(sample(drawn_kernels(features, nan), min(BATCH, count - start), start)):
            kernel = as_kernel(module.module)
            done += 1
            if problem := difference(kernel, device, start + number):
                yield f"kernel {start + number}: {problem}\n{module!r}"
            if instead := told(kernel, device, 0, times=1).instead:
                left[instead] += 1
    print(f"  {done} kernels, {sum(left.values())} of them left to the CPU: {dict(left.most_common(4))}")


def main() -> int:
    """Run the parts; print what differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.device_check", description=__doc__)
    parser.add_argument("device", help="as for refwasm run --device")
    parser.add_argument("--kernels", type=int, default=1_000, help="generated ones; default 1000")
    options = parser.parse_args()
    parts: dict[str, Iterator[str]] = {
        "conformance cases": cases(options.device), "generated kernels": generated(options.device, options.kernels),
    }  # fmt: skip
    if options.device.partition(":")[0] in ("opencl", "cuda"):
        parts["operations"] = operations(options.device)
    wrong_ones = 0
    for name, problems in parts.items():
        began, count = time.monotonic(), 0
        for problem in problems:
            print(f"  {problem}", flush=True)
            count += 1
        wrong_ones += count
        print(f"{name}: {count} differ ({time.monotonic() - began:.0f} s)", flush=True)
    return int(wrong_ones > 0)


if __name__ == "__main__":
    raise SystemExit(main())
