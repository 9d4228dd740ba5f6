"""The command line as a user runs it: outputs, one-line errors, exit codes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.support import EXAMPLES, refwasm

FIB = """(module (func $fib (export "fib") (param i32) (result i32)
  (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add
      (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "mixed") (param i64 f32 f64) (result f64 i64 f32) (local.get 2) (local.get 0) (local.get 1))
  (func (export "trap") (unreachable))
  (func (export "loop") (loop (br 0)))
  (func (export "none")))"""


@pytest.fixture
def fib(tmp_path: Path) -> str:
    path = tmp_path / "fib.wat"
    path.write_text(FIB)
    return str(path)


def test_usage() -> None:
    assert refwasm().returncode == 2
    assert b"wat2wasm" in refwasm("--help").stdout
    assert refwasm("--version").stdout.startswith(b"refwasm 0")
    assert b"unknown command 'frob'" in refwasm("frob").stderr
    for command in ("run", "check", "validate", "wat2wasm", "wasm2wat", "dump", "wast"):
        assert refwasm(command, "--help").returncode == 0


def test_invoke_with_typed_arguments(fib: str) -> None:
    assert refwasm("run", "--invoke", "fib", fib, "12").stdout == b"144\n"
    done = refwasm("run", "--invoke", "mixed", fib, "-0x10", "0x1p-1", "nan:0x123")
    assert done.stdout == b"nan:0x123\n-16\n0.5\n"
    assert refwasm("run", "--invoke", "none", fib).stdout == b""


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--invoke", "trap"], 134, rb"refwasm: trap: unreachable\n    at func\[2\] 6:26\n"),
        (["--invoke", "loop", "--fuel", "1000"], 124, rb"refwasm: all fuel consumed\n"),
        (["--invoke", "loop", "--timeout", "0.2"], 124, rb"refwasm: .*time limit exceeded\n"),
        (["--invoke", "fib", "--call-depth", "3"], 2, rb"refwasm: the function takes 1 arguments.*\n"),
        (["--invoke", "nope"], 2, rb".*exports no function 'nope'; did you mean none\?\n"),
        ([], 2, rb".*exports no function '_start'.*\n"),
        (["--invoke", "fib"], 2, rb"refwasm: the function takes 1 arguments \(i32\), got 0\n"),
        (["--max-memory", "much"], 2, rb"refwasm: --max-memory much: .*\n"),
        (["--policy", "memory=gone"], 2, rb"refwasm: there is no policy memory=gone; choose from .*\n"),
        (["--features", "nothing"], 2, rb"refwasm: unknown feature 'nothing'.*\n"),
        (["--workers", "0"], 2, rb"usage: (.|\n)*--workers: 0 is not greater than 0\n"),
        (["--timeout", "nan"], 2, rb"usage: (.|\n)*--timeout: nan is not greater than 0\n"),
        (["--fuel", "-5"], 2, rb"usage: (.|\n)*--fuel: -5 is not greater than 0\n"),
        (["--env", "=x"], 2, rb"refwasm: --env =x: the name is missing\n"),
        (["--max-memory", "\u00b2"], 2, rb"refwasm: --max-memory (.|\n)*"),
        (["--policy", "order=descending:5"], 2, rb"refwasm: policy 'order=descending:5': only .*\n"),
    ],
)
def test_errors_of_run_are_short_and_have_their_exit_codes(
    fib: str, args: list[str], code: int, message: bytes
) -> None:
    done = refwasm("run", *args, fib)
    assert done.returncode == code
    assert re.fullmatch(message, done.stderr), done.stderr


def test_call_depth(fib: str) -> None:
    done = refwasm("run", "--invoke", "fib", "--call-depth", "3", fib, "9")
    assert done.returncode == 134 and done.stderr.startswith(
        b"refwasm: trap: call stack exhausted\n    at func[0] $fib"
    )
    assert refwasm("run", "--invoke", "fib", "--call-depth", "9", fib, "9").stdout == b"34\n"


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """``script`` gives the command a terminal; nothing of the progress stays in the output."""
    import subprocess
    import sys

    if not Path("/usr/bin/script").exists():
        pytest.skip("no script(1)")
    good = tmp_path / "good.wast"
    good.write_text('(module (func (export "f"))) (assert_return (invoke "f"))')
    command = f"{sys.executable} -m refwasm wast {good}"
    done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and b"good.wast: 2 of 2" in done.stdout


def test_wrong_argument(fib: str) -> None:
    done = refwasm("run", "--invoke", "fib", fib, "twelve")
    assert (done.returncode, done.stderr) == (2, b"refwasm: 'twelve' is no i32\n")


def test_bad_files(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wat"
    bad.write_text("(module\n  (func (result i32)\n    i64.const 1))\n")
    for command in ("run", "check", "validate", "wat2wasm", "dump"):
        done = refwasm(command, str(bad))
        assert done.returncode == 1
        assert done.stderr.startswith(f"refwasm: {bad}:3:16: type mismatch".encode())
        assert b"Traceback" not in done.stderr
    assert b"\n        i64.const 1))\n                   ^" in refwasm("validate", str(bad)).stderr
    missing = refwasm("run", str(tmp_path / "none.wasm"))
    assert missing.returncode == 1 and b"No such file" in missing.stderr
    garbage = tmp_path / "garbage.wasm"
    garbage.write_bytes(b"\0asm\1\0\0\0\1\1\1")
    done = refwasm("validate", str(garbage))
    assert done.returncode == 1
    assert f"{garbage}:0xb: unexpected end of section or function (in the type section)".encode() in done.stderr


def test_unknown_import(tmp_path: Path) -> None:
    path = tmp_path / "m.wat"
    path.write_text('(module (import "env" "f" (func)) (func (export "_start")))')
    done = refwasm("run", str(path))
    assert done.returncode == 1 and b"unknown import 'env' 'f'" in done.stderr


def test_both_formats_and_back(tmp_path: Path, fib: str) -> None:
    wasm = tmp_path / "out.wasm"
    assert refwasm("wat2wasm", fib, "-o", str(wasm)).returncode == 0
    assert wasm.read_bytes()[:4] == b"\0asm" and list(tmp_path.glob("*.part")) == []
    text = refwasm("wasm2wat", str(wasm)).stdout
    again = refwasm("wat2wasm", "-", stdin=text).stdout
    assert again == wasm.read_bytes()
    assert b"$fib" in text
    stripped = refwasm("wat2wasm", "--strip", fib, "-o", "-").stdout
    assert len(stripped) < len(again) and refwasm("validate", "-", stdin=stripped).returncode == 0


def test_output_that_can_not_be_written_leaves_no_file(tmp_path: Path, fib: str) -> None:
    done = refwasm("wat2wasm", fib, "-o", str(tmp_path / "no" / "such" / "folder.wasm"))
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    done = refwasm("wat2wasm", fib, "-o", "/dev/full")
    assert done.returncode == 1 and b"Traceback" not in done.stderr


def test_dump(fib: str) -> None:
    text = refwasm("dump", fib).stdout.decode()
    assert "sections:" in text and "'fib': func [i32] -> [i32] (index 0)" in text
    assert re.search(r"0x[0-9a-f]{6}    local.get 0", text)
    assert "func[0] $fib" in text


def test_wast(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wast", tmp_path / "sub" / "bad.wast"
    bad.parent.mkdir()
    good.write_text(
        '(module (func (export "f") (result i32) (i32.const 1))) (assert_return (invoke "f") (i32.const 1))'
    )
    bad.write_text('(module (func (export "f")))\n(assert_trap (invoke "f") "unreachable")')
    report = tmp_path / "report.json"
    done = refwasm("wast", "--jobs", "2", "--json", str(report), str(tmp_path))
    assert done.returncode == 1
    assert f"{bad}:2:1: expected trap 'unreachable', got the results nothing" in done.stdout.decode()
    assert "2 files, 4 commands, 2 of them assertions: 1 failures in 1 files" in done.stdout.decode()
    assert [entry["ok"] for entry in json.loads(report.read_text())["files"]] == [True, False]
    assert refwasm("wast", str(good)).returncode == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refwasm("wast", str(empty)).returncode == 2


def test_a_reader_that_leaves_early(fib: str) -> None:
    """``refwasm dump | head -1`` is quiet."""
    command = f"{os.sys.executable} -m refwasm dump {EXAMPLES}/sum.wasm | head -1"  # type: ignore[attr-defined]
    import subprocess

    done = subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False)
    assert done.stderr == b"" and b"bytes" in done.stdout


# ---- programs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nstream", "sum", "matmul", "histogram"])
@pytest.mark.parametrize("device", ["sequential", "cpu"])
def test_examples_in_c(name: str, device: str) -> None:
    size = {"nstream": "2000", "sum": "5000", "matmul": "12", "histogram": "2000"}[name]
    done = refwasm("run", "--device", device, "--stats", str(EXAMPLES / f"{name}.wasm"), size)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{name}: correct in \d+\.\d+ s on {device.upper()}\n$", done.stdout.decode())
    assert f"parallel_exec 0: {device.upper()}".encode() in done.stderr


def test_timeline(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    done = refwasm("run", "--timeline", str(path), "--workers", "2", str(EXAMPLES / "nstream.wasm"), "200000", "2")
    assert done.returncode == 0
    events = json.loads(path.read_text())["traceEvents"]
    names = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert names == {"caller", "worker 0", "worker 1"}
    spans = [event for event in events if event["ph"] == "X"]
    executions = [event for event in spans if event["tid"] == 0]
    assert [event["name"] for event in executions] == ["parallel_exec 0", "parallel_exec 1"]
    for execution in executions:
        number = int(execution["name"].split()[1])
        blocks = [event for event in spans if event["args"].get("parallel_exec") == number]
        assert sum(int(block["name"].split()[0]) for block in blocks) == 64
        for block in blocks:
            assert execution["ts"] <= block["ts"]
            assert block["ts"] + block["dur"] <= execution["ts"] + execution["dur"]


def test_mandelbrot_as_an_image_and_as_a_picture() -> None:
    images = set()
    for device in ("sequential", "cpu"):
        done = refwasm("run", "--device", device, str(EXAMPLES / "mandelbrot.wasm"), "36", "24", "ppm")
        assert done.returncode == 0 and b"correct" in done.stderr
        assert done.stdout.startswith(b"P6\n36 24\n255\n") and len(done.stdout) == 13 + 36 * 24 * 3
        images.add(done.stdout)
    assert len(images) == 1
    picture = refwasm("run", str(EXAMPLES / "mandelbrot.wasm"), "36", "24").stdout.decode()
    assert picture.count("▀") == 36 * 12


def test_examples_fail_when_the_kernel_does_not_run() -> None:
    """With a fuel limit no iteration finishes; the program must notice."""
    done = refwasm("run", "--policy", "memory=copy", str(EXAMPLES / "squares.wat"))
    assert done.returncode == 0
    done = refwasm("run", "--policy", "memory=alias", str(EXAMPLES / "sum.wasm"), "100")
    assert done.returncode == 1 and b"unsupported" in done.stderr


def test_the_example_in_text() -> None:
    done = refwasm("run", str(EXAMPLES / "squares.wat"))
    assert (done.returncode, done.stdout) == (0, b"squares: correct\n")


ENVIRONMENT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char line[64], random[16];
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
    printf("GREETING=%s\n", getenv("GREETING"));
    printf("%.3f %5d|%-5s|%x\n", 3.14159, 42, "ab", 255);
    while (fgets(line, sizeof line, stdin)) printf("line: %s", line);
    struct timespec t; clock_gettime(CLOCK_REALTIME, &t);
    if (t.tv_sec < 1700000000) return 1;
    getentropy(random, sizeof random);
    if (!memchr(random, random[0] ^ 1, 16) && !memcmp(random, random + 8, 8)) return 2;
    struct timespec nap = {0, 1000000}; nanosleep(&nap, NULL);
    fprintf(stderr, "to stderr\n");
    return 42;
}
"""


@pytest.fixture(scope="session")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A C program compiled by ziglang."""
    pytest.importorskip("ziglang")
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("c")
    (folder / "env.c").write_text(ENVIRONMENT)
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O1", "-o", "env.wasm", "env.c"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return str(folder / "env.wasm")


def test_a_c_program_sees_its_environment(c_program: str) -> None:
    done = refwasm("run", "--env", "GREETING=hello", c_program, "one", "--two", stdin=b"first\nsecond\n")
    assert done.returncode == 42, done.stderr
    assert done.stdout.decode().splitlines() == [
        "argument 1: one", "argument 2: --two", "GREETING=hello", "3.142    42|ab   |ff", "line: first", "line: second",
    ]  # fmt: skip
    assert done.stderr == b"to stderr\n"


def test_the_examples_can_be_rebuilt(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    import subprocess
    import sys

    subprocess.run([sys.executable, str(EXAMPLES / "build.py"), str(tmp_path)], check=True, timeout=600)
    for built in sorted(tmp_path.iterdir()):
        assert built.read_bytes() == (EXAMPLES / built.name).read_bytes(), (
            f"{built.name} differs from what is committed"
        )


# ---- streams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(fib: str, closed: str) -> None:
    import subprocess
    import sys

    for command, code in (
        (f"run --invoke fib {fib} 7", 0),
        (f"run --invoke trap {fib}", 134),
        (f"dump {fib}", 0),
        ("bogus", 2),
        (f"run {EXAMPLES / 'squares.wat'}", (0, 1)),
    ):
        full = f"{sys.executable} -m refwasm {command} {closed}"
        done = subprocess.run(full, shell=True, capture_output=True, timeout=60, check=False)
        assert b"Traceback" not in done.stdout + done.stderr, full
        assert done.returncode == code if isinstance(code, int) else done.returncode in code, full


def test_a_read_returns_what_is_there(tmp_path: Path) -> None:
    """Two buffers, less input than both hold, and a writer that stays: the read must not wait for more."""
    import subprocess
    import sys

    path = tmp_path / "read.wat"
    path.write_text("""(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\\40\\00\\00\\00\\04\\00\\00\\00\\80\\00\\00\\00\\64\\00\\00\\00")
      (func (export "f") (result i32)
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 32))) (i32.load (i32.const 32))))""")
    command = [sys.executable, "-m", "refwasm", "run", "--invoke", "f", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"abcd")
        process.stdin.flush()
        assert process.stdout.readline() == b"4\n"
        process.stdin.close()


def test_output_in_a_narrow_encoding(fib: str) -> None:
    done = refwasm(env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert b"Traceback" not in done.stderr
    assert refwasm("--help", env={**os.environ, "PYTHONIOENCODING": "ascii"}).returncode == 0


VALUES = """(module
  (func (export "add") (param v128 v128) (result v128) (i32x4.add (local.get 0) (local.get 1)))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "func") (param funcref) (result funcref) (local.get 0))
  (func (export "i31") (param i31ref) (result i31ref) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func $f (export "itself") (result funcref) (ref.func $f)))"""


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["add", "i32x4 1 2 3 4", "(v128.const i64x2 1 2)"], "i32x4 0x00000002 0x00000002 0x00000005 0x00000004"),
        (["add", "v128.const f32x4 1 0 0 0", "i8x16 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 -1"],
         "i32x4 0x3f800001 0x00000000 0x00000000 0xff000000"),
        (["extern", "ref.null"], "ref.null"),
        (["extern", "(ref.null extern)"], "ref.null"),
        (["extern", "ref.extern 5"], "ref.extern 5"),
        (["func", "null"], "ref.null"),
        (["i31", "ref.i31 7"], "ref.i31 7"),
        (["f32", "nan:0x200000"], "nan:0x200000"),
        (["f32", "f32.const -0x1p-149"], "-0x1.0000000000000p-149"),
        (["itself"], "ref.func"),
    ],
)  # fmt: skip
def test_values_are_read_and_written_as_constants(tmp_path: Path, args: list[str], expected: str) -> None:
    path = tmp_path / "values.wat"
    path.write_text(VALUES)
    done = refwasm("run", "--invoke", args[0], str(path), *args[1:])
    assert done.stderr == b"" and done.stdout.decode().strip() == expected
    if len(args) == 2 and done.stdout != b"ref.func\n":  # what was printed can be passed
        assert refwasm("run", "--invoke", args[0], str(path), expected).stdout == done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["add", "5", "i32x4 1 2 3 4"], "'5' is no v128 (unexpected token 5)"),
        (["add", "i32x4 1 2 3", "i32x4 1 2 3 4"], "is no v128 (wrong number of lane literals)"),
        (["add", "i32x4 1 2 3 4 )", "i32x4 1 2 3 4"], "is no v128"),
        (["i31", "ref.extern 1"], "'ref.extern 1' is no i31ref"),
        (["func", "ref.func 1"], "is no reference that can be made here"),
        (["f32", "1 2"], "'1 2' is no f32"),
        (["f32", ""], "'' is no f32"),
    ],
)
def test_values_that_are_none(tmp_path: Path, args: list[str], message: str) -> None:
    path = tmp_path / "values.wat"
    path.write_text(VALUES)
    done = refwasm("run", "--invoke", args[0], str(path), *args[1:])
    assert done.returncode == 2 and message in done.stderr.decode()


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        ("rnu x.wasm", "did you mean run?"),
        ("run --device gpo x.wasm", "did you mean gpu?"),
        ("run --policy memory=cpy x.wasm", "did you mean copy?"),
        ("run --policy memry=copy x.wasm", "did you mean memory?"),
        ("validate --features thread x.wasm", "did you mean threads?"),
        ("run --invoke itslf {path}", "did you mean itself?"),
    ],
)
def test_what_is_misspelt_is_guessed(tmp_path: Path, command: str, suggestion: str) -> None:
    path = tmp_path / "values.wat"
    path.write_text(VALUES)
    done = refwasm(*command.format(path=path).split())
    assert done.returncode == 2 and suggestion in done.stderr.decode()


@pytest.mark.parametrize("name", ["gpu", "GPU", "discrete-gpu", "discrete_gpu", "igpu", "cpu", "seq"])
def test_devices_by_what_people_call_them(name: str) -> None:
    assert refwasm("run", "--device", name, "examples/squares.wat").returncode == 0


def test_validate_tells_a_limit_of_ours_from_an_invalid_module(tmp_path: Path) -> None:
    large, invalid, good = (tmp_path / name for name in ("large.wat", "invalid.wat", "good.wat"))
    large.write_text(f"(module (func {'(local i32) ' * 50_001}))")
    invalid.write_text("(module (func (result i32)))")
    good.write_text("(module)")
    for files, code in (([good], 0), ([large], 124), ([good, large], 124), ([large, invalid], 1), ([invalid], 1)):
        assert refwasm("validate", *map(str, files)).returncode == code, files
    assert refwasm("run", str(large)).returncode == refwasm("dump", str(large)).returncode == 124
