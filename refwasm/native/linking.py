"""``wasi_ephemeral_parallel`` in a ``wasmtime.Linker``."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from refwasm import embedding as e
from refwasm.host.parallel import MODULE, Context, Parallel, ParallelLimits, Policies
from refwasm.host.parallel.demands import honoured
from refwasm.host.parallel.devices import registry
from refwasm.host.parallel.devices.native import binding
from refwasm.host.parallel.forms import Form, form_of
from refwasm.host.parallel.types import DeviceKind, ExecutionRecord, Failure
from refwasm.native.guest import NativeGuest


class Linked:
    """What :func:`link_parallel` added. ``runs`` and ``failures`` tell what happened; :meth:`close` gives back what
    devices and buffers hold."""

    def __init__(self, context: Context, guest: NativeGuest) -> None:
        self.context = context
        self.guest = guest

    @property
    def runs(self) -> list[ExecutionRecord]:
        """What each execution of a kernel did."""
        return self.context.runs

    @property
    def failures(self) -> list[Failure]:
        """Calls that returned an error number."""
        return self.context.failures

    def close(self) -> None:
        """Forget devices, buffers and kernels."""
        self.context.close()
        self.guest.shared.clear()

    def __enter__(self) -> Linked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def link_parallel(
    linker: Any, module: bytes | None = None, *, policies: Policies | str = Policies(),
    limits: ParallelLimits = ParallelLimits(), device: DeviceKind | str = "native", strict: bool = False,
    report: Callable[[Failure], object] = lambda failure: None, settings: e.Settings | None = None,
) -> Linked:  # fmt: skip
    """Define the functions of wasi-parallel in a linker, for the programs that it instantiates.

    ``module`` is the program in the binary format. It is needed for programs of the proposal's older forms, which
    import ``parallel_for``; without it the present form is linked. ``policies``, ``limits``, ``device``, ``strict`` and
    ``report`` mean what they do for :class:`refwasm.Program`. Programs must export their memory as ``memory``.

    Raises NoSuchDevice if the device can't be had, Malformed or Invalid for a bad module.
    """
    api = binding.api()
    validated = None if module is None else e.module_validate(e.module_decode(module))
    form = Form.EXEC if validated is None else form_of(validated, MODULE)
    chosen = Policies.parse(policies) if isinstance(policies, str) else policies
    if validated is not None:
        chosen = honoured(chosen, validated.module.customs)
    if isinstance(device, str):
        registry.named_device(device, limits)  # what is missing is told now
    context = Context(chosen, limits, device, settings, strict, form)
    guest = NativeGuest(linker.engine, None if validated is None else validated.module, module)
    exports = Parallel(guest, context, report, guest.function_at).exports()
    for name, item in exports.items():
        assert isinstance(item, e.HostFunc)
        i32s, results = [api.ValType.i32()] * len(e.func_type(item).params), [api.ValType.i32()]
        linker.define_func(MODULE, name, api.FuncType(i32s, results), _called(guest, item), access_caller=True)
    return Linked(context, guest)


def _called(guest: NativeGuest, item: e.HostFunc) -> Callable[..., int]:
    """A host function as the binding calls it: signed numbers, and the caller first."""

    def call(caller: Any, *args: int) -> int:
        guest.has_memory(caller.get("memory"), caller)
        (result,) = item.function(*(arg & 0xFFFFFFFF for arg in args))
        guest.after()
        return int(result)

    return call
