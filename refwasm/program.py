"""Programs: modules that are run with WASI and wasi-parallel, from Python or the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from refwasm import embedding as e
from refwasm.errors import Exit, Unlinkable
from refwasm.host.guest import Guest
from refwasm.host.parallel import MODULE as PARALLEL
from refwasm.host.parallel import Context, Parallel, ParallelLimits, Policies
from refwasm.host.parallel.forms import form_of
from refwasm.host.parallel.types import DeviceKind, Failure, Run
from refwasm.host.wasi import preview1


class Program:
    """A module linked with ``wasi_snapshot_preview1`` and ``wasi_ephemeral_parallel``, ready to run.

    ``source`` is bytes of either format, or text. ``args`` starts with the program's name. ``policies`` and ``limits``
    say how kernels run; ``device`` is what every hint but SEQUENTIAL gets; with ``strict`` accesses that speak against
    the kind of a buffer are noted. ``report`` is called with each failure that a kernel or a call ends in; they are in
    ``failures`` too. Raises Malformed, Invalid, Unlinkable; :meth:`run` raises what running raises.

    >>> text = '(module (memory (export "memory") 1) (func (export "_start")))'
    >>> with Program(text) as program:
    ...     program.run()
    0
    """

    def __init__(
        self,
        source: bytes | str,
        args: Sequence[str] = ("program",),
        env: Mapping[str, str] | None = None,
        *,
        policies: Policies | str = Policies(),
        limits: ParallelLimits = ParallelLimits(),
        device: DeviceKind | None = None,
        strict: bool = False,
        deterministic: bool = False,
        settings: e.Settings | None = None,
        features: frozenset[str] | None = None,
        report: Callable[[Failure], object] = lambda failure: None,
    ) -> None:
        self.settings = settings or e.Settings()
        module = e.module_load(source)
        validated = e.module_validate(module) if features is None else e.module_validate(module, features)
        self.guest = Guest(source if isinstance(source, bytes) and source[:4] == b"\0asm" else None)
        self.context = Context(
            Policies.parse(policies) if isinstance(policies, str) else policies,
            limits, device, self.settings, strict, form_of(validated, PARALLEL),
        )  # fmt: skip
        wasi = preview1.Preview1(self.guest, args, dict(env or {}), self.settings.deadline, deterministic)
        provided = {
            preview1.MODULE: wasi.exports(),
            PARALLEL: Parallel(self.guest, self.context, report).exports(),
        }
        self._externs = e.resolve_imports(validated, provided)
        self._validated = validated
        self.store = e.store_init(self.settings)

    @property
    def runs(self) -> list[Run]:
        """What each execution of a kernel did."""
        return self.context.runs

    @property
    def failures(self) -> list[Failure]:
        """Calls of the parallel interface that returned an error number."""
        return self.context.failures

    def instantiate(self) -> e.ModuleInst:
        """Make the instance; raises what its start function does."""
        instance = e.module_instantiate(self.store, self._validated, self._externs, self.guest.attach)
        initialize = instance.exports.get("_initialize")
        if isinstance(initialize, e.FuncInst):
            e.func_invoke(self.store, initialize, [])
        return instance

    def run(self) -> int:
        """Run ``_start``; the exit code. What it returns, if anything, is not looked at."""
        try:
            instance = self.instantiate()
            start = instance.exports.get("_start")
            if not isinstance(start, (e.FuncInst, e.HostFunc)):
                raise Unlinkable("the program exports no function '_start'")
            e.func_invoke(self.store, start, [])
        except Exit as end:
            return end.code
        finally:
            sys.stdout.flush()
        return 0

    def close(self) -> None:
        """Give back what its devices and buffers hold."""
        self.context.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
