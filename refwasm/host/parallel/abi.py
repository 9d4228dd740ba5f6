"""The interface: ``wasi_ephemeral_parallel`` in its present form, as host functions.

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
from refwasm.errors import Trap
from refwasm.host.guest import Guest, host_functions
from refwasm.host.parallel.context import Context
from refwasm.host.parallel.types import AccessKind, DeviceKind, Errno, Failure, ParallelError

MODULE = "wasi_ephemeral_parallel"

SIGNATURES: dict[str, str] = {
    "get_device": "i32 i32 -> i32",
    "create_buffer": "i32 i32 i32 i32 -> i32",
    "write_buffer": "i32 i32 i32 -> i32",
    "read_buffer": "i32 i32 i32 -> i32",
    "parallel_exec": "i32 i32 i32 i32 i32 i32 i32 i32 i32 -> i32",
}

Kind = TypeVar("Kind", bound=IntEnum)


class Parallel:
    """The functions, for one guest. ``report`` is called with every failure that becomes an error number."""

    def __init__(
        self, guest: Guest, context: Context, report: Callable[[Failure], object] = lambda failure: None
    ) -> None:
        self.guest = guest
        self.context = context
        self.report = report

    def exports(self) -> dict[str, e.Extern]:
        """The functions."""
        return host_functions(self, SIGNATURES)

    def get_device(self, hint: int, device_out: int) -> int:
        """A device (u32 handle at ``device_out``) of the kind hinted at, or another. Never fails."""
        kind = _enum(DeviceKind, hint, "device kind")
        self.guest.check(device_out, 4, 4)
        self.guest.write_u32(device_out, self.context.get_device(kind))
        return Errno.SUCCESS

    def create_buffer(self, device: int, size: int, kind: int, buffer_out: int) -> int:
        """A buffer of ``size`` bytes (u32 handle at ``buffer_out``) on a device; it holds zeros.

        invalid_device; resource_limit: too many buffers, or too large.
        """
        _enum(AccessKind, kind, "access kind")
        self.guest.check(buffer_out, 4, 4)

        def create() -> None:
            self.guest.write_u32(buffer_out, self.context.create_buffer(device, size))

        return self._attempt("create_buffer", create)

    def write_buffer(self, data: int, size: int, buffer: int) -> int:
        """Fill a buffer with ``size`` bytes at ``data``. invalid_buffer; size_mismatch: not the buffer's size."""
        self.guest.check(data, size)
        memory = self.guest.memory
        return self._attempt("write_buffer", lambda: self.context.write_buffer(memory, data, size, buffer))

    def read_buffer(self, buffer: int, data: int, size: int) -> int:
        """Copy a buffer to ``size`` bytes at ``data``. invalid_buffer; size_mismatch: not the buffer's size."""
        self.guest.check(data, size)
        memory = self.guest.memory
        return self._attempt("read_buffer", lambda: self.context.read_buffer(memory, buffer, data, size))

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
        self.guest.check(kernel, kernel_size)
        handles = self.guest.read_u32s(inputs, input_count) + self.guest.read_u32s(outputs, output_count)
        memory = self.guest.memory
        code = memory.read(kernel, kernel_size)
        return self._attempt(
            "parallel_exec",
            lambda: self.context.parallel_exec(memory, device, code, iterations, block_size, handles),
        )

    def _attempt(self, function: str, act: Callable[[], None]) -> int:
        """Act; what fails becomes an error number, and is reported."""
        try:
            act()
        except ParallelError as error:
            self.report(self.context.note_failure(function, error))
            return error.errno
        return Errno.SUCCESS


def _enum(kind: type[Kind], value: int, what: str) -> Kind:
    try:
        return kind(value)
    except ValueError:
        raise Trap(f"{value} is no {what}") from None
