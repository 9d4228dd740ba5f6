"""Programs: modules that are run with WASI and wasi-parallel, from Python or the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any

from refwasm import embedding as e
from refwasm.errors import Exit, Unlinkable
from refwasm.execution.choices import Choices
from refwasm.execution.memory import SharedMemory
from refwasm.host import unknown, wasi
from refwasm.host.guest import Guest, host_functions
from refwasm.host.parallel import MODULE as PARALLEL
from refwasm.host.parallel import Context, Parallel, ParallelLimits, Policies
from refwasm.host.parallel.demands import honoured
from refwasm.host.parallel.forms import Form, form_of
from refwasm.host.parallel.types import DeviceKind, ExecutionRecord, Failure
from refwasm.host.wasi import System, WasiOptions, threads
from refwasm.syntax.types import FuncType, FuncUse

Provided = Mapping[str, Mapping[str, e.Extern]]


@dataclass(frozen=True)
class ProgramSettings:
    """What a :class:`Program` finds around itself, and how it runs.

    What it gets: ``dirs`` (the host's path and the guest's name of each directory that it may use), standard streams
    and listening ``sockets`` (the host's descriptors), clocks and random numbers that are the same in every run if
    ``deterministic``, and ``imports`` of the embedder's own by module and name. Functions that nobody provides are
    refused, or with ``unknown_imports`` "trap" when they are called, or with "zero" return zeros and nulls.

    How kernels run: ``policies`` and ``limits``; ``device`` is what every hint but SEQUENTIAL gets; with ``strict``
    accesses that speak against the kind of a buffer are noted. ``report`` is called with each failure that a kernel or
    a call of the parallel interface ends in.

    What executes functions, kernels too, is the ``tier``: ``interpret``, ``compile`` or ``auto``. Threads are
    ``processes``, or ``interleaved`` (by turns in this process) with a seed, ``interleaved:7``. ``settings`` bound
    fuel, time, memory and depth of the whole program. ``features`` are what its module may use; with ``deferred``, each
    function is checked when it is first called, and the call traps if it is malformed or invalid.

    With ``choices`` the interpreter executes everything in this process, clocks and random numbers are the same in
    every run, and whatever else may go more than one way is asked of them (``docs/choices.md``)."""

    dirs: Sequence[tuple[str, str]] = ()
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    sockets: Sequence[int] = ()
    deterministic: bool = False
    policies: Policies | str = field(default_factory=Policies)
    limits: ParallelLimits = field(default_factory=ParallelLimits)
    device: DeviceKind | str | None = None
    strict: bool = False
    report: Callable[[Failure], object] = lambda failure: None
    tier: str = e.DEFAULT_TIER
    threads: str = "processes"
    imports: Provided | None = None
    settings: e.Settings | None = None
    features: frozenset[str] = e.ALL
    deferred: bool = False
    unknown_imports: str = unknown.REFUSE
    choices: Choices | None = None

    def wasi(self, args: Sequence[str], env: Mapping[str, str] | None) -> WasiOptions:
        """What WASI shows of it."""
        is_replayable = self.deterministic or self.choices is not None
        return WasiOptions(args, dict(env or {}), (), self.sockets, self.stdin, self.stdout, self.stderr, is_replayable)


class Program:
    """A module linked with ``wasi_snapshot_preview1``, wasi-threads and ``wasi_ephemeral_parallel``, ready to run.

    ``source`` is bytes of either format, text, or a validated module. ``args`` are the program's arguments (its name
    first), ``env`` its environment. Everything else is in ``given``; keywords change single fields of it.
    What failed is in ``failures``.

    Raises Malformed, Invalid, Unlinkable; :meth:`run` raises what running raises.

    >>> text = '(module (memory (export "memory") 1) (func (export "_start")))'
    >>> with Program(text) as program:
    ...     program.run()
    0
    >>> with Program(text, given=ProgramSettings(strict=True), tier="interpret") as program:
    ...     program.run()
    0
    """

    def __init__(
        self, source: bytes | str | e.Validated, args: Sequence[str] = ("program",),
        env: Mapping[str, str] | None = None, *, given: ProgramSettings = ProgramSettings(), **changes: Any,
    ) -> None:  # fmt: skip
        given = replace(given, **changes)
        self.settings = given.settings or e.Settings()
        self.given = given
        if isinstance(source, e.Validated):
            self.validated = source
        else:
            open_it = partial(e.module_open, source, self.settings.cache, given.features, given.deferred)
            self.validated = e.within(self.settings, open_it)
        self.guest = Guest(source if isinstance(source, bytes) and source[:4] == b"\0asm" else None)
        policies = Policies.parse(given.policies) if isinstance(given.policies, str) else given.policies
        self.context = Context(
            honoured(policies, self.validated.module.customs), given.limits, given.device, self.settings, given.strict,
            form_of(self.validated, PARALLEL), given.tier, given.choices,
        )  # fmt: skip
        self.system = System(self.guest, given.wasi(args, env), self.settings.deadline)
        try:
            self.system.open_directories(given.dirs)
            self._link(given.threads)
        except BaseException:
            self.close()
            raise

    # ---- linking -----------------------------------------------------------------------------------------------------

    def _link(self, how: str) -> None:
        """Find what the program imports; with threads, make the memory that they share."""
        self.threads = threads.uses_threads(self.validated)
        seed = threads.seed_of(how)
        self.interleaving: threads.Interleaving | None = None
        exploring = self.given.choices is not None and self.given.choices.scheduler is not None
        interleaved = exploring or (self.threads and (seed is not None or self.given.choices is not None))
        self.store = e.store_init(
            self.settings, self.given.tier, seed if interleaved else None, self.given.choices, interleaved
        )
        if self.threads:
            if self.context.form is Form.FOR_FUNCTION:
                raise Unlinkable("kernels in a table (the form of 2021) and threads don't go together")
            threads.check_program(self.validated)
            self.context.interruptible = True
        imported = threads.shared_memory(self.validated)
        self.memory: tuple[str, str, e.Memory] | None = None
        if imported is not None:
            self.memory = (*imported[:2], e.mem_alloc(self.store, imported[2]))
            self.guest.exported_memory = self.memory[2]
        if interleaved:
            self.system.yields = True
        if interleaved and self.threads:
            self.interleaving = threads.Interleaving(self.store, self.validated, self._imports)
        self._externs = self._imports()

    def _imports(self) -> list[e.Extern]:
        """What an instance imports, with functions of its own over the state that all instances share."""
        return e.resolve_imports(self.validated, self._provided())

    def _provided(self) -> Provided:
        wanted: dict[str, list[str]] = {}
        for module, name, _ in e.module_imports(self.validated):
            wanted.setdefault(module, []).append(name)
        provided: dict[str, dict[str, e.Extern]] = {
            module: wasi.exports(self.system, module, wanted[module]) if module in wanted else {}
            for module in (wasi.MODULE, wasi.UNSTABLE)
        }
        parallel = Parallel(self.guest, self.context, self.given.report)
        provided[PARALLEL] = parallel.exports() if PARALLEL in wanted else {}
        _add(provided, self.given.imports or {})
        if self.threads:
            spawn = _elsewhere if self.interleaving is None else self.interleaving.spawn
            provided[threads.MODULE] = host_functions({threads.SPAWN: spawn}, {threads.SPAWN: threads.SIGNATURE})
        if self.memory is not None:
            module, name, memory = self.memory
            _add(provided, {module: {name: memory}})
        _add(provided, unknown.stand_ins(self.validated, provided, self.given.unknown_imports, self.given.choices))
        return provided

    # ---- running -----------------------------------------------------------------------------------------------------

    @property
    def runs(self) -> list[ExecutionRecord]:
        """What each execution of a kernel did."""
        return self.context.runs

    @property
    def failures(self) -> list[Failure]:
        """Calls of the parallel interface that returned an error number."""
        return self.context.failures

    def instantiate(self) -> e.ModuleInst:
        """Make the instance; raises what its start function does."""
        instance = e.module_instantiate(self.store, self.validated, self._externs, self.guest.attach)
        if "_initialize" in instance.exports:
            e.func_invoke(self.store, self.entry(instance, "_initialize"), [])
        return instance

    def check_entry(self, name: str) -> None:
        """Unlinkable unless the program exports a function of that name that takes nothing."""
        exported = dict(e.module_exports(self.validated)).get(name)
        if not isinstance(exported, FuncUse):
            raise Unlinkable(f"the program exports no function {name!r}")
        composite: FuncType = exported.type.composite  # type: ignore[union-attr, assignment]
        if composite.params:
            raise Unlinkable(f"the program's {name!r} takes parameters")

    def entry(self, instance: e.ModuleInst, name: str) -> e.AnyFunc:
        """A function that a program starts with."""
        self.check_entry(name)
        function = instance.exports[name]
        assert isinstance(function, (e.FuncInst, e.HostFunc)), "just checked"
        return function

    def run(self) -> int:
        """Run ``_start``; the exit code. What it returns, if anything, is not looked at."""
        self.check_entry("_start")
        if "_initialize" in dict(e.module_exports(self.validated)):
            self.check_entry("_initialize")
        try:
            if self.threads and self.interleaving is None:
                return self._run_processes()
            instance = self.instantiate()
            e.func_invoke(self.store, self.entry(instance, "_start"), [])
            if self.store.interleaved is not None:
                self.store.interleaved.ending()
        except Exit as end:
            return end.code
        finally:
            self.system.ended = True
            if self.threads:
                self._end_kernels()
            sys.stdout.flush()
        return 0

    def _run_processes(self) -> int:
        from refwasm.host.wasi.threads.processes import Supervisor  # multiprocessing is slow to import

        functions = {
            (module, name): item.function
            for module, items in self._provided().items()
            for name, item in items.items()
            if isinstance(item, e.HostFunc)
        }
        binary = self.guest.binary or e.module_encode(self.validated.module)
        assert self.memory is not None and isinstance(self.memory[2], SharedMemory), "checked when it was linked"
        return Supervisor(self.validated, binary, self.memory[2], functions, self.settings, self.given.tier).run()

    def _end_kernels(self) -> None:
        """Threads may have been ended in the middle of an execution: nothing of it goes on."""
        from refwasm.host.parallel.pool import kill_broken_pool  # multiprocessing is slow to import

        self.context.closed = True
        kill_broken_pool()

    def close(self) -> None:
        """Give back what its devices, buffers and descriptors hold."""
        self.context.close()
        self.system.descriptors.close_all()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _elsewhere(argument: int) -> int:
    """``thread-spawn`` of threads in processes, which the supervisor makes itself."""
    raise Unlinkable("threads in processes start with Program.run")


def _add(provided: dict[str, dict[str, e.Extern]], more: Provided) -> None:
    """More of what is provided, by module and name."""
    for module, items in more.items():
        provided[module] = {**provided.get(module, {}), **items}
