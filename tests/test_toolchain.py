"""The toolchain, as its users have it: programs in C and C++ are compiled with ``refwasm cc`` and ``refwasm c++``, and
run on the devices with the same result."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from refwasm import Program
from refwasm.host.parallel.types import DeviceKind

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
    assert ran(code, tmp_path, "sequential", "order=shuffle:3,grouping=one") == source.printed
    if len(source.name) % 3 == 0:
        assert ran(code, tmp_path, "cpu") == source.printed


def test_there_are_enough_programs() -> None:
    assert len(ALL) >= 60
