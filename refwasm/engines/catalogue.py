"""The engines by name. A name is made an engine by :func:`engine`; :func:`found` lists what is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from refwasm import embedding as e
from refwasm.engines.baked import BakedEngine
from refwasm.engines.own import RefwasmEngine
from refwasm.engines.process import ProcessEngine
from refwasm.engines.programs import OptimisedEngine, binaryen, wabt
from refwasm.engines.protocol import Died, Ended, Engine, Unavailable
from refwasm.engines.versions import RELEASES, folder_of, python_for
from refwasm.engines.wasmtime_engine import WasmtimeEngine
from refwasm.errors import did_you_mean

ADAPTERS = Path(__file__).with_name("adapters")
#: What is finished in the standard, and behind a flag in versions of V8 that have all of it.
V8_FLAGS = ("--experimental-wasm-exnref",)

#: Makes an engine of a version ("" if none is named), which may be installed if the second argument says so.
Make = Callable[[str, bool], Engine]


def _own(name: str) -> Make:
    def make(version: str, install: bool) -> Engine:
        _unversioned(name, version)
        return RefwasmEngine(name.removeprefix("refwasm-"))

    return make


def _unversioned(name: str, version: str) -> None:
    if version:
        raise Unavailable(f"{name}=={version}: versions can be named of {', '.join(RELEASES)} only")


def _server(version: str, install: bool) -> Engine:
    _unversioned("refwasm-server", version)
    return ProcessEngine([sys.executable, "-m", "refwasm", "oracle"], "refwasm-server")


def _wasmtime(version: str, install: bool) -> Engine:
    if not version:
        return WasmtimeEngine()
    path = os.pathsep.join([str(folder_of("wasmtime", version, install)), *_python_path()])
    command = ["env", f"PYTHONPATH={path}", sys.executable, "-m", "refwasm.engines.serve", "wasmtime"]
    return _renamed(ProcessEngine(command, "wasmtime"), version)


def _python_path() -> list[str]:
    return list(filter(None, [os.environ.get("PYTHONPATH")]))


def _v8(version: str, install: bool) -> Engine:
    """V8 in Node.js; a version is that of Node.js."""
    node = str(folder_of("v8", version, install) / "bin" / "node") if version else "node"
    if shutil.which(node) is None:
        raise Unavailable("there is no command 'node': install Node.js, or name a version (v8==20.9.0)")
    known = subprocess.run([node, "--v8-options"], capture_output=True, text=True, check=False).stdout
    flags = [flag for flag in V8_FLAGS if flag in known]
    made = ProcessEngine([node, *flags, str(ADAPTERS / "javascript.mjs")], "v8")
    return _renamed(made, f"{made.version} (node {version})") if version else made


def _jsc(version: str, install: bool) -> Engine:
    """JavaScriptCore in bun; a version is that of bun."""
    bun = shutil.which("bun") if not version else None
    if bun is None:
        bun = str(folder_of("jsc", version, install) / "bin" / "bun")
        os.chmod(bun, 0o755)
    return ProcessEngine([bun, str(ADAPTERS / "javascript.mjs")], "jsc")


def _spidermonkey(version: str, install: bool) -> Engine:
    _unversioned("spidermonkey", version)
    if shutil.which("gjs") is None:
        raise Unavailable("there is no command 'gjs': install Debian's package gjs")
    return ProcessEngine(["gjs", "-m", str(ADAPTERS / "javascript.mjs")], "spidermonkey")


def _binding(name: str) -> Make:
    """A Python binding, on the Python that it is for."""

    def make(version: str, install: bool) -> Engine:
        version = version or RELEASES[name].default
        folder = folder_of(name, version, install)
        command = ["env", f"PYTHONPATH={folder}", python_for(name), str(ADAPTERS / "standalone.py"), name, version]
        return ProcessEngine(command, name)

    return make


def _wabt(version: str, install: bool) -> Engine:
    found = shutil.which("wasm-interp") if not version else None
    command = [found] if found else _npm_script("wabt", version, install, "wasm-interp")
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    known = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False).stdout
    flags = [word for word in known.split() if word.startswith("--enable-") and word != "--enable-all"]
    return wabt(command, version or told or "?", flags)


def _wasm_opt_as(kind: Callable[[list[str], str], Engine]) -> Make:
    """An engine that is made of the command ``wasm-opt`` and its version."""
    return lambda version, install: kind(*_wasm_opt(version, install))


def _wasm_opt(version: str, install: bool) -> tuple[list[str], str]:
    found = shutil.which("wasm-opt") if not version else None
    command = [found] if found else _npm_script("binaryen", version, install, "wasm-opt")
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout.split()
    return command, version or next((word for word in told if word.isdigit()), "?")


def _npm_script(name: str, version: str, install: bool, script: str) -> list[str]:
    folder = folder_of(name, version, install)
    if shutil.which("node") is None:
        raise Unavailable(f"{name}: there is no command 'node': install Node.js")
    path = folder / "bin" / script
    if not path.is_file():
        raise Unavailable(f"{name}: {folder} has no {script}")
    return ["node", str(path)]


def _renamed(engine: ProcessEngine, version: str) -> ProcessEngine:
    engine.version = version
    return engine


ENGINES: dict[str, Make] = {
    "wasmtime": _wasmtime,
    "v8": _v8,
    "jsc": _jsc,
    "spidermonkey": _spidermonkey,
    "wabt": _wabt,
    "binaryen": _wasm_opt_as(binaryen),
    "binaryen-opt": _wasm_opt_as(OptimisedEngine),
    **{name: _binding(name) for name in ("wasm3", "wasmer", "pwasm", "pywasm")},
    **{name: _own(name) for name in (f"refwasm-{tier}" for tier in e.TIERS)},
    "refwasm-server": _server,
}

#: A function that needs a feature, and what else the module has; for engines that do not say what they have. It is
#: called: some engines accept what they can't execute.
PROBES = {
    "mutable-globals": ("i32", "(global.get 0)", '(global (export "g") (mut i32) (i32.const 0))'),
    "sign-extension": ("i32", "(i32.extend8_s (i32.const 0))", ""),
    "nontrapping-fptoint": ("i32", "(i32.trunc_sat_f32_s (f32.const 0))", ""),
    "bulk-memory": ("", "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))", "(memory 1)"),
    "reference-types": ("i32", "(ref.is_null (table.get 1 (i32.const 0)))", "(table 1 externref) (table 1 funcref)"),
    "multi-value": ("i32", "(block (result i32 i32) (i32.const 0) (i32.const 0)) (drop)", ""),
    "simd": ("i32", "(i32x4.extract_lane 1 (i32x4.add (v128.const i64x2 0 0) (v128.const i64x2 0 0)))", ""),
    "relaxed-simd": (
        "i32", "(i8x16.extract_lane_s 1 (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))", ""
    ),
    "tail-call": ("i32", "(return_call $h)", "(func $h (result i32) (i32.const 0))"),
    "function-references": (
        "i32", "(call_ref $t (ref.func $h))",
        "(type $t (func (result i32))) (func $h (type $t) (i32.const 0)) (elem declare func $h)",
    ),
    "exception-handling": ("", "(block (try_table (catch_all 0) (throw 0)))", "(tag)"),
    "gc": ("i32", "(i31.get_s (ref.i31 (i32.const 0))) (drop (struct.new 0))", "(type (struct))"),
    "multi-memory": ("i32", "(i32.load 1 (i32.const 0))", "(memory 1) (memory 1)"),
    "memory64": ("i32", "(i32.load (i64.const 0))", "(memory i64 1)"),
    "extended-const": ("i32", "(global.get 0)", "(global i32 (i32.add (i32.const 1) (i32.const 2)))"),
    "threads": ("i32", "(i32.atomic.load (i32.const 0))", "(memory 1 1 shared)"),
    "wide-arithmetic": ("i64", "(i64.mul_wide_u (i64.const 0) (i64.const 0)) (drop)", ""),
}  # fmt: skip


def known(name: str) -> tuple[str, str]:
    """The kind and the version ("" if there is none) in ``NAME`` or ``NAME==VERSION``. Raises Unavailable if nobody has
    that name."""
    kind, is_versioned, version = name.partition("==")
    if kind not in ENGINES:
        guess = did_you_mean(kind, ENGINES) or f"; there are {', '.join(ENGINES)}"
        raise Unavailable(f"unknown engine {kind!r}{guess}")
    if is_versioned and not version:
        raise Unavailable(f"{name}: expected a version behind ==")
    return kind, version


def engine(name: str, install: bool = False, features: frozenset[str] | None = None) -> Engine:
    """The engine of that name, ``NAME`` or ``NAME==VERSION``; with ``install``, it may be fetched. It is asked which
    features it has, unless they are known. Raises Unavailable, also for a name that nobody has."""
    kind, version = known(name)
    made = ENGINES[kind](version, install)
    if features is not None:
        made.features = features
        return made
    return probed(made) if isinstance(made, (ProcessEngine, BakedEngine)) else made


def probed(engine: ProcessEngine | BakedEngine) -> Engine:
    """The engine, which says that it has the features whose probes it executes. Raises Unavailable if it executes not
    even a module without any."""
    reason = _refusal(engine, ("i32", "(i32.const 0)", ""))
    if reason is not None:
        engine.close()
        raise Unavailable(f"{engine.name} {engine.version} executes nothing: {reason}")
    engine.features = frozenset(
        {"mvp", "compact-import-section", *(name for name, probe in PROBES.items() if _refusal(engine, probe) is None)}
    )
    return engine


def _refusal(engine: ProcessEngine | BakedEngine, probe: tuple[str, str, str]) -> Ended | Died | None:
    """Why an engine does not execute a probe; None if it does."""
    result, body, others = probe
    results = f"(result {result})" if result else ""
    text = f'(module {others} (func (export "f") {results} {body}))'
    try:
        engine.instantiate(e.module_encode(e.module_parse(text))).call("f", ())
    except (Ended, Died) as error:
        return error
    return None


def found(install: bool = False) -> Iterator[tuple[str, Engine | str]]:
    """Each name with its engine, or why it is not here."""
    for name in ENGINES:
        try:
            yield name, engine(name, install)
        except (Unavailable, Died) as error:
            yield name, str(error)
