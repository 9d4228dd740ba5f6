"""A whole program in wasmtime: WASI by wasmtime, wasi-parallel by refwasm."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

from refwasm import embedding as e
from refwasm.errors import Exit, ResourceLimit, StackEntry, Trap, Unlinkable
from refwasm.host.parallel import MODULE, ParallelLimits, Policies
from refwasm.host.parallel.devices.native import binding
from refwasm.host.parallel.types import DeviceKind, Failure
from refwasm.native.guest import shared_import
from refwasm.native.linking import link_parallel

#: Modules that wasmtime's WASI provides.
WASI = ("wasi_snapshot_preview1", "wasi_unstable")
#: Messages of traps that are limits.
LIMITS = ("all fuel consumed", "interrupted")


class NativeProgram:
    """A program compiled and run by wasmtime, as :class:`refwasm.Program` runs it.

    ``binary`` is its module; ``args`` (its name first), ``env``, ``dirs`` and the streams are what WASI shows it: the
    process's own standard streams, or the files ``stdin`` and ``stdout``. ``settings`` bounds fuel, time and memory:
    counting and watching cost speed, so leave open what you don't need. ``device`` is where kernels run.

    Raises NativeUnavailable, Malformed, Invalid, Unlinkable; running raises Trap, ResourceLimit, Exit.
    """

    def __init__(
        self, binary: bytes, args: Sequence[str] = ("program",), env: Mapping[str, str] | None = None, *,
        dirs: Sequence[tuple[str, str]] = (), stdin: str | None = None, stdout: str | None = None,
        policies: Policies | str = Policies(), limits: ParallelLimits = ParallelLimits(),
        device: DeviceKind | str = "native", strict: bool = False,
        report: Callable[[Failure], object] = lambda failure: None, settings: e.Settings | None = None,
    ) -> None:  # fmt: skip
        api = binding.api()
        self.binary = binary
        self.settings = settings or e.Settings()
        timed = self.settings.deadline is not None
        self.validated = e.within(self.settings, lambda: e.module_validate(e.module_decode(binary)))
        self.engine = binding.make_engine(self.settings.fuel is not None, timed, keep=bool(self.settings.cache))
        self.store = api.Store(self.engine)
        self.linker = api.Linker(self.engine)
        self.instance: Any = None
        self.linked = link_parallel(
            self.linker, binary, policies=policies, limits=limits, device=device, strict=strict, report=report,
            settings=e.Settings(deadline=self.settings.deadline, cache=self.settings.cache),
        )  # fmt: skip
        self.context = self.linked.context
        self._set_limits()
        self._link_wasi(args, env or {}, dirs, stdin, stdout)
        with self._ended():
            self.module = api.Module(self.engine, binary)
        self._link_memory()
        self._check_imports()

    def _set_limits(self) -> None:
        if self.settings.fuel is not None:
            self.store.set_fuel(self.settings.fuel)
        if self.settings.memory_pages is not None:
            self.store.set_limits(memory_size=self.settings.memory_pages << 16)
        if self.settings.deadline is not None:
            self.store.set_epoch_deadline(1)
            left = max(self.settings.deadline - time.monotonic(), 0.0)
            self.timer = threading.Timer(left, self.engine.increment_epoch)
            self.timer.daemon = True
            self.timer.start()

    def _link_wasi(
        self, args: Sequence[str], env: Mapping[str, str], dirs: Sequence[tuple[str, str]], stdin: str | None,
        stdout: str | None,
    ) -> None:  # fmt: skip
        config = binding.api().WasiConfig()
        config.argv, config.env = list(args), list(env.items())
        for host, guest in dirs:
            config.preopen_dir(host, guest)
        if stdin is None:
            config.inherit_stdin()
        else:
            config.stdin_file = stdin
        if stdout is None:
            config.inherit_stdout()
        else:
            config.stdout_file = stdout
        config.inherit_stderr()
        self.store.set_wasi(config)
        self.linker.define_wasi()

    def _link_memory(self) -> None:
        """The shared memory that a program imports, as programs of wasi-threads do."""
        wanted = shared_import(self.module)
        if wanted is not None:
            limits = wanted.type.limits
            memory = binding.make_shared_memory(self.engine, limits.min, limits.max)
            self.linker.define(self.store, wanted.module, wanted.name, memory)

    def _check_imports(self) -> None:
        """Unlinkable, by name, for what nobody provides."""
        provided = {(MODULE, item.name) for item in self.module.imports if item.module == MODULE}
        for item in self.module.imports:
            known = item.module in WASI or (item.module, item.name) in provided
            if not known and type(item.type).__name__ != "MemoryType":
                raise Unlinkable(f"unknown import {item.module!r} {item.name!r} (wasmtime runs the program)")

    # ---- running -----------------------------------------------------------------------------------------------------

    def instantiate(self) -> Any:
        """Make the instance, a ``wasmtime.Instance``."""
        with self._ended():
            self.instance = self.linker.instantiate(self.store, self.module)
        if "_initialize" in self.instance.exports(self.store):
            self.call("_initialize", [])
        return self.instance

    def call(self, name: str, args: Sequence[Any]) -> Any:
        """Call an exported function with numbers of the binding's; what it returns."""
        function = self.instance.exports(self.store)[name]
        with self._ended():
            return function(self.store, *args)

    def run(self) -> int:
        """Run ``_start``; the exit code."""
        exported = dict(e.module_exports(self.validated))
        if "_start" not in exported:
            raise Unlinkable("the program exports no function '_start'")
        try:
            self.instantiate()
            self.call("_start", [])
        except Exit as end:
            return end.code
        finally:
            sys.stdout.flush()
        return 0

    @contextmanager
    def _ended(self) -> Any:
        """Errors of the binding's as refwasm's."""
        api = binding.api()
        try:
            yield
        except api.ExitTrap as end:
            raise Exit(end.code) from None
        except (api.Trap, api.WasmtimeError) as error:
            self._failed(error)

    def _failed(self, error: Any) -> NoReturn:
        native = binding.trap_of(error)
        if native.message in LIMITS:
            text = "time limit exceeded" if native.message == "interrupted" else native.message
            raise ResourceLimit(text) from None
        if not isinstance(error, binding.api().Trap) and not native.frames:
            text = str(error)
            if "exceeds memory limits" in text:
                raise ResourceLimit(text) from None
            raise (
                Unlinkable(text) if "unknown import" in text or "incompatible import" in text else Trap(text)
            ) from None
        trap = Trap(native.message)
        trap.backtrace = [self._entry(index, offset) for index, offset, _ in native.frames]
        raise trap from None

    def _entry(self, index: int, offset: int) -> StackEntry:
        module = self.validated.module
        location = module.locate(offset) if module.locate is not None else ""
        return StackEntry(index, module.names.of("func", index), location)

    def memory(self) -> e.Memory | None:
        """The exported memory, once there is an instance."""
        if self.instance is None:
            return None
        self.linked.guest.has_memory(self.instance.exports(self.store).get("memory"), self.store)
        return self.linked.guest.exported_memory

    def close(self) -> None:
        """Give back what its devices and buffers hold."""
        if self.settings.deadline is not None:
            self.timer.cancel()
        self.linked.close()

    def __enter__(self) -> NativeProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
