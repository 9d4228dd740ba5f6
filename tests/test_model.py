"""Random sequences of the five calls, valid and invalid, against a model of the rules in a page of Python."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from refwasm.host.parallel import ParallelLimits
from refwasm.host.parallel.types import Errno
from tests.support import Program, kernel_wat, program

REGIONS, STEP = 65536, 256
WORD = (1 << 32) - 1
#: Adds id + 1 to the first word of every buffer that has one.
ADD = "\n".join(
    f"(if (i32.ge_u (local.get $s{i}) (i32.const 4)) (then (drop (i32.atomic.rmw.add (local.get $p{i}) "
    "(i32.add (local.get $id) (i32.const 1))))))"
    for i in range(2)
)


@dataclass
class ModelBuffer:
    device: int
    size: int
    content: bytes
    region: int | None = None


class Model:
    """What the rules say: devices, buffers, and the caller's memory from REGIONS on."""

    def __init__(self, memory_policy: str, shared: bool) -> None:
        self.alias = shared and memory_policy in ("auto", "alias")
        self.copies_back = memory_policy != "copy"
        self.devices: set[int] = set()
        self.buffers: dict[int, ModelBuffer] = {}
        self.memory = bytearray(64 * STEP)

    def contents(self, buffer: ModelBuffer) -> bytes:
        if self.alias and buffer.region is not None:
            return bytes(self.memory[buffer.region : buffer.region + buffer.size])
        return buffer.content

    def create(self, device: int) -> Errno:
        return Errno.SUCCESS if device in self.devices else Errno.INVALID_DEVICE

    def access(self, handle: int, size: int) -> Errno:
        if handle not in self.buffers:
            return Errno.INVALID_BUFFER
        return Errno.SUCCESS if self.buffers[handle].size == size else Errno.SIZE_MISMATCH

    def execute(self, device: int, handles: list[int], iterations: int) -> Errno:
        if device not in self.devices:
            return Errno.INVALID_DEVICE
        if any(handle not in self.buffers for handle in handles):
            return Errno.INVALID_BUFFER
        if any(self.buffers[handle].device != device for handle in handles):
            return Errno.WRONG_DEVICE
        if len(handles) != 2:
            return Errno.INVALID_KERNEL
        for handle in handles:
            buffer = self.buffers[handle]
            new = self.contents(buffer)
            if buffer.size >= 4:
                total = int.from_bytes(new[:4], "little") + iterations * (iterations + 1) // 2
                new = (total & WORD).to_bytes(4, "little") + new[4:]
            buffer.content = new
            if buffer.region is not None and self.copies_back:
                self.memory[buffer.region : buffer.region + buffer.size] = new
        return Errno.SUCCESS


class FiveCalls(RuleBasedStateMachine):
    """The implementation beside the model."""

    devices: Bundle[int] = Bundle("devices")
    buffers: Bundle[int] = Bundle("buffers")

    @initialize(
        memory=st.sampled_from(["auto", "copy", "copy-back"]), shared=st.booleans(), workers=st.integers(1, 3),
        more=st.sampled_from(["", ",instance=per-worker", ",instance=single", ",grouping=block", ",order=shuffle:3",
                              ",order=descending,grouping=one"]),
    )  # fmt: skip
    def start(self, memory: str, shared: bool, workers: int, more: str) -> None:
        kernel = kernel_wat(ADD, 2, "1 8 shared")
        self.program = program(
            kernel, "2 8 shared" if shared else "2 8", f"memory={memory}{more}", ParallelLimits(workers=workers)
        )
        self.model = Model(memory, shared)

    @rule(target=devices, hint=st.integers(0, 3))
    def get_device(self, hint: int) -> int:
        handle = self.program.device(hint)
        self.model.devices.add(handle)
        return handle

    @rule(target=buffers, device=devices | st.just(99), size=st.sampled_from([0, 1, 3, 4, 8, 13, 64, 200]))
    def create_buffer(self, device: int, size: int) -> object:
        want = self.model.create(device)
        assert self.program.call("create_buffer", device, size, 2, 0) == want
        if want:
            return multiple()
        handle = self.program.memory.load(4, 0)
        assert handle not in self.model.buffers
        self.model.buffers[handle] = ModelBuffer(device, size, bytes(size))
        return handle

    @rule(handle=buffers | st.just(7), wrong=st.sampled_from([0, 0, 0, 1, -1]), slot=st.integers(0, 63))
    def write_buffer(self, handle: int, wrong: int, slot: int) -> None:
        """Every buffer has a region of its own, which it keeps: overlaps are left open by PAR-MEM-06."""
        buffer = self.model.buffers.get(handle)
        size = max((buffer.size if buffer else 8) + wrong, 0)
        region = self._region(handle)
        want = self.model.access(handle, size)
        assert self.program.call("write_buffer", REGIONS + region, size, handle) == want
        if buffer and not want:
            buffer.region = region
            buffer.content = bytes(self.model.memory[region : region + size])

    def _region(self, handle: int) -> int:
        known = list(self.model.buffers)
        return STEP * (known.index(handle) if handle in known else 60)

    @rule(handle=buffers | st.just(7), wrong=st.sampled_from([0, 0, 0, 1, -1]))
    def read_buffer(self, handle: int, wrong: int) -> None:
        buffer = self.model.buffers.get(handle)
        size = max((buffer.size if buffer else 8) + wrong, 0)
        want = self.model.access(handle, size)
        assert self.program.call("read_buffer", handle, REGIONS + 61 * STEP, size) == want
        if buffer and not want:
            self.model.memory[61 * STEP : 61 * STEP + size] = self.model.contents(buffer)

    @rule(handle=buffers, value=st.integers(0, 255))
    def store(self, handle: int, value: int) -> None:
        """The caller changes the region of a buffer, before or after write_buffer."""
        region = self._region(handle)
        self.model.memory[region] = value
        self.program.memory.write(REGIONS + region, bytes([value]))

    @rule(
        device=devices | st.just(99),
        handles=st.lists(buffers | st.just(7), min_size=1, max_size=3),
        n=st.integers(0, 40),
    )
    def parallel_exec(self, device: int, handles: list[int], n: int) -> None:
        want = self.model.execute(device, handles, n)
        assert self.program.exec(device, n, *handles, block=n % 7) == want

    @invariant()
    def memory_agrees(self) -> None:
        if hasattr(self, "program"):
            assert self.program.memory.read(REGIONS, len(self.model.memory)) == self.model.memory


TestFiveCalls = FiveCalls.TestCase
TestFiveCalls.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("seed", range(4))
def test_random_executions_agree_with_the_model(seed: int) -> None:
    """Thousands of executions over random policies, sizes and numbers of workers."""
    generator = random.Random(seed)
    mine = "(i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2)))"
    body = f"(i32.store {mine} (i32.add (i32.mul (i32.load {mine}) (i32.const 3)) (local.get $id)))"
    for _ in range(25):
        policies = ",".join(
            f"{name}={generator.choice(values)}"
            for name, values in (
                ("memory", ["auto", "copy", "copy-back"]), ("instance", ["fresh", "per-worker", "single"]),
                ("grouping", ["guided", "one", "block", "whole"]), ("order", ["ascending", "descending", "shuffle:5"]),
            )
        )  # fmt: skip
        p = program(
            kernel_wat(body),
            generator.choice(["2 8 shared", "2 8"]),
            policies,
            ParallelLimits(workers=generator.randint(1, 3)),
        )
        hammer(p, generator)


def hammer(p: Program, generator: random.Random) -> None:
    """Twenty-five executions of one program, each checked in full."""
    device = p.device(generator.randint(0, 3))
    n = generator.choice([1, 2, 3, 17, 64, 129])
    handle = p.buffer(device, 4 * n)
    assert p.call("write_buffer", REGIONS, 4 * n, handle) == 0
    values = [0] * n
    for _ in range(25):
        m = generator.randint(0, n)
        assert p.exec(device, m, handle, block=generator.choice([0, 1, 5, 1 << 31])) == 0
        values = [(value * 3 + i) & WORD if i < m else value for i, value in enumerate(values)]
        assert p.call("read_buffer", handle, REGIONS, 4 * n) == 0
        assert p.memory.read(REGIONS, 4 * n) == b"".join(value.to_bytes(4, "little") for value in values)
