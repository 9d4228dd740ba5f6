"""A guest without code: WASI functions called from Python on a memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refwasm import embedding as e
from refwasm.host.guest import Guest
from refwasm.host.wasi import MODULE, System, WasiOptions, functions
from refwasm.host.wasi.types import EventType
from refwasm.syntax.types import I32, Limits, MemType

PATH, OTHER, OUT, DATA = 1024, 8192, 512, 16384
FOLLOW = 1
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
ALL = (1 << 30) - 1


class Caller:
    """Calls functions; strings and buffers are put into memory at fixed places."""

    def __init__(self, folder: Path | None = None, module: str = MODULE, **options: object) -> None:
        guest = Guest()
        guest.exported_memory = e.mem_alloc(e.store_init(), MemType(I32, Limits(4, 4), False))
        self.memory = guest.exported_memory
        dirs: Sequence[tuple[str, str]] = [] if folder is None else [(str(folder), "/")]
        self.system = System(guest, WasiOptions(dirs=dirs, **options))  # type: ignore[arg-type]
        self.functions = functions(self.system, module)

    def __call__(self, name: str, *args: int | str | bytes) -> int:
        """Call a function: a string or bytes become two arguments, address and size."""
        flat: list[int] = []
        place = PATH
        for arg in args:
            if isinstance(arg, int):
                flat.append(arg)
            else:
                data = arg.encode() if isinstance(arg, str) else arg
                self.memory.write(place, data)
                flat += [place, len(data)]
                place = OTHER
        result = self.functions[name](*flat)
        return 0 if result is None else int(result)

    def u32(self, address: int = OUT) -> int:
        return self.memory.load(4, address)

    def u64(self, address: int = OUT) -> int:
        return self.memory.load(8, address)

    def open(self, path: str | bytes, oflags: int = 0, rights: int = ALL, flags: int = 0, lookup: int = FOLLOW) -> int:
        """path_open below the first directory: a descriptor, or the negative error number."""
        error = self("path_open", 3, lookup, path, oflags, rights, rights, flags, OUT)
        return -error if error else self.u32()

    def _vector(self, size: int) -> None:
        self.memory.store(4, 64, DATA)
        self.memory.store(4, 68, size)

    def write(self, fd: int, data: bytes) -> int:
        """fd_write; the error number."""
        self.memory.write(DATA, data)
        self._vector(len(data))
        return self("fd_write", fd, 64, 1, OUT)

    def read(self, fd: int, size: int = 1000) -> bytes | int:
        """fd_read: what was read, or the error number."""
        self._vector(size)
        error = self("fd_read", fd, 64, 1, OUT)
        return error or self.memory.read(DATA, self.u32())

    def names(self, fd: int, room: int = 4096) -> list[tuple[str, int]]:
        """Names and types in a directory, read piece by piece."""
        found: list[tuple[str, int]] = []
        cookie = 0
        while True:
            assert self("fd_readdir", fd, DATA, room, cookie, OUT) == 0
            used = self.u32()
            raw = self.memory.read(DATA, used)
            at = 0
            while at + 24 <= used:
                size = int.from_bytes(raw[at + 16 : at + 20], "little")
                if at + 24 + size > used:
                    break
                cookie = int.from_bytes(raw[at : at + 8], "little")
                found.append((raw[at + 24 : at + 24 + size].decode(), raw[at + 20]))
                at += 24 + size
            if used < room:
                return found
            assert at, "room for one entry at least"


def subscription(data: int, kind: int, *, clock: int = 1, timeout: int = 0, flags: int = 0, fd: int = 0) -> bytes:
    head = data.to_bytes(8, "little") + bytes([kind]) + bytes(7)
    if kind == EventType.CLOCK:
        return (head + clock.to_bytes(4, "little") + bytes(4) + timeout.to_bytes(8, "little") + bytes(8)
                + flags.to_bytes(2, "little")).ljust(48, b"\0")  # fmt: skip
    return (head + fd.to_bytes(4, "little")).ljust(48, b"\0")


def poll(c: Caller, *subscriptions: bytes) -> list[tuple[int, int, int]]:
    """User data, error and type of each event."""
    c.memory.write(DATA, b"".join(subscriptions))
    assert c("poll_oneoff", DATA, DATA + 4096, len(subscriptions), OUT) == 0
    events = [c.memory.read(DATA + 4096 + 32 * i, 32) for i in range(c.u32())]
    return [(int.from_bytes(e[:8], "little"), int.from_bytes(e[8:10], "little"), e[10]) for e in events]
