"""Random sequences of the five calls, valid and invalid, against a model of the rules in a page of Python."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from refwasm import Program as WholeProgram
from refwasm.host.parallel import ParallelLimits
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.types import Errno
from refwasm.strategies import ParallelProgram, parallel_programs
from tests.support import kernel_wat, program

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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=parallel_programs(failing=False, max_executions=25, max_iterations=129),
    workers=st.integers(1, 3),
    device=st.sampled_from((None, "native", "opencl")),
)
def test_random_executions_print_what_the_rules_allow(
    drawn: ParallelProgram, workers: int, device: str | None
) -> None:  # fmt: skip
    """Many executions over random policies, sizes, numbers of workers and devices."""
    limits = ParallelLimits(workers=workers)
    if device is not None and registry.backend(device).found()[0].problem:
        device = None
    with (
        tempfile.TemporaryFile() as output,
        WholeProgram(
            drawn.binary(), policies=drawn.policies, limits=limits, stdout=output.fileno(), device=device
        ) as running,
    ):
        assert running.run() == 0
        output.seek(0)
        assert not drawn.admits(output.read())
