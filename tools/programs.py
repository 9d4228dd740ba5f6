"""Drivers for real programs: QuickJS and MicroPython as the package ``pwasm`` ships them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from refwasm import Instance, Module
from tools.guests import shipped as guest


class Longjmp(Exception):
    """Unwinds to the nearest ``invoke_…`` (the convention of code compiled by Emscripten)."""


class Program:
    """A guest that writes through ``host_write(fd, pointer, size)`` and evaluates a script given as a string."""

    def __init__(self, name: str, **limits: Any) -> None:
        self.output = {1: bytearray(), 2: bytearray(), 3: bytearray(), 4: bytearray()}
        module = Module(guest(name))
        env: dict[str, Callable[..., Any]] = {
            "host_write": lambda fd, pointer, size: self.output[fd].extend(self.memory.read(pointer, size)),
            "host_call": lambda *args: 0,
            "host_take": lambda *args: None,
            "host_interrupt": lambda: 0,
            "_emscripten_throw_longjmp": self._throw,
        }
        for item in module.imports:
            if item.name.startswith("invoke_"):
                env[item.name] = self._invoker(has_result=item.name[7] != "v")
        wasi = {
            "clock_time_get": self._clock,
            "fd_close": lambda fd: 8,
            "fd_fdstat_get": lambda fd, out: 8,
            "fd_seek": lambda *args: 8,
            "fd_write": lambda *args: 8,
        }
        self.instance = Instance(module, {"env": env, "wasi_snapshot_preview1": wasi}, **limits)
        self.exports = self.instance.exports
        self.memory = self.exports["memory"]
        self.exports["_initialize"]()

    def _throw(self) -> None:
        raise Longjmp

    def _clock(self, clock: int, precision: int, out: int) -> int:
        self.memory.write(out, time.time_ns().to_bytes(8, "little"))
        return 0

    def _invoker(self, has_result: bool) -> Callable[..., Any]:
        def invoke(index: int, *args: Any) -> Any:
            stack = self.exports["__stack_pointer"]
            saved = stack.value
            try:
                return self.exports["__indirect_function_table"][index](*args)
            except Longjmp:
                stack.value = saved
                self.exports["setThrew"](1, 0)
                return 0 if has_result else None

        return invoke

    def evaluate(self, function: str, source: str) -> int:
        """Copy a script into the guest and evaluate it; the status that the guest returns."""
        raw = source.encode()
        pointer = self.exports["malloc"](len(raw) + 1)
        self.memory.write(pointer, raw + b"\0")
        status = self.exports[function](pointer, len(raw))
        self.exports["free"](pointer)
        return int(status)


def quickjs(**limits: Any) -> Program:
    """QuickJS, initialized."""
    program = Program("quickjs", **limits)
    assert program.exports["qjs_init"](0, 512 * 1024) == 0
    return program


def micropython(**limits: Any) -> Program:
    """MicroPython, initialized."""
    program = Program("micropython", **limits)
    assert program.exports["mp_sandbox_init"](256 * 1024) == 0
    return program
