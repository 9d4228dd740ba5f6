"""Limits hold, whatever the guest does: hostile programs × tiers × places, each ended within its limit."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refwasm import Instance, Module, ResourceLimit, Trap, WasmError
from refwasm.binary import encode
from refwasm.binary.values import encode_unsigned
from refwasm.text import parse_module
from refwasm.text.printer import quote
from tests.support import refwasm

TIERS = ["interpret", "compile", "auto"]
LIMIT = 0.5
#: What may come on top of the limit where other tests run beside: without a limit that holds, these never end. On an
#: idle machine it is a fifth of the limit.
SLACK = 10.0

#: Fields of a module whose function $go never ends, in ways that no loop's own look at the clock sees in time.
HOSTILE = {
    "tail calls": "(func $go (return_call $go))",
    "tail calls by two": """(func $go (return_call $a (i32.const 0)))
        (func $a (param i32) (return_call $b (local.get 0) (i64.const 1)))
        (func $b (param i32 i64) (return_call $a (i32.add (local.get 0) (i32.const 1))))""",
    "indirect tail calls": """(type $void (func)) (table $t 1 funcref) (elem (table $t) (i32.const 0) func $go)
        (func $go (type $void) (return_call_indirect $t (type $void) (i32.const 0)))""",
    "tail calls by reference": """(type $void (func)) (elem declare func $go)
        (func $go (type $void) (return_call_ref $void (ref.func $go)))""",
    "a tree of calls": """(func $tree (param i32) (if (local.get 0) (then
          (call $tree (i32.sub (local.get 0) (i32.const 1))) (call $tree (i32.sub (local.get 0) (i32.const 1))))))
        (func $go (call $tree (i32.const 60)))""",
    "array.fill": """(type $a (array (mut i64))) (func $go (local $g (ref null $a))
          (local.set $g (array.new $a (i64.const 1) (i32.const 4000000)))
          (loop (array.fill $a (local.get $g) (i32.const 0) (i64.const 4) (i32.const 4000000)) (br 0)))""",
    "array.new": """(type $a (array (mut i64)))
        (func $go (loop (drop (array.new_default $a (i32.const 4000000))) (br 0)))""",
    "table.fill": """(table $t 4000000 funcref)
        (func $go (loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 4000000)) (br 0)))""",
    "table.copy": """(table $t 4000000 funcref)
        (func $go (loop (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 3999999)) (br 0)))""",
    "memory.fill": """(memory $big 2000)
        (func $go (loop (memory.fill $big (i32.const 0) (i32.const 7) (i32.const 130000000)) (br 0)))""",
    "memory.copy": """(memory $big 2000)
        (func $go (loop (memory.copy $big $big (i32.const 1) (i32.const 0) (i32.const 130000000)) (br 0)))""",
    "a loop": "(func $go (loop (br 0)))",
}  # fmt: skip


def as_program(fields: str) -> str:
    return f'(module {fields} (memory (export "memory") 1) (func (export "_start") (call $go)))'


def as_thread(fields: str) -> str:
    """The main thread waits for one that never ends."""
    return f"""(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "env" "memory" (memory $shared 1 8 shared)) {fields} (export "memory" (memory $shared))
      (func (export "wasi_thread_start") (param i32 i32) (call $go))
      (func (export "_start") (drop (call $spawn (i32.const 0)))
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"""


def as_kernel(fields: str, device: int, args: str = "") -> str:
    """Two iterations of a kernel that calls $go with ``args``."""
    kernel = f"""(module (import "env" "memory" (memory 1 8 shared)) {fields}
      (func (export "kernel") (param i32 i32 i32) (call $go {args})))"""
    data = encode(parse_module(kernel))
    return f"""(module (import "wasi_ephemeral_parallel" "get_device" (func $device (param i32 i32) (result i32)))
      (import "wasi_ephemeral_parallel" "parallel_exec"
        (func $exec (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 2 8 shared) (data (i32.const 1024) {quote(data)})
      (func (export "_start") (drop (call $device (i32.const {device}) (i32.const 16)))
        (drop (call $exec (i32.load (i32.const 16)) (i32.const 1024) (i32.const {len(data)}) (i32.const 2)
          (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))"""


PLACES = {
    "program": as_program,
    "thread": as_thread,
    "kernel, SEQUENTIAL": lambda fields: as_kernel(fields, 0),
    "kernel, CPU": lambda fields: as_kernel(fields, 1),
}


#: One of each kind is enough in the other places.
KINDS = ("tail calls", "a tree of calls", "array.fill", "memory.fill")
CASES = [(name, place) for name in HOSTILE for place in PLACES if place == "program" or name in KINDS]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("name", "place"), CASES)
def test_time_is_up_in_time(tmp_path: Path, name: str, place: str, tier: str) -> None:
    path = tmp_path / "hostile.wat"
    path.write_text(PLACES[place](HOSTILE[name]))
    begin = time.monotonic()
    done = refwasm("run", "--no-cache", "--tier", tier, "--timeout", str(LIMIT), str(path))
    assert time.monotonic() - begin < LIMIT + SLACK
    assert done.returncode == 124, done.stderr
    assert b"time limit exceeded" in done.stderr


@pytest.mark.parametrize("tier", TIERS)
def test_a_failing_iteration_ends_one_that_makes_tail_calls_for_ever(tmp_path: Path, tier: str) -> None:
    """PAR-EXEC-07, where a sibling can't look for itself."""
    fields = """(func $spin (return_call $spin))
        (func $go (param i32) (if (local.get 0) (then (call $spin))) (unreachable))"""
    path = tmp_path / "sibling.wat"
    path.write_text(as_kernel(fields, 1, "(local.get 0)"))
    done = refwasm("run", "--no-cache", "--tier", tier, "--timeout", "20", str(path))
    assert b"kernel_trap in iteration 0: unreachable (PAR-EXEC-07)" in done.stderr


@pytest.mark.parametrize("tier", TIERS)
def test_what_was_stopped_can_be_called_again(tier: str) -> None:
    """As after a trap: what was written stays written, and nothing of the instance is in between."""
    module = Module("""(module (global (export "count") (mut i32) (i32.const 0))
      (func $tree (param i32) (global.set 0 (i32.add (global.get 0) (i32.const 1)))
        (if (local.get 0) (then
          (call $tree (i32.sub (local.get 0) (i32.const 1))) (call $tree (i32.sub (local.get 0) (i32.const 1))))))
      (func (export "tree") (param i32) (call $tree (local.get 0))))""")
    instance = Instance(module, tier=tier, timeout=0.3)
    for _ in range(3):
        begin = time.monotonic()
        with pytest.raises(ResourceLimit, match="time limit exceeded"):
            instance.exports.tree(60)
        assert time.monotonic() - begin < 1
    assert instance.exports.count.value > 1000


@pytest.mark.parametrize("tier", TIERS)
def test_a_host_function_that_comes_back_late_ends_the_call(tier: str) -> None:
    module = Module('(module (import "host" "sleep" (func)) (func (export "f") (call 0)))')
    instance = Instance(module, {"host": {"sleep": lambda: time.sleep(0.3)}}, tier=tier, timeout=0.2)
    with pytest.raises(ResourceLimit, match="time limit exceeded"):
        instance.exports.f()


@pytest.mark.parametrize(("which", "code"), [("what serves thread 0", 124), ("what serves thread 1", 7)])
def test_a_thread_that_can_not_be_started_is_a_limit(tmp_path: Path, which: str, code: int) -> None:
    """Of the first thread, the program can't run; of another one, the guest is told so."""
    path = tmp_path / "spawn.wat"
    path.write_text("""(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "env" "memory" (memory 1 8 shared)) (export "memory" (memory 0))
      (func (export "wasi_thread_start") (param i32 i32) (loop (br 0)))
      (func (export "_start") (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0)) (then
        (call $exit (i32.const 7))))))""")
    script = f"""
import sys, threading
start = threading.Thread.start
def refuse(thread):
    if {which!r} in thread.name:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = refuse
from refwasm.cli import main
sys.exit(main(["run", {str(path)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert done.returncode == code and b"Traceback" not in done.stderr
    assert (b"can't be started: can't start new thread" in done.stderr) == (code == 124)


def test_ctrl_c_while_a_command_is_imported(tmp_path: Path) -> None:
    script = """
import importlib, sys
def interrupted(name):
    raise KeyboardInterrupt
from refwasm.cli import main
importlib.import_module = interrupted
sys.exit(main(["run", "x.wasm"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert done.returncode == 130 and done.stderr == b"refwasm: interrupted\n"


#: A function for each instruction that works on many bytes or elements; its parameter says on how many.
BULK = """(module (type $a (array (mut i64))) (memory 10) (table $t 2000 funcref) (data $d "%s") (elem $e func $f $f $f)
  (func $f) (func $array (result (ref $a)) (array.new_default $a (i32.const 700)))
  (func (export "memory.fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "memory.copy") (param i32) (memory.copy (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "memory.init") (param i32) (memory.init $d (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "table.fill") (param i32) (table.fill $t (i32.const 0) (ref.null func) (local.get 0)))
  (func (export "table.copy") (param i32) (table.copy $t $t (i32.const 1) (i32.const 0) (local.get 0)))
  (func (export "table.grow") (param i32) (drop (table.grow $t (ref.null func) (local.get 0))))
  (func (export "table.init") (param i32) (table.init $t $e (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "array.new") (param i32) (drop (array.new $a (i64.const 1) (local.get 0))))
  (func (export "array.new_default") (param i32) (drop (array.new_default $a (local.get 0))))
  (func (export "array.new_data") (param i32) (drop (array.new_data $a $d (i32.const 0) (local.get 0))))
  (func (export "array.fill") (param i32)
    (array.fill $a (call $array) (i32.const 0) (i64.const 1) (local.get 0)))
  (func (export "array.copy") (param i32)
    (array.copy $a $a (call $array) (i32.const 0) (call $array) (i32.const 0) (local.get 0)))
  (func (export "array.init_data") (param i32)
    (array.init_data $a $d (call $array) (i32.const 0) (i32.const 0) (local.get 0))))""" % ("x" * 6000)


def outcome(module: Module, tier: str, name: str, count: int, fuel: int) -> tuple[str, int | None]:
    """What a call gives, and the fuel that is left."""
    instance = Instance(module, tier=tier, fuel=fuel)
    try:
        instance.exports[name](count)
        return "returned", instance._store.settings.fuel
    except WasmError as error:
        return f"{type(error).__name__}: {error.message}", instance._store.settings.fuel


@pytest.mark.parametrize("name", re.findall(r'export "(.*?)"', BULK))
def test_fuel_is_charged_by_size_and_alike_on_each_tier(name: str) -> None:
    module = Module(BULK)
    for count in (0, 63, 64, 500, 640, 600_000, 700_000, (1 << 32) - 1):
        for fuel in (5, 6, 7, 13, 15, 16, 20, 40, 1000, 11_000, 50_000):
            found = {outcome(module, tier, name, count, fuel) for tier in TIERS}
            assert len(found) == 1, (count, fuel, found)
    costs = [1_000_000 - (outcome(module, "compile", name, count, 1_000_000)[1] or 0) for count in (0, 3, 640)]
    assert costs[0] == costs[1]
    if name != "table.init":  # its segment has three elements
        assert costs[2] == costs[0] + 10


def of_one_function(body: bytes) -> bytes:
    """A program whose _start has one i32 local and this body."""
    code = b"\x01\x01\x7f" + body + b"\x0b"
    entry = encode_unsigned(len(code)) + code
    sections = {
        1: b"\x01\x60\x00\x00", 3: b"\x01\x00", 5: b"\x01\x00\x01",
        7: b"\x02\x06_start\x00\x00\x06memory\x02\x00", 10: b"\x01" + entry,
    }  # fmt: skip
    return b"\0asm\1\0\0\0" + b"".join(
        bytes([number]) + encode_unsigned(len(content)) + content for number, content in sections.items()
    )


#: local.get 0, i32.const 1, i32.add, local.set 0; a loop that ends at once; all of them as often as it is said.
STEP, LOOP = b"\x20\x00\x41\x01\x6a\x21\x00", b"\x03\x40\x20\x00\x41\x01\x6a\x22\x00\x41\x05\x49\x0d\x00\x0b"
LARGE = {
    "a sequence of additions": STEP * 3_000_000,
    "a sequence of loops": LOOP * 200_000,
    "blocks in a sequence": (b"\x02\x40\x20\x00\x0d\x00" + STEP + b"\x0b") * 400_000,
}
NESTED = {
    "ifs": b"\x20\x00\x04\x40" * 99_000 + b"\x0b" * 99_000,
    "loops": b"\x03\x40" * 99_000 + b"\x0b" * 99_000,
    "loops that count": b"\x03\x40\x20\x00\x41\x01\x6a\x22\x00\x41\x03\x49\x0d\x00" * 20_000 + b"\x0b" * 20_000,
    "blocks with a br_table": b"\x02\x40" * 20_000 + b"\x20\x00\x0e" + encode_unsigned(20_000)
    + b"".join(map(encode_unsigned, range(20_000))) + b"\x00" + b"\x0b" * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", LARGE)
def test_time_is_up_while_a_module_is_loaded_or_translated(tmp_path: Path, name: str, tier: str) -> None:
    path = tmp_path / "large.wasm"
    path.write_bytes(of_one_function(LARGE[name]))
    begin = time.monotonic()
    done = refwasm("run", "--no-cache", "--tier", tier, "--timeout", "0.5", str(path))
    assert time.monotonic() - begin < SLACK
    assert done.returncode == 124 and b"time limit exceeded" in done.stderr


@pytest.mark.parametrize(
    "options", [[], ["--fuel", "10000000"], ["--tier", "compile"]], ids=["auto", "fuel", "compile"]
)
@pytest.mark.parametrize("name", NESTED)
def test_what_nests_deeply_takes_neither_time_nor_memory(tmp_path: Path, name: str, options: list[str]) -> None:
    """In 1.5 GB of address space; translated, 99,000 ifs took 8.8 GB."""
    path = tmp_path / "nested.wasm"
    path.write_bytes(of_one_function(NESTED[name]))
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29)); "
    script = limited + "from refwasm.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "run", "--no-cache", *options, str(path)]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


PING = """(module (type $f (func)) (type $k (cont $f)) (tag $t) (elem declare func $pings) (memory (export "memory") 1)
  (func $pings (loop (suspend $t) (br 0)))
  (func (export "_start") (local $k (ref null $k)) (local.set $k (cont.new $k (ref.func $pings)))
    (loop $again
      (block $on (result (ref $k)) (resume $k (on $t $on) (local.get $k)) (unreachable))
      (local.set $k) (br $again))))"""


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("limit", [["--timeout", "0.5"], ["--fuel", "100001"]])
def test_limits_hold_while_stacks_are_switched(tmp_path: Path, tier: str, limit: list[str]) -> None:
    path = tmp_path / "ping.wat"
    path.write_text(PING)
    begin = time.monotonic()
    done = refwasm("run", "--no-cache", "--features", "all,stack-switching", "--tier", tier, *limit, str(path))
    assert done.returncode == 124 and time.monotonic() - begin < SLACK, done.stderr


def test_a_trap_in_a_continuation_tells_all_calls() -> None:
    module = Module(
        """(module (type $f (func)) (type $k (cont $f)) (elem declare func $in)
          (func $in (call $deeper)) (func $deeper (unreachable))
          (func $out (resume $k (cont.new $k (ref.func $in)))) (func (export "f") (call $out)))""",
        features="all,stack-switching",
    )
    for tier in TIERS:
        with pytest.raises(Trap) as caught:
            Instance(module, tier=tier).exports.f()
        assert [entry.name for entry in caught.value.backtrace] == ["deeper", "in", "out", ""]
