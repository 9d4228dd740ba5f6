"""All measurements in one table: ``python benchmarks/run.py [NAME…]``. Needs ``pip install -e '.[test,dev]'``.

Ratios compare with a peer or a baseline in the same run, interleaved, by medians; a row says what it should reach.
Parallel rows mean something on an idle machine only: the load during the run is printed.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from refwasm import Instance, Module
from refwasm.binary import decode, encode
from refwasm.execution.compiler import Compiler
from refwasm.execution.interpreter import Interpreter
from refwasm.execution.numerics.table import is_numeric
from refwasm.execution.store import FuncInst
from refwasm.host.parallel import ParallelLimits
from refwasm.program import Program as Whole
from refwasm.syntax.instructions import FORMS
from refwasm.text import parse_module, print_module
from refwasm.text.printer import quote
from refwasm.validation import validate

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.guest import Guest
from benchmarks.kernels import FIB, KERNELS, SUM, Kernel
from tools.guests import CPU, SEQUENTIAL, Program, kernel_wat, program
from tools.guests import shipped as guest

Row = tuple[str, str, str]
Timed = Callable[[], object]


def seconds(function: Timed) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def medians(functions: dict[str, Timed], repeats: int = 5) -> dict[str, float]:
    """Median times, the candidates taking turns."""
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            samples[name].append(seconds(function))
    return {name: statistics.median(times) for name, times in samples.items()}


# ---- the interpreter against other pure-Python ones -----------------------------------------------------------------


def _ours(data: bytes, argument: int) -> Timed:
    function = Instance(Module(data), tier="interpret").exports.f
    return lambda: function(argument)


def _pwasm(data: bytes, argument: int) -> Timed:
    import pwasm

    instance = pwasm.instantiate(pwasm.decode_module(data), mode="interpret")
    return lambda: instance.exports.f(argument)


def _pywasm(data: bytes, argument: int) -> Timed:
    import pywasm

    with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
        file.write(data)
        file.flush()
        runtime = pywasm.core.Runtime()
        module = runtime.instance_from_file(file.name)
    return lambda: runtime.invocate(module, "f", [argument])


def interpreters() -> list[Row]:
    """fib and sum; pywasm gets a tenth of the work, since it is so slow."""
    rows = []
    for name, text, argument, small in (("fib", FIB, 19, 13), ("sum", SUM, 100_000, 4_000)):
        data = encode(parse_module(text))
        times = medians({"ours": _ours(data, argument), "pwasm": _pwasm(data, argument)})
        few = medians({"ours": _ours(data, small), "pywasm": _pywasm(data, small)})
        rows.append((f"{name}: pwasm interpret / refwasm", f"{times['pwasm'] / times['ours']:.2f}", "at least 1"))
        rows.append((f"{name}: pywasm / refwasm", f"{few['pywasm'] / few['ours']:.1f}", "at least 10"))
    return rows


# ---- the compiler ---------------------------------------------------------------------------------------------------


def _on_tier(kernel: Kernel, tier: str) -> Callable[[int], int]:
    return Instance(Module(kernel.data), tier=tier).exports.f


def _geomean(ratios: list[float]) -> float:
    return statistics.geometric_mean(ratios)


def kernels() -> list[Row]:
    """Ten kernels against pwasm's compiler, against the same job by hand in Python, and against pywasm."""
    import pwasm

    rows, over_pwasm, over_pywasm, over_hand = [], [], [], []
    wanted = {"nstream": 3.0, "matmul": 1.5, "sha256": 1.5}
    for kernel in KERNELS:
        ours = _on_tier(kernel, "compile")
        peer = pwasm.instantiate(pwasm.decode_module(kernel.data), mode="compile").exports.f
        python, n = kernel.python, kernel.size
        results = {int(function(n)) & 0xFFFFFFFF for function in (ours, peer, python)}
        assert len(results) == 1, (kernel.name, results)
        times = medians({"ours": partial(ours, n), "pwasm": partial(peer, n), "hand": partial(python, n)}, 9)
        slow, few = _pywasm(kernel.data, kernel.small), kernel.small
        small = medians({"ours": partial(ours, few), "pywasm": slow}, 3)
        ratio, by_hand, slower = (
            times["pwasm"] / times["ours"],
            times["ours"] / times["hand"],
            small["pywasm"] / small["ours"],
        )
        over_pwasm.append(ratio)
        over_hand.append(by_hand)
        over_pywasm.append(slower)
        rows.append(
            (f"{kernel.name}: pwasm compile / refwasm", f"{ratio:.2f}", f"at least {wanted.get(kernel.name, 1.0)}")
        )
        rows.append((f"{kernel.name}: refwasm / Python by hand", f"{by_hand:.2f}", "at most 2"))
        rows.append((f"{kernel.name}: pywasm / refwasm", f"{slower:.0f}", "at least 100"))
    rows.append(("geometric mean: pwasm compile / refwasm", f"{_geomean(over_pwasm):.2f}", "at least 1.8"))
    rows.append(("geometric mean: refwasm / Python by hand", f"{_geomean(over_hand):.2f}", ""))
    rows.append(("geometric mean: pywasm / refwasm", f"{_geomean(over_pywasm):.0f}", ""))
    return rows


def spec_interpreter() -> list[Row]:
    """Calls and loops against the specification's interpreter in OCaml: its executable is in OCAML_WASM. What one more
    turn costs: start-up and parsing drop out."""
    executable = os.environ.get("OCAML_WASM")
    if not executable:
        return [("OCaml interpreter / refwasm", "-", "OCAML_WASM is not set")]
    rows = []
    wanted_of = {"fib": 10, "sum": 15, "matmul": 15}
    for kernel in (kernel for kernel in KERNELS if kernel.name in wanted_of):
        few, many = (kernel.size - 6 if kernel.name == "fib" else kernel.size // 4), kernel.size
        ours = _on_tier(kernel, "compile")
        with tempfile.TemporaryDirectory() as folder:
            module = f"(module binary {quote(kernel.data)})"

            def peer(n: int, module: str = module, path: Path = Path(folder) / "script.wast") -> None:
                path.write_text(f'{module} (invoke "f" (i32.const {n}))')
                subprocess.run([str(executable), str(path)], check=True, stdout=subprocess.DEVNULL)

            times = medians(
                {name: partial(function, n) for name, function, n in (
                    ("ours, few", ours, few), ("ours, many", ours, many), ("peer, few", peer, few),
                    ("peer, many", peer, many))}, 5)  # fmt: skip
        ratio = (times["peer, many"] - times["peer, few"]) / (times["ours, many"] - times["ours, few"])
        what = f"{kernel.name}: OCaml interpreter / refwasm"
        rows.append((what, f"{ratio:.1f}", f"at least {wanted_of[kernel.name]}"))
    return rows


def _installed(folder: str) -> dict[str, str]:
    """An environment where Python's byte code is kept in a folder, as an installation has it."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def _command(engine: str, name: str, times: str, cache: str = "") -> list[str]:
    return [sys.executable, str(Path(__file__).parent / "guest.py"), engine, name, times, cache]


def _first(command: list[str], env: dict[str, str]) -> None:
    """A process, until its output is there."""
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, env=env) as process:
        _printed(process)
        process.kill()


def _again(process: subprocess.Popen[str]) -> None:
    """The script once more, in a process that waits for a line."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    _printed(process)


def _printed(process: subprocess.Popen[str]) -> None:
    """Wait for what the script prints, and the time."""
    assert process.stdout is not None
    assert all([process.stdout.readline() for _ in range(2)]), "the process ended"


def programs() -> list[Row]:
    """MicroPython and QuickJS: new processes without and with compiled code on disk, and one that is warm. pwasm
    validates nothing; the second row is for the same laxness until a function is called."""
    rows = []
    engines = ("refwasm", "pwasm")
    for name in ("micropython", "quickjs"):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            env = _installed(folder + "/python")
            for engine in engines:
                for _ in range(3):
                    command = _command(engine, name, "3", f"{folder}/{engine}")
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
            lax = (*engines, "deferred")
            cold = medians({e: partial(_first, _command(e, name, "1"), env) for e in lax}, 7)
            cached = medians({e: partial(_first, _command(e, name, "1", f"{folder}/{e}"), env) for e in engines}, 7)
            pipes = {"text": True, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": env}
            waiting = {e: stack.enter_context(subprocess.Popen(_command(e, name, "-"), **pipes)) for e in engines}
            again = {engine: partial(_again, process) for engine, process in waiting.items()}
            medians(again, 8)
            warm = medians(again, 21)
        deferred = {**cold, "refwasm": cold["deferred"]}
        for what, times in (("cold", cold), ("deferred", deferred), ("cached", cached), ("warm", warm)):
            ratio = times["pwasm"] / times["refwasm"]
            rows.append((f"{name}, {what}: pwasm / refwasm", f"{ratio:.2f}", "at least 1"))
    return rows


def compiling() -> list[Row]:
    """Time and memory for each instruction of QuickJS."""
    instance = Guest("quickjs", None).instance
    functions = [func for func in instance.funcs if isinstance(func, FuncInst)]
    count = sum(len(func.func.body) for func in functions)
    compiler = Compiler(instance.store, Interpreter(instance.store))
    took = seconds(lambda: [compiler.compilation.compiled(func) for func in functions])
    instance.validated.code.clear()
    some = functions[:400]
    tracemalloc.start()
    kept = [compiler.compilation.compiled(func) for func in some]
    peak = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    size = peak / sum(len(func.func.body) for func in some)
    assert kept
    return [
        ("compiling, microseconds per instruction", f"{took / count * 1e6:.1f}", "under 20"),
        ("compiled, bytes per instruction", f"{size:.0f}", "under 2000"),
    ]


# ---- vectors --------------------------------------------------------------------------------------------------------


def _operation(mnemonic: str, rounds: int) -> Timed:
    """Twenty times an instruction on ordinary operands, in a loop."""
    params = FORMS[mnemonic].params
    assert params is not None
    constants = {"v128": "v128.const i32x4 0x3fc01234 0x40a77777 0x3f812345 0xc0876543", "i32": "i32.const 3"}
    given = " ".join(f"({constants.get(t.name, f'{t.name}.const 3')})" for t in params)
    body = f"(drop ({mnemonic} {given})) " * 20
    loop = f"(loop $l {body} (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
    function = Instance(Module(f'(module (func (export "f") (param i32) {loop}))'), tier="interpret").exports.f
    return lambda: function(rounds)


def vectors() -> list[Row]:
    """Vector instructions against ``i32.add``; constants instead of locals cost both the same."""
    names = [n for n in FORMS if is_numeric(n) and FORMS[n].feature in ("simd", "relaxed-simd")]
    scalar = min(seconds(_operation("i32.add", 200)) for _ in range(20))
    ratios = sorted((min(seconds(_operation(name, 200)) for _ in range(5)) / scalar, name) for name in names)
    worst, name = ratios[-1]
    return [
        ("vector instructions / i32.add, median", f"{ratios[len(ratios) // 2][0]:.1f}", ""),
        (f"vector instructions / i32.add, worst ({name})", f"{worst:.1f}", "at most 15"),
    ]


def suite() -> list[Row]:
    """The official suite in one command on two processes."""
    folder = os.environ.get("REFWASM_TESTSUITE")
    if not folder:
        return [("official suite, s", "-", "REFWASM_TESTSUITE is not set")]
    command = [sys.executable, "-m", "refwasm", "wast", "-q", "--jobs", "2", folder]
    took = seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    return [("official suite with 2 jobs, s", f"{took:.1f}", "under 60")]


# ---- modules --------------------------------------------------------------------------------------------------------


def modules() -> list[Row]:
    """Decoding, validating, printing and parsing QuickJS."""
    data = guest("quickjs")
    module = decode(data)
    text = print_module(module)
    times = medians(
        {
            "load": lambda: validate(decode(data)),
            "encode": lambda: encode(module),
            "parse": lambda: parse_module(text),
        },
        3,
    )
    tracemalloc.start()
    validate(decode(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size, text_size = len(data) / 1e6, len(text) / 1e6
    return [
        ("QuickJS decoded and validated, s", f"{times['load']:.2f}", "under 3"),
        ("decode and validate, MB/s", f"{size / times['load']:.2f}", "at least 0.5"),
        ("peak memory / module size", f"{peak / len(data):.0f}", "under 150"),
        ("encode, MB/s", f"{size / times['encode']:.1f}", ""),
        ("parse text, MB/s", f"{text_size / times['parse']:.2f}", "at least 1"),
    ]


def start_up() -> list[Row]:
    """``refwasm run`` of a tiny module beside ``python -c pass``, with Python's byte code cached as an installation has
    it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.wasm"
        path.write_bytes(encode(parse_module('(module (func (export "_start")))')))

        env = _installed(folder)

        def command(*args: str) -> Timed:
            return lambda: subprocess.run([sys.executable, *args], check=True, env=env)

        run = command("-m", "refwasm", "run", str(path))
        run()
        times = medians({"refwasm": run, "python": command("-c", "pass")}, 15)
    return [("start-up beyond python, s", f"{times['refwasm'] - times['python']:.3f}", "under 0.15")]


# ---- the CPU device -------------------------------------------------------------------------------------------------

KERNEL = kernel_wat(
    """(local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))
    (i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) (local.get $sum))"""
)


def _exec(p: Program, hint: int, iterations: int) -> Timed:
    device = p.device(hint)
    handle = p.buffer(device, 4 * max(iterations, 1))
    p.call("write_buffer", 65536, 4 * max(iterations, 1), handle)

    def run() -> None:
        assert p.exec(device, iterations, handle) == 0

    return run


def _spin(turns: int) -> None:
    i = 0
    while i < turns:
        i += 1


def _scaling() -> float:
    """How much faster this machine runs two processes that share nothing, than one after the other."""
    context = multiprocessing.get_context("fork")

    def run(count: int) -> None:
        processes = [context.Process(target=_spin, args=(4_000_000,)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    times = medians({"one": lambda: run(1), "two": lambda: run(2)}, 5)
    return 2 * times["one"] / times["two"]


def _beyond_the_kernel() -> float:
    """Seconds of an execution of nstream, 20,000 elements on 2 workers, that the kernel does not run."""
    rounds = 30
    source = (Path(__file__).parent.parent / "examples" / "nstream.wasm").read_bytes()
    arguments = ["nstream", "20000", str(rounds)]
    with (
        open(os.devnull, "wb") as nowhere,
        Whole(source, arguments, stdout=nowhere.fileno(), limits=ParallelLimits(workers=2)) as whole,
    ):
        assert whole.run() == 0
        return statistics.median(run.end - run.begin - run.kernel_seconds for run in whole.runs[5:])


def device() -> list[Row]:
    """2 workers against SEQUENTIAL on tasks over 25 ms; dispatch of next to nothing to warm workers."""
    alone = _scaling()
    busy, empty = program(KERNEL), program(kernel_wat(""))
    sequential, cpu = _exec(busy, SEQUENTIAL, 8), _exec(busy, CPU, 8)
    nothing = _exec(empty, CPU, 2)
    cpu(), nothing()
    times = medians({"sequential": sequential, "cpu": cpu}, 9)
    dispatch = medians({"nothing": nothing}, 300)["nothing"]
    task = times["sequential"] / 8
    return [
        (f"SEQUENTIAL / CPU with 2 workers (tasks of {task * 1e3:.0f} ms)",
         f"{times['sequential'] / times['cpu']:.2f}", "at least 1.8"),
        ("two processes of nothing but Python / one, on this machine", f"{alone:.2f}", ""),
        ("dispatch of an empty parallel_exec, ms", f"{dispatch * 1e3:.3f}", "under 0.5"),
        ("nstream, 20,000 elements: beyond the kernel, ms", f"{_beyond_the_kernel() * 1e3:.2f}", "under 1"),
    ]  # fmt: skip


MEASUREMENTS: dict[str, Callable[[], list[Row]]] = {
    "interpreters": interpreters,
    "kernels": kernels,
    "spec_interpreter": spec_interpreter,
    "programs": programs,
    "compiling": compiling,
    "vectors": vectors,
    "modules": modules,
    "start_up": start_up,
    "device": device,
    "suite": suite,
}


def main(names: list[str]) -> None:
    """Print the table."""
    unknown = set(names) - set(MEASUREMENTS)
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in names or MEASUREMENTS:
        rows: list[Any] = MEASUREMENTS[name]()
        for what, measured, wanted in rows:
            print(f"{what:<62}{measured:>10}   {wanted}")


if __name__ == "__main__":
    main(sys.argv[1:])
