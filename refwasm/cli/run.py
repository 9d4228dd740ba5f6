"""Run a program (its _start function), or one function with --invoke. Options stand before FILE: what follows FILE are
the program's arguments, or the function's.

Exit codes: the program's own; 134 trap, 124 limit reached, 130 interrupted, 70 a worker process died, 1 bad module
or (with --races) a race, 2 wrong usage."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from refwasm import embedding as e
from refwasm.cli import EXIT_BAD, UsageError, positive
from refwasm.cli.choices import add_choices, enumeration, parsed, print_all, tell
from refwasm.cli.files import add_features, located, naming, parse_features, read_file
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.run_document import Ending, run_document
from refwasm.cli.values import arguments, show
from refwasm.errors import did_you_mean
from refwasm.execution.choices import Choices, Enumeration
from refwasm.execution.memory import PAGE
from refwasm.host import unknown
from refwasm.host.parallel import Context, ParallelLimits, Policies
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.types import DeviceKind, Failure
from refwasm.host.wasi.threads import seed_of
from refwasm.program import Program, ProgramSettings

if TYPE_CHECKING:
    from refwasm.concurrency.races import RaceDetector
    from refwasm.native import NativeProgram

#: Kinds of devices by what people call them.
_DEVICES = {kind.name.lower().replace("_", "-"): kind for kind in DeviceKind}
_ALIASES = {
    "gpu": DeviceKind.DISCRETE_GPU, "dgpu": DeviceKind.DISCRETE_GPU, "igpu": DeviceKind.INTEGRATED_GPU,
    "seq": DeviceKind.SEQUENTIAL,
}  # fmt: skip
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".wasm or .wat")
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="ARGS", help="for the program or the function")
    parser.add_argument("--invoke", metavar="NAME", help="call this exported function and print its results")
    parser.add_argument("--env", action="append", default=[], metavar="KEY[=VALUE]", help="VALUE defaults to yours")
    parser.add_argument(
        "--dir", action="append", default=[], metavar="HOST[::GUEST]", help="a directory that the program may use"
    )
    parser.add_argument("--stdin", metavar="FILE", help="where the program's standard input comes from")
    parser.add_argument(
        "--listen", action="append", default=[], metavar="HOST:PORT", help="a listening socket for the program"
    )
    parser.add_argument(
        "--threads",
        default="processes",
        metavar="HOW",
        help="of wasi-threads: processes, interleaved, interleaved:SEED",
    )
    parser.add_argument(
        "--device", type=_device, metavar="KIND",
        help=f"what programs get that ask for a CPU or GPU: {', '.join(_DEVICES)}, or one that refwasm devices lists"
    )  # fmt: skip
    parser.add_argument(
        "--engine", choices=("refwasm", "wasmtime"), default="refwasm",
        help="what runs the program; with wasmtime, kernels run natively too, unless --device says otherwise",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive(int), default=os.cpu_count() or 1, metavar="N", help="of devices that have them"
    )
    parser.add_argument("--policy", default="", metavar="NAME=VALUE,…", help="memory=, instance=, grouping=, order=")
    parser.add_argument(
        "--strict", action="store_true", help="report kernels that write a read buffer or read a write buffer"
    )
    parser.add_argument("--tier", choices=list(e.TIERS), default=e.DEFAULT_TIER, help="what executes functions")
    parser.add_argument("--defer-validation", action="store_true", help="check functions when they are first called")
    parser.add_argument(
        "--unknown-imports", choices=unknown.WAYS, default=unknown.REFUSE, metavar="HOW",
        help="functions that nobody provides trap when called (trap), return zeros (zero), return what --choices say "
        "(any), or stop the start (refuse)",
    )  # fmt: skip
    parser.add_argument("--no-cache", action="store_true", help="neither read nor keep compiled code")
    parser.add_argument("--fuel", type=positive(int), metavar="N", help="stop after N instructions")
    parser.add_argument("--timeout", type=positive(float), metavar="SECONDS", help="stop after that time")
    parser.add_argument("--max-memory", metavar="SIZE", help="of one memory: bytes, or with K, M, G")
    parser.add_argument("--call-depth", type=positive(int), default=100_000, metavar="N", help="of nested calls")
    add_features(parser)
    add_choices(parser)
    parser.add_argument("--deterministic", action="store_true", help="clocks that count looks, seeded random numbers")
    parser.add_argument("--observe", metavar="FILE", help="write there, as JSON, what is left: memory, errors, buffers")
    parser.add_argument("--timeline", metavar="FILE", help="write there what ran where and when, for Perfetto")
    parser.add_argument(
        "--races", action="store_true",
        help="report data races between threads, or iterations, on stderr; on the interpreter, in one process",
    )  # fmt: skip
    add_json(parser)
    parser.add_argument("--stats", action="store_true", help="report on parallel_exec afterwards, on stderr")


def _device(text: str) -> DeviceKind | str:
    """The value of ``--device``: a kind, or a device by name."""
    known = _DEVICES | _ALIASES
    name = text.lower().replace("_", "-")
    if name in known:
        return known[name]
    named = registry.names()
    if name.partition(":")[0] not in named:
        guess = did_you_mean(name, [*known, *named]) or f"; choose from {', '.join([*_DEVICES, *named])}"
        raise argparse.ArgumentTypeError(f"there is no device {text!r}{guess}")
    return name


def run(options: argparse.Namespace) -> int:
    """Load, link, run."""
    executions = enumeration(options.choices)
    if executions is not None:
        return _run_all(options, executions)
    choices = parsed(options.choices)
    if options.races:
        choices = choices or Choices()
        races = watch_races(choices)
    if options.json == "-":
        raise UsageError("--json -: the program writes there; name a file")
    program: Program | NativeProgram = _loaded(options, choices)
    ending = Ending()
    try:
        ending.code = _started(program, options, ending.results) & 0xFF
        if choices is not None:
            choices.finish()
        ending.code = ending.code or (EXIT_BAD if options.races and races.races else 0)
        return ending.code
    except BaseException as error:
        ending.error = error
        raise
    finally:
        if options.races:
            _print_races(races)
        if options.stats:
            _print_stats(program.context)
        if options.timeline:
            _write_timeline(options.timeline, program.context)
        if options.observe:
            _observe(options.observe, program)
        if options.json:
            write_document(options, run_document(options, program.context, ending, races if options.races else None))
        _print_violations(program.context)
        tell(choices)
        program.close()


def _run_all(options: argparse.Namespace, executions: Enumeration) -> int:
    """Call one function in all executions."""
    if options.invoke is None:
        raise UsageError("--choices all needs --invoke: the results of a function are compared")

    def call(choices: Choices) -> str:
        with _loaded(options, choices) as program:
            assert isinstance(program, Program), "choices are refwasm's own"
            return " ".join(_invoked(program, options)) or "nothing"

    print_all(executions, call)
    return 0


def watch_races(choices: Choices) -> RaceDetector:
    """What looks for races in an execution with these choices."""
    from refwasm.concurrency.races import RaceDetector  # not at start-up
    from refwasm.concurrency.scheduler import ObservedScheduler

    detector = RaceDetector(set())
    ObservedScheduler(choices, [detector], at_once=False)  # which the choices bring along
    return detector


def _loaded(options: argparse.Namespace, choices: Choices | None) -> Program | NativeProgram:
    """The program, linked."""
    deadline = None if options.timeout is None else options.started + options.timeout
    cache = None if options.no_cache else e.cache_directory()
    settings = e.Settings(options.call_depth, _pages(options.max_memory), options.fuel, deadline, cache)
    with naming(options.file):
        program = _program(options, settings, choices)
        located(program.validated.module, options.file)
    return program


def _program(
    options: argparse.Namespace, settings: e.Settings, choices: Choices | None
) -> Program | NativeProgram:  # fmt: skip
    try:
        policies = Policies.parse(options.policy)
        seed_of(options.threads)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if options.engine == "wasmtime":
        from refwasm.cli import native  # needs the extra

        directories = [_directory(text) for text in options.dir]
        return native.load(options, policies, settings, _environment(options.env), directories, _report)
    given = ProgramSettings(
        dirs=[_directory(text) for text in options.dir],
        stdin=0 if options.stdin is None else os.open(options.stdin, os.O_RDONLY | os.O_CLOEXEC),
        sockets=[_listening(text) for text in options.listen],
        policies=policies,
        limits=ParallelLimits(workers=options.workers),
        device=options.device,
        strict=options.strict,
        deterministic=options.deterministic,
        settings=settings,
        features=parse_features(options.features),
        deferred=options.defer_validation,
        report=_report,
        tier=options.tier,
        threads=options.threads,
        unknown_imports=options.unknown_imports,
        choices=choices,
    )
    args = [options.file, *(options.args if options.invoke is None else [])]
    return Program(read_file(options.file), args, _environment(options.env), given=given)


def _pages(text: str | None) -> int | None:
    """The value of ``--max-memory`` in pages."""
    if text is None:
        return None
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    if not (number.isascii() and number.isdigit() and len(number) < 20) or unit not in _SIZES:
        raise UsageError(f"--max-memory {text}: write a number, with K, M or G behind it if you like")
    return int(number) * _SIZES[unit] // PAGE


def _environment(texts: list[str]) -> dict[str, str]:
    env: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key:
            raise UsageError(f"--env {text}: the name is missing")
        env[key] = value if equals else os.environ.get(key, "")
    return env


def _directory(text: str) -> tuple[str, str]:
    """The value of ``--dir``: the guest's name is the host's, unless it is given."""
    host, colons, guest = text.partition("::")
    if not os.path.isdir(host):
        raise UsageError(f"--dir {text}: {host or 'the empty path'} is no directory")
    return host, guest if colons else host


def _listening(text: str) -> int:
    """The value of ``--listen``: a socket that listens there."""
    import socket  # 5 ms that other runs do without

    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise UsageError(f"--listen {text}: write HOST:PORT")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family).detach()


def _started(program: Program | NativeProgram, options: argparse.Namespace, results: list[str]) -> int:
    """Run it, or call a function, whose results are printed and kept."""
    if isinstance(program, Program):
        return _start(program, options, results)
    from refwasm.cli import native

    return native.start(program, options, results)


def _start(program: Program, options: argparse.Namespace, results: list[str]) -> int:
    if program.threads and options.invoke is None:
        return program.run()
    if options.invoke is None and "_start" in dict(e.module_exports(program.validated)):
        program.check_entry("_start")
    results += _invoked(program, options)
    for line in results:
        print(line)
    return 0


def _invoked(program: Program, options: argparse.Namespace) -> list[str]:
    """The results of one function, as constants."""
    instance = program.instantiate()
    name = "_start" if options.invoke is None else options.invoke
    function = instance.exports.get(name)
    if not isinstance(function, (e.FuncInst, e.HostFunc)):
        functions = [n for n, item in instance.exports.items() if isinstance(item, (e.FuncInst, e.HostFunc))]
        names = ", ".join(functions) or "(it exports no functions)"
        guess = did_you_mean(name, functions) or f"; --invoke one of: {names}"
        raise UsageError(f"{options.file} exports no function {name!r}{guess}")
    t = e.func_type(function)
    args = [] if options.invoke is None else arguments(options.args, t.params)
    return [show(value, result) for value, result in zip(e.func_invoke(program.store, function, args), t.results)]


def _report(failure: Failure) -> None:
    sys.stdout.flush()
    print(f"refwasm: {failure}", file=sys.stderr)


def _observe(path: str, program: Program | NativeProgram) -> None:
    """What a run leaves behind, for comparing runs: see ``refwasm check``."""
    import hashlib  # 4 ms that other runs do without
    import json

    memory = program.guest.exported_memory if isinstance(program, Program) else program.memory()
    context = program.context
    contents = b"" if memory is None else bytes(memory.u8)
    observed = {
        "memory": hashlib.sha256(contents).hexdigest(),
        "buffers": {
            handle: hashlib.sha256(context.contents(memory, buffer)).hexdigest()
            for handle, buffer in context.buffers.items()
            if memory is not None
        },
        "failures": [f"{failure.function}: {failure.errno.name}" for failure in context.failures],
    }
    Path(path).write_text(json.dumps(observed), encoding="utf-8")


def _write_timeline(path: str, context: Context) -> None:
    import json

    from refwasm.host.parallel.timeline import timeline

    Path(path).write_text(json.dumps(timeline(context.runs)), encoding="utf-8")


def _print_violations(context: Context) -> None:
    for number, done in enumerate(context.runs):
        for violation in done.violations:
            print(f"refwasm: strict: parallel_exec {number}: {violation}", file=sys.stderr)


def _print_races(detector: RaceDetector) -> None:
    sys.stdout.flush()
    for race in detector.races:
        print("refwasm: " + "\n".join(race.lines()), file=sys.stderr)
    if not detector.races:
        print("refwasm: no races in this execution", file=sys.stderr)


def _print_stats(context: Context) -> None:
    for number, done in enumerate(context.runs):
        shares = ", ".join(f"worker {w}: {n}" for w, n in sorted(done.by_worker.items()))
        print(
            f"refwasm: parallel_exec {number}: {done.name}, {done.iterations} iterations ({shares}), "
            f"{done.bytes_copied} bytes copied, {(done.end - done.begin) * 1e3:.2f} ms, "
            f"{done.kernel_seconds * 1e3:.2f} of them in the kernel"
            + (f" (instead of {done.instead})" if done.instead else ""),
            file=sys.stderr,
        )
