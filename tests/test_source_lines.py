"""Lines of the source in backtraces: DWARF of compilers, source maps."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from refwasm import Instance, Module, Trap
from refwasm.binary import decode, encode
from refwasm.binary.locations import Locations
from refwasm.binary.source_map import SourceMap
from refwasm.binary.values import encode_unsigned
from refwasm.syntax.modules import Custom
from refwasm.text import parse_module
from refwasm.text.printer import quote
from tests.support import IMPORTS, refwasm

SOURCE = """#include <stdlib.h>
__attribute__((noinline)) int divide(int a, int b) {
    return a /
        b;
}
int main(int argc, char **argv) {
    (void)argv;
    return divide(argc, argc - 1);
}
"""
KERNEL = """void kernel(int id, int n, int block) {
    (void)n; (void)block;
    if (id == 3)
        __builtin_trap();
}
"""


def compiled(folder: Path, source: str, *options: str) -> Path:
    (folder / "program.c").write_text(source)
    target = folder / "program.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", *options, "-o", str(target), "program.c"]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    return target


@pytest.fixture(scope="module", params=["-gdwarf-4 -O2", "-gdwarf-5 -O1", "-gdwarf-5 -O0 -fno-sanitize=all"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    return compiled(folder, SOURCE, "-target", "wasm32-wasi", *request.param.split())


@pytest.mark.parametrize("tier", ["interpret", "compile", "auto"])
def test_a_trap_names_file_and_line(program: Path, tier: str) -> None:
    done = refwasm("run", "--tier", tier, str(program))
    assert done.returncode == 134
    lines = done.stderr.decode().split("\n")
    assert "divide by zero" in lines[0]
    assert "$divide 0x" in lines[1] and "(program.c:3:" in lines[1]
    assert any("(program.c:8:" in line for line in lines)


def test_dump_and_explain_show_lines(program: Path) -> None:
    dump = refwasm("dump", str(program)).stdout.decode()
    assert ";; program.c:3\n" in dump and ";; program.c:8\n" in dump
    assert ";; program.c:3\n" in refwasm("explain", str(program), "divide").stdout.decode()


def test_a_missing_extra_is_named_once(program: Path) -> None:
    script = f"""
import sys
sys.modules["elftools"] = None
from refwasm.cli import main
sys.exit(main(["run", {str(program)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 134
    assert done.stderr.count(b"pip install 'refwasm[debug]'") == 1 and b"program.c" not in done.stderr


@pytest.mark.parametrize("device", [0, 1])
def test_a_trap_in_a_kernel_names_its_line(tmp_path: Path, device: int) -> None:
    options = "-target wasm32-freestanding -mcpu=generic+atomics+bulk_memory -g -O1 -nostdlib -Wl,--no-entry"
    options += " -Wl,--export=kernel -Wl,--import-memory -Wl,--shared-memory -Wl,--max-memory=1048576"
    data = compiled(tmp_path, KERNEL, *options.split()).read_bytes()
    text = f"""(module {IMPORTS} (memory (export "memory") 20 20 shared) (data (i32.const 4096) {quote(data)})
      (func (export "_start") (drop (call $gd (i32.const {device}) (i32.const 16)))
        (drop (call $pe (i32.load (i32.const 16)) (i32.const 4096) (i32.const {len(data)}) (i32.const 8)
          (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))"""
    path = tmp_path / "host.wat"
    path.write_text(text)
    done = refwasm("run", str(path))
    assert b"iteration 3" in done.stderr and b"(program.c:4:" in done.stderr


def test_sections_that_are_damaged_cost_the_lines_only(program: Path) -> None:
    module = decode(program.read_bytes())
    locate = module.locate
    assert isinstance(locate, Locations)
    for name in [*locate.sections]:
        content = locate.sections[name]
        for damaged in (b"", content[: len(content) // 2], b"\xff" * len(content)):
            broken = Locations(locate.code, [Custom(n, c) for n, c in {**locate.sections, name: damaged}.items()])
            for position in (locate.code + 1000, 1 << 31):
                assert broken(position).startswith("0x")


TEXT = '(module (func $f (export "f") (unreachable)) (func (export "g") (call $f)))'


def with_map(address: str) -> bytes:
    content = encode_unsigned(len(address)) + address.encode()
    module = parse_module(TEXT)
    return encode(module._replace(customs=(*module.customs, Custom("sourceMappingURL", content, 11))))


def mapping(positions: list[int]) -> str:
    """A map of these positions to lines 10, 20, … of a.ts, column 5."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def number(value: int) -> str:
        value = abs(value) << 1 | (value < 0)
        out = ""
        while True:
            bits, value = value & 31, value >> 5
            out += digits[bits | 32 * bool(value)]
            if not value:
                return out

    segments, last = [], 0
    for i, position in enumerate(positions):
        numbers = [position - last, 0, 9 if i == 0 else 10, 4 if i == 0 else 0]
        segments.append("".join(map(number, numbers)))
        last = position
    return json.dumps({"version": 3, "sources": ["src/a.ts"], "names": [], "mappings": ",".join(segments)})


def test_source_maps() -> None:
    positions = [p for func in decode(with_map("x")).funcs for p in func.positions]
    shift = len(with_map("x" * 300)) - len(with_map("x"))
    assert shift > 256, "sections behind the code move nothing"
    text = mapping(positions)
    address = "data:application/json;base64," + base64.b64encode(text.encode()).decode()
    for tier in ("interpret", "compile"):
        with pytest.raises(Trap) as caught:
            Instance(Module(with_map(address)), tier=tier).exports.g()
        first, second = caught.value.backtrace
        assert first.location.endswith("(a.ts:10:5)") and second.location.endswith("(a.ts:30:5)")
    copied = pickle.loads(pickle.dumps(decode(with_map(address))))
    assert copied.locate(positions[0]).endswith("(a.ts:10:5)")


def test_source_maps_in_files_are_found_beside_the_module(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(with_map("m.wasm.map"))
    text = mapping([p for func in decode(path.read_bytes()).funcs for p in func.positions])
    (tmp_path / "m.wasm.map").write_text(text)
    assert b"(a.ts:10:5)" in refwasm("run", "--invoke", "g", str(path)).stderr
    assert b";; a.ts:10" in refwasm("dump", str(path)).stdout
    (tmp_path.parent / "outside.map").write_text(text)
    for address in ("../outside.map", "nothing.map", "http://localhost/m.map", str(tmp_path / "m.wasm.map")):
        path.write_bytes(with_map(address))
        done = refwasm("run", "--invoke", "g", str(path))
        assert done.returncode == 134 and b"a.ts" not in done.stderr


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b"null", b'{"mappings": "A"}', b'{"sources": [], "mappings": "AAAA"}', b"\xff",
     b'{"sources": ["a"], "mappings": 5}', b'{"sources": ["a"], "mappings": "!"}', b"[" * 100_000,
     b'{"sources": ["a"], "mappings": "AggggggggggggggggggB"}'],
)  # fmt: skip
def test_maps_that_are_none(text: bytes) -> None:
    assert SourceMap(text).find(10) is None
