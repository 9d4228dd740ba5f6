"""The toolchain, as its users have it: programs in C and C++ are compiled with ``refwasm cc`` and ``refwasm c++``, and
run on the devices with the same result."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from refwasm import Program, Trap, Unlinkable, WasmError
from refwasm.binary import encode
from refwasm.host.parallel.types import DeviceKind
from refwasm.text import parse_module
from refwasm.toolchain import ToolchainError, parallelize

pytest.importorskip("ziglang")

HERE = Path(__file__).parent / "toolchain"
OPENMP = "#include <omp.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) {\n"
PLAIN = "#include <stdio.h>\n#include <wasi_parallel.h>\n"
ENV = {"OMP_NUM_THREADS": "4"}
DEVICES = {"sequential": DeviceKind.SEQUENTIAL, "cpu": DeviceKind.CPU, "native": "native"}


class Source(NamedTuple):
    """A program, and what it prints (white space counts once)."""

    name: str
    text: str
    printed: str


def sources(file: str, before: str = "", after: str = "") -> Iterator[Source]:
    for part in re.split(r"^## ", (HERE / file).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        name, _, printed = head.partition(":")
        yield Source(name, before + body + after, printed.strip())


def refwasm(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "refwasm", *words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def compiled(folder: Path, text: str, *flags: str, cxx: bool = False) -> bytes:
    source = folder / ("program.cpp" if cxx else "program.c")
    source.write_text(text, encoding="utf-8")
    refwasm("c++" if cxx else "cc", "-O1", *flags, str(source), "-o", str(folder / "program.wasm"))
    return (folder / "program.wasm").read_bytes()


def ran(code: bytes, folder: Path, device: str, policies: str = "", args: tuple[str, ...] = ("program",)) -> str:
    """What a program prints."""
    with open(folder / "out", "w+b") as out:
        with Program(code, args, ENV, device=DEVICES[device], stdout=out.fileno(), policies=policies) as program:
            program.run()
        out.seek(0)
        return " ".join(out.read().decode().split())


ALL = [
    *((source, ("-fopenmp",), False) for source in sources("openmp.txt", OPENMP, "return 0;\n}\n")),
    *((source, (), False) for source in sources("plain.txt", PLAIN)),
    *((source, ("-fopenmp", "-std=c++20"), True) for source in sources("cxx.txt")),
]


@pytest.mark.parametrize(("source", "flags", "cxx"), ALL, ids=lambda x: x.name if isinstance(x, Source) else None)
def test_programs_print_the_same_everywhere(source: Source, flags: tuple[str, ...], cxx: bool, tmp_path: Path) -> None:
    if "tbb" in source.name and not Path("/usr/include/oneapi/tbb").is_dir():
        pytest.skip("no oneTBB headers: Debian's libtbb-dev has them")
    code = compiled(tmp_path, source.text, *flags, cxx=cxx)
    assert ran(code, tmp_path, "sequential") == source.printed
    assert ran(code, tmp_path, "native") == source.printed
    if len(source.name) % 3 == 0:
        assert ran(code, tmp_path, "cpu") == source.printed
    elif len(source.name) % 3 == 1:
        assert ran(code, tmp_path, "sequential", "order=shuffle:3,grouping=one") == source.printed


def test_there_are_enough_programs() -> None:
    assert len(ALL) >= 60


def openmp(name: str) -> Source:
    return next(source for source in sources("openmp.txt", OPENMP, "return 0;\n}\n") if source.name == name)


@pytest.mark.parametrize("form", ["exec", "module", "function"])
def test_forms_of_the_interface(form: str, tmp_path: Path) -> None:
    for name in ("barrier", "reduction-array"):
        source = openmp(name)
        code = compiled(tmp_path, source.text, "-fopenmp", f"--form={form}")
        for device in DEVICES:
            assert ran(code, tmp_path, device) == source.printed, (name, device)


def test_hundreds_of_kernels(tmp_path: Path) -> None:
    loops = "".join(f"\n#pragma omp parallel for\nfor (int i = 0; i < 8; i++) a[i] += {k % 5};\n" for k in range(300))
    text = OPENMP + "static int a[8];" + loops + 'printf("%d\\n", a[7]); return 0; }\n'
    assert ran(compiled(tmp_path, text, "-fopenmp"), tmp_path, "sequential") == "600"


def test_many_regions_share_a_kernel_and_few_do_not(tmp_path: Path) -> None:
    text = (
        PLAIN
        + "".join(f"static void b{k}(void *c, uint32_t i) {{ ((int *)c)[i] += {k}; }}\n" for k in range(20))
        + "int main(void) { int a[4] = {0};\n"
        + "".join(f"wasi_parallel_for(b{k}, a, 4);\n" for k in range(20))
        + 'printf("%d\\n", a[3]); }\n'
    )
    source = tmp_path / "many.c"
    source.write_text(text, encoding="utf-8")
    shown = refwasm("cc", "-O1", "--show-kernels", str(source), "-o", str(tmp_path / "many.wasm")).stdout
    assert len(shown.splitlines()) == 1 and "and 19 others" in shown
    assert ran((tmp_path / "many.wasm").read_bytes(), tmp_path, "native") == "190"


def refused(tmp_path: Path, text: str, *flags: str, cxx: bool = False) -> str:
    """What is said of a program that can't be compiled; nothing is left of it."""
    source = tmp_path / ("bad.cpp" if cxx else "bad.c")
    source.write_text(text, encoding="utf-8")
    out = tmp_path / "bad.wasm"
    done = refwasm("c++" if cxx else "cc", "-O1", *flags, str(source), "-o", str(out), check=False)
    assert done.returncode == 1 and not out.exists() and "Traceback" not in done.stderr
    return done.stderr


def test_host_calls_are_refused_with_the_way_there(tmp_path: Path) -> None:
    text = PLAIN + (
        'static void log_it(void) { FILE *f = fopen("x", "w"); if (f) fclose(f); }\n'
        'static void body(void *c, uint32_t i) { if (i == 3) log_it(); else printf("%u ", i); }\n'
        "int main(void) { wasi_parallel_for(body, 0, 2); }\n"
    )
    said = refused(tmp_path, text)
    assert "body can't run as a kernel" in said and "path_open" in said and " -> fopen -> " in said
    code = compiled(tmp_path, text, "--allow-host-calls")
    assert ran(code, tmp_path, "sequential") == "0 1"


def test_errors_of_the_compiler_and_of_what_is_not_supported(tmp_path: Path) -> None:
    assert "error: expected expression" in refused(tmp_path, "int x = ;")
    unsupported = "void __kmpc_interop(void);\nint main(void) { __kmpc_interop(); }\n"
    assert "undefined symbol: __kmpc_interop" in refused(tmp_path, unsupported)
    assert "choose from exec" in refused(tmp_path, "int main(void) { return 0; }", "--form=other")


def test_programs_without_parallel_regions_are_left_alone(tmp_path: Path) -> None:
    code = compiled(tmp_path, '#include <stdio.h>\nint main(void) { puts("plain"); }\n')
    assert ran(code, tmp_path, "sequential") == "plain" and b"wasi-parallel" not in code
    made = parallelize(encode(parse_module('(module (func (export "f")))')))
    assert not made.kernels


def test_the_step_alone_tells_what_is_missing() -> None:
    text = """(module (memory 1 1 shared) (table 1 funcref) (global (mut i32) (i32.const 0))
      (func $start (export "__refwasm_parallel_for") (param i32 i32 i32 i32)) (func $f (param i32 i32))
      (elem (i32.const 0) $f) (func (call $start (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1))))"""
    with pytest.raises(ToolchainError, match="__stack_pointer"):
        parallelize(encode(parse_module(text)))
    with pytest.raises(WasmError):
        parallelize(b"\0asm")


def failed(code: bytes, tmp_path: Path, device: str) -> str:
    """How a kernel fails, with the calls that were active."""
    with Program(code, env=ENV, device=DEVICES[device], stdout=os.open(os.devnull, os.O_WRONLY)) as program:
        with pytest.raises(Trap):
            program.run()
        failure = program.failures[0]
        return f"{failure.message} " + " ".join(f"{entry.name} {entry.location}" for entry in failure.backtrace)


def test_a_full_stack_traps_and_names_the_setting(tmp_path: Path) -> None:
    text = PLAIN + (
        "int deep(int n) { volatile int pad[64]; pad[n % 64] = n; return n ? deep(n - 1) + pad[n % 64] : 0; }\n"
        "static void body(void *c, uint32_t i) { ((int *)c)[i] = deep((int)i * 100000); }\n"
        'int main(void) { int a[2]; wasi_parallel_for(body, a, 2); printf("%d\\n", a[1]); }\n'
    )
    assert "OMP_STACKSIZE" in failed(compiled(tmp_path, text), tmp_path, "native")


def test_traps_in_kernels_name_the_line(tmp_path: Path) -> None:
    text = PLAIN + (
        "static int *volatile table;\n"
        "static int look(uint32_t i) {\n"
        "    return table[i * 100000000u];\n"
        "}\n"
        "static void body(void *c, uint32_t i) { ((int *)c)[i] = look(i); }\n"
        'int main(void) { int a[9]; wasi_parallel_for(body, a, 9); printf("%d\\n", a[8]); }\n'
    )
    code = compiled(tmp_path, text, "-g")
    assert "program.c:5" in failed(code, tmp_path, "sequential")
    assert b".debug_line" in code and b".debug_line" not in compiled(tmp_path, text)


def test_exit_codes_and_output_before_the_end(tmp_path: Path) -> None:
    text = PLAIN + (
        "#include <stdlib.h>\n"
        'static void body(void *c, uint32_t i) { printf("%u\\n", i); if (i == 2) exit(7); }\n'
        "int main(void) { wasi_parallel_for(body, 0, 9); }\n"
    )
    compiled(tmp_path, text)
    done = refwasm("run", "--device", "sequential", str(tmp_path / "program.wasm"), check=False)
    assert done.returncode == 7 and done.stdout == "0\n1\n2\n"


def test_make_works(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int f(void);\nint main(void) { return f(); }\n", encoding="utf-8")
    (tmp_path / "b.c").write_text(
        "#include <wasi_parallel.h>\nstatic void b(void *c, uint32_t i) { ((int *)c)[i] = 3; }\n"
        "int f(void) { int a[4]; wasi_parallel_for(b, a, 4); return a[3]; }\n",
        encoding="utf-8",
    )
    (tmp_path / "Makefile").write_text("prog: a.o b.o\n\t$(CC) -o $@ $^\n", encoding="utf-8")
    cc = f"{sys.executable} -m refwasm cc"
    subprocess.run(["make", "-s", f"CC={cc}"], cwd=tmp_path, check=True)
    assert refwasm("run", str(tmp_path / "prog"), check=False).returncode == 3


def test_what_a_program_demands_is_honoured(tmp_path: Path) -> None:
    def asking(text: str) -> bytes:
        return encode(parse_module(f'(module (memory (export "memory") 1) (@custom "wasi-parallel" "{text}"))'))

    with Program(asking("memory=alias,order=descending")) as program:
        assert (program.context.policies.memory, program.context.policies.order) == ("alias", "descending")
    with Program(asking("memory=alias"), policies="memory=alias,grouping=one") as program:
        assert program.context.policies.grouping == "one"
    with pytest.raises(Unlinkable, match="demands the policy memory=alias, not memory=copy"):
        Program(asking("memory=alias"), policies="memory=copy")
    with pytest.raises(Unlinkable, match="PAR-DEMAND-01"):
        Program(asking("memory=elsewhere"))


def test_check_does_not_vary_what_is_demanded(tmp_path: Path) -> None:
    source = openmp("critical")
    compiled(tmp_path, source.text, "-fopenmp")
    shown = refwasm("check", "--only", "order,memory", str(tmp_path / "program.wasm")).stdout
    assert "portable" in shown


def test_finishing_a_linked_program(tmp_path: Path) -> None:
    """``refwasm parallelize`` does what the driver does after linking."""
    compiled(tmp_path, openmp("for").text, "-fopenmp")
    done = refwasm("parallelize", str(tmp_path / "program.wasm"), "-o", str(tmp_path / "again.wasm"))
    assert done.returncode == 0 and (tmp_path / "again.wasm").exists()
    done = refwasm("parallelize", "/dev/null", "-o", str(tmp_path / "no.wasm"), check=False)
    assert done.returncode == 1 and not (tmp_path / "no.wasm").exists()


@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
def test_levels_of_optimisation(level: str, tmp_path: Path) -> None:
    source = openmp("barrier-in-a-loop")
    assert ran(compiled(tmp_path, source.text, "-fopenmp", level), tmp_path, "sequential") == source.printed


def test_assertions_hold_in_kernels(tmp_path: Path) -> None:
    text = PLAIN + (
        "#include <assert.h>\n"
        "static void body(void *c, uint32_t i) { assert(i != 2); }\n"
        "int main(void) { wasi_parallel_for(body, 0, 4); }\n"
    )
    compiled(tmp_path, text, "-O2")
    done = refwasm("run", "--device", "sequential", str(tmp_path / "program.wasm"), check=False)
    assert done.returncode == 134 and "i != 2" in done.stderr
    assert ran(compiled(tmp_path, text, "-DNDEBUG"), tmp_path, "sequential") == ""
