"""The interface ``wasi_ephemeral_parallel`` as host functions, in its present form and its two older ones.

All parameters and results are i32. Pointers are u32 addresses in the caller's exported memory ``memory``; ``in`` and
``out`` point to arrays of buffer handles (u32), their lengths count elements. The result is an error number
(:class:`refwasm.host.parallel.types.Errno`), 0 for success. Pointers out of bounds or misaligned, and enumerations out
of range, trap before any effect.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

from refwasm import embedding as e
from refwasm.errors import Deadlock, ResourceLimit, Trap
from refwasm.host.guest import Guest, host_functions
from refwasm.host.parallel.context import Context
from refwasm.host.parallel.forms import Form, function_in_table
from refwasm.host.parallel.types import AccessKind, DeviceKind, Errno, Failure, OldDeviceKind, ParallelError

MODULE = "wasi_ephemeral_parallel"

SIGNATURES: dict[str, str] = {
    "get_device": "i32 i32 -> i32",
    "create_buffer": "i32 i32 i32 i32 -> i32",
    "write_buffer": "i32 i32 i32 -> i32",
    "read_buffer": "i32 i32 i32 -> i32",
}

Kind = TypeVar("Kind", bound=IntEnum)


class Parallel:
    """The functions, for one guest. ``report`` is called with every failure that becomes an error number;
    ``function_at`` finds the caller's function at a position of its table, where the guest's instance is not refwasm's.
    """

    def __init__(
        self, guest: Guest, context: Context, report: Callable[[Failure], object] = lambda failure: None,
        function_at: Callable[[int], int] | None = None,
    ) -> None:  # fmt: skip
        self.guest = guest
        self.function_at = function_at or self._function_at
        self.context = context
        self.report = report

    def exports(self) -> dict[str, e.Extern]:
        """The functions, in the context's form."""
        form = self.context.form
        execute = {
            Form.EXEC: self.parallel_exec,
            Form.FOR_MODULE: self.parallel_for_module,
            Form.FOR_FUNCTION: self.parallel_for_function,
        }[form]
        functions = {name: getattr(self, name) for name in SIGNATURES} | {form.function: execute}
        return host_functions(functions, SIGNATURES | {form.function: form.signature})

    # ---- devices and buffers -----------------------------------------------------------------------------------------

    def get_device(self, hint: int, device_out: int) -> int:
        """A device (u32 handle at ``device_out``) of the kind hinted at, or another. Never fails."""
        if self.context.form is Form.EXEC:
            kind = _enum(DeviceKind, hint, "device kind")
        else:
            kind = DeviceKind[_enum(OldDeviceKind, hint, "device kind").name]
        self._check("device_out", device_out, 4, 4)
        self.guest.write_u32(device_out, self.context.get_device(kind))
        return Errno.SUCCESS

    def create_buffer(self, device: int, size: int, kind: int, buffer_out: int) -> int:
        """A buffer of ``size`` bytes (u32 handle at ``buffer_out``) on a device; it holds zeros.

        invalid_device; resource_limit: too many buffers, or too large.
        """
        access = _enum(AccessKind, kind, "access kind")
        self._check("buffer_out", buffer_out, 4, 4)

        def create() -> None:
            self.guest.write_u32(buffer_out, self.context.create_buffer(device, size, access))

        return self._attempt("create_buffer", create)

    def write_buffer(self, data: int, size: int, buffer: int) -> int:
        """Fill a buffer with ``size`` bytes at ``data``. invalid_buffer; size_mismatch: not the buffer's size."""
        self._check("data", data, size)
        memory = self.guest.memory
        return self._attempt("write_buffer", lambda: self.context.write_buffer(memory, data, size, buffer))

    def read_buffer(self, buffer: int, data: int, size: int) -> int:
        """Copy a buffer to ``size`` bytes at ``data``. invalid_buffer; size_mismatch: not the buffer's size."""
        self._check("data", data, size)
        memory = self.guest.memory
        return self._attempt("read_buffer", lambda: self.context.read_buffer(memory, buffer, data, size))

    # ---- execution ---------------------------------------------------------------------------------------------------

    def parallel_exec(
        self, device: int, kernel: int, kernel_size: int, iterations: int, block_size: int,
        inputs: int, input_count: int, outputs: int, output_count: int,
    ) -> int:  # fmt: skip
        """Call the kernel (a binary module at ``kernel``) ``iterations`` times, ids from 0, in any order and at once.

        ::

            inputs:  | handle | handle | … (input_count)      outputs: | handle | … (output_count)

        ``block_size`` is a hint how many to run together, and is passed through. Returns when all are done.
        invalid_device; invalid_buffer; wrong_device: a buffer of another device; invalid_kernel; kernel_trap: an
        iteration trapped, what it and others stored stays; resource_limit: time, fuel or memory.
        """
        code = self._bytes("kernel", kernel, kernel_size)
        handles = self._handles(inputs, input_count, outputs, output_count)
        memory = self.guest.memory
        return self._attempt(
            "parallel_exec",
            lambda: self.context.parallel_exec(memory, device, code, iterations, block_size, handles),
        )

    def parallel_for_module(
        self, kernel: int, kernel_size: int, iterations: int, block_size: int,
        inputs: int, input_count: int, outputs: int, output_count: int,
    ) -> int:  # fmt: skip
        """``parallel_for`` of 2022: as parallel_exec, without a device; the kernel is not told about the buffers."""
        code = self._bytes("kernel", kernel, kernel_size)
        handles = self._handles(inputs, input_count, outputs, output_count)
        memory = self.guest.memory
        return self._attempt(
            "parallel_for",
            lambda: self.context.parallel_for_module(memory, code, iterations, block_size, handles),
        )

    def parallel_for_function(
        self, function: int, iterations: int, block_size: int,
        inputs: int, input_count: int, outputs: int, output_count: int,
    ) -> int:  # fmt: skip
        """``parallel_for`` of 2021: the kernel is an index into the caller's function table.

        unsupported: the caller can't be instantiated again (it imports other things than functions and a memory), or a
        buffer was never written and has no place in its memory.
        """
        handles = self._handles(inputs, input_count, outputs, output_count)

        def execute() -> None:
            index = self.function_at(function)
            instance = self.guest.instance
            code = self.guest.binary or (b"" if instance is None else e.module_encode(instance.module))
            self.context.parallel_for_function(self.guest.memory, code, index, iterations, block_size, handles)

        return self._attempt("parallel_for", execute)

    def _function_at(self, position: int) -> int:
        instance = self.guest.instance
        assert instance is not None, "it calls us"
        return function_in_table(instance, self.guest.memory, position)

    # ---- arguments ---------------------------------------------------------------------------------------------------

    def _check(self, argument: str, pointer: int, size: int, align: int = 1) -> None:
        """Trap unless the argument points to so many bytes, aligned."""
        try:
            self.guest.check(pointer, size, align)
        except Trap as trap:
            raise Trap(f"{trap.message} (argument {argument}; PAR-ARG-01)") from None

    def _bytes(self, argument: str, pointer: int, size: int) -> bytes:
        self._check(argument, pointer, size)
        return self.guest.memory.read(pointer, size)

    def _handles(self, inputs: int, input_count: int, outputs: int, output_count: int) -> tuple[int, ...]:
        """Both lists, each copied once."""
        self._check("in", inputs, 4 * input_count, 4)
        self._check("out", outputs, 4 * output_count, 4)
        return self.guest.read_u32s(inputs, input_count) + self.guest.read_u32s(outputs, output_count)

    def _attempt(self, function: str, act: Callable[[], None]) -> int:
        """Act; what fails becomes an error number, and is reported."""
        try:
            act()
        except ParallelError as error:
            self.report(self.context.note_failure(function, error))
            return error.errno
        except Deadlock:  # nobody can go on, the guest neither
            raise
        except (ResourceLimit, OSError) as error:  # of the host's: no descriptors or processes left
            limit = ParallelError(Errno.RESOURCE_LIMIT, "PAR-ARG-04", str(error))
            self.report(self.context.note_failure(function, limit))
            return limit.errno
        return Errno.SUCCESS


def _enum(kind: type[Kind], value: int, what: str) -> Kind:
    try:
        return kind(value)
    except ValueError:
        raise Trap(f"{value} is no {what} (PAR-ARG-01)") from None
