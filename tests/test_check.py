"""``refwasm check``: portable programs, and others with the policy that shows it."""

from __future__ import annotations

from pathlib import Path

from refwasm.binary import encode
from refwasm.cli.check import difference
from refwasm.text import parse_module
from refwasm.text.printer import quote
from tests.support import EXAMPLES, IMPORTS, KERNEL_AT, kernel_wat, refwasm


def program(folder: Path, kernel: str, iterations: int = 4) -> str:
    """A program with a shared memory whose exit code is what the kernel left in a 4-byte buffer at 65536."""
    data = encode(parse_module(kernel))
    text = f"""(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) {IMPORTS}
      (memory (export "memory") 2 8 shared) (data (i32.const {KERNEL_AT}) {quote(data)})
      (func (export "_start")
        (drop (call $gd (i32.const 1) (i32.const 0)))
        (drop (call $cb (i32.load (i32.const 0)) (i32.const 4) (i32.const 2) (i32.const 4)))
        (drop (call $wb (i32.const 65536) (i32.const 4) (i32.load (i32.const 4))))
        (drop (call $pe (i32.load (i32.const 0)) (i32.const {KERNEL_AT}) (i32.const {len(data)})
          (i32.const {iterations}) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)))
        (drop (call $rb (i32.load (i32.const 4)) (i32.const 65536) (i32.const 4)))
        (call $exit (i32.load (i32.const 65536)))))"""
    path = folder / "program.wat"
    path.write_text(text)
    return str(path)


def test_a_portable_program(tmp_path: Path) -> None:
    kernel = kernel_wat("(drop (i32.atomic.rmw.add (local.get $p0) (i32.const 3)))")
    done = refwasm("check", "--only", "memory,order,device", program(tmp_path, kernel))
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(b"portable: nothing differs in ")


def test_a_program_that_depends_on_the_order(tmp_path: Path) -> None:
    done = refwasm(
        "check", "--only", "order", program(tmp_path, kernel_wat("(i32.store (local.get $p0) (local.get $id))"))
    )
    assert done.returncode == 1
    text = done.stdout.decode()
    assert text.startswith("exit code differs; ")
    assert "with order=ascending or order=" in text and "(left open by PAR-EXEC-05)" in text


def test_a_program_that_depends_on_shared_module_state(tmp_path: Path) -> None:
    body = """(global.set $g (i32.add (global.get $g) (i32.const 1)))
      (drop (i32.atomic.rmw.add (local.get $p0) (global.get $g)))"""
    kernel = kernel_wat(body, extra="(global $g (mut i32) (i32.const 0))")
    done = refwasm("check", "--only", "instance,order", program(tmp_path, kernel))
    assert done.returncode == 1
    assert b"with instance=fresh or instance=" in done.stdout and b"left open by PAR-INST-01" in done.stdout


def test_the_examples_are_portable_but_for_the_device_they_print() -> None:
    name = str(EXAMPLES / "histogram.wasm")
    done = refwasm("check", "--ignore", " on (CPU|SEQUENTIAL)", "--only", "memory,device", name, "300")
    assert done.returncode == 0, done.stdout
    done = refwasm("check", "--only", "device", name, "300")
    assert done.returncode == 1 and b"left open by PAR-DEV-02" in done.stdout


def test_a_program_that_cannot_run_is_not_called_portable(tmp_path: Path) -> None:
    path = tmp_path / "p.wat"
    path.write_text('(module (import "nope" "nope" (func)) (func (export "_start")))')
    done = refwasm("check", str(path))
    assert done.returncode == 1 and b"unknown import" in done.stderr and not done.stdout
    path.write_text('(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))')
    assert refwasm("check", "--timeout", "0.4", "--only", "order", str(path)).returncode == 1


def test_only_workers_varies_workers(tmp_path: Path) -> None:
    """Not to be portable, it needs several workers: with one, they all find the module state of the others."""
    done = refwasm("check", "--only", "workers", program(tmp_path, kernel_wat("")))
    assert done.returncode == 0 and b"in 3 runs" in done.stdout


def test_usage() -> None:
    assert refwasm("check", "--only", "weather", str(EXAMPLES / "squares.wat")).returncode == 2
    assert refwasm("check", "--ignore", "(", str(EXAMPLES / "squares.wat")).returncode == 2
    assert refwasm("check", "nothing.wasm").returncode == 1


def test_what_differs_is_shown_however_long_the_rest_is() -> None:
    same = "\n".join(f"line {i}" for i in range(1000))
    assert difference("1", "2") == ["-1", "+2"]
    assert difference(f"{same}\nx\nend", f"{same}\ny\nend") == [
        "line 1001, column 1:", " line 999", "-x", "+y", " end",
    ]  # fmt: skip
    shown = difference("a" * 5000 + "x", "a" * 5000 + "y")
    assert shown[0] == "line 1, column 5001:" and shown[1].endswith("x") and shown[2].endswith("y")
    assert max(map(len, shown)) < 110
    assert difference(same, same + "\nmore")[-1] == "+more"
    assert "line feed" in difference("same\n", "same")[1]
    many = difference("a\n" * 500, "b\n" * 500)
    assert len(many) < 25 and many[-1] == "…"


def test_a_program_whose_long_output_differs_at_its_end(tmp_path: Path) -> None:
    """Both outcomes used to be cut at the same prefix."""
    name = str(EXAMPLES / "histogram.wasm")
    done = refwasm("check", "--only", "device", name, "300")
    assert b"\n  -" in done.stdout and b"CPU" in done.stdout and b"SEQUENTIAL" in done.stdout
