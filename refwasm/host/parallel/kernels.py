"""Kernels: what a binary module must be to run as one, and instances of it.

A kernel imports exactly one thing, a shared memory, and exports ``kernel`` with parameters ``(iteration id, number of
iterations, block size, then (pointer, length) of each input buffer, then of each output buffer)``, all i32, no results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from refwasm import embedding as e
from refwasm.errors import Invalid, Malformed, ResourceLimit
from refwasm.execution.choices import Choices
from refwasm.host.parallel.forms import kernel_module
from refwasm.host.parallel.policies import Policies
from refwasm.host.parallel.schedule import Schedule
from refwasm.host.parallel.strict import AccessWatch, Region
from refwasm.host.parallel.types import Errno, ParallelError, Violation
from refwasm.syntax.modules import Data
from refwasm.syntax.types import I32, FuncType, FuncUse, MemType

#: Instructions that change the module state of an instance, beyond its memories.
STATEFUL = frozenset(
    {
        "global.set", "table.set", "table.grow", "table.fill", "table.copy", "table.init", "elem.drop", "data.drop",
    }
)  # fmt: skip
#: Instructions that change objects, which globals and tables may refer to.
HEAP_CHANGING = frozenset({"struct.set", "array.set", "array.fill", "array.copy", "array.init_data", "array.init_elem"})


class ExecutionParameters(NamedTuple):
    """An execution beside its kernel and memory; this can travel between processes.

    ``pairs`` are the kernel's arguments after the first three; ``fuel`` is for each iteration; ``watched`` is where its
    buffers lie in strict mode, otherwise empty. With ``choices`` it stays in this process.
    """

    iterations: int
    block_size: int
    pairs: tuple[int, ...]
    deadline: float | None = None
    fuel: int | None = None
    call_depth: int = 100_000
    memory_pages: int | None = None
    policies: Policies = Policies()
    watched: tuple[Region, ...] = ()
    tier: str = e.DEFAULT_TIER
    cache: str | None = None
    choices: Choices | None = None

    @property
    def fresh(self) -> bool:
        """Whether each iteration finds the module state that an instance starts with."""
        return self.policies.instance == "fresh"

    def schedule(self) -> Schedule:
        """In which order and groups the iterations run."""
        return Schedule(self.iterations, self.block_size, self.policies, self.choices)

    def settings(self) -> e.Settings:
        """Limits of a kernel instance."""
        return e.Settings(self.call_depth, self.memory_pages, self.fuel, self.deadline, self.cache)


class Kernel:
    """A checked kernel. ``buffers`` is how many (pointer, length) pairs it takes.

    ``data`` is the kernel's module; with ``function`` it is a program's, and that function of it is the kernel
    (:mod:`refwasm.host.parallel.forms`).
    """

    def __init__(self, data: bytes, function: int | None = None) -> None:
        self.data, self.function = data, function
        try:
            module = e.module_decode(data)
            self.validated = e.module_validate(module if function is None else kernel_module(module, function))
        except (Malformed, Invalid, ResourceLimit) as error:
            raise _invalid("PAR-KERN-01", f"the kernel is not a valid module: {error}") from None
        self.quiet = self._quiet() if function is None else self.validated
        self.memory_type = self._memory_type()
        self.buffers = self._check_signature()
        module = self.validated.module
        mnemonics = {instr.form.mnemonic for func in module.funcs for instr in set(func.body)}
        self.has_state = bool(mnemonics & STATEFUL) or bool(module.memories)
        self.uses_atomics = any(instr.form.is_atomic for func in module.funcs for instr in set(func.body))
        #: Objects can't be put back as they were: such a kernel gets a new instance for each fresh iteration.
        self.changes_objects = bool(mnemonics & HEAP_CHANGING)
        #: Whether making an instance does something that others can see: then it happens once per parallel_exec.
        self.acts_on_instantiation = module.start is not None or any(d.offset is not None for d in module.datas)

    def _quiet(self) -> e.Validated:
        """The kernel without what acts on memory when an instance is made."""
        module = self.validated.module
        if module.start is None and not any(data.mode == "active" for data in module.datas):
            return self.validated
        datas = tuple(Data(b"", "passive") if d.mode == "active" and d.memory == 0 else d for d in module.datas)
        return e.module_validate(module._replace(start=None, datas=datas))

    def _memory_type(self) -> MemType:
        imports = e.module_imports(self.validated)
        if len(imports) != 1 or not isinstance(imports[0][2], MemType):
            names = ", ".join(f"{module!r} {name!r}" for module, name, _ in imports) or "nothing"
            raise _invalid(
                "PAR-KERN-02", f"a kernel imports exactly one thing, a shared memory; this one imports {names}"
            )
        t = imports[0][2]
        if not t.shared or t.address is not I32:
            raise _invalid("PAR-KERN-02", "the memory that the kernel imports must be shared and 32-bit")
        return t

    def _check_signature(self) -> int:
        exported = dict(e.module_exports(self.validated)).get("kernel")
        if not isinstance(exported, FuncUse):
            raise _invalid("PAR-KERN-01", "the kernel exports no function named 'kernel'")
        t: FuncType = exported.type.composite  # type: ignore[union-attr, assignment]
        pairs, odd = divmod(len(t.params) - 3, 2)
        if t.results or odd or pairs < 0 or any(p is not I32 for p in t.params):
            raise _invalid(
                "PAR-KERN-02",
                f"'kernel' must take (id, iterations, block size) and a (pointer, length) per buffer, all i32, "
                f"and return nothing; its type is {t!r}",
            )
        return pairs


def _invalid(rule: str, message: str) -> ParallelError:
    return ParallelError(Errno.INVALID_KERNEL, rule, message)


class KernelInstance:
    """An instance of a kernel over a memory, able to go back to the module state that it started with.

    ``stopped`` is asked now and then, also between iterations, whether to give up. A ``quiet`` one does nothing to the
    memory when it is made.
    """

    def __init__(
        self, kernel: Kernel, memory: e.Memory, parameters: ExecutionParameters,
        stopped: Callable[[], bool] | None = None, quiet: bool = False,
    ) -> None:  # fmt: skip
        self.kernel, self.memory = kernel, memory
        self.settings = parameters.settings()
        self.settings.interrupted = stopped
        self.watched, self.tier, self.choices = parameters.watched, parameters.tier, parameters.choices
        self.watch = AccessWatch(memory, parameters.watched) if parameters.watched else None
        self._instantiate(kernel.quiet if quiet else kernel.validated)

    def forget_violations(self) -> None:
        """Strict mode: those of earlier jobs."""
        if self.watch is not None:
            self.watch.found.clear()

    def _instantiate(self, validated: e.Validated) -> None:
        self.store = e.store_init(self.settings, self.tier, choices=self.choices)
        self.store.watch = self.watch
        self._make(validated)
        self._saved = self._module_state() if self.kernel.has_state else []
        self._first_globals = [e.GlobalInst(cell.type, cell.value) for cell in self.instance.globals]
        self._own_memories = [(m, m.read(0, len(m.u8))) for m in self.instance.memories[1:]]

    def _make(self, validated: e.Validated) -> None:
        self.instance = e.module_instantiate(self.store, validated, [self.memory])
        function = e.instance_export(self.instance, "kernel")
        assert isinstance(function, e.FuncInst), "the signature was checked"
        self.function = function

    @property
    def violations(self) -> list[Violation]:
        """What strict mode found so far."""
        return [] if self.watch is None else self.watch.violations

    def _renew(self) -> None:
        """Another instance, with objects of its own; what the first one did to memory when it was made is not done
        again, and numbers that its start function left in globals are carried over."""
        numbers = [cell.value for cell in self._first_globals]
        self._make(self.kernel.quiet)
        for cell, value in zip(self.instance.globals, numbers):
            if isinstance(value, int) and cell.type.mutable:
                cell.value = value

    def _module_state(self) -> list[tuple[Any, str, Any]]:
        """What instructions can change, with copies of the present values."""
        i = self.instance
        return [
            *((cell, "value", cell.value) for cell in i.globals if cell.type.mutable),
            *((table, "elements", list(table.elements)) for table in i.tables),
            *((elem, "elements", elem.elements) for elem in i.elems),
            *((data, "content", data.content) for data in i.datas),
        ]

    def reset(self) -> None:
        """Globals, tables, segments and memories of its own as right after instantiation."""
        if self.kernel.changes_objects:
            self._renew()
            return
        for item, field, value in self._saved:
            setattr(item, field, list(value) if isinstance(value, list) else value)
        for memory, content in self._own_memories:
            memory.restore(content)

    def run(self, parameters: ExecutionParameters, ids: Iterable[int], begin: Callable[[int], object]) -> int:
        """Run iterations; how many. ``begin`` is told each id before it runs, so that a failure can be placed."""
        self.settings.call_depth, self.settings.deadline = parameters.call_depth, parameters.deadline
        return self.store.tier.batch(partial(self._run, parameters, ids, begin))

    def _run(self, parameters: ExecutionParameters, ids: Iterable[int], begin: Callable[[int], object]) -> int:
        settings, invoke = self.settings, self.store.tier.invoke
        done = 0
        for iteration in ids:
            begin(iteration)
            if self.watch is not None:
                self.watch.iteration = iteration
            settings.check()
            settings.fuel = parameters.fuel
            if parameters.fresh:
                self.reset()
                settings.fuel = parameters.fuel
            invoke(self.function, (iteration, parameters.iterations, parameters.block_size, *parameters.pairs))
            done += 1
        return done
