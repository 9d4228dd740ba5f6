"""What is different in ``wasi_unstable``: the order of whences, and the layout of two structures."""

from __future__ import annotations

import os
from collections.abc import Callable

from refwasm.host.wasi import types as w
from refwasm.host.wasi.fd import Fd
from refwasm.host.wasi.path import Path
from refwasm.host.wasi.poll import Layout, Poll
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Errno, Rights, WasiError, Whence

_WHENCE = (Whence.CUR, Whence.END, Whence.SET)
#: A subscription of 56 bytes: a clock has an identifier of its own before its id.
LAYOUT = Layout(56, 24, 32, 48)


def old_filestat(found: os.stat_result) -> bytes:
    """As filestat, in 56 bytes: links are a u32 at 20."""
    new = w.filestat(found)
    links = min(found.st_nlink, 0xFFFFFFFF)
    return new[:17] + bytes(3) + links.to_bytes(4, "little") + new[32:]


def unstable_functions(system: System) -> dict[str, Callable[..., None]]:
    """The functions that are different."""
    fd, path = Fd(system), Path(system)

    def fd_seek(number: int, offset: int, whence: int, position_out: int) -> None:
        if whence >= len(_WHENCE):
            raise WasiError(Errno.INVAL)
        fd.fd_seek(number, offset, _WHENCE[whence], position_out)

    def fd_filestat_get(number: int, stat_out: int) -> None:
        system.guest.check(stat_out, 56)
        with system.descriptors.using(number, Rights.FD_FILESTAT_GET) as found:
            raw = old_filestat(os.fstat(found.fd))
        system.guest.memory.write(stat_out, raw)

    def path_filestat_get(number: int, lookup: int, name: int, size: int, stat_out: int) -> None:
        system.guest.check(stat_out, 56)
        system.guest.memory.write(stat_out, old_filestat(path.stat(number, lookup, name, size)))

    return {
        "fd_seek": fd_seek,
        "fd_filestat_get": fd_filestat_get,
        "path_filestat_get": path_filestat_get,
        "poll_oneoff": Poll(system, LAYOUT).poll_oneoff,
    }
