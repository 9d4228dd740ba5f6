"""WASI preview1: ``wasi_snapshot_preview1``, and ``wasi_unstable``, its older spelling.

The functions are documented like manual pages where they are: :mod:`.environment` (arguments, environment, clocks,
random numbers), :mod:`.fd` (descriptors), :mod:`.path` (files by path), :mod:`.poll`, :mod:`.proc`, :mod:`.sock`. All
parameters are i32 unless noted; pointers go into the guest's memory; the result is an error number. A pointer out of
bounds traps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from refwasm import embedding as e
from refwasm.host.guest import host_functions
from refwasm.host.wasi import environment, fd, path, poll, proc, sock
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import PARAMETER_TYPES, Errno, WasiError, from_os_error, is_member
from refwasm.host.wasi.unstable import unstable_functions

MODULE, UNSTABLE = "wasi_snapshot_preview1", "wasi_unstable"

PARTS: tuple[tuple[type[Any], Mapping[str, str]], ...] = (
    (environment.Environment, environment.SIGNATURES),
    (fd.Fd, fd.SIGNATURES),
    (path.Path, path.SIGNATURES),
    (poll.Poll, poll.SIGNATURES),
    (proc.Proc, proc.SIGNATURES),
    (sock.Sock, sock.SIGNATURES),
)
SIGNATURES: dict[str, str] = {name: text for _, signatures in PARTS for name, text in signatures.items()}


def functions(
    system: System, module: str = MODULE, wanted: Collection[str] | None = None
) -> dict[str, Callable[..., int | None]]:
    """All functions over a guest's state, as they are called: with integers, giving an error number. If there are all
    that are ``wanted``, only those."""
    found: dict[str, Callable[..., None]] = {}
    for part, signatures in PARTS:
        made = part(system)
        found |= {name: getattr(made, name) for name in signatures}
    if module == UNSTABLE:
        found |= unstable_functions(system)
    names = found if wanted is None or not found.keys() >= set(wanted) else wanted
    return {name: _numbered(_checked(name, found[name])) for name in names}


def exports(system: System, module: str = MODULE, wanted: Collection[str] | None = None) -> dict[str, e.Extern]:
    """The functions for linking; only those that are ``wanted``, if there are all of these."""
    return host_functions(functions(system, module, wanted), SIGNATURES)


def _checked(name: str, function: Callable[..., None]) -> Callable[..., None]:
    """A function whose flags and enumerations are looked at first: INVAL if there is anything unknown in them."""
    types = PARAMETER_TYPES.get(name)
    if types is None:
        return function
    code = function.__code__
    named = [parameter for parameter in code.co_varnames[: code.co_argcount] if parameter != "self"]
    places = [(named.index(parameter), kind) for parameter, kind in types.items()]

    def call(*args: int) -> None:
        for place, kind in places:
            if not is_member(kind, args[place]):
                raise WasiError(Errno.INVAL)
        function(*args)

    return call


def _numbered(function: Callable[..., None]) -> Callable[..., int]:
    """A function whose failures are error numbers."""

    def call(*args: int) -> int:
        try:
            function(*args)
        except WasiError as error:
            return error.errno
        except OSError as error:
            return from_os_error(error)
        except OverflowError:  # a number that the host's interface can't hold
            return Errno.INVAL
        return Errno.SUCCESS

    return call
