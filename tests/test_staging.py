"""Memories of the devices' own, which are kept: they never stand in the way."""

from __future__ import annotations

import subprocess
import sys

import pytest

from refwasm.binary import encode
from refwasm.text import parse_module
from tests.support import CPU, KERNEL_AT, SEQUENTIAL, kernel_wat, program

DEVICES = pytest.mark.parametrize("hint", [SEQUENTIAL, CPU])


@DEVICES
def test_a_kernel_without_memory(hint: int) -> None:
    p = program(kernel_wat("(nop)", 0, memory="0 0 shared"), policies="memory=copy")
    for _ in range(2):
        assert p.exec(p.device(hint), 2) == 0


def test_kept_memories_hold_little_address_space() -> None:
    p = program(kernel_wat("(nop)", 0, memory="1 65535 shared"), policies="memory=copy")
    for number in range(6):
        kernel = encode(parse_module(kernel_wat(f"(drop (i32.const {number}))", 0, memory="1 65535 shared")))
        p.memory.write(KERNEL_AT, kernel)
        p.kernel = (KERNEL_AT, len(kernel))
        assert p.exec(p.device(SEQUENTIAL), 1) == 0
    assert len(p.context.kernels) == 6
    assert 0 < len(p.context.staging.kept) < 3


def test_kept_memories_give_way() -> None:
    """A limit on address space that has room for three memories of 4 GiB, not for four kernels' at a time."""
    script = """if True:
        import resource
        from tools.guests import *
        from refwasm.host.parallel import staging
        staging.MAX_RESERVED = 1 << 40
        p = program(kernel_wat("(nop)", 0, memory="1 65535 shared"), policies="memory=copy")
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + (14 << 30), -1))
        for number in range(8):
            kernel = encode(parse_module(kernel_wat(f"(drop (i32.const {number}))", 0, memory="1 65535 shared")))
            p.memory.write(KERNEL_AT, kernel)
            p.kernel = (KERNEL_AT, len(kernel))
            assert p.exec(p.device(SEQUENTIAL), 1) == 0, number
        print("all ran")
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "all ran\n", done.stderr
