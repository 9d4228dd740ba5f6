"""What can be explored: functions of a module as threads, scripts, programs with WASI and wasi-parallel, Python tests.

A subject executes itself once under a scheduler and tells how that ended: equal endings are one final state.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

from refwasm import embedding as e
from refwasm.concurrency.scheduler import ObservedScheduler, waiting
from refwasm.concurrency.spinning import is_plain
from refwasm.errors import Deadlock, Malformed, Trap, UncaughtException, Unlinkable, WasmError, did_you_mean
from refwasm.execution.memory import shared_file
from refwasm.program import Program
from refwasm.script.runner import Options, Runner
from refwasm.syntax.modules import Import
from refwasm.syntax.types import FuncType, FuncUse, MemType
from refwasm.text.lexer import Source

#: Words of memory that a final state shows at most.
WORDS = 16


class Ending(NamedTuple):
    """How an execution ended, as text. ``failed`` is empty, or says in what: a deadlock, a trap, an assertion."""

    text: str
    failed: str = ""


class Subject(Protocol):
    """What is explored."""

    name: str

    def execute(self, scheduler: ObservedScheduler) -> Ending:
        """Execute once; how it ended. Raises what an execution cannot end in: ResourceLimit, for example."""


def ending(parts: Iterable[str], failed: str = "", nothing: str = "nothing") -> Ending:
    """Of the parts that are not empty."""
    return Ending("; ".join(filter(None, parts)) or nothing, failed)


def failure(error: WasmError) -> Ending:
    """How an execution ended that failed."""
    if isinstance(error, Deadlock):
        return Ending(error.message, "deadlock")
    return Ending(f"trap: {error.message}" if isinstance(error, Trap) else error.message, "trap")


def lines(output: bytes) -> list[str]:
    """The lines of an output, such that different ones stay different in an ending's text: what does not print is
    escaped, and so is "; ", which stands between lines there. One newline at the end is left out."""
    if not output:
        return []
    text = output.removesuffix(b"\n").decode("utf-8", "surrogateescape")
    return [_escaped(line) or "\\n" for line in text.split("\n")]


def _escaped(line: str) -> str:
    def shown(char: str) -> str:
        if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8
            return f"\\x{ord(char) - 0xDC00:02x}"
        return char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()

    return "".join(map(shown, line)).replace("; ", "\\; ")


def words(content: bytes, initial: bytes = b"") -> str:
    """The 32-bit words of a memory that are not as they were at first (zero by default)."""
    if content == initial:
        return ""
    places = _different(content, initial.ljust(len(content), b"\0"), 0, len(content))
    shown = [f"[{at}]={int.from_bytes(content[at : at + 4], 'little')}" for at in places]
    more = f" and {len(shown) - WORDS} more words" if len(shown) > WORDS else ""
    return " ".join(shown[:WORDS]) + more


def _different(content: bytes, initial: bytes, start: int, end: int) -> Iterator[int]:
    """Where the words that differ begin."""
    if content[start:end] == initial[start:end]:
        return
    if end - start <= 4:
        yield start
        return
    middle = (start + end) // 8 * 4
    yield from _different(content, initial, start, middle)
    yield from _different(content, initial, middle, end)


# ---- threads of a module ---------------------------------------------------------------------------------------------


class Threads:
    """Exported functions of a module, each called once by a thread of its own. All threads share the module's memory;
    each has an instance to itself, with its own globals and tables. ``calls`` are names, or names with arguments.
    ``observe`` makes, of the memory at the end, what belongs to the final state; by default its words.

    Raises Malformed, Invalid, Unlinkable.
    """

    def __init__(
        self, source: str | bytes | e.Validated, calls: Sequence[str | tuple[Any, ...]] | None = None,
        observe: Callable[[bytes], str] | None = None, name: str = "threads",
        imports: Mapping[str, Mapping[str, e.Extern]] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        validated = source if isinstance(source, e.Validated) else e.module_validate(e.module_load(source))
        self.validated, self.type, self.memory_name = _with_imported_memory(validated)
        self.calls = [call if isinstance(call, tuple) else (call,) for call in calls or self._all_functions()]
        if len(self.calls) < 1:
            raise Unlinkable("there is nothing to explore: the module exports no functions without parameters")
        self._check_calls()
        self.observe, self.provided = observe, imports or {}
        self.store: e.Store | None = None

    def _all_functions(self) -> list[str]:
        return [name for name, t in self._functions().items() if not t.params]

    def _functions(self) -> dict[str, FuncType]:
        exports = e.module_exports(self.validated)
        return {name: t.type.composite for name, t in exports if isinstance(t, FuncUse)}  # type: ignore[union-attr,misc]

    def _check_calls(self) -> None:
        functions = self._functions()
        for name, *args in self.calls:
            if name not in functions:
                raise Unlinkable(f"the module exports no function {name!r}{did_you_mean(name, functions)}")
            params = functions[name].params
            if len(params) != len(args) or not all(map(e.value_has_type, args, params)):
                raise Unlinkable(f"{name!r} takes {len(params)} arguments ({' '.join(map(repr, params))}), not {args}")

    def execute(self, scheduler: ObservedScheduler) -> Ending:
        """Call all functions, and wait for them."""
        store = self._prepared(scheduler)
        results: list[Any] = [None] * len(self.calls)
        tasks = [self._start(scheduler, store, number, results) for number in range(len(self.calls))]
        ended = Ending("")
        try:
            for task in tasks:
                scheduler.run_until(task)
        except Deadlock as error:
            ended = failure(error)
        return self.ending(results, bytes(self.memory.u8), (), ended)

    def ending(
        self,
        results: Sequence[Ending | Sequence[Any] | None],
        memory: bytes,
        asleep: Sequence[str],
        ended: Ending = Ending(""),
    ) -> Ending:
        """The final state, from the results of the threads, how they failed, or None; from the memory; and from the
        names of those that wait for ever."""
        if asleep:
            ended = Ending(f"deadlock: {waiting(asleep)}", "deadlock")
        shown = [f"{call[0]}: {_shown(r)}" for call, r in zip(self.calls, results) if r not in (None, [], ())]
        left = words(memory, self.saved) if self.observe is None else self.observe(memory)
        failed = ended.failed or next((r.failed for r in results if isinstance(r, Ending)), "")
        return ending([ended.text, *shown, left], failed)

    def _start(self, scheduler: ObservedScheduler, store: e.Store, number: int, results: list[Any]) -> Any:
        name, *args = self.calls[number]
        func = self.instances[number].exports[name]
        assert isinstance(func, e.FuncInst), "checked when this was made"
        agent = store.tier.agent(func, args)  # type: ignore[attr-defined]

        def ended(found: list[Any] | WasmError) -> None:
            results[number] = failure(found) if isinstance(found, WasmError) else found

        return scheduler.call(agent, name, ended)

    def _prepared(self, scheduler: ObservedScheduler) -> e.Store:
        """A store as at the beginning."""
        if self.store is None or not self.is_plain:
            return self._instantiate(scheduler)
        self.store.interleaved = scheduler
        if len(self.memory.u8) == len(self.saved):
            self.memory.u8[:] = self.saved
        else:
            self.memory.restore(self.saved)
        for cell, value in self.cells:
            cell.value = value
        return self.store

    def _instantiate(self, scheduler: ObservedScheduler) -> e.Store:
        self.store = e.store_init(tier="interpret", choices=scheduler.choices, interleaved=True)
        self.memory = e.mem_alloc(self.store, self.type)
        module, name = self.memory_name
        provided = {**self.provided, module: {**self.provided.get(module, {}), name: self.memory}}
        externs = e.resolve_imports(self.validated, provided)
        self.instances = [e.module_instantiate(self.store, self.validated, externs) for _ in self.calls]
        self.saved = bytes(self.memory.u8)
        self.cells = [(g, g.value) for i in self.instances for g in i.globals if g.type.mutable]
        self.is_plain = all(is_plain(instance) for instance in self.instances)
        return self.store


def _shown(result: Ending | Sequence[Any]) -> str:
    return result.text if isinstance(result, Ending) else " ".join(map(str, result))


def _with_imported_memory(validated: e.Validated) -> tuple[e.Validated, MemType, tuple[str, str]]:
    """A module whose one shared memory is imported, so that several instances can share it."""
    imported = [(m, n, t) for m, n, t in e.module_imports(validated) if isinstance(t, MemType)]
    own = validated.module.memories
    if len(imported) + len(own) != 1:
        raise Unlinkable(f"the module has {len(imported) + len(own)} memories: threads share one, so one is needed")
    if imported:
        module, name, t = imported[0]
        if not t.shared:
            raise Unlinkable("the module's memory is not shared: threads need (memory MIN MAX shared)")
        return validated, t, (module, name)
    if not own[0].shared:
        raise Unlinkable("the module's memory is not shared: threads need (memory MIN MAX shared)")
    given = Import("", "memory of all threads", own[0])
    changed = validated.module._replace(imports=(*validated.module.imports, given), memories=())
    return e.module_validate(changed), own[0], (given.module, given.name)


# ---- scripts ---------------------------------------------------------------------------------------------------------


class Script:
    """A script with ``thread`` and ``wait`` (threads proposal). Its final state is what failed, and its memories."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.source = Source(data)
        if "thread" not in self.source.tokens:
            raise Malformed("the script has no threads: there is nothing to explore")
        self.known: dict[object, Any] = {}

    def execute(self, scheduler: ObservedScheduler) -> Ending:
        """Run all commands."""
        runner = Runner(self.source, self.name, Options(choices=lambda: scheduler.choices), self.known)
        ended, report = Ending(""), runner.report
        try:
            runner.run()
        except Deadlock as error:
            ended = failure(error)
        failed = ended.failed or ("assertion" if report.failures else "")
        memories: dict[int, str] = {}
        for instance in runner.main.instances.values():
            for memory in instance.memories:
                if memory.shared:
                    memories.setdefault(id(memory), words(bytes(memory.u8)))
        return ending([ended.text, *map(str, report.failures), *memories.values()], failed)


# ---- programs --------------------------------------------------------------------------------------------------------


class WasiProgram:
    """A program with ``_start``: wasi-threads, wasi-parallel (each iteration is a thread), or neither. Its final state
    is its exit code or how it ended, and what it wrote. ``validated`` is what the source gives, if that is known."""

    def __init__(
        self, source: str | bytes, name: str, args: Sequence[str] = (), validated: e.Validated | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        self.name, self.args, self.options = name, args, options
        self.validated = validated or e.module_open(source)
        self.binary = source if isinstance(source, bytes) and source[:4] == b"\0asm" else None

    def execute(self, scheduler: ObservedScheduler) -> Ending:
        """Run it."""
        with _captured() as (fd, output):
            make = partial(Program, self.validated, [self.name, *self.args], choices=scheduler.choices)
            with make(stdout=fd, stderr=fd, **self.options) as program:
                program.guest.binary = self.binary
                ended = self._run(program)
            text = output()
        return ending([ended.text, *lines(text)], ended.failed, "exit code 0")

    def _run(self, program: Program) -> Ending:
        try:
            code = program.run()
        except (Deadlock, Trap, UncaughtException) as error:
            return failure(error)
        return Ending(f"exit code {code}" if code else "", "exit code" if code else "")


@contextmanager
def _captured() -> Iterator[tuple[int, Callable[[], bytes]]]:
    """A descriptor to write to, and what was written."""
    fd = shared_file(0)

    def written() -> bytes:
        return os.pread(fd, 1 << 20, 0)

    try:
        yield fd, written
    finally:
        os.close(fd)
