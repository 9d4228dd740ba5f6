"""What dies, and what must not be left behind: workers killed, lock holders killed, Ctrl-C, a killed parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refwasm import Crash
from refwasm.binary import encode
from refwasm.host.parallel import pool as pool_module
from refwasm.host.parallel.worker import Worker
from refwasm.text import parse_module
from refwasm.text.printer import quote
from tests.support import CPU, IMPORTS, KERNEL_AT, kernel_wat, program

ENDLESS = kernel_wat("(loop (br 0))", 0)
ENDLESS_ATOMICS = kernel_wat("(loop (drop (i32.atomic.rmw.add (i32.const 4096) (i32.const 1))) (br 0))", 0)
METHODS = pytest.mark.parametrize("method", ["fork", "spawn"])

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.xdist_group("faults"),  # one after the other: they look at what is left on the machine
]


def shared_memory_names() -> set[str]:
    return set(os.listdir("/dev/shm"))


def children(pid: int) -> list[int]:
    """Processes whose parent is ``pid``."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            stat = Path(f"/proc/{entry}/stat").read_text() if entry.isdigit() else ""
        except OSError:
            continue
        if stat and int(stat.rpartition(")")[2].split()[1]) == pid:
            found.append(int(entry))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


@pytest.fixture(autouse=True)
def own_pools() -> object:
    pool_module.close_pool()
    yield
    pool_module.close_pool()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("kernel", [ENDLESS, ENDLESS_ATOMICS], ids=["computing", "atomics"])
@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_worker_is_reported_within_a_second(kernel: str, attempt: int) -> None:
    before = shared_memory_names()
    p = program(kernel)
    device = p.device(CPU)
    killed_at: list[float] = []

    def kill() -> None:
        wait_until(lambda: len(multiprocessing.active_children()) == 2)
        time.sleep(0.2 + 0.013 * attempt)
        killed_at.append(time.monotonic())
        os.kill(multiprocessing.active_children()[attempt % 2].pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Crash, match=r"worker process \d \(pid \d+\) died of signal 9 \(SIGKILL\)"):
        p.exec(device, 2)
    assert time.monotonic() - killed_at[0] < 1
    killer.join()
    assert not multiprocessing.active_children()
    assert wait_until(lambda: shared_memory_names() <= before)  # others' semaphores may come and go meanwhile


def test_a_worker_that_dies_with_the_lock_is_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFWASM_START_METHOD", "fork")

    def die_holding_the_lock(self: Worker, *rest: object) -> range:
        self.domain.acquire()
        os.kill(os.getpid(), signal.SIGKILL)
        return range(0)

    p = program(ENDLESS_ATOMICS)
    device = p.device(CPU)
    monkeypatch.setattr(Worker, "_next_share", die_holding_the_lock)
    start = time.monotonic()
    with pytest.raises(Crash):
        p.exec(device, 2)
    assert time.monotonic() - start < 2
    monkeypatch.undo()
    with pytest.raises(Crash, match="died"):  # the guest's memory still has the broken lock: an error, not a hang
        p.memory.domain.acquire()  # type: ignore[attr-defined]
    fresh = program(kernel_wat("", 0))
    assert fresh.exec(fresh.device(CPU), 5) == 0


def endless_program(folder: Path) -> Path:
    """A program whose kernel never ends."""
    kernel = encode(parse_module(ENDLESS_ATOMICS))
    start = f"""(func (export "_start")
      (drop (call $gd (i32.const 1) (i32.const 0)))
      (drop (call $pe (i32.load (i32.const 0)) (i32.const {KERNEL_AT}) (i32.const {len(kernel)}) (i32.const 4)
        (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))"""
    data = f"(data (i32.const {KERNEL_AT}) {quote(kernel)})"
    path = folder / "endless.wat"
    path.write_text(f'(module {IMPORTS} (memory (export "memory") 1 8 shared) {data} {start})')
    return path


Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start_endless(tmp_path: Path) -> Iterator[Start]:
    """Starts the endless program with a start method; nothing of it survives the test, whatever happens."""
    started: list[subprocess.Popen[bytes]] = []

    def start(method: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "refwasm", "run", "--workers", "2", str(endless_program(tmp_path))]
        env = {**os.environ, "REFWASM_START_METHOD": method}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, env=env, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers_of(process: subprocess.Popen[bytes], settle: float = 0.5) -> list[int]:
    """Its worker processes (the resource tracker does not count), after time to start computing."""

    def found() -> list[int]:
        return [
            pid for pid in children(process.pid) if "resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_text()
        ]

    assert wait_until(lambda: len(found()) == 2, 20)
    time.sleep(settle)
    return found()


@METHODS
@pytest.mark.parametrize("settle", [0.0, 0.02, 0.5])  # also while workers start
def test_interrupting_leaves_nothing(start_endless: Start, method: str, settle: float) -> None:
    before = shared_memory_names()
    process = start_endless(method)
    workers = workers_of(process, settle)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130 and errors == b"refwasm: interrupted\n"
    assert wait_until(lambda: not any(map(alive, workers)), 2)
    assert wait_until(lambda: shared_memory_names() <= before)


@METHODS
def test_a_killed_parent_leaves_nothing(start_endless: Start, method: str) -> None:
    before = shared_memory_names()
    process = start_endless(method)
    workers = workers_of(process)
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(map(alive, workers)), 3)
    assert wait_until(lambda: shared_memory_names() <= before)


@METHODS
def test_a_killed_worker_ends_the_program_with_a_message(start_endless: Start, method: str) -> None:
    process = start_endless(method)
    victim, other = workers_of(process)
    os.kill(victim, signal.SIGKILL)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 70
    assert errors.startswith(b"refwasm: worker process") and b"SIGKILL" in errors and b"Traceback" not in errors
    assert not alive(other)


@METHODS
def test_the_timeout_of_the_command_reaches_kernels(tmp_path: Path, method: str) -> None:
    command = [sys.executable, "-m", "refwasm", "run", "--timeout", "1.5", str(endless_program(tmp_path))]
    env = {**os.environ, "REFWASM_START_METHOD": method}
    done = subprocess.run(command, capture_output=True, timeout=20, env=env, check=False)
    assert b"resource_limit" in done.stderr and b"time limit exceeded" in done.stderr


def test_programs_with_both_start_methods_give_the_same(tmp_path: Path) -> None:
    outputs = set()
    for method in ("fork", "spawn"):
        env = {**os.environ, "REFWASM_START_METHOD": method}
        example = str(Path(__file__).parent.parent / "examples" / "histogram.wasm")
        command = [sys.executable, "-m", "refwasm", "run", example, "3000"]
        done = subprocess.run(command, capture_output=True, timeout=60, env=env, check=True)
        outputs.add(done.stdout.rpartition(b" in ")[0])
    assert len(outputs) == 1 and b"correct" in outputs.pop()


PHASES = ("do_memory", "do_kernel", "do_instantiate", "do_run", "_next_share", "_begin", "_answer")
#: A kernel that is instantiated before it runs, so that each phase comes.
PHASED = kernel_wat("", 0, extra='(data (i32.const 64) "x")')


@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_killed_in_each_phase_is_a_crash(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    monkeypatch.setenv("REFWASM_START_METHOD", "fork")
    p = program(PHASED)
    device = p.device(CPU)
    monkeypatch.setattr(Worker, phase, lambda self, *rest: os.kill(os.getpid(), signal.SIGKILL))
    start = time.monotonic()
    with pytest.raises(Crash, match="SIGKILL"):
        p.exec(device, 8)
    assert time.monotonic() - start < 2
    assert not multiprocessing.active_children()
    monkeypatch.undo()
    fresh = program(PHASED)
    assert fresh.exec(fresh.device(CPU), 8) == 0


def test_an_idle_worker_that_died_is_noticed_by_the_next_execution() -> None:
    p = program(PHASED)
    device = p.device(CPU)
    assert p.exec(device, 8) == 0
    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
    with pytest.raises(Crash, match="SIGKILL"):
        p.exec(device, 8)
    fresh = program(PHASED)
    assert fresh.exec(fresh.device(CPU), 8) == 0


@pytest.mark.parametrize(
    ("limit", "value"),
    [("NOFILE", 4), ("NOFILE", 8), ("NOFILE", 12), ("NOFILE", 16), ("AS", 150 << 20), ("FSIZE", 1024)],
)
def test_running_out_of_something_is_an_error_with_a_message(limit: str, value: int) -> None:
    """Out of descriptors, of memory to map, of room in files: the program ends, in time, and says why."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_{limit}, ({value}, {value}))\n"
        "import sys; from refwasm.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    example = Path(__file__).parent.parent / "examples" / "squares.wat"
    command = [sys.executable, "-c", code, "run", "--device", "cpu", "--workers", "2", str(example)]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == 0 or done.stderr.startswith(b"refwasm: ") or b"squares" in done.stderr, done
