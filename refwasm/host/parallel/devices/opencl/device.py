"""OPENCL, and CUDA: the parent's side."""

from __future__ import annotations

import weakref
from ctypes.util import find_library
from functools import cache

from refwasm.errors import BACKTRACE, StackEntry, Trap, WasmError
from refwasm.execution.memory import SharedMemory
from refwasm.host.parallel.devices.child import ChildProcess, shared_memory, shared_process
from refwasm.host.parallel.devices.device import Execution, Unsupported, kernel_error
from refwasm.host.parallel.devices.opencl.messages import DeviceFacts, Launch
from refwasm.host.parallel.devices.opencl.operations import TRAPS
from refwasm.host.parallel.devices.opencl.program import DeviceProgram, told, translate
from refwasm.host.parallel.devices.registry import Found, NoSuchDevice
from refwasm.host.parallel.kernels import ExecutionParameters, Kernel, KernelInstance
from refwasm.host.parallel.policies import ParallelLimits
from refwasm.host.parallel.schedule import Schedule
from refwasm.host.parallel.types import Block, DeviceKind, ExecutionRecord

SERVER = "refwasm.host.parallel.devices.opencl.server"
NAMES = {"opencl": "OpenCL", "cuda": "CUDA"}
KINDS = {"cpu": DeviceKind.CPU, "gpu": DeviceKind.DISCRETE_GPU, "accelerator": DeviceKind.DISCRETE_GPU}
#: Work-items of a group on devices that are no CPUs, where programs do not ask for more.
GROUP = 64

#: Translated kernels, and why others can't be, by language; for all guests. Those that act when they are instantiated
#: are translated anew.
_programs: dict[str, weakref.WeakKeyDictionary[Kernel, DeviceProgram | str]] = {}


class Translating:
    """One device of OpenCL or CUDA, in a process of its own that starts with it. ``language`` is the one that kernels
    are translated to."""

    def __init__(self, language: str, platform: int, device: int, limits: ParallelLimits) -> None:
        self.language, self.platform, self.number, self.workers = language, platform, device, limits.workers
        self.facts = _facts(self._process())
        self.used: set[int] = set()  # numbers of what the process keeps for the guest
        self.kind, self.name = KINDS.get(self.facts.kind, DeviceKind.CPU), f"{language.upper()} ({self.facts.name})"

    def _process(self) -> ChildProcess:
        key = f"{self.language}:{self.platform}:{self.number}"
        return shared_process(key, lambda: _started(self.language, self.platform, self.number))

    def run(self, execution: Execution, record: ExecutionRecord) -> None:
        """As any device. Raises Unsupported for what the device can't do exactly."""
        schedule = execution.parameters.schedule()
        if not schedule.units:
            return
        if execution.parameters.fuel is not None:
            raise Unsupported("fuel is not counted there")
        memory, process = shared_memory(execution), self._process()
        with process.working():
            self._run(process, execution, memory, schedule, record)

    def _run(
        self,
        process: ChildProcess,
        execution: Execution,
        memory: SharedMemory,
        schedule: Schedule,
        record: ExecutionRecord,
    ) -> None:
        program = translated(execution, self.language)
        refuse_inexact(program, self.facts)
        launch = launched(execution.parameters, schedule, memory.size(), self._group(schedule.block_size), self.workers)
        process.forget_the_dead()
        kernel = process.once(program, lambda number: _build(process, number, program, execution.parameters.cache))
        place = process.share(memory)
        self.used |= {kernel, place}
        process.send("run", kernel, place, launch)
        answer = process.result(execution.parameters.deadline)
        if answer[0] == "limit":
            raise Unsupported(answer[1])
        _, words, begin, end = answer
        record.blocks.append(Block(0, execution.parameters.iterations, begin, end))
        raise_trap(execution.kernel, words)

    def close(self) -> None:
        """Have the process give up the guest's kernels and memories."""
        if self.used:
            self._process().forget(self.used)

    def _group(self, block_size: int) -> int | None:
        """The size of work-groups. Compilers for CPUs make vectors of work-items where the choice is theirs."""
        if self.facts.kind == "cpu":
            return None
        return min(max(block_size, GROUP), 256)


def translated(execution: Execution, language: str) -> DeviceProgram:
    """The program for an execution's kernel. What making an instance does to memory is done."""
    kernel = execution.kernel
    known = _programs.setdefault(language, weakref.WeakKeyDictionary())
    program = known.get(kernel)
    if program is None or (kernel.acts_on_instantiation and not isinstance(program, str)):
        try:
            program = _translate(execution, language, program)
        except Unsupported as reason:
            program = str(reason)
        known[kernel] = program
    if isinstance(program, str):
        raise Unsupported(program)
    return program


def _translate(execution: Execution, language: str, last: DeviceProgram | None) -> DeviceProgram:
    """Translate, after a first translation that only tells whether that works: otherwise nothing may have happened."""
    kernel = execution.kernel
    if kernel.acts_on_instantiation and last is None:
        quiet = KernelInstance(kernel, execution.memory, execution.parameters, quiet=True)
        translate(kernel, quiet.instance, language)
    try:
        instance = KernelInstance(kernel, execution.memory, execution.parameters).instance
    except WasmError as error:
        raise kernel_error(error, None) from error
    program = translate(kernel, instance, language)
    return last if last is not None and last.text == program.text else program


def refuse_inexact(program: DeviceProgram, facts: DeviceFacts) -> None:
    """Unsupported for a kernel that a device would run, but not exactly."""
    if program.needs_double and not facts.double:
        raise Unsupported("the device has no 64-bit floats")
    for what in facts.inexact:
        if program.needs_float and (program.needs_double or what.startswith("f32")):
            raise Unsupported(f"the device is not exact: {what}")


def launched(
    parameters: ExecutionParameters, schedule: Schedule, pages: int, group: int | None, workers: int
) -> Launch:
    """The work-items of an execution: one for each iteration, or for each unit that runs in a row. One for all where
    they share an instance, or where there is only one worker and an order can be seen."""
    start, step, listed = schedule.order()
    shared = parameters.policies.instance != "fresh"
    single = parameters.policies.instance == "single" or (
        workers == 1 and (shared or parameters.policies.order != "ascending")
    )
    if single and listed is not None:
        raise Unsupported("a shuffled order on one worker")
    if not single and schedule.unit == 1:
        return Launch(schedule.count, schedule.count, schedule.block_size, pages, parameters.pairs, None, group)
    per = schedule.units if single else 1
    items = -(-schedule.units // per)
    order = (start, step) if listed is None else (0, 1)  # side by side, whatever the order
    many = (schedule.units, schedule.unit, per, *order, not shared)
    return Launch(items, schedule.count, schedule.block_size, pages, parameters.pairs, tuple(map(int, many)), group)


def raise_trap(kernel: Kernel, words: bytes) -> None:
    """Raise the trap that an execution told, if it told one."""
    found = told(words)
    if found is None:
        return
    code, iteration, frames = found
    module = kernel.validated.module
    error = Trap(TRAPS[code])
    for function, number in frames[:BACKTRACE]:
        locate, positions = module.locate, module.funcs[function].positions
        location = locate(positions[number]) if locate is not None and number < len(positions) else ""
        error.backtrace.append(StackEntry(function, module.names.of("func", function), location))
    raise kernel_error(error, iteration) from None


# ---- the process ----------------------------------------------------------------------------------------------------

_about: weakref.WeakKeyDictionary[ChildProcess, DeviceFacts] = weakref.WeakKeyDictionary()


def _facts(process: ChildProcess) -> DeviceFacts:
    return _about[process]


@cache
def _listed(language: str) -> list[DeviceFacts]:
    """All devices of all drivers, looked for once. Raises Unsupported."""
    process = _process(language)
    try:
        found: list[DeviceFacts] = process.ask("devices")[1]
    finally:
        process.close()
    return found


def _process(language: str) -> ChildProcess:
    return ChildProcess(SERVER, f"the process of {NAMES[language]}", language)


def _started(language: str, platform: int, device: int) -> ChildProcess:
    process = _process(language)
    process.ask("devices")
    _about[process] = process.ask("use", platform, device)[1]
    return process


def _build(process: ChildProcess, number: int, program: DeviceProgram, cache: str | None) -> None:
    process.send("kernel", number, program, cache)
    answer = process.receive()
    if answer is None or answer[0] == "refused":
        raise Unsupported(f"the driver refuses the translated kernel: {answer and answer[1]}")


# ---- all devices ----------------------------------------------------------------------------------------------------


class TranslatingBackend:
    """All devices of a language: its name is the first GPU that can be used, otherwise the first of all; numbers after
    it choose others, ``opencl:PLATFORM:DEVICE``. CUDA has one platform, so that ``cuda:DEVICE`` is enough."""

    def __init__(self, language: str) -> None:
        self.language = language

    def _spec(self, facts: DeviceFacts) -> str:
        numbers = f"{facts.platform}:{facts.device}" if self.language == "opencl" else str(facts.device)
        return f"{self.language}:{numbers}"

    def found(self) -> list[Found]:
        """As any backend."""
        kind = DeviceKind.CPU if self.language == "opencl" else DeviceKind.DISCRETE_GPU
        nothing = Found(self.language, self.language.upper(), kind)
        try:
            listed = _listed(self.language)
        except (Unsupported, WasmError) as error:
            return [nothing._replace(problem=str(error))]
        return [self._described(facts) for facts in listed] or [
            nothing._replace(problem=f"the installed {NAMES[self.language]} drivers have no devices")
        ]

    def gpus(self) -> list[Found]:
        """Only those that are GPUs; without a look where there can't be any."""
        if self.language == "cuda" and find_library("cuda") is None:
            return []
        try:
            return [self._described(facts) for facts in _listed(self.language) if facts.kind == "gpu"]
        except (Unsupported, WasmError):
            return []

    def _described(self, facts: DeviceFacts) -> Found:
        spec, kind = self._spec(facts), KINDS.get(facts.kind, DeviceKind.CPU)
        if facts.kind == "gpu" and facts.unified:
            kind = DeviceKind.INTEGRATED_GPU
        try:
            tried = Translating(self.language, facts.platform, facts.device, ParallelLimits()).facts
        except (Unsupported, WasmError) as error:
            return Found(spec, facts.name, kind, (facts.driver,), str(error))
        exact = f"inexact: {'; '.join(tried.inexact)}" if tried.inexact else "exact"
        told = (facts.driver, facts.kind, f"{facts.memory >> 20} MiB", exact)
        return Found(spec, facts.name, kind, told if facts.double else (*told, "no 64-bit floats"))

    def make(self, rest: str, limits: ParallelLimits) -> Translating:
        """As any backend."""
        words = rest.split(":") if rest else []
        if len(words) > 2 or not all(word.isascii() and word.isdecimal() for word in words):
            raise NoSuchDevice(f"device {self.language}:{rest}: write numbers after the name, as refwasm devices does")
        listed, wanted = _listed(self.language), tuple(map(int, words))
        if self.language == "cuda" and wanted:
            wanted = (0, wanted[-1])
        fitting = [facts for facts in listed if (facts.platform, facts.device)[: len(wanted)] == wanted]
        if not fitting:
            raise NoSuchDevice(f"there is no device {self.language}:{rest}; refwasm devices lists those that there are")
        return self._first_usable(sorted(fitting, key=lambda facts: facts.kind != "gpu"), limits)

    def _first_usable(self, fitting: list[DeviceFacts], limits: ParallelLimits) -> Translating:
        """The first one of some devices that can be used. Raises Unsupported, for the first, if none can."""
        problems = []
        for facts in fitting:
            try:
                return Translating(self.language, facts.platform, facts.device, limits)
            except Unsupported as problem:
                problems.append(problem)
        raise problems[0]


BACKEND = TranslatingBackend("opencl")
