"""Functions that nobody provides: refused, trapping, or giving zeros."""

from __future__ import annotations

from pathlib import Path

import pytest

from refwasm import Program, Trap, Unlinkable
from refwasm.host import unknown
from tests.support import refwasm

TEXT = """(module
  (import "js" "alert" (func $alert (param i32 f64) (result i64 v128 externref f32)))
  (import "js" "never" (func $never (param funcref)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_writ" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 3)))
  (func (export "called") (result i64 v128 externref f32) (call $alert (i32.const 1) (f64.const 2))))"""


def test_they_are_refused_unless_something_else_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Unlinkable, match="unknown import 'js' 'alert'"):
        Program(TEXT)
    path = tmp_path / "p.wat"
    path.write_text(TEXT)
    assert refwasm("run", str(path)).returncode == 1


@pytest.mark.parametrize("tier", ["interpret", "compile", "auto"])
def test_a_program_that_never_calls_them_runs(tmp_path: Path, tier: str) -> None:
    path = tmp_path / "p.wat"
    path.write_text(TEXT)
    for how in ("trap", "zero"):
        assert refwasm("run", "--tier", tier, "--unknown-imports", how, str(path)).returncode == 3
    done = refwasm("run", "--tier", tier, "--unknown-imports", "trap", "--invoke", "called", str(path))
    assert done.returncode == 134 and b"the unknown import 'js' 'alert' was called" in done.stderr
    done = refwasm("run", "--tier", tier, "--unknown-imports", "zero", "--invoke", "called", str(path))
    assert done.stdout.split(b"\n")[:4] == [
        b"0",
        b"i32x4 0x00000000 0x00000000 0x00000000 0x00000000",
        b"ref.null",
        b"0",
    ]


def test_what_has_no_zero_traps_all_the_same() -> None:
    text = """(module (import "m" "f" (func $f (result (ref extern)))) (memory (export "memory") 1)
      (func (export "_start") (drop (call $f))))"""
    with (
        Program(text, unknown_imports=unknown.ZERO) as program,
        pytest.raises(Trap, match="the unknown import 'm' 'f'"),
    ):
        program.run()


def test_other_kinds_of_imports_are_never_made_up() -> None:
    for what in ("(global i32)", "(memory 1)", "(table 1 funcref)", "(tag)"):
        with pytest.raises(Unlinkable, match="unknown import"):
            Program(f'(module (import "m" "x" {what}) (func (export "_start")))', unknown_imports=unknown.TRAP)


def test_threads_in_processes_have_them_too() -> None:
    text = """(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "js" "f" (func $f (result i32))) (import "env" "memory" (memory 1 4 shared)) (export "memory" (memory 0))
      (func (export "wasi_thread_start") (param i32 i32)
        (i32.atomic.store (i32.const 0) (i32.add (i32.const 7) (call $f)))
        (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
      (func (export "_start") (drop (call $spawn (i32.const 0)))
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 10000000000)))
        (if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 7)) (then (unreachable)))))"""
    with Program(text, unknown_imports=unknown.ZERO) as program:
        assert program.run() == 0
